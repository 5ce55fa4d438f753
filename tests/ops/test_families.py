"""What holds for every family and any numbers."""

import re
from collections.abc import Mapping
from string import Formatter
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discover_models.domain.architecture import (
    Architecture,
    Ffn,
    LayerGroup,
    Mixer,
    Norm,
    OtherMixer,
    Unmapped,
)
from discover_models.domain.dimension import Dim, unknown
from discover_models.domain.kernel import Parallelism
from discover_models.ops import FAMILIES, SPECS
from discover_models.ops.base import KernelSpec, Need
from discover_models.requirements import refusal
from layers import (
    INFLLM,
    SAMPLES,
    dense,
    dsv4,
    field,
    gdn,
    gqa,
    group,
    indexer,
    kda,
    lightning,
    mamba,
    mamba1,
    mla,
    model,
    moe,
    msa,
    names,
    needed,
    rope,
    short_conv,
)


def needs(architecture: Architecture, sizes: Parallelism | None = None) -> list[Need]:
    found = (f.needs(architecture, sizes or Parallelism()) for f in FAMILIES)
    return [item for items in found for item in items if isinstance(item, Need)]


def test_the_samples_need_every_kernel_of_the_registry() -> None:
    assert {need.spec.key for sample in SAMPLES for need in needs(sample)} == set(SPECS)


def test_keys_are_unique() -> None:
    keys = [spec.key for family in FAMILIES for spec in family.specs]
    assert len(keys) == len(set(keys))


@pytest.mark.parametrize("spec", SPECS.values(), ids=lambda spec: spec.key)
def test_every_kernel_says_what_it_is_and_how_it_is_looked_up(spec: KernelSpec) -> None:
    assert spec.title
    assert spec.apis or spec.sought or spec.always_supported
    assert not (spec.apis and spec.sought)
    assert all(api.startswith("flashinfer.") for api in spec.apis)


def test_a_name_has_one_meaning() -> None:
    """One definition never comes from two kernels, nor with two sets of axes."""
    meaning: dict[str, tuple[str, tuple[str, ...]]] = {}
    for sample in SAMPLES:
        for kernel in needed(sample).kernels:
            said = (kernel.op_type, tuple(kernel.axes))
            assert meaning.setdefault(kernel.definition_name, said) == said


@pytest.mark.parametrize("sample", SAMPLES, ids=range(len(SAMPLES)))
def test_names_are_built_from_axes(sample: Architecture) -> None:
    for need in needs(sample):
        written = {name for _, name, _, _ in Formatter().parse(need.name) if name}
        assert written <= set(need.axes)
        assert re.fullmatch(r"[a-z0-9_]+(?:\{\w+\}\w*)*", need.name, re.IGNORECASE)


MIXERS: dict[str, Mixer] = {
    "gqa": gqa(rope=rope()),
    "gqa with MSA": gqa(msa=msa()),
    "mla": mla(rope=rope()),
    "mla with DSA": mla(indexer=indexer()),
    "dsv4": dsv4(ratio=4, indexer=indexer()),
    "gdn": gdn(),
    "kda": kda(),
    "lightning": lightning(output_norm="full"),
    "mamba2": mamba(),
    "mamba1": mamba1(),
    "short_conv": short_conv(),
}
FFNS: dict[str, Ffn] = {"dense": dense(), "moe": moe()}


def _dims(part: Mixer | Ffn) -> list[str]:
    return [name for name in type(part).model_fields if isinstance(getattr(part, name), Dim)]


Part = TypeVar("Part", Mixer, Ffn)


def _without(part: Part, dims: Mapping[str, Dim]) -> Part:
    return part.model_copy(update=dims)


@pytest.mark.parametrize(
    ("kind", "name"),
    [(kind, name) for kind, part in {**MIXERS, **FFNS}.items() for name in _dims(part)],
)
def test_an_unknown_dimension_is_named_and_never_guessed(kind: str, name: str) -> None:
    unknown_dim = {name: unknown(f"field_of_{name}")}
    if kind in MIXERS:
        parts = group(MIXERS[kind], dense()), group(_without(MIXERS[kind], unknown_dim), dense())
    else:
        parts = group(gqa(), FFNS[kind]), group(gqa(), _without(FFNS[kind], unknown_dim))
    whole, found = (needed(model(part)) for part in parts)
    lost = {k.definition_name for k in whole.kernels} - {k.definition_name for k in found.kernels}
    assert {k.definition_name for k in found.kernels} < {k.definition_name for k in whole.kernels}
    assert lost
    assert any(f"field_of_{name}" in item.fields for item in found.unmapped)


@given(
    mixer=st.sampled_from(sorted(MIXERS)),
    tp=st.sampled_from([1, 2, 3, 4, 8, 16, 64, 256]),
    ep=st.sampled_from([1, 2, 4]),
)
def test_only_what_is_sharded_depends_on_the_sizes(mixer: str, tp: int, ep: int) -> None:
    """And sizes that SGLang refuses give no definition that depends on them."""
    architecture = model(group(MIXERS[mixer], moe()))
    sizes = Parallelism(tp=tp, ep=ep)
    found = needed(architecture, tp, ep)
    if refusal(architecture, sizes):
        assert all(not kernel.parallelism for kernel in found.kernels)
        return
    for alone, need in zip(needs(architecture), needs(architecture, sizes), strict=True):
        for name, dim in need.axes.items():
            whole = alone.axes[name].value
            assert dim.value is not None
            assert whole is not None
            assert 1 <= dim.value <= whole if need.sharded else dim.value == whole


UNEVEN = field("v_head_dim", 256)
LISTED = (
    Norm(name="input norm", kind="rmsnorm", size=field("hidden_size", 2048)),
    Norm(name="norm", kind="layernorm", size=field("width", 96)),
)
LAYERS: dict[str, LayerGroup] = {
    **{name: group(mixer) for name, mixer in MIXERS.items()},
    **{f"{name} and MLP": group(mixer, dense()) for name, mixer in MIXERS.items()},
    **{f"{name} and experts": group(mixer, moe()) for name, mixer in MIXERS.items()},
    "gqa with InfLLM": group(gqa(infllm=INFLLM)),
    "gqa with other blocks": group(gqa(msa=msa(block=64))),
    "gated gqa": group(gqa(output_gate=True, qk_norm="per_head")),
    "gqa with layer norms": group(gqa(qk_norm="layernorm")),
    "gated lightning": group(lightning(output_gate=True, qk_norm="per_head")),
    "lightning in groups": group(
        lightning(output_norm="gated_group", norm_groups=field("groups", 4))
    ),
    "undecided lightning": group(lightning(output_norm="undecided")),
    "uneven gdn": group(gdn(v_head_dim=UNEVEN)),
    "uneven kda": group(kda(v_head_dim=UNEVEN)),
    "nameless MLP": group(None, dense(activation="")),
    "undecided experts": group(None, moe(routing=None)),
    "experts routed apart": group(None, moe(routing="hash_routing")),
    "heads of unknown size": group(gqa(None)),
    "listed norms": group(gqa(), dense()).model_copy(update={"norms": LISTED}),
    "nothing": group(None, None),
}
"""Every kind of layer, and those that a family passes over."""


@pytest.mark.parametrize("first", LAYERS)
def test_a_layer_needs_the_same_beside_any_other(first: str) -> None:
    def definitions(*kinds: str) -> set[str]:
        parts = (LAYERS[kind].model_copy(update={"layers": (i,)}) for i, kind in enumerate(kinds))
        return names(needed(model(*parts)))

    for second in LAYERS:
        assert definitions(first, second) == definitions(first) | definitions(second), second


@given(tp=st.sampled_from([2, 4, 8]), mixer=st.sampled_from(sorted(MIXERS)))
def test_attention_data_parallelism_splits_heads_over_tp_by_dp(tp: int, mixer: str) -> None:
    architecture = model(group(MIXERS[mixer]))
    by_dp = {k.definition_name for k in needed(architecture, tp, dp=2).kernels}
    assert by_dp == {k.definition_name for k in needed(architecture, tp // 2).kernels}


def test_a_kind_that_no_family_maps_is_listed_with_its_layers() -> None:
    strange = OtherMixer(name="HyenaMixer", reason="no family maps it")
    found = needed(model(group(strange, dense(), (0, 1, 2))))
    assert [(u.what, u.reason) for u in found.unmapped if isinstance(u, Unmapped)] == [
        ("HyenaMixer (layers 0-2)", "no family maps it")
    ]
    assert found.kernels
