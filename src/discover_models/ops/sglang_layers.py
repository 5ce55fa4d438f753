"""SGLang's layers by kind of kernel, as the files in python/sglang/srt/models call them."""

_ATTENTION = ("RadixAttention", "UnifiedAttention")

LAYERS: dict[str, tuple[str, ...]] = {
    "rmsnorm": ("RMSNorm", "GemmaRMSNorm", "Gemma3RMSNorm", "Gemma4RMSNorm"),
    "gemm": ("QKVParallelLinear", "ReplicatedLinear", "RowParallelLinear", "ColumnParallelLinear"),
    "gqa_paged": _ATTENTION,
    "gqa_ragged": _ATTENTION,
    "mla_paged": _ATTENTION,
    "mla_ragged": _ATTENTION,
    "dsa_paged": _ATTENTION,
    "gdn": ("RadixLinearAttention",),
    "mamba_ssu": ("MambaMixer2",),
    "moe": ("FusedMoE", "get_moe_impl_class"),
    "rope": ("get_rope", "get_rope_wrapper"),
    "sampling": (),
}
"""Calls that lead to the kernel. Sampling is the same for all models."""
LATENT = {
    "gqa_paged": False,
    "gqa_ragged": False,
    "mla_paged": True,
    "mla_ragged": True,
    "dsa_paged": True,
}
"""Whether attention is over a latent cache; SGLang has backends for one kind only."""
