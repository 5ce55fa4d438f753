"""RMS norms that a gate multiplies: after linear attention and after a state-space scan."""

from collections.abc import Iterator

from discover_models.domain.architecture import (
    Architecture,
    GdnAttention,
    KdaAttention,
    LayerGroup,
    LightningAttention,
    MambaMixer,
    Mixer,
    Unmapped,
)
from discover_models.domain.dimension import Dim
from discover_models.domain.kernel import Parallelism
from discover_models.ops.base import KernelSpec, Need, attention_tp_name, split

_ASKED_AS = ("gated_rmsnorm", "gated RMSNorm, per head or in groups")
_NEAR = (
    (
        "the norm times a sigmoid gate, without weight, heads of 64",
        "flashinfer.norm.rmsnorm_sigmoid_gate",
    ),
    ("the SiLU of the norm itself", "flashinfer.norm.fused_rmsnorm_silu"),
)
_FUNCTIONS = {"silu": "silu", "swish": "silu", "sigmoid": "sigmoid"}
PER_HEAD = {
    gate: KernelSpec(
        key=f"gated_rmsnorm_{gate}",
        op_type="gated_rmsnorm",
        title=f"RMSNorm of each head times the {name} of a gate",
        # flashinfer.norm.rmsnorm_sigmoid_gate has no weight and takes heads of 64 only.
        sought=("gated_rmsnorm", "rmsnorm_gated", f"rmsnorm_{gate}_gated"),
        asked_as=_ASKED_AS,
        read_at="0.7.2",
        near=_NEAR,
        sglang=("FusedRMSNormGated",),
    )
    for gate, name in (("silu", "SiLU"), ("sigmoid", "sigmoid"))
}
IN_GROUPS = {
    gate: KernelSpec(
        key=f"gated_group_rmsnorm_{gate}",
        op_type="gated_rmsnorm",
        title=f"RMSNorm in groups, gated by {name}",
        sought=("gated_group_rmsnorm", "group_rmsnorm"),
        asked_as=_ASKED_AS,
        read_at="0.7.2",
        near=_NEAR,
        sglang=("Mixer2RMSNormGated",),
    )
    for gate, name in (("silu", "SiLU"), ("sigmoid", "sigmoid"))
}


class GatedRmsNormFamily:
    """``gated_rmsnorm_{silu,sigmoid}_nh{v_heads/tp}_h{d}``, ``gated_group_rmsnorm_…_h{}_ng{}``.

    The first is abbreviated like FlashInfer's rmsnorm_sigmoid_gate
    (flashinfer/trace/templates/norm.py); the second has the whole width, as other norms do.
    """

    op_type = "gated_rmsnorm"
    specs = (*PER_HEAD.values(), *IN_GROUPS.values())

    def needs(
        self, architecture: Architecture, parallelism: Parallelism
    ) -> Iterator[Need | Unmapped]:
        for group in architecture.groups:
            for mixer in group.mixers:
                yield from _norm_of(mixer, group, parallelism)


def _norm_of(
    mixer: Mixer, group: LayerGroup, parallelism: Parallelism
) -> Iterator[Need | Unmapped]:
    match mixer:
        case GdnAttention() as gdn:
            yield _per_head(group, gdn.v_heads, gdn.v_head_dim, gdn, parallelism)
        case KdaAttention() as kda:
            yield _per_head(group, kda.v_heads, kda.v_head_dim, kda, parallelism)
        case MambaMixer(gated_norm=True) as mamba:
            yield _in_groups(group, "silu", mamba.heads * mamba.head_dim, mamba.groups)
        case LightningAttention(output_norm="gated_group", norm_groups=Dim() as groups):
            yield _in_groups(group, "sigmoid", mixer.heads * mixer.head_dim, groups)
        case _:
            pass


def _per_head(
    group: LayerGroup,
    heads: Dim,
    head_dim: Dim,
    mixer: GdnAttention | KdaAttention,
    parallelism: Parallelism,
) -> Need | Unmapped:
    gate = _FUNCTIONS.get(mixer.gate_activation)
    if gate is None:
        return Unmapped(
            what="gated RMS norm of linear attention",
            reason=f"no family maps a gate by {mixer.gate_activation!r} yet",
        )
    size, name = parallelism.attention_tp, attention_tp_name(parallelism)
    return Need(
        spec=PER_HEAD[gate],
        name=PER_HEAD[gate].key + "_nh{num_heads}_h{head_dim}",
        axes={"num_heads": split(heads, size, name), "head_dim": head_dim},
        used_for="gated norm of linear attention",
        layers=group.layers,
        sharded=True,
    )


def _in_groups(group: LayerGroup, gate: str, width: Dim, groups: Dim) -> Need:
    return Need(
        spec=IN_GROUPS[gate],
        name=IN_GROUPS[gate].key + "_h{hidden_size}_ng{num_groups}",
        axes={"hidden_size": width, "num_groups": groups},
        used_for="gated norm in groups",
        layers=group.layers,
    )
