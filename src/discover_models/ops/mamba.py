"""State-space mixers: Mamba-2's decode step and prefill scan, and Mamba-1's scan."""

from collections.abc import Iterator

from discover_models.domain.architecture import (
    Architecture,
    Mamba1Mixer,
    MambaMixer,
    Unmapped,
)
from discover_models.domain.kernel import Parallelism
from discover_models.ops.base import (
    CodePath,
    KernelSpec,
    Limit,
    Need,
    attention_tp_name,
    mixers_of,
    replicated_split,
    split,
)

SSU_DECODE = KernelSpec(
    key="mamba_ssu_decode",
    op_type="mamba_ssu",
    title="Mamba-2 selective state update (decode)",
    apis=("flashinfer.mamba.selective_state_update",),
    paths=(
        CodePath(
            "horizontal algorithm (SM100, large batches)",
            (
                Limit(
                    what="heads per group",
                    measure=lambda axes: axes["nheads"] // axes["ngroups"],
                    accepts=lambda ratio: ratio in (1, 2, 4, 8, 16, 32, 64),
                    file="include/flashinfer/mamba/kernel_selective_state_update_stp.cuh",
                    text="dispatchRatio(params, std::integer_sequence<int, 1, 2, 4, 8, 16, 32, 64>",
                    version="0.6.12",
                    earlier=Limit(
                        what="heads per group",
                        measure=lambda axes: axes["nheads"] // axes["ngroups"],
                        accepts=lambda ratio: ratio in (1, 8, 16),
                        file="include/flashinfer/mamba/kernel_selective_state_update_stp.cuh",
                        text="dispatchRatio(params, std::integer_sequence<int, 1, 8, 16>",
                        version="0.6.7",
                    ),
                ),
            ),
        ),
        CodePath('algorithm="simple"'),
    ),
)


def _ssd_limit(axis: str, what: str, size: int, text: str, shown: str) -> Limit:
    """Before 0.7.0 the class refuses nothing, and its own example alone is known to work."""
    earlier = Limit(
        what=what,
        measure=lambda axes: axes[axis],
        accepts=lambda value: value > 0,
        doubtful=lambda value: value != size,
        file="flashinfer/mamba/ssd_combined.py",
        text=shown,
        version="0.6.7",
    )
    return Limit(
        what=what,
        measure=lambda axes: axes[axis],
        accepts=lambda value: value == size,
        file="flashinfer/trace/templates/mamba.py",
        text=text,
        version="0.7.0",
        earlier=earlier,
    )


SSD_PREFILL = KernelSpec(
    key="ssd_combined",
    op_type="mamba_ssd_combined",
    title="Mamba-2 chunked state-space scan (prefill)",
    apis=("flashinfer.mamba.ssd_combined_fwd", "flashinfer.mamba.SSDCombined"),
    paths=(
        CodePath(
            "SSD kernel (SM100)",
            (
                _ssd_limit(
                    "headdim", "head dimension", 64, '"headdim == 64"', "nheads=8, headdim=64,"
                ),
                _ssd_limit(
                    "dstate", "state size", 128, '"dstate == 128"', "dstate=128, ngroups=8)"
                ),
            ),
        ),
    ),
)
_MAMBA1 = {
    stage: KernelSpec(
        key=f"mamba1_selective_scan_{stage}",
        op_type="mamba1",
        title=f"Mamba-1 selective scan ({stage})",
        # selective_state_update takes a decay per head, Mamba-1 has one per channel and state.
        asked_as=("mamba1_selective_scan", "Mamba-1 selective scan"),
        sought=("selective_scan", "mamba1"),
    )
    for stage in ("prefill", "decode")
}


class MambaSsuFamily:
    """``mamba_ssu_decode_h{n/tp}_d{head}_s{state}_ng{max(1,groups/tp)}``."""

    op_type = "mamba_ssu"
    specs = (SSU_DECODE,)

    def needs(
        self, architecture: Architecture, parallelism: Parallelism
    ) -> Iterator[Need | Unmapped]:
        size, name = parallelism.attention_tp, attention_tp_name(parallelism)
        for group, mixer in mixers_of(architecture, MambaMixer):
            yield Need(
                spec=SSU_DECODE,
                name="mamba_ssu_decode_h{nheads}_d{head_dim}_s{dstate}_ng{ngroups}",
                axes={
                    "nheads": split(mixer.heads, size, name),
                    "head_dim": mixer.head_dim,
                    "dstate": mixer.state_size,
                    "ngroups": replicated_split(mixer.groups, size, name),
                },
                used_for="state-space mixer",
                layers=group.layers,
                sharded=True,
            )


class MambaSsdFamily:
    """``ssd_combined_varlen_d_vector_final_h{n/tp}_d{head}_g{max(1,groups/tp)}_s{state}``.

    The variant that serves prefill: packed sequences, one skip weight per head, final states kept
    (flashinfer/trace/templates/mamba.py).
    """

    op_type = "mamba_ssd_combined"
    specs = (SSD_PREFILL,)

    def needs(
        self, architecture: Architecture, parallelism: Parallelism
    ) -> Iterator[Need | Unmapped]:
        size, name = parallelism.attention_tp, attention_tp_name(parallelism)
        for group, mixer in mixers_of(architecture, MambaMixer):
            yield Need(
                spec=SSD_PREFILL,
                name="ssd_combined_varlen_d_vector_final_h{nheads}_d{headdim}_g{ngroups}_s{dstate}",
                axes={
                    "nheads": split(mixer.heads, size, name),
                    "headdim": mixer.head_dim,
                    "ngroups": replicated_split(mixer.groups, size, name),
                    "dstate": mixer.state_size,
                },
                used_for="state-space mixer",
                layers=group.layers,
                sharded=True,
            )


class Mamba1Family:
    """``mamba1_selective_scan_{prefill,decode}_d{channels/tp}_s{state}``."""

    op_type = "mamba1"
    specs = tuple(_MAMBA1.values())

    def needs(
        self, architecture: Architecture, parallelism: Parallelism
    ) -> Iterator[Need | Unmapped]:
        size, name = parallelism.attention_tp, attention_tp_name(parallelism)
        for group, mixer in mixers_of(architecture, Mamba1Mixer):
            for spec in self.specs:
                yield Need(
                    spec=spec,
                    name=spec.key + "_d{dim}_s{dstate}",
                    axes={
                        "dim": split(mixer.channels, size, name),
                        "dstate": mixer.state_size,
                    },
                    used_for="state-space mixer",
                    layers=group.layers,
                    sharded=True,
                )
