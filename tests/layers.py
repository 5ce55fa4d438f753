"""Layers and architectures with short calls; every number is invented unless a test says other."""

from typing import Any

from discover_models.domain.architecture import (
    Architecture,
    DenseMlp,
    Dsv4Attention,
    Ffn,
    GdnAttention,
    GqaAttention,
    Indexer,
    InfllmSelection,
    KdaAttention,
    LayerGroup,
    LightningAttention,
    Mamba1Mixer,
    MambaMixer,
    Mixer,
    MlaAttention,
    Moe,
    MsaSelection,
    Rope,
    ShortConvMixer,
)
from discover_models.domain.dimension import Dim, known, unknown
from discover_models.domain.kernel import Parallelism
from discover_models.requirements import Requirements, requirements


def field(name: str, value: int | None) -> Dim:
    """A dimension of a configuration's field; None is a field that was found nowhere."""
    return unknown(name) if value is None else known(value, name, "config.json")


def fields(**values: int | None) -> dict[str, Any]:
    """Dimensions by name, as arguments."""
    return {name: field(name, value) for name, value in values.items()}


def rope(size: int = 64, **more: Any) -> Rope:
    values: dict[str, Any] = {"style": "neox", **fields(head_size=size, rotary_dim=size)}
    return Rope(**{**values, **more})


def gqa(q: int | None = 32, kv: int | None = 8, d: int | None = 128, **more: Any) -> GqaAttention:
    dims = fields(q_heads=q, kv_heads=kv, head_dim=d, v_head_dim=d)
    dims["v_head_dim"] = dims["head_dim"]
    return GqaAttention(**{**dims, **more})


def indexer(topk: int = 2048, **more: Any) -> Indexer:
    return Indexer(**fields(heads=64, head_dim=128, topk=topk), **more)


def mla(heads: int | None = 128, **more: Any) -> MlaAttention:
    dims = fields(
        heads=heads, q_lora_rank=1536, kv_lora_rank=512,
        qk_nope_head_dim=128, qk_rope_head_dim=64, v_head_dim=128,
    )  # fmt: skip
    return MlaAttention(**{**dims, **more})


def dsv4(heads: int = 64, ratio: int | None = None, **more: Any) -> Dsv4Attention:
    dims = fields(
        heads=heads, head_dim=512, window=128, q_lora_rank=1024, o_groups=8, o_lora_rank=1024
    )
    ratios = {} if ratio is None else fields(compress_ratio=ratio)
    return Dsv4Attention(**{**dims, **ratios, **more})


def gdn(k: int = 16, v: int = 32, d: int = 128, **more: Any) -> GdnAttention:
    dims = fields(k_heads=k, v_heads=v, k_head_dim=d, v_head_dim=d, conv_kernel=4)
    return GdnAttention(**{**dims, **more})


def kda(heads: int = 96, d: int = 128, **more: Any) -> KdaAttention:
    dims = fields(k_heads=heads, v_heads=heads, head_dim=d, v_head_dim=d, conv_kernel=4)
    return KdaAttention(**{**dims, **more})


def lightning(heads: int = 32, d: int = 128, **more: Any) -> LightningAttention:
    return LightningAttention(**{**fields(heads=heads, kv_heads=heads, head_dim=d), **more})


def mamba(heads: int = 128, groups: int = 8, **more: Any) -> MambaMixer:
    dims = fields(heads=heads, head_dim=64, state_size=128, groups=groups, conv_kernel=4)
    return MambaMixer(**{**dims, **more})


def mamba1(channels: int = 8192) -> Mamba1Mixer:
    return Mamba1Mixer(**fields(channels=channels, state_size=16, dt_rank=256, conv_kernel=4))


def short_conv(channels: int = 2048) -> ShortConvMixer:
    return ShortConvMixer(**fields(channels=channels, conv_kernel=3))


def msa(index_heads: int = 4, block: int = 128) -> MsaSelection:
    return MsaSelection(
        **fields(index_heads=index_heads, index_head_dim=128, topk=16, block_size=block)
    )


INFLLM = InfllmSelection(
    **fields(topk=96, block_size=64, kernel_size=32, kernel_stride=16, dense_len=8192)
)


def dense(width: int | None = 4096, **more: Any) -> DenseMlp:
    values: dict[str, Any] = {"intermediate": field("intermediate_size", width)}
    values["activation"] = "silu"
    return DenseMlp(**{**values, **more})


def moe(experts: int = 64, **more: Any) -> Moe:
    values: dict[str, Any] = {"routing": "renorm"}
    return Moe(**{**values, **fields(experts=experts, top_k=4, intermediate=768), **more})


GROUPED: dict[str, Any] = fields(n_group=8, topk_group=4)


def group(
    mixer: Mixer | None = None,
    ffn: Ffn | None = None,
    layers: tuple[int, ...] = (0, 1),
    beside: Mixer | None = None,
) -> LayerGroup:
    return LayerGroup(layers=layers, mixer=mixer, ffn=ffn, beside=beside)


def model(*groups: LayerGroup, **more: Any) -> Architecture:
    values: dict[str, Any] = {"name": "Some", "model_type": "some", "groups": groups}
    count = sum(each.count for each in groups)
    dims = fields(hidden_size=2048, vocab_size=1000, num_layers=count)
    values["text_path"] = ""
    return Architecture(**{**values, **dims, **more})


def needed(
    architecture: Architecture, tp: int = 1, ep: int = 1, dp: int | None = None
) -> Requirements:
    sizes = Parallelism(tp=tp, ep=ep, dp=dp, dp_attention=dp is not None, source="--tp/--ep")
    return requirements(architecture, [sizes])


def names(found: Requirements, *op_types: str) -> set[str]:
    """The definitions, of some kinds only where kinds are given."""
    return {k.definition_name for k in found.kernels if not op_types or k.op_type in op_types}


def layer(
    mixer: Mixer | None = None, ffn: Ffn | None = None, *op_types: str, tp: int = 1, ep: int = 1
) -> set[str]:
    """What a model of one kind of layer needs."""
    return names(needed(model(group(mixer, ffn)), tp, ep), *op_types)


def reasons(found: Requirements) -> dict[str, str]:
    return {item.what: item.reason for item in found.unmapped}


ROUTINGS = (
    "renorm", "ds_routing", "llama4_routing", "minimax2_routing", "default_routing",
    "topk_routing", "sigmoid_renorm_routing", "sigmoid_routing", "topk_sigmoid_routing",
)  # fmt: skip
QUANTIZATIONS = ("bf16", "fp8_block", "fp8_per_tensor", "nvfp4", "mxfp4", "mxfp8", "mxint4", "int4")
SAMPLES: tuple[Architecture, ...] = (
    model(group(gqa(rope=rope(multimodal=True), qk_norm="per_head", output_gate=True), dense())),
    model(group(gqa(v_head_dim=field("v_head_dim", 96)), dense())),
    model(group(gqa(msa=msa()), dense()), gemma_norm=True, layer_scalar=True),
    model(group(gqa(infllm=INFLLM), dense()), hidden_norm="layernorm"),
    model(group(mla(rope=rope(style="gptj"), indexer=indexer(rope=rope())))),
    model(group(mla())),
    model(group(dsv4()), group(dsv4(ratio=4, indexer=indexer()), None, (2,)),
          group(dsv4(ratio=128), None, (3,)), hyper_streams=field("hc_mult", 4)),
    model(group(gdn()), group(kda(), None, (2,)), residual_bank=field("attn_res_block_size", 8)),
    model(group(lightning()), group(mamba(), None, (2,)), group(mamba1(), None, (3,)),
          group(short_conv(), None, (4,))),
    model(group(gdn(gate_activation="sigmoid"))),
    model(group(lightning(output_norm="gated_group", norm_groups=field("groups", 4)))),
    *(model(group(None, dense(activation=name, gated=gated)))
      for gated, words in ((True, ("silu", "gelu", "gelu_pytorch_tanh", "situ", "swigluoai")),
                           (False, ("silu", "gelu", "gelu_new", "relu", "relu2")))
      for name in words),
    model(group(None, dense(activation_limit=True))),
    *(model(group(None, moe(routing=routing, quantization=stored, **more)))
      for routing in (*ROUTINGS, "hash_routing", "softmax_scores", "sigmoid_scores",
                      "sqrtsoftplus_scores")
      for stored in QUANTIZATIONS
      for more in ({}, GROUPED, {"routing_bias": True})),
)  # fmt: skip
"""Together they need every kernel of every family."""
