"""Fused mixture of experts."""

from collections.abc import Iterator

from discover_models.domain.architecture import Architecture, LayerGroup, Moe, Unmapped
from discover_models.domain.dimension import Dim
from discover_models.domain.kernel import Parallelism
from discover_models.ops.base import Dump, KernelSpec, Need, split

_ENUM = "flashinfer.fused_moe.RoutingMethodType"
_ROUTINGS = {
    "renorm": "Renormalize",
    "ds_routing": "DeepSeekV3",
    "llama4_routing": "Llama4",
    "minimax2_routing": "MiniMax2",
    "default_routing": "Default",
    "topk_routing": "TopK",
    "sigmoid_renorm_routing": "SigmoidRenorm",
    "sigmoid_routing": "Sigmoid",
    "topk_sigmoid_routing": "TopKSigmoid",
}
"""Routing in definition names → member of FlashInfer's `RoutingMethodType`."""
_RENORM_DUMPS = tuple(
    Dump(
        name=f"moe_fp8_block_scale_{routing}_topk{{top_k}}_e{{num_local_experts}}"
        "_h{hidden_size}_i{intermediate_size}",
        op_types=("moe",),
        inputs={
            "hidden_states": ("float8_e4m3fn", ("seq_len", "hidden_size")),
            "gemm1_weights": (
                "float8_e4m3fn",
                ("num_local_experts", "gemm1_out_size", "hidden_size"),
            ),
            "gemm2_weights": (
                "float8_e4m3fn",
                ("num_local_experts", "hidden_size", "intermediate_size"),
            ),
        },
        api="trtllm_fp8_block_scale_moe",
        needs_equal=("num_experts", "num_local_experts"),
    )
    for routing in ("renormalize_routing", "renormalize_naive_routing")
)


def _fp8_block_scale_spec(routing: str, member: str) -> KernelSpec:
    return KernelSpec(
        key=f"moe_fp8_block_scale_{routing}",
        op_type="moe",
        title=f"FP8 block-scale mixture of experts, {member} routing",
        apis=("flashinfer.fused_moe.trtllm_fp8_block_scale_moe",),
        traced_as=routing,
        requires=(f"{_ENUM}.{member}",),
        dumps=_RENORM_DUMPS if routing == "renorm" else (),
    )


FP8_BLOCK_SCALE = {
    routing: _fp8_block_scale_spec(routing, member) for routing, member in _ROUTINGS.items()
}
FP4_BLOCK_SCALE = KernelSpec(
    key="trtllm_fp4_block_scale_moe",
    op_type="moe",
    title="NVFP4 mixture of experts",
    apis=("flashinfer.fused_moe.trtllm_fp4_block_scale_moe",),
)
FP4_BLOCK_SCALE_ROUTED = KernelSpec(
    key="trtllm_fp4_block_scale_routed_moe",
    op_type="moe",
    title="NVFP4 mixture of experts, routed beforehand",
    apis=("flashinfer.fused_moe.trtllm_fp4_block_scale_routed_moe",),
)
FP8_PER_TENSOR = KernelSpec(
    key="trtllm_fp8_per_tensor_scale_moe",
    op_type="moe",
    title="per-tensor FP8 mixture of experts",
    apis=("flashinfer.fused_moe.trtllm_fp8_per_tensor_scale_moe",),
)
FP8_PER_TENSOR_ROUTED = KernelSpec(
    key="trtllm_fp8_per_tensor_scale_routed_moe",
    op_type="moe",
    title="per-tensor FP8 mixture of experts, routed beforehand",
    apis=("flashinfer.fused_moe.trtllm_fp8_per_tensor_scale_routed_moe",),
)
MXINT4 = KernelSpec(
    key="trtllm_mxint4_block_scale_moe",
    op_type="moe",
    title="MXINT4 mixture of experts",
    apis=("flashinfer.fused_moe.trtllm_mxint4_block_scale_moe",),
)
_MXFP4_NAMES = {"renorm": "renormalize_routing"}
"""Where FlashInfer's FP4 template calls a routing otherwise than the dataset."""
MXFP4 = {
    routing: KernelSpec(
        key=f"moe_fp4_block_scale_{_MXFP4_NAMES.get(routing, routing)}",
        op_type="moe",
        title=f"MXFP4 block-scale mixture of experts, {member} routing",
        apis=("flashinfer.fused_moe.trtllm_fp4_block_scale_moe",),
        traced_as=routing,
        requires=(f"{_ENUM}.{member}",),
    )
    for routing, member in _ROUTINGS.items()
}
MXFP4_ROUTED = KernelSpec(
    key="trtllm_fp4_block_scale_routed_moe_mxfp4",
    op_type="moe",
    title="MXFP4 mixture of experts, routed beforehand",
    apis=("flashinfer.fused_moe.trtllm_fp4_block_scale_routed_moe",),
)
FP8_BLOCK_SCALE_ROUTED = KernelSpec(
    key="trtllm_fp8_block_scale_routed_moe",
    op_type="moe",
    title="FP8 block-scale mixture of experts, routed beforehand",
    apis=("flashinfer.fused_moe.trtllm_fp8_block_scale_routed_moe",),
)
MXFP8 = {
    routing: KernelSpec(
        key=f"moe_mxfp8_block_scale_{routing}",
        op_type="moe",
        title=f"MXFP8 block-scale mixture of experts, {member} routing",
        apis=("flashinfer.fused_moe.trtllm_fp8_block_scale_moe",),
        requires=("flashinfer.fused_moe.Fp8QuantizationType.MxFp8", f"{_ENUM}.{member}"),
    )
    for routing, member in _ROUTINGS.items()
}
"""The FP8 block-scale API with scales of 32 values (`Fp8QuantizationType.MxFp8`)."""
INT4 = KernelSpec(
    key="moe_int4_group_scale",
    op_type="moe",
    title="INT4 mixture of experts with scales per group of weights",
    # trtllm_mxint4_block_scale_moe takes groups of 32 in a layout of its own, nothing else.
    sought=("w4a16_moe", "moe_w4a16", "wna16", "marlin", "int4_group"),
)
_ACTIVATIONS = {
    "silu": (3, "Swiglu"),
    "swish": (3, "Swiglu"),
    "swigluoai": (3, "Swiglu"),
    "gelu": (4, "Geglu"),
    "relu2": (6, "Relu2"),
    "gelu_pytorch_tanh": (8, "GegluTanh"),
    "situ": (10, "Situ"),
}
"""Activation → number and name in FlashInfer's `ActivationType` (flashinfer/tllm_enums.py)."""
_SWIGLU = "Swiglu"
_TAKE_ACTIVATION = ("nvfp4", "fp8_per_tensor")
"""Of the quantisations in `_BY_QUANTIZATION`, those whose kernels take an `activation_type`."""
_PRE_ROUTED = ("situ",)
"""Activations for which SGLang routes first and calls the routed kernel (sglang
python/sglang/srt/layers/moe/moe_runner/flashinfer_trtllm.py)."""
_ROUTING_UNDECIDED = "the fields don't decide how tokens are routed to experts"
_BY_QUANTIZATION = {
    "mxint4": (MXINT4,),
    "int4": (INT4,),
    "nvfp4": (FP4_BLOCK_SCALE, FP4_BLOCK_SCALE_ROUTED),
    "fp8_per_tensor": (FP8_PER_TENSOR,),
}
_ROUTED_BEFOREHAND = {
    "nvfp4": (FP4_BLOCK_SCALE_ROUTED,),
    "fp8_per_tensor": (FP8_PER_TENSOR_ROUTED,),
}
"""The same for a routing that the kernel does not know."""


class MoeFamily:
    """One kernel per routing and data type; `e` is the experts of one GPU, `i` is unsharded."""

    op_type = "moe"
    specs = (
        *FP8_BLOCK_SCALE.values(),
        FP4_BLOCK_SCALE,
        FP4_BLOCK_SCALE_ROUTED,
        FP8_PER_TENSOR,
        MXINT4,
        *MXFP4.values(),
        MXFP4_ROUTED,
        FP8_BLOCK_SCALE_ROUTED,
        FP8_PER_TENSOR_ROUTED,
        *MXFP8.values(),
        INT4,
    )

    def needs(
        self, architecture: Architecture, parallelism: Parallelism
    ) -> Iterator[Need | Unmapped]:
        for group in architecture.groups:
            if isinstance(group.ffn, Moe):
                yield from _needs(group, group.ffn, architecture, parallelism)


def _needs(
    group: LayerGroup, moe: Moe, architecture: Architecture, parallelism: Parallelism
) -> Iterator[Need | Unmapped]:
    if moe.quantization in ("bf16", "fp8_block", "mxfp8"):
        yield _fp8_block_scale(group, moe, architecture, parallelism)
        return
    if moe.quantization == "mxfp4":
        yield _mxfp4(group, moe, architecture, parallelism)
        return
    apart = moe.routing is not None and moe.routing not in _ROUTINGS
    specs = (_BY_QUANTIZATION | (_ROUTED_BEFOREHAND if apart else {})).get(moe.quantization)
    if specs is None:
        yield Unmapped(
            what="moe", reason=f"no definition is known for experts stored as {moe.quantization}"
        )
        return
    for spec in specs:
        axes = {
            "top_k": moe.top_k,
            "num_experts": _local_experts(moe, parallelism),
            "hidden_size": moe.latent or architecture.hidden_size,
        }
        name = spec.key + "_topk{top_k}_e{num_experts}_h{hidden_size}"
        if spec is not FP8_PER_TENSOR_ROUTED:  # its template has no width of the experts
            name += "_i{intermediate_size}"
            axes["intermediate_size"] = moe.intermediate
        yield Need(
            spec=spec,
            name=name,
            axes=axes,
            used_for="experts",
            layers=group.layers,
            sharded=True,
            variant=moe.quantization,
            requires=_activation_member(moe) if moe.quantization in _TAKE_ACTIVATION else (),
        )


def _fp8_block_scale(
    group: LayerGroup, moe: Moe, architecture: Architecture, parallelism: Parallelism
) -> Need | Unmapped:
    """The kernel of that routing; one that FlashInfer does not name is routed beforehand."""
    if moe.routing is None:
        return Unmapped(what="moe", reason=_ROUTING_UNDECIDED)
    spec = (MXFP8 if moe.quantization == "mxfp8" else FP8_BLOCK_SCALE).get(moe.routing)
    notes = ("the checkpoint itself is BF16",) if moe.quantization == "bf16" else ()
    axes = {
        "top_k": moe.top_k,
        "num_local_experts": _local_experts(moe, parallelism),
        "hidden_size": moe.latent or architecture.hidden_size,
    }
    if spec is None:
        name = FP8_BLOCK_SCALE_ROUTED.key + "_topk{top_k}_e{num_local_experts}_h{hidden_size}"
    else:
        groups = _groups(moe, axes)
        axes["intermediate_size"] = moe.intermediate
        name = (
            f"{spec.key}_topk{{top_k}}{groups}"
            "_e{num_local_experts}_h{hidden_size}_i{intermediate_size}"
        )
    return Need(
        spec=spec or FP8_BLOCK_SCALE_ROUTED,
        name=name,
        axes=axes,
        used_for="experts",
        layers=group.layers,
        sharded=True,
        variant="mxfp8" if moe.quantization == "mxfp8" else "fp8",
        requires=_activation_member(moe),
        notes=notes,
    )


def _groups(moe: Moe, axes: dict[str, Dim]) -> str:
    """What the one routing that chooses among groups adds to a name; its axes are added too."""
    if moe.routing != "ds_routing" or moe.n_group is None or moe.topk_group is None:
        return ""
    axes |= {"n_group": moe.n_group, "topk_group": moe.topk_group}
    return "_ng{n_group}_kg{topk_group}"


def _mxfp4(
    group: LayerGroup, moe: Moe, architecture: Architecture, parallelism: Parallelism
) -> Need | Unmapped:
    """The name that FlashInfer's FP4 template gives; its routed one has no width of the experts.

    A routing that the kernel does not know leaves the routed kernel, which takes chosen experts.
    """
    activation = _ACTIVATIONS.get(moe.activation, (None, ""))[0]
    if activation is None:
        return Unmapped(
            what="moe", reason=f"FlashInfer has no number for the activation {moe.activation!r}"
        )
    if moe.routing is None:
        return Unmapped(what="moe", reason=_ROUTING_UNDECIDED)
    spec = MXFP4.get(moe.routing)
    routed = spec is None or moe.activation in _PRE_ROUTED
    axes = {
        "top_k": moe.top_k,
        "num_local_experts": _local_experts(moe, parallelism),
        "hidden_size": moe.latent or architecture.hidden_size,
        "activation_type": Dim(value=activation, expression=f"ActivationType of {moe.activation}"),
    }
    if spec is None or routed:
        name = "trtllm_fp4_block_scale_routed_moe_topk{top_k}_e{num_local_experts}_h{hidden_size}"
    else:
        name = spec.key + "_topk{top_k}_e{num_local_experts}_h{hidden_size}_i{intermediate_size}"
        axes["intermediate_size"] = moe.intermediate
    groups = "" if routed else _groups(moe, axes)
    return Need(
        spec=MXFP4_ROUTED if spec is None or routed else spec,
        name=f"{name}_act{{activation_type}}{groups}",
        axes=axes,
        used_for="experts",
        layers=group.layers,
        sharded=True,
        variant="mxfp4",
        requires=_activation_member(moe),
    )


def _activation_member(moe: Moe) -> tuple[str, ...]:
    """What the kernel must know besides SwiGLU, which each of them runs by default."""
    member = _ACTIVATIONS.get(moe.activation, (0, ""))[1]
    return (f"flashinfer.fused_moe.ActivationType.{member}",) if member not in ("", _SWIGLU) else ()


def _local_experts(moe: Moe, parallelism: Parallelism) -> Dim:
    return split(moe.experts, parallelism.ep, f"ep {parallelism.ep}")
