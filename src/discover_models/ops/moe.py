"""Fused mixture of experts."""

from collections.abc import Iterator

from discover_models.domain.architecture import Architecture, LayerGroup, Moe, Unmapped
from discover_models.domain.dimension import Dim
from discover_models.domain.kernel import Parallelism
from discover_models.ops.base import KernelSpec, Need, split

FP8_BLOCK_SCALE = KernelSpec(
    key="moe_fp8_block_scale",
    op_type="moe",
    apis=("flashinfer.fused_moe.trtllm_fp8_block_scale_moe",),
)
FP4_BLOCK_SCALE = KernelSpec(
    key="trtllm_fp4_block_scale_moe",
    op_type="moe",
    apis=("flashinfer.fused_moe.trtllm_fp4_block_scale_moe",),
)
FP4_BLOCK_SCALE_ROUTED = KernelSpec(
    key="trtllm_fp4_block_scale_routed_moe",
    op_type="moe",
    apis=("flashinfer.fused_moe.trtllm_fp4_block_scale_routed_moe",),
)
FP8_PER_TENSOR = KernelSpec(
    key="trtllm_fp8_per_tensor_scale_moe",
    op_type="moe",
    apis=("flashinfer.fused_moe.trtllm_fp8_per_tensor_scale_moe",),
)
_BY_QUANTIZATION = {
    "nvfp4": (FP4_BLOCK_SCALE, FP4_BLOCK_SCALE_ROUTED),
    "fp8_per_tensor": (FP8_PER_TENSOR,),
}


class MoeFamily:
    """One kernel per routing and data type; `e` is the experts of one GPU, `i` is unsharded."""

    op_type = "moe"
    specs = (FP8_BLOCK_SCALE, FP4_BLOCK_SCALE, FP4_BLOCK_SCALE_ROUTED, FP8_PER_TENSOR)

    def needs(
        self, architecture: Architecture, parallelism: Parallelism
    ) -> Iterator[Need | Unmapped]:
        for group in architecture.groups:
            if isinstance(group.ffn, Moe):
                yield from _needs(group, group.ffn, architecture, parallelism)


def _needs(
    group: LayerGroup, moe: Moe, architecture: Architecture, parallelism: Parallelism
) -> Iterator[Need | Unmapped]:
    if moe.quantization in ("bf16", "fp8_block"):
        yield _fp8_block_scale(group, moe, architecture, parallelism)
        return
    specs = _BY_QUANTIZATION.get(moe.quantization)
    if specs is None:
        yield Unmapped(
            what="moe", reason=f"no definition is known for experts stored as {moe.quantization}"
        )
        return
    for spec in specs:
        yield Need(
            spec=spec,
            name=spec.key + "_topk{top_k}_e{num_experts}_h{hidden_size}_i{intermediate_size}",
            axes={
                "top_k": moe.top_k,
                "num_experts": _local_experts(moe, parallelism),
                "hidden_size": moe.latent or architecture.hidden_size,
                "intermediate_size": moe.intermediate,
            },
            used_for="experts",
            layers=group.layers,
            sharded=True,
            variant=moe.quantization,
        )


def _fp8_block_scale(
    group: LayerGroup, moe: Moe, architecture: Architecture, parallelism: Parallelism
) -> Need | Unmapped:
    if moe.routing is None:
        return Unmapped(
            what="moe", reason="the fields don't decide how tokens are routed to experts"
        )
    groups, axes = "", dict[str, Dim]()
    if moe.routing == "ds_routing" and moe.n_group is not None and moe.topk_group is not None:
        groups = "_ng{n_group}_kg{topk_group}"
        axes = {"n_group": moe.n_group, "topk_group": moe.topk_group}
    return Need(
        spec=FP8_BLOCK_SCALE,
        name=f"moe_fp8_block_scale_{moe.routing}_topk{{top_k}}{groups}"
        "_e{num_local_experts}_h{hidden_size}_i{intermediate_size}",
        axes={
            "top_k": moe.top_k,
            **axes,
            "num_local_experts": _local_experts(moe, parallelism),
            "hidden_size": moe.latent or architecture.hidden_size,
            "intermediate_size": moe.intermediate,
        },
        used_for="experts",
        layers=group.layers,
        sharded=True,
        variant="fp8",
        notes=("the checkpoint is BF16; this is its FP8 block-scale variant",)
        if moe.quantization == "bf16"
        else (),
    )


def _local_experts(moe: Moe, parallelism: Parallelism) -> Dim:
    return split(moe.experts, parallelism.ep, f"ep {parallelism.ep}")
