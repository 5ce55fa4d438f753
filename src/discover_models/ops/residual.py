"""Residual streams other than one: hyper-connections and the attention residual bank."""

from collections.abc import Iterator

from discover_models.domain.architecture import Architecture, Unmapped
from discover_models.domain.kernel import Parallelism
from discover_models.ops.base import CodePath, KernelSpec, Limit, Need

_FOUR_STREAMS = Limit(
    what="residual streams",
    measure=lambda axes: axes["hc"],
    accepts=lambda streams: streams == 4,
    file="flashinfer/mhc.py",
    text="residual.shape[-2] / HC must be 4, got {hc}",
    version="0.7.2",
)
PRE = KernelSpec(
    key="mhc_pre_big_fuse",
    op_type="mhc_pre_big_fuse",
    title="hyper-connections: streams mixed into a layer's input",
    asked_as=("mhc", "manifold-constrained hyper-connections (mHC)"),
    apis=("flashinfer.mhc.mhc_pre_big_fuse",),
    sglang=("mhc_pre",),
    paths=(CodePath("mHC pre-map", (_FOUR_STREAMS,)),),
)
POST = KernelSpec(
    key="mhc_post",
    op_type="mhc_post",
    title="hyper-connections: a layer's output mixed into the streams",
    asked_as=("mhc", "manifold-constrained hyper-connections (mHC)"),
    apis=("flashinfer.mhc.mhc_post",),
    sglang=("mhc_post",),
    paths=(CodePath("mHC post-map", (_FOUR_STREAMS,)),),
)
ATTN_RES = KernelSpec(
    key="attn_res",
    op_type="attn_residual",
    title="attention residual: a softmax mixture of earlier residuals",
    apis=("flashinfer.kimi_k3_attn_res.kimi_k3_attn_res",),
    sglang=("attn_res_fused_tma",),
)


class HyperConnectionFamily:
    """``mhc_pre_big_fuse_hc{}_h{}_mix{}`` and ``mhc_post_hc{}_h{}``, two of each in a layer.

    Names are those of flashinfer/trace/templates/mhc.py.
    """

    op_type = "mhc_pre_big_fuse"
    specs = (PRE, POST)

    def needs(
        self, architecture: Architecture, parallelism: Parallelism
    ) -> Iterator[Need | Unmapped]:
        streams = architecture.hyper_streams
        if streams is None:
            return
        axes = {"hc": streams, "hidden_size": architecture.hidden_size}
        for group in architecture.groups:
            yield Need(
                spec=PRE,
                name="mhc_pre_big_fuse_hc{hc}_h{hidden_size}_mix{mhc_mix}",
                axes={**axes, "mhc_mix": (streams + 2) * streams},
                used_for="input of attention and MLP",
                layers=group.layers,
            )
            yield Need(
                spec=POST,
                name="mhc_post_hc{hc}_h{hidden_size}",
                axes=axes,
                used_for="output of attention and MLP",
                layers=group.layers,
            )


class AttentionResidualFamily:
    """``attn_res_h{hidden}_nb{earlier residuals}``."""

    op_type = "attn_residual"
    specs = (ATTN_RES,)

    def needs(
        self, architecture: Architecture, parallelism: Parallelism
    ) -> Iterator[Need | Unmapped]:
        bank = architecture.residual_bank
        if bank is None:
            return
        for group in architecture.groups:
            yield Need(
                spec=ATTN_RES,
                name="attn_res_h{hidden_size}_nb{num_blocks}",
                axes={"hidden_size": architecture.hidden_size, "num_blocks": bank},
                used_for="input of attention and MLP",
                layers=group.layers,
            )
