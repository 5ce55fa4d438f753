"""Two mixers on one input: each needs what it needs alone, what they share is counted once."""

from itertools import combinations

import pytest

from discover_models.domain.architecture import Mixer
from discover_models.domain.kernel import Parallelism
from discover_models.inventory import summary
from discover_models.requirements import refusal
from layers import (
    SAMPLES,
    dense,
    gqa,
    group,
    mamba,
    model,
    names,
    needed,
    reasons,
)

MIXERS = {m.kind: m for sample in reversed(SAMPLES) for g in sample.groups for m in g.mixers}
"""One of each kind."""


@pytest.mark.parametrize(("one", "other"), [*combinations(MIXERS.values(), 2)])
def test_both_need_what_each_of_them_needs(one: Mixer, other: Mixer) -> None:
    together = needed(model(group(one, dense(), beside=other)), tp=2)
    alone = [needed(model(group(mixer, dense())), tp=2) for mixer in (one, other)]
    assert names(together) == names(alone[0]) | names(alone[1])
    assert reasons(together) == reasons(alone[0]) | reasons(alone[1])


def test_hidden_norms_and_the_mlp_are_counted_once() -> None:
    layers = tuple(range(44))
    found = needed(model(group(gqa(), dense(), layers, beside=mamba())))
    counts = {kernel.definition_name: kernel.layers for kernel in found.kernels}
    assert counts["rmsnorm_h2048"] == 1
    assert counts["fused_add_rmsnorm_h2048"] == 44
    assert counts["gemm_n8192_k2048"] == 44
    assert counts["gqa_paged_decode_h32_kv8_d128_ps64"] == 44
    assert counts["mamba_ssu_decode_h128_d64_s128_ng8"] == 44


def test_the_summary_names_both_and_counts_layers_once() -> None:
    both = group(gqa(), dense(), beside=mamba())
    assert summary(model(both)) == "2 layers, GQA beside Mamba-2 + dense MLP"
    mixed = model(both, group(gqa(), dense(), (2,)))
    assert summary(mixed) == "3 layers, GQA beside Mamba-2 (2) and GQA (1) + dense MLP"


@pytest.mark.parametrize(
    ("heads", "groups", "tp", "why"),
    [
        (32, 2, 2, ""),
        (32, 2, 4, "2 Mamba groups can't be split over 4"),
        (32, 1, 4, ""),
        (32, 1, 8, "20 query heads can't be split over 8"),
        (30, 4, 4, "30 Mamba heads can't be split over 4"),
    ],
)
def test_what_sglang_refuses_of_either_is_refused(
    heads: int, groups: int, tp: int, why: str
) -> None:
    """SGLang repeats Mamba's one group on each GPU, and takes no other number that is too small."""
    both = group(gqa(20, 4), dense(), beside=mamba(heads, groups))
    assert refusal(model(both), Parallelism(tp=tp)) == why
