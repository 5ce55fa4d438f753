"""What a model class decides by itself, which no configuration field says.

One entry per `model_type`, each read in SGLang's model file that it names (version 0.5.23). It
serves where the class's own source can't be read; a type that is not listed leaves these things
undecided.
"""

from dataclasses import dataclass, replace
from typing import Literal

QkNorm = Literal["none", "per_head", "full", "layernorm", "undecided"]


@dataclass(frozen=True)
class Traits:
    """What the class decides."""

    source: str
    """SGLang's model file, below ``python/sglang/srt/models/``."""
    rope: Literal["neox", "gptj", "none"] | None = "neox"
    qk_norm: QkNorm = "none"
    qk_norm_flag: str = ""
    """Field that switches the q/k norm on; empty where the class always has it."""
    routing: str | None = None
    """Fixed routing; None where the fields decide it."""
    softmax_scores: bool = False
    """Experts are scored by softmax unless a field says otherwise."""
    default_norm_topk: bool | None = None
    """Whether top-k weights are normalised where no field says."""
    gemma_norm: bool = False
    norm: Literal["rmsnorm", "layernorm"] = "rmsnorm"
    """What normalises the hidden state."""
    plain_norms: bool = False
    """Norms never add the residual; the class adds it by itself."""
    sandwich: bool = False
    """A second norm follows attention and MLP."""
    output_gate: bool = False
    expert_width: str = "moe_intermediate_size"
    """The field that holds the width of one expert."""
    always_shared: bool = False
    """Every MoE layer has one shared expert of the expert width."""
    shared_gate: bool = False
    gated: bool = True
    rope_only_sliding: bool = False
    """Beside layers with a window, those with full attention have no position embedding."""
    width_factor: int = 0
    """Width of the MLP over the hidden size where no field says it; 0 where one must."""
    fused_a_proj: bool | None = None
    """MLA's low-rank projections of q and KV run as one GEMM."""
    sinks: bool = False
    ignores_window: bool = False
    """The class hands no window to its attention, whatever the fields say."""
    activation: str = ""
    """Of the MLP where no field says it."""
    layer_scalar: bool = False
    """The last norm of a layer runs with the residual and a learnt factor of the layer."""
    merged_moe_front: bool = False
    """Shared gate and up, router and latent down run as one GEMM."""
    no_rope_without_norm: bool = False
    """Layers without position embedding have no q/k norm either."""
    incomplete: bool = False
    """The class has more layers than are read from fields: its own source says more."""


_COHERE = Traits(
    source="commandr.py",
    norm="layernorm",
    rope="gptj",
    qk_norm="layernorm",
    qk_norm_flag="use_qk_norm",
)
_MLA = Traits(source="deepseek_v2.py", rope="gptj", fused_a_proj=True)
_WITHOUT_MLA = Traits(source="deepseek.py", softmax_scores=True)

TRAITS: dict[str, Traits] = {
    "llama": Traits(source="llama.py"),
    "mistral": Traits(source="mistral.py"),
    "ministral3": Traits(source="ministral3.py"),
    "mixtral": Traits(
        source="mixtral.py",
        ignores_window=True,
        softmax_scores=True,
        default_norm_topk=True,
        expert_width="intermediate_size",
    ),
    "qwen2": Traits(source="qwen2.py", ignores_window=True),
    "qwen2_vl_text": Traits(source="qwen2.py"),
    "qwen2_5_vl_text": Traits(source="qwen2.py"),
    "qwen2_moe": Traits(
        source="qwen2_moe.py",
        ignores_window=True,
        softmax_scores=True,
        shared_gate=True,
    ),
    "qwen3": Traits(source="qwen3.py", qk_norm="per_head"),
    "qwen3_vl_text": Traits(source="qwen3_vl.py", qk_norm="per_head"),
    "qwen3_moe": Traits(source="qwen3_moe.py", qk_norm="per_head", softmax_scores=True),
    "qwen3_vl_moe_text": Traits(
        source="qwen3_vl_moe.py", qk_norm="per_head", softmax_scores=True, default_norm_topk=True
    ),
    "qwen3_next": Traits(
        source="qwen3_next.py",
        qk_norm="per_head",
        softmax_scores=True,
        gemma_norm=True,
        output_gate=True,
        shared_gate=True,
    ),
    "qwen3_5_text": Traits(
        source="qwen3_5.py", qk_norm="per_head", gemma_norm=True, output_gate=True
    ),
    "qwen3_5_moe_text": Traits(
        source="qwen3_5.py",
        qk_norm="per_head",
        softmax_scores=True,
        default_norm_topk=True,
        gemma_norm=True,
        output_gate=True,
        shared_gate=True,
    ),
    "mimo": Traits(source="mimo.py"),
    "phi3": Traits(source="llama.py", ignores_window=True),
    "internlm2": Traits(source="internlm2.py"),
    "exaone": Traits(source="exaone.py"),
    "xverse": Traits(source="xverse.py"),
    "granite": Traits(source="granite.py"),
    "ernie4_5": Traits(source="ernie4.py", rope="gptj"),
    "ernie4_5_moe": Traits(source="ernie4.py", rope="gptj"),
    "arcee": Traits(source="arcee.py", gated=False),
    "apertus": Traits(source="apertus.py", gated=False, qk_norm="per_head"),
    "glm4": Traits(source="glm4.py", rope="gptj", sandwich=True),
    "hunyuan_v1_dense": Traits(source="hunyuan.py", qk_norm="per_head", qk_norm_flag="use_qk_norm"),
    # Classes whose norms are plain: the residual is added apart.
    "minicpm": Traits(source="minicpm.py", plain_norms=True),
    "minicpm_sala": Traits(source="minicpm.py", plain_norms=True),
    "olmo2": Traits(source="olmo2.py", qk_norm="full", plain_norms=True),
    "olmo3": Traits(source="olmo2.py", qk_norm="full", plain_norms=True),
    "exaone4": Traits(
        source="exaone4.py",
        qk_norm="per_head",
        plain_norms=True,
        rope_only_sliding=True,
    ),
    "granitemoe": Traits(
        source="granitemoe.py",
        plain_norms=True,
        routing="renorm",
        expert_width="intermediate_size",
    ),
    "olmoe": Traits(
        source="olmoe.py",
        qk_norm="full",
        routing="default_routing",
        expert_width="intermediate_size",
    ),
    # Classes with LayerNorm.
    "olmo": Traits(source="olmo.py", norm="layernorm"),
    "orion": Traits(source="orion.py", norm="layernorm"),
    "stablelm": Traits(source="stablelm.py", norm="layernorm"),
    "cohere": _COHERE,
    "cohere2": replace(_COHERE, rope_only_sliding=True),
    "starcoder2": Traits(
        source="starcoder2.py", ignores_window=True, norm="layernorm", gated=False
    ),
    "phi": Traits(source="phi.py", norm="layernorm", gated=False),
    "persimmon": Traits(
        source="persimmon.py",
        norm="layernorm",
        gated=False,
        qk_norm="layernorm",
        qk_norm_flag="qk_layernorm",
    ),
    "gpt2": Traits(source="gpt2.py", norm="layernorm", gated=False, rope="none", width_factor=4),
    "gpt_bigcode": Traits(
        source="gpt_bigcode.py", norm="layernorm", gated=False, rope="none", width_factor=4
    ),
    "gptj": Traits(source="gpt_j.py", norm="layernorm", gated=False, rope="gptj", width_factor=4),
    "opt": Traits(source="opt.py", norm="layernorm", gated=False, rope="none"),
    "phimoe": Traits(
        source="phimoe.py", ignores_window=True, norm="layernorm", expert_width="intermediate_size"
    ),
    "dbrx": Traits(
        source="dbrx.py",
        norm="layernorm",
        routing="renorm",
        expert_width="ffn_hidden_size",
    ),
    "gemma": Traits(source="gemma.py"),
    "gemma2": Traits(source="gemma2.py", gemma_norm=True, sandwich=True),
    "gemma3_text": Traits(
        source="gemma3_causal.py", qk_norm="per_head", gemma_norm=True, sandwich=True
    ),
    "gemma4_text": Traits(
        source="gemma4_causal.py",
        qk_norm="per_head",
        sandwich=True,
        layer_scalar=True,
        incomplete=True,
    ),
    "glm4_moe": Traits(
        source="glm4_moe.py",
        qk_norm="per_head",
        qk_norm_flag="use_qk_norm",
        routing="ds_routing",
    ),
    "gpt_oss": Traits(
        source="gpt_oss.py",
        softmax_scores=True,
        default_norm_topk=True,
        sinks=True,
        expert_width="intermediate_size",
    ),
    "llama4_text": Traits(
        source="llama4.py",
        qk_norm="per_head",
        qk_norm_flag="use_qk_norm",
        no_rope_without_norm=True,
        routing="llama4_routing",
        expert_width="intermediate_size",
        always_shared=True,
    ),
    "minimax_m2": Traits(
        source="minimax_m2.py",
        qk_norm="full",
        qk_norm_flag="use_qk_norm",
        expert_width="intermediate_size",
    ),
    "minimax_m3": Traits(
        source="minimax_m3.py",
        qk_norm="per_head",
        qk_norm_flag="use_qk_norm",
        gemma_norm=True,
        expert_width="intermediate_size",
    ),
    "deepseek_v4": Traits(source="deepseek_v4.py", plain_norms=True, rope="gptj"),
    "kimi_linear": Traits(
        source="kimi_k3.py", rope="gptj", fused_a_proj=True, merged_moe_front=True
    ),
    "nemotron_h": Traits(
        source="nemotron_h.py",
        rope="none",
        gated=False,
        routing="ds_routing",
    ),
    "falcon_h1": Traits(source="falcon_h1.py"),  # its q and k norms are never called
    "deepseek": _WITHOUT_MLA,
    "deepseek_v2": _MLA,
    "deepseek_v3": _MLA,
    "deepseek_v32": _MLA,
    "kimi_k2": _MLA,
    "glm_moe_dsa": _MLA,
}


def traits_of(model_type: str, *, latent: bool | None = None) -> Traits | None:
    """What the class of a model type decides; None for a type that is not listed.

    `latent` is `use_mla`: without it SGLang makes another class of the same configuration
    (sglang python/sglang/srt/models/deepseek_ocr.py:1428).
    """
    found = TRAITS.get(model_type)
    return _WITHOUT_MLA if found is _MLA and latent is False else found
