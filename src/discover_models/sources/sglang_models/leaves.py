"""Which classes are layers to be recorded, and which are entered to see what they are made of."""

import re

from discover_models.sources.sglang_models.values import ClassValue

LAYERS = "sglang.srt.layers."
TORCH_LEAVES = {
    "torch.nn.Linear": "linear",
    "torch.nn.LayerNorm": "norm",
    "torch.nn.RMSNorm": "norm",
    "torch.nn.GroupNorm": "norm",
    "torch.nn.BatchNorm1d": "norm",
    "torch.nn.Embedding": "embedding",
    "torch.nn.Conv1d": "conv1d",
    "torch.nn.Conv2d": "conv",
    "torch.nn.Conv3d": "conv",
    "torch.nn.SiLU": "activation",
    "torch.nn.GELU": "activation",
    "torch.nn.ReLU": "activation",
    "torch.nn.Tanh": "activation",
    "torch.nn.Sigmoid": "activation",
    "torch.nn.Softplus": "activation",
    "torch.nn.Identity": "identity",
    "torch.nn.Dropout": "identity",
}
"""Layers of torch; other names of `torch.nn` that start with a capital are of kind ``other``."""

_BY_BASE = {
    "LinearBase": "linear",
    "FusedMoE": "experts",
    "RadixAttention": "attention",
    "RadixLinearAttention": "linear_attention",
    "VocabParallelEmbedding": "embedding",
    "LogitsProcessor": "logits",
    "Pooler": "logits",
    "PPMissingLayer": "identity",
    "RotaryEmbedding": "rope",
}
_PARTS = r"\w*(Attention|Layer|Block|MLP)"
"""A class that is called after a norm and one of these is made of both."""
_BY_MODULE = (
    (re.compile(r"layers\.moe\.topk$"), re.compile(r"TopK$"), "topk"),
    (re.compile(r"layers\.rotary_embedding"), re.compile(r"Rotary|Rope"), "rope"),
    (re.compile(r"layers\.activation$"), re.compile(r"^[A-Z]"), "activation"),
    (re.compile(r"layers\."), re.compile(r"^Radix\w*Attention$"), "attention"),
    (re.compile(r"^sglang\.(srt|kernels)\."), re.compile(rf"Norm(?!{_PARTS})([A-Z]\w*)?$"), "norm"),
)
_VISION = re.compile(r"layers\.attention\.vision|multimodal\.")


def leaf_kind(cls: ClassValue) -> str:
    """The kind of leaf that a class is; empty when it is to be entered."""
    if "leaf" not in cls.cache:
        cls.cache["leaf"] = _kind(cls)
    return cls.cache["leaf"]


def _kind(cls: ClassValue) -> str:
    for name in cls.names:
        if name in _BY_BASE:
            return _BY_BASE[name]
        if name in TORCH_LEAVES:
            return TORCH_LEAVES[name]
    if not is_module(cls):
        return ""
    for module, name, kind in _BY_MODULE:
        if module.search(cls.module) and name.search(cls.name):
            return kind
    return "vision" if _VISION.search(cls.module) else ""


def is_module(cls: ClassValue) -> bool:
    """Whether a class is a layer of torch."""
    return any(name.endswith(("nn.Module", "MultiPlatformOp", "CustomOp")) for name in cls.names)


def is_config(cls: ClassValue) -> bool:
    """Whether a class is a configuration of transformers' kind."""
    return any(
        "." in name and name.startswith("transformers") and name.endswith("Config")
        for name in cls.names
    )
