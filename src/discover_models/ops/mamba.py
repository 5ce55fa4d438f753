"""Mamba-2's selective state update, the decode step."""

from collections.abc import Iterator

from discover_models.domain.architecture import Architecture, MambaMixer, Unmapped
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
                    version="0.7.2",
                ),
            ),
        ),
        CodePath('algorithm="simple"'),
    ),
)


_BESIDE = (
    Unmapped(what="Mamba-2 prefill scan", reason="no definition names it yet"),
    Unmapped(what="causal conv1d of the Mamba mixer", reason="no definition names it yet"),
    Unmapped(what="gated group RMS norm of the Mamba mixer", reason="no definition names it yet"),
)


class MambaSsuFamily:
    """``mamba_ssu_decode_h{n/tp}_d{head}_s{state}_ng{max(1,groups/tp)}``."""

    op_type = "mamba_ssu"
    specs = (SSU_DECODE,)

    def needs(
        self, architecture: Architecture, parallelism: Parallelism
    ) -> Iterator[Need | Unmapped]:
        size, name = parallelism.attention_tp, attention_tp_name(parallelism)
        for group, mixer in mixers_of(architecture, MambaMixer):
            yield from _BESIDE
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
