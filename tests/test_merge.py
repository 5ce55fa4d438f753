"""Merging loses nothing that others wrote and changes nothing that did not change."""

import json
from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders import (
    EP4,
    TP8,
    depth,
    evidence,
    existing,
    gqa,
    inventory,
    missing,
    required,
    sample,
    supported,
    undecided,
)
from discover_models.domain.depth import Release
from discover_models.domain.kernel import ClassifiedKernel
from discover_models.domain.manifest import Manifest, from_inventory
from discover_models.errors import ManifestError
from discover_models.manifests import dump, parse
from discover_models.merge import lasting, merge

DAY1, DAY2 = date(2026, 4, 27), date(2026, 5, 4)
DOWN = {"flashinfer": "no package root"}


def made(*kernels: ClassifiedKernel, day: date = DAY1, **fields: Any) -> Manifest:
    return from_inventory(inventory(*kernels, **fields), day)


def data(manifest: Manifest) -> dict[str, Any]:
    return json.loads(dump(manifest))


def read(value: dict[str, Any]) -> Manifest:
    return parse(json.dumps(value).encode(), "test.json")


def touched(manifest: Manifest, **keys: Any) -> Manifest:
    """The manifest after a later phase wrote these keys into its first entry."""
    value = data(manifest)
    value["kernels"][0] |= keys
    return read(value)


def entry(manifest: Manifest, name: str = "x") -> dict[str, Any]:
    return next(k for k in data(manifest)["kernels"] if k["definition_name"] == name)


def test_equal_manifests_keep_the_old_day() -> None:
    old = from_inventory(sample(), DAY1)
    assert merge(old, from_inventory(sample(), DAY2), refresh=True) is old


def test_a_moved_line_or_commit_is_no_change() -> None:
    old = made(supported("x"))
    moved = supported("x", evidence=(evidence("flashinfer", "flashinfer/decode.py", 999),))
    new = made(moved, day=DAY2, repo_shas={"flashinfer": "f" * 40})
    assert merge(old, new, refresh=True) is old


def test_depth_that_only_moved_is_no_change() -> None:
    old = made(supported("x", depth=depth(77)))
    release = Release(checkout="1.3.0", since="1.0.0", pinned="1.2.0", in_pinned=True)
    new = made(supported("x", depth=depth(99, release=release)), day=DAY2)
    assert merge(old, new, refresh=True) is old


def test_another_way_to_the_kernel_is_a_change() -> None:
    old = made(supported("x", depth=depth()))
    new = made(supported("x", depth=depth(reach=())), day=DAY2)
    merged = merge(old, new, refresh=True)
    assert entry(merged)["changed"] == "2026-05-04"
    assert "reach" not in entry(merged)["depth"]


def test_what_others_wrote_into_depth_survives() -> None:
    value = data(made(supported("x", depth=depth())))
    value["kernels"][0]["depth"]["reach"][0]["measured"] = "12 us"
    value["kernels"][0]["depth"]["comment"] = "seen"
    new = made(supported("x", depth=depth(vetoes=())), day=DAY2)
    found = entry(merge(read(value), new, refresh=True))["depth"]
    assert (found["comment"], found["reach"][0]["measured"]) == ("seen", "12 us")
    assert "vetoes" not in found


def test_depth_stays_while_its_source_is_down() -> None:
    old = made(supported("x", depth=depth()))
    new = made(undecided("x"), day=DAY2)
    assert entry(merge(old, new, refresh=True, failed=DOWN))["depth"] == entry(old)["depth"]


def test_a_model_stays_in_its_group() -> None:
    old = made(existing("x"), group="sample-org/First")
    new = made(existing("x"), existing("y"), day=DAY2, group="sample-org/Other")
    assert merge(old, new, refresh=True).group == "sample-org/First"


def test_a_changed_fact_takes_the_new_evidence_and_day() -> None:
    new = made(supported("x", fi_trace_template=False), existing("y"), day=DAY2)
    merged = merge(made(supported("x"), existing("y")), new, refresh=True)
    assert merged.date == "2026-05-04"
    assert entry(merged)["changed"] == "2026-05-04"
    assert entry(merged, "y")["changed"] == "2026-04-27"


def test_without_refresh_entries_keep_their_classification_and_new_ones_come() -> None:
    merged = merge(made(missing("x")), made(supported("x"), existing("y")), refresh=False)
    assert entry(merged)["fi_status"] == "fi_missing"
    assert entry(merged, "y")["phase1_status"] == "existing"


def test_without_refresh_an_entry_no_longer_required_stays() -> None:
    merged = merge(made(missing("x")), made(existing("y")), refresh=False)
    assert entry(merged)["required"] is True


def test_refresh_removes_verdicts_that_no_longer_apply() -> None:
    old = touched(made(supported("x")), fi_issue_url="https://example.org/1")
    merged = entry(merge(old, made(existing("x")), refresh=True))
    assert merged["phase1_status"] == "existing"
    assert not {"fi_status", "sgl_status", "fi_trace_template"} & set(merged)
    assert merged["fi_issue_url"] == "https://example.org/1"


def test_refresh_drops_what_only_we_wrote() -> None:
    merged = merge(made(missing("x"), existing("y")), made(existing("y")), refresh=True)
    assert [k.definition_name for k in merged.kernels] == ["y"]


def test_refresh_keeps_what_a_later_phase_touched_as_not_required() -> None:
    old = touched(made(missing("x")), phase2_status="filed")
    merged = merge(old, made(existing("y"), day=DAY2), refresh=True)
    assert entry(merged)["required"] is False
    assert entry(merged)["phase2_status"] == "filed"
    again = merge(merged, made(existing("y"), day=date(2026, 5, 11)), refresh=True)
    assert again is merged


def test_an_entry_required_again_is_so_marked() -> None:
    gone = merge(
        touched(made(missing("x")), phase2_status="filed"), made(existing("y")), refresh=True
    )
    back = merge(gone, made(missing("x"), existing("y")), refresh=True)
    assert entry(back)["required"] is True


def test_an_undecided_verdict_is_left_out_with_the_reason() -> None:
    merged = entry(merge(made(supported("x")), made(undecided("x", "gqa_paged")), refresh=True))
    assert "fi_status" not in merged
    assert merged["notes"] == ["FlashInfer: its package could not be parsed"]


def test_a_failed_flashinfer_leaves_its_verdicts_and_what_rests_on_them() -> None:
    new = made(undecided("x", "gqa_paged"), source_errors=DOWN, day=DAY2)
    merged = merge(made(supported("x")), new, refresh=True, failed=DOWN)
    found = entry(merged)
    assert (found["fi_status"], found["sgl_status"]) == ("fi_supported", "sgl_integrated")
    assert "not refreshed: flashinfer could not be read" in found["notes"]
    assert {e["repository"] for e in found["evidence"]} == {"flashinfer", "sglang"}
    assert found["changed"] == "2026-04-27"
    assert merge(merged, new, refresh=True, failed=DOWN) is merged


def test_a_failed_flashinfer_does_not_hide_what_the_dataset_says() -> None:
    merged = entry(merge(made(supported("x")), made(existing("x")), refresh=True, failed=DOWN))
    assert merged["phase1_status"] == "existing"
    assert "fi_status" not in merged


def test_a_failed_sglang_leaves_only_its_own_verdict() -> None:
    half = supported("x", sgl_status=None, fi_trace_template=False)
    found = merge(made(supported("x")), made(half), refresh=True, failed={"sglang": "gone"})
    assert entry(found)["sgl_status"] == "sgl_integrated"
    assert entry(found)["fi_trace_template"] is False


def test_a_failed_sglang_never_says_called_of_what_is_missing() -> None:
    found = merge(made(supported("x")), made(missing("x")), refresh=True, failed={"sglang": ""})
    assert entry(found)["sgl_status"] == "n/a"


def test_a_failed_dataset_leaves_existing_ones_existing() -> None:
    failed = {"flashinfer_trace": "gone"}
    found = merge(made(existing("x")), made(missing("x")), refresh=True, failed=failed)
    assert entry(found)["phase1_status"] == "existing"
    assert "fi_status" not in entry(found)
    assert "not refreshed: flashinfer-trace could not be read" in entry(found)["notes"]


def test_a_failed_cookbook_leaves_the_serving_configurations() -> None:
    old = made(supported("x", required=gqa()), parallelism=(TP8,))
    alone = gqa(parallelism=())
    found = merge(
        old,
        made(supported("x", required=alone), parallelism=(EP4,)),
        refresh=True,
        failed={"sgl-cookbook": "gone"},
    )
    assert [p.tp for p in found.kernels[0].parallelism] == [8, 8]
    assert [p.tp for p in found.parallelism] == [8]


def test_a_failed_sglang_leaves_what_the_model_is_made_of() -> None:
    """Without SGLang's classes the layers are known from the configuration's fields alone."""
    old = made(supported("x"), notes=("as SGLang builds it",), unmapped=(), summary="2 layers")
    half = required("x", "gqa_paged", used_for=("some norm",), layers=None)
    new = made(
        supported("x", required=half, sgl_status=None),
        notes=("SGLang's source of this model was not used",),
        unmapped=sample().unmapped,
        summary="unknown number of layers",
        source_errors={"sglang": "gone"},
        day=DAY2,
    )
    found = merge(old, new, refresh=True, failed={"sglang": "gone"})
    assert found.kernels[0].used_for == old.kernels[0].used_for
    assert found.kernels[0].layers == old.kernels[0].layers
    assert found.kernels[0].notes == ("not refreshed: sglang could not be read",)
    assert (found.summary, found.unmapped) == (old.summary, old.unmapped)
    assert found.notes == ("as SGLang builds it", "sglang could not be read: gone")
    assert found.date == old.date
    assert merge(found, new, refresh=True, failed={"sglang": "gone"}) is found
    assert (
        merge(
            found,
            made(
                *[supported("x")],
                notes=("as SGLang builds it",),
                unmapped=(),
                summary="2 layers",
                day=DAY2,
            ),
            refresh=True,
        )
        == old
    )


def test_a_failed_sglang_leaves_who_serves_what_is_missing() -> None:
    old = made(missing("x", depth=depth(), notes=("otherwise served by sglang.x",)))
    found = merge(old, made(missing("x"), day=DAY2), refresh=True, failed={"sglang": "gone"})
    assert found.kernels[0].depth == old.kernels[0].depth
    assert lasting(found.kernels[0].notes) == old.kernels[0].notes
    assert (found.date, entry(found)["changed"]) == (old.date, entry(old)["changed"])


def test_a_failed_cookbook_leaves_what_a_definition_is_for() -> None:
    """Without the sizes a formula no longer gives the name, and the dataset's tag alone does."""
    old = made(existing("x"), parallelism=(TP8,), notes=("sizes are those of a relative",))
    tag = required("x", layers=None, axes={})
    tagged = existing("x", required=tag, source="dataset_tag", notes=("from the dataset's tag",))
    new = made(tagged, parallelism=(EP4,), notes=("the decoder is below text_config",), day=DAY2)
    found = merge(old, new, refresh=True, failed={"sgl-cookbook": "gone"})
    for field in ("source", "layers", "axes", "formulas"):
        assert entry(found)[field] == entry(old)[field]
    assert found.kernels[0].notes == ("not refreshed: sgl-cookbook could not be read",)
    assert found.notes == (*old.notes, *new.notes)


def test_with_a_failed_source_nothing_is_dropped() -> None:
    found = merge(made(missing("x")), made(existing("y")), refresh=True, failed=DOWN)
    assert entry(found)["required"] is True
    assert "not refreshed: flashinfer could not be read" in entry(found)["notes"]


def test_the_note_goes_when_the_source_is_back() -> None:
    old = made(supported("x"))
    down = merge(old, made(undecided("x", "gqa_paged")), refresh=True, failed=DOWN)
    back = merge(down, made(supported("x"), day=DAY2), refresh=True)
    assert data(back)["kernels"] == data(old)["kernels"]


@pytest.mark.parametrize("refresh", [True, False])
def test_another_model_is_refused(refresh: bool) -> None:
    with pytest.raises(ManifestError, match="'other'"):
        merge(made(), made(model_slug="other"), refresh=refresh)


def test_another_repository_needs_a_refresh() -> None:
    other = made(hf_repo_id="sample-org/Renamed")
    with pytest.raises(ManifestError, match="--refresh"):
        merge(made(), other, refresh=False)
    assert merge(made(), other, refresh=True).hf_repo_id == "sample-org/Renamed"


def test_variants_are_collected() -> None:
    value = data(made())
    one = read({**value, "variants": [{"hf_repo_id": "a/A", "mark": 1}]})
    two = read({**value, "variants": [{"hf_repo_id": "b/B"}]})
    merged = data(merge(one, two, refresh=True))
    assert merged["variants"] == [{"hf_repo_id": "a/A", "mark": 1}, {"hf_repo_id": "b/B"}]


def test_where_both_sides_have_a_foreign_key_the_manifest_s_stays() -> None:
    old = touched(made(existing("x")), phase4={"done": True, "by": "a"})
    new = touched(made(existing("x")), phase4={"done": False, "more": 1})
    merged = entry(merge(old, new, refresh=True))
    assert merged["phase4"] == {"done": True, "by": "a", "more": 1}


# Properties

NAMES = ["rmsnorm_h1", "rmsnorm_h2", "gemm_n1_k1", "moe_a"]
SCALARS = st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False)
JSON = st.recursive(
    SCALARS.filter(lambda v: v not in (float("inf"), float("-inf"))),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
KEYS = st.sampled_from(
    ["phase2_status", "workload_entries", "phase4", "_fields_set", "self", "known", "fi_statu"]
) | st.text(min_size=3).map(lambda text: "zz" + text)
BUILD = st.sampled_from([existing, supported, missing, undecided])
Work = tuple[Manifest, dict[Any, Any]]
FOREIGN = st.dictionaries(KEYS, JSON, max_size=2)


@st.composite
def manifests(draw: st.DrawFn) -> Manifest:
    """A manifest of ours."""
    names = draw(st.lists(st.sampled_from(NAMES), unique=True))
    kernels = [
        draw(BUILD)(name, required=required(name, name.split("_")[0], parallelism=(TP8,)))
        for name in names
    ]
    unmapped = draw(st.sampled_from([(), sample().unmapped]))
    return made(*kernels, day=draw(st.sampled_from([DAY1, DAY2])), unmapped=unmapped)


def objects(
    value: Any, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    """Every object of a manifest with the stable path to it; maps of axes are not objects."""
    if isinstance(value, dict):
        yield path, value
        for key, inner in value.items():
            if key not in ("axes", "formulas") and not key.startswith("zz"):
                yield from objects(inner, (*path, key))
    elif isinstance(value, list):
        for inner in value:
            if isinstance(inner, dict):
                yield from objects(inner, (*path, identity(inner)))


def identity(item: dict[str, Any]) -> str:
    for key in ("definition_name", "what"):
        if key in item:
            return item[key]
    return json.dumps([item.get(k) for k in ("repository", "path", "looked_for", "tp", "dp")])


@st.composite
def worked_on(draw: st.DrawFn) -> Work:
    """A manifest with foreign keys at any level, and those keys by place."""
    value = data(draw(manifests()))
    written: dict[Any, Any] = {}
    for path, place in list(objects(value)):
        for key, what in draw(FOREIGN).items():
            if key not in place:
                place[key] = what
                written[(*path, key)] = what
    return read(value), written


def found_at(value: Any, path: tuple[str, ...]) -> Any:
    for step in path:
        if isinstance(value, list):
            value = next(item for item in value if identity(item) == step)
        else:
            value = value[step]
    return value


@settings(max_examples=120, deadline=None)
@given(worked_on(), manifests(), st.booleans(), st.sampled_from([{}, DOWN, {"sglang": "x"}]))
def test_nothing_that_others_wrote_is_ever_lost(
    old_and_written: Work, new: Manifest, refresh: bool, failed: dict[str, str]
) -> None:
    old, written = old_and_written
    merged = data(merge(old, new, refresh=refresh, failed=failed))
    for path, what in written.items():
        assert found_at(merged, path) == what


@settings(max_examples=80, deadline=None)
@given(worked_on(), worked_on(), st.booleans(), st.sampled_from([{}, DOWN]))
def test_merging_twice_is_merging_once(
    old: Work, new: Work, refresh: bool, failed: dict[str, str]
) -> None:
    once = merge(old[0], new[0], refresh=refresh, failed=failed)
    assert merge(once, new[0], refresh=refresh, failed=failed) is once


@settings(max_examples=50, deadline=None)
@given(worked_on(), st.booleans())
def test_merging_with_itself_changes_no_byte(old: Work, refresh: bool) -> None:
    manifest = old[0]
    assert dump(merge(manifest, manifest, refresh=refresh)) == dump(manifest)


@settings(max_examples=50, deadline=None)
@given(worked_on(), worked_on(), st.booleans())
def test_the_result_is_a_manifest_in_order(old: Work, new: Work, refresh: bool) -> None:
    merged = merge(old[0], new[0], refresh=refresh)
    assert dump(parse(dump(merged), "merged")) == dump(merged)
    keys = [(k.op_type, k.definition_name) for k in merged.kernels]
    assert keys == sorted(keys)


@settings(max_examples=50, deadline=None)
@given(worked_on(), manifests())
def test_refresh_gives_the_new_verdicts(old: Work, new: Manifest) -> None:
    merged = {k.definition_name: k for k in merge(old[0], new, refresh=True).kernels}
    for kernel in new.kernels:
        for name in ("phase1_status", "fi_status", "sgl_status", "fi_trace_template"):
            assert getattr(merged[kernel.definition_name], name) == getattr(kernel, name)
