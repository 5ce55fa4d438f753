"""Which classes are layers with a known kernel, and which surely launch none of their own."""

from __future__ import annotations

import re

_BY_BASE = {
    "LinearBase": "gemm",
    "FusedMoE": "moe",
    "RadixAttention": "attention",
    "RadixLinearAttention": "linear_attention",
    "VocabParallelEmbedding": "embedding",
    "TopK": "routing",
    "HashTopK": "routing",
    "RotaryEmbedding": "rope",
    "Sampler": "sampling",
    "LogitsProcessor": "logits",
    "Pooler": "pooling",
    "FusedMoEMethodBase": "moe",
    "torch.nn.Unfold": "image",
    "torch.nn.ReflectionPad2d": "image",
    "torch.nn.SwishGLU": "activation",
    "torch.nn.SyncBatchNorm": "norm",
    "torch.nn.TransformerDecoderLayer": "torch_transformer",
    "torch.nn.TransformerEncoderLayer": "torch_transformer",
    "torch.nn.Linear": "gemm",
    "torch.nn.Embedding": "embedding",
    "torch.nn.LayerNorm": "norm",
    "torch.nn.RMSNorm": "norm",
    "torch.nn.GroupNorm": "norm",
    "torch.nn.BatchNorm1d": "norm",
    "torch.nn.BatchNorm2d": "norm",
    "torch.nn.Conv1d": "conv",
    "torch.nn.Conv2d": "conv",
    "torch.nn.Conv3d": "conv",
    "torch.nn.ConvTranspose1d": "conv",
    "torch.nn.ConvTranspose2d": "conv",
    "torch.nn.MultiheadAttention": "attention",
    "torch.nn.SiLU": "activation",
    "torch.nn.GELU": "activation",
    "torch.nn.ReLU": "activation",
    "torch.nn.Tanh": "activation",
    "torch.nn.Sigmoid": "activation",
    "torch.nn.Softplus": "activation",
    "torch.nn.Softmax": "activation",
    "torch.nn.LeakyReLU": "activation",
    "torch.nn.GLU": "activation",
    "torch.nn.AvgPool1d": "pooling",
    "torch.nn.AvgPool2d": "pooling",
    "torch.nn.AdaptiveAvgPool1d": "pooling",
    "torch.nn.AdaptiveAvgPool2d": "pooling",
    "torch.nn.MaxPool2d": "pooling",
}
_PARTS = r"\w*(Attention|Layer|Block|MLP)"
_OTHERS = re.compile(r"^transformers\b")
"""Encoders and projectors that SGLang takes from transformers run on torch's own kernels."""
_BY_NAME = (
    (re.compile(r"^sglang\."), re.compile(rf"Norm(?!{_PARTS})(s|[A-Z1]\w*)?$"), "norm"),
    (re.compile(r"^sglang\."), re.compile(r"(Rotary|RoPE|Rope)\w*$"), "rope"),
    (re.compile(r"layers\.activation"), re.compile(r"^[A-Z]"), "activation"),
    (re.compile(r"layers\."), re.compile(r"^Radix\w*Attention$"), "attention"),
    (re.compile(r"layers\.attention\.vision"), re.compile(r"Attention$"), "attention"),
    (re.compile(r"^sglang\."), re.compile(r"Conv\d?d\w*$|ShortConv\w*$"), "conv"),
    (re.compile(r"^sglang\."), re.compile(r"Pooler$"), "pooling"),
    (re.compile(r"^sglang\."), re.compile(r"(SiluAndMul|Sw[Ii]GLU|Swiglu)\w*$"), "activation"),
    (re.compile(r"^sglang\."), re.compile(r"Patches$|Down[Ss]ample\w*$|^Normalize$"), "image"),
    (re.compile(r"^sglang\."), re.compile(r"Codebook$|VectorQuant\w*$|FSQ$"), "codebook"),
    (re.compile(r"^sglang\."), re.compile(r"Pos(ition)?Emb(ed(ding)?)?$"), "embedding"),
    (re.compile(r"^sglang\."), re.compile(r"Frontend$|Spectrogram$"), "spectrogram"),
    (_OTHERS, re.compile(r"^(?!Auto)\w*(Model|Encoder|Tower)$"), "tower"),
    (_OTHERS, re.compile(r"Projector$"), "tower"),
    (_OTHERS, re.compile(r"Rotary\w*$"), "rope"),
)
NON_KERNELS: dict[str, str] = {
    "torch.nn.Module": "an empty holder of other modules",
    "torch.nn.ModuleList": "a list of modules, which are counted themselves",
    "torch.nn.ModuleDict": "a table of modules, which are counted themselves",
    "torch.nn.Sequential": "a chain of modules, which are counted themselves",
    "torch.nn.ParameterList": "a list of weights",
    "torch.nn.Parameter": "a weight; what multiplies by it is not a constructor",
    "torch.nn.UninitializedParameter": "a weight",
    "torch.nn.Identity": "gives its input back",
    "torch.nn.Dropout": "gives its input back when a model is served",
    "torch.nn.Dropout2d": "gives its input back when a model is served",
    "DropPath": "gives its input back when a model is served",
    "PatchDropout": "gives its input back when a model is served",
    "_NormalizedEmbedding": "calls an embedding and a norm, which are counted themselves",
    "PPMissingLayer": "stands for the layers of another pipeline stage",
}
"""Classes that never launch a kernel of their own, each with the reason."""


def mapped_kind(name: str, names: frozenset[str], module: str) -> str:
    """The kind of layer that a class is; empty for one that is not mapped.

    `names` are those of the class and its bases, `module` is empty outside of SGLang, where `name`
    has dots.
    """
    for base in names:
        if base in _BY_BASE:
            return _BY_BASE[base]
    place = module or name
    for where, what, kind in _BY_NAME:
        if where.search(place) and what.search(name.rpartition(".")[2]):
            return kind
    return ""
