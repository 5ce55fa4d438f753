"""From an architecture and serving sizes to definitions: what must hold for any numbers."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discover_models.domain.architecture import (
    Architecture,
    DenseMlp,
    GqaAttention,
    LayerGroup,
    MlaAttention,
    Moe,
    OtherMixer,
)
from discover_models.domain.dimension import Dim, known, unknown
from discover_models.domain.kernel import Parallelism, RequiredKernel
from discover_models.requirements import Requirements, refusal, requirements

NAMES = {
    "rmsnorm": r"(?:fused_add_)?rmsnorm_h(?P<hidden_size>\d+)",
    "gemm": r"gemm_n(?P<N>\d+)_k(?P<K>\d+)",
    "gqa_paged": r"gqa_paged_(?:prefill_causal|decode)_h(?P<num_qo_heads>\d+)"
    r"_kv(?P<num_kv_heads>\d+)_d(?P<head_dim>\d+)_ps(?P<page_size>\d+)",
    "gqa_ragged": r"gqa_ragged_prefill_causal_h(?P<num_qo_heads>\d+)"
    r"_kv(?P<num_kv_heads>\d+)_d(?P<head_dim>\d+)",
    "moe": r"moe_fp8_block_scale_renorm_topk(?P<top_k>\d+)_e(?P<num_local_experts>\d+)"
    r"_h(?P<hidden_size>\d+)_i(?P<intermediate_size>\d+)",
    "sampling": r"top_\w+_sampling_from_probs_v(?P<vocab_size>\d+)",
}
"""How a name spells its axes, written here a second time."""


def field(name: str, value: int | None) -> Dim:
    return unknown(name) if value is None else known(value, name, "config.json")


def gqa(q: int | None = 32, kv: int | None = 8, d: int | None = 128, **more: Any) -> GqaAttention:
    head_dim = field("head_dim", d)
    return GqaAttention(
        q_heads=field("num_attention_heads", q),
        kv_heads=field("num_key_value_heads", kv),
        head_dim=head_dim,
        v_head_dim=head_dim,
        **more,
    )


def mla(heads: int) -> MlaAttention:
    return MlaAttention(
        heads=field("num_attention_heads", heads),
        q_lora_rank=None,
        kv_lora_rank=field("kv_lora_rank", 512),
        qk_nope_head_dim=field("qk_nope_head_dim", 128),
        qk_rope_head_dim=field("qk_rope_head_dim", 64),
        v_head_dim=field("v_head_dim", 128),
    )


def moe(experts: int = 64) -> Moe:
    return Moe(
        experts=field("num_experts", experts),
        top_k=field("num_experts_per_tok", 4),
        intermediate=field("moe_intermediate_size", 768),
        routing="renorm",
    )


DENSE = DenseMlp(intermediate=field("intermediate_size", 4096))


def model(*groups: LayerGroup, hidden: int | None = 2048) -> Architecture:
    return Architecture(
        name="Some",
        model_type="some",
        text_path="",
        hidden_size=field("hidden_size", hidden),
        vocab_size=field("vocab_size", 1000),
        num_layers=field("num_hidden_layers", sum(group.count for group in groups)),
        groups=groups,
    )


def group(mixer: Any, ffn: Any = DENSE, layers: tuple[int, ...] = (0, 1)) -> LayerGroup:
    return LayerGroup(layers=layers, mixer=mixer, ffn=ffn)


def by_name(found: Requirements) -> dict[str, RequiredKernel]:
    return {kernel.definition_name: kernel for kernel in found.kernels}


def attention(found: Requirements) -> set[tuple[int, int]]:
    return {
        (kernel.axes["num_qo_heads"].value, kernel.axes["num_kv_heads"].value)
        for kernel in found.kernels
        if kernel.op_type in ("gqa_paged", "gqa_ragged")
    }


powers = st.integers(0, 7).map(lambda n: 2**n)
sizes = st.integers(1, 4096)


@given(q=powers, groups=powers, d=sizes, tp=powers, ep=powers, experts=powers, hidden=sizes)
def test_a_name_says_its_axes_and_no_others(
    q: int, groups: int, d: int, tp: int, ep: int, experts: int, hidden: int
) -> None:
    heads = gqa(q, max(1, q // groups), d)
    found = requirements(
        model(group(heads, moe(experts)), hidden=hidden), [Parallelism(tp=tp, ep=ep)]
    )
    for kernel in found.kernels:
        match = re.fullmatch(NAMES[kernel.op_type], kernel.definition_name)
        assert match is not None, kernel.definition_name
        assert {k: int(v) for k, v in match.groupdict().items()} == {
            name: axis.value for name, axis in kernel.axes.items()
        }


@given(heads=st.integers(1, 96), kv=st.integers(1, 96), tp=st.integers(1, 64))
def test_shards_make_the_whole_or_the_size_is_refused(heads: int, kv: int, tp: int) -> None:
    architecture = model(group(gqa(heads, kv)))
    found = requirements(architecture, [Parallelism(tp=tp)])
    fits = heads % tp == 0 and (kv % tp == 0 or (kv < tp and tp % kv == 0))
    assert bool(found.refused) == (not fits)
    if not fits:
        assert attention(found) == set()
        return
    ((q_shard, kv_shard),) = attention(found)
    assert q_shard * tp == heads
    assert kv_shard * tp == kv or (kv_shard == 1 and kv < tp), "KV heads are replicated"


@given(tp=powers, dp=powers)
def test_dp_attention_splits_heads_over_tp_by_dp(tp: int, dp: int) -> None:
    found = requirements(
        model(group(gqa(128, 128))), [Parallelism(tp=tp, dp=dp, dp_attention=True)]
    )
    if dp > tp:
        assert found.refused == (
            f"tp {tp}{f', dp {dp} (DP attention)'} (default): dp {dp} is larger than tp {tp}",
        )
    else:
        assert attention(found) == {(128 * dp // tp, 128 * dp // tp)}


def test_dp_counts_only_with_dp_attention() -> None:
    found = requirements(model(group(gqa(32, 32))), [Parallelism(tp=4, dp=8)])
    assert attention(found) == {(8, 8)}


@pytest.mark.parametrize(
    ("parallelism", "why"),
    [
        (Parallelism(tp=3), "32 query heads can't be split over 3"),
        (Parallelism(tp=16, dp=32, dp_attention=True), "dp 32 is larger than tp 16"),
        (Parallelism(tp=8, dp=3, dp_attention=True), "tp 8 is not divisible by dp 3"),
        (Parallelism(tp=4, ep=8), "ep 8 does not divide tp 4"),
        (Parallelism(tp=32, ep=5), "ep 5 does not divide tp 32"),
        (Parallelism(tp=32, ep=32), "8 experts can't be split over 32"),
        (Parallelism(tp=16, ep=8), ""),
        (Parallelism(tp=32), ""),
        (Parallelism(tp=8, dp=8, dp_attention=True, ep=8), ""),
    ],
)
def test_what_sglang_refuses(parallelism: Parallelism, why: str) -> None:
    architecture = model(group(gqa(32, 4), moe(8)))
    assert refusal(architecture, parallelism) == why
    found = requirements(architecture, [parallelism])
    assert [text.endswith(f": {why}") for text in found.refused] == ([True] if why else [])
    assert bool(attention(found)) == (not why)


def test_mla_heads_are_never_replicated() -> None:
    architecture = model(group(mla(16)))
    assert "16 heads can't be split over 32" in refusal(architecture, Parallelism(tp=32))
    names = by_name(requirements(architecture, [Parallelism(tp=8)]))
    assert "mla_paged_decode_h2_ckv512_kpe64_ps64" in names
    assert "mla_ragged_prefill_causal_h2_qk192_vo128" in names


def test_a_refused_size_keeps_what_no_size_changes() -> None:
    refused = requirements(model(group(gqa())), [Parallelism(tp=3)])
    whole = requirements(model(group(gqa())), [Parallelism(tp=1)])
    unsharded = {k.definition_name for k in whole.kernels if not k.parallelism}
    assert {k.definition_name for k in refused.kernels} == unsharded
    assert {"rmsnorm_h2048", "gemm_n2048_k4096"} < unsharded


# Unknown dimensions --------------------------------------------------------------------------


@given(missing=st.sets(st.sampled_from(["q", "kv", "d", "hidden"]), min_size=1))
def test_an_unknown_dimension_yields_no_definition_but_a_line(missing: set[str]) -> None:
    fields = {"q": 32, "kv": 8, "d": 128}
    heads = gqa(**{name: None if name in missing else value for name, value in fields.items()})
    hidden = None if "hidden" in missing else 2048
    found = requirements(model(group(heads), hidden=hidden), [Parallelism(tp=1)])
    named = {"q": "num_attention_heads", "kv": "num_key_value_heads", "d": "head_dim"}
    named |= {"hidden": "hidden_size"}
    for kernel in found.kernels:
        origins = {o.field for axis in kernel.axes.values() for o in axis.origins}
        assert not origins & {named[name] for name in missing}
        assert all(axis.value > 0 for axis in kernel.axes.values())
    for name in missing:
        assert any(named[name] in line.fields for line in found.unmapped)
        assert any(named[name] in line.reason for line in found.unmapped)
    assert (not attention(found)) == bool(missing - {"hidden"})


def test_a_mixer_that_nobody_maps_is_listed_with_its_layers() -> None:
    strange = group(OtherMixer(name="hyena", reason="no family maps it"), layers=(0, 1, 2, 5))
    found = requirements(model(strange), [Parallelism()])
    assert [(u.what, u.reason) for u in found.unmapped if "hyena" in u.what] == [
        ("hyena (layers 0-2, 5)", "no family maps it")
    ]


# Merging -------------------------------------------------------------------------------------


def test_one_definition_for_all_sizes_that_give_it() -> None:
    sizes = [Parallelism(tp=8, source="a"), Parallelism(tp=16, source="b")]
    found = by_name(requirements(model(group(gqa(64, 8), moe())), sizes))
    experts = found["moe_fp8_block_scale_renorm_topk4_e64_h2048_i768"]
    assert [size.tp for size in experts.parallelism] == [8, 16]
    assert [size.tp for size in found["gqa_ragged_prefill_causal_h8_kv1_d128"].parallelism] == [8]
    assert [size.tp for size in found["gqa_ragged_prefill_causal_h4_kv1_d128"].parallelism] == [16]
    assert found["rmsnorm_h2048"].parallelism == ()


def test_layers_are_counted_once_however_many_sizes_and_reasons() -> None:
    groups = (
        group(gqa(), DENSE, (0,)),
        group(gqa(), moe(), (1, 2, 3)),
        group(gqa(d=64), moe(), (4, 5)),
    )
    found = by_name(requirements(model(*groups), [Parallelism(tp=1), Parallelism(tp=8)]))
    layers = {name: kernel.layers for name, kernel in found.items()}
    assert layers["gqa_paged_decode_h32_kv8_d128_ps1"] == 4
    assert layers["gqa_paged_decode_h4_kv1_d64_ps1"] == 2
    assert layers["moe_fp8_block_scale_renorm_topk4_e64_h2048_i768"] == 5
    assert layers["gemm_n8192_k2048"] == 1
    assert layers["rmsnorm_h2048"] == 1
    assert layers["fused_add_rmsnorm_h2048"] == 6
    assert layers["top_p_sampling_from_probs_v1000"] is None


def test_equal_gemms_of_several_projections_are_one_definition() -> None:
    square = gqa(16, 4, 128)
    (gemm,) = [
        kernel
        for kernel in requirements(model(group(square)), [Parallelism()]).kernels
        if kernel.definition_name == "gemm_n2048_k2048"
    ]
    assert gemm.used_for == ("o_proj",)
    both = DenseMlp(intermediate=field("intermediate_size", 2048))
    found = by_name(requirements(model(group(square, both)), [Parallelism()]))
    assert found["gemm_n2048_k2048"].used_for == ("o_proj", "down_proj")
