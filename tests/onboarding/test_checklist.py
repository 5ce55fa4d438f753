"""Every question of the checklist, both ways, and what can't be answered."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pytest

from audit.miniature import DATASET, known, row, section, summary
from discover_models.domain.kernel import ClassifiedKernel, FiStatus, RequiredKernel
from discover_models.onboarding.change import COVERAGE_PATH, Change, ChangedFile, claims
from discover_models.onboarding.checklist import (
    Check,
    Checklist,
    Ground,
    LinkedPull,
    checklist,
)
from discover_models.sources.dataset import read_definition

NEW = "gqa_paged_decode_h8_kv2_d64_ps1"
AXES = {"num_qo_heads": 8, "num_kv_heads": 2, "head_dim": 64, "page_size": 1}


def definition(name: str = NEW, **changes: Any) -> str:
    axes = {**AXES, **changes.pop("axes", {})}
    content = {
        "name": name,
        "op_type": "gqa_paged",
        "axes": {axis: {"type": "const", "value": value} for axis, value in axes.items()},
        "tags": ["model:plain-1b"],
    }
    return json.dumps(content | changes)


def linked(text: str = "", *, workloads: bool = True, name: str = NEW, problem: str = "") -> Any:
    text = text or definition(name)
    found = read_definition(text, f"definitions/gqa_paged/{name}.json", has_workloads=workloads)
    return LinkedPull(7, {} if problem else {name: found}, problem=problem)


def listed(
    before: list[tuple[str, str, str]] | None,
    after: list[tuple[str, str, str]] | None,
    *,
    count: str = "",
    files: Mapping[str, str] | None = None,
    pulls: tuple[LinkedPull, ...] = (),
    support: FiStatus | None = "fi_supported",
    complete: bool = True,
    body: str = "",
    head: str = "",
    requests: Mapping[str, str] | None = None,
    title: str = "Plain 1B",
) -> Checklist:
    texts = [head + section(r, count, title) if r else "" for r in (before, after)]
    changed = [ChangedFile(path=path, status="added") for path in files or {}]
    if texts[0] != texts[1]:
        changed.append(ChangedFile(path=COVERAGE_PATH, status="modified"))
    change = Change(
        number=1,
        body=body,
        files=tuple(changed),
        before=texts[0],
        after=texts[1],
        definitions=files or {},
    )
    ground = Ground(
        known=known(complete=complete),
        linked=pulls,
        support=lambda kernel: _supported(kernel, support),
        known_requests=requests or {},
        titles_of=lambda d: ("Plain 1B",) if "model:plain-1b" in d.tags else (),
    )
    return checklist(change, claims(change), ground)


def _supported(kernel: RequiredKernel, status: FiStatus | None) -> ClassifiedKernel:
    return ClassifiedKernel(
        required=kernel, phase1_status="new", fi_status=status, notes=("could not be read",)
    )


def only(found: Checklist, key: str) -> Check:
    (item,) = found.rows
    (check,) = (c for c in item.checks if c.key == key)
    return check


def verdict(found: Checklist, key: str) -> str:
    return only(found, key).verdict


def marked(name: str, sign: str = "✅", old: str = "❌", **more: Any) -> Checklist:
    """A change that gives one row another status."""
    return listed([row(name, old)], [row(name, sign)], **more)


def test_all_agree() -> None:
    found = marked("gqa_paged_decode_h4_kv1_d64_ps1", "✅", "🟡")
    assert found.agrees
    assert {c.key: c.verdict for c in found.rows[0].checks} == {
        "name": "ok",
        "axes": "ok",
        "dataset": "ok",
        "workloads": "ok",
        "status": "ok",
        "count": "none",
        "link": "none",
        "request": "none",
    }


def test_the_name() -> None:
    assert verdict(marked("rmsnorm_h512"), "name") == "ok"
    wrong = only(marked("gemm_n3073_k512", "🟡"), "name")
    assert wrong.verdict == "wrong"
    assert "gemm_n3072_k512" in wrong.text
    unknown = only(marked("rmsnorm_h512", title="Unknown 3B"), "name")
    assert (unknown.verdict, unknown.text) == ("unknown", "Unknown 3B: no configuration")


def test_the_size_that_a_row_states_belongs_to_its_name() -> None:
    name = "gqa_paged_decode_h4_kv1_d64_ps1"
    right = listed([row(name, "❌", "gqa_paged TP=2")], [row(name, "✅", "gqa_paged TP=2")])
    assert verdict(right, "name") == "ok"
    wrong = listed([row(name, "❌", "gqa_paged TP=1")], [row(name, "✅", "gqa_paged TP=1")])
    assert verdict(wrong, "name") == "wrong"


def test_a_definitions_own_tags_do_not_prove_its_name() -> None:
    name = "gemm_n3073_k512"
    text = definition(name, op_type="gemm", axes={})
    pull = LinkedPull(7, {name: read_definition(text, f"definitions/gemm/{name}.json")})
    assert verdict(marked(name, "🟡", pulls=(pull,)), "name") == "wrong"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (definition(axes={"num_kv_heads": 4}), "num_kv_heads is 4, and its name says 2"),
        (definition("other_h1"), "calls itself other_h1"),
        (definition(op_type="gqa_ragged"), "op_type is gqa_ragged, not gqa_paged"),
    ],
)
def test_name_axes_and_op_type_must_agree(text: str, words: str) -> None:
    assert verdict(marked(NEW, pulls=(linked(),)), "axes") == "ok"
    wrong = only(marked(NEW, pulls=(linked(text),)), "axes")
    assert wrong.verdict == "wrong"
    assert words in wrong.text


def test_a_file_that_is_no_json_is_wrong_and_said_so() -> None:
    path = f"definitions/gqa_paged/{NEW}.json"
    for text in ("{", "[]", '{"a":' * 99_999):
        wrong = only(listed(None, None, files={path: text}), "axes")
        assert wrong.verdict == "wrong"
        assert path in wrong.text


def test_the_op_type_in_the_row() -> None:
    wrong = listed([row("rmsnorm_h512", "❌")], [row("rmsnorm_h512", "✅", "gemm")])
    assert verdict(wrong, "axes") == "wrong"


def test_without_a_formula_axes_are_not_checked() -> None:
    assert verdict(marked("rmsnorm_h512", title="Unknown 3B"), "axes") == "unknown"
    assert verdict(marked(NEW), "axes") == "none"


def test_in_the_dataset() -> None:
    assert verdict(marked("rmsnorm_h512"), "dataset") == "ok"
    assert verdict(marked(NEW), "dataset") == "wrong"
    coming = only(marked(NEW, pulls=(linked(),)), "dataset")
    assert (coming.verdict, coming.numbers) == ("ok", (7,))
    unread = only(marked(NEW, pulls=(linked(problem="it was not there"),)), "dataset")
    assert unread.verdict == "unknown"
    assert "it was not there" in unread.text
    assert verdict(marked(NEW, "❌", "🟡"), "dataset") == "none"


def test_a_definition_that_is_only_in_the_change_is_not_in_the_dataset() -> None:
    path = f"flashinfer_trace/definitions/gqa_paged/{NEW}.json"
    found = marked(NEW, "🟡", files={path: definition()})
    assert verdict(found, "dataset") == "wrong"
    assert verdict(found, "axes") == "ok"
    assert verdict(found, "status") == "ok"


def test_workloads() -> None:
    assert verdict(marked("rmsnorm_h512"), "workloads") == "ok"
    assert verdict(marked(NEW, pulls=(linked(),)), "workloads") == "ok"
    assert verdict(marked(NEW, pulls=(linked(workloads=False),)), "workloads") == "wrong"
    assert verdict(marked("gemm_n768_k512"), "workloads") == "wrong"
    assert verdict(marked("gemm_n768_k512", complete=False), "workloads") == "unknown"
    assert verdict(marked("gemm_n768_k512", "🟡"), "workloads") == "none"
    unread = marked("gemm_n768_k512", pulls=(linked(problem="gone"),))
    assert verdict(unread, "workloads") == "unknown"


def test_the_status() -> None:
    assert verdict(marked("gemm_n768_k512", "🟡"), "status") == "ok"
    assert verdict(marked("rmsnorm_h512", "🟡"), "status") == "wrong"
    assert verdict(marked("gemm_n768_k512", "✅"), "status") == "wrong"
    assert verdict(marked("gemm_n768_k512", "❌", "🟡"), "status") == "wrong"
    assert verdict(marked(NEW, "🟡"), "status") == "wrong"
    assert verdict(marked(NEW, "✅", pulls=(linked(),)), "status") == "ok"
    assert verdict(marked(NEW, "✅", pulls=(linked(problem="gone"),)), "status") == "unknown"
    assert verdict(marked("rmsnorm_h512", "done"), "status") == "unknown"


def test_a_row_that_a_definition_file_leaves_behind() -> None:
    path = f"definitions/gqa_paged/{NEW}.json"
    same = [row(NEW, "❌")]
    found = listed(same, same, files={path: definition()})
    assert verdict(found, "status") == "wrong"
    assert verdict(found, "count") == "none"


def test_the_count_line_and_the_summary() -> None:
    assert verdict(marked("rmsnorm_h512", count="1 / 1"), "count") == "ok"
    wrong = only(marked("rmsnorm_h512", count="0 / 1"), "count")
    assert wrong.verdict == "wrong"
    assert "1 / 1" in wrong.text
    right = summary("Plain 1B", "GQA + Dense", "✅ Fully covered")
    assert verdict(marked("rmsnorm_h512", count="1 / 1", head=right), "count") == "ok"
    late = summary("Plain 1B", "GQA + Dense", "❌ Not covered")
    assert verdict(marked("rmsnorm_h512", count="1 / 1", head=late), "count") == "wrong"


def test_the_linked_pull_request() -> None:
    assert verdict(marked(NEW, pulls=(linked(),)), "link") == "ok"
    assert only(marked(NEW, pulls=(linked(),)), "link").numbers == (7,)
    assert verdict(marked(NEW), "link") == "wrong"
    assert verdict(marked(NEW, pulls=(linked(name="other_h1"),)), "link") == "wrong"
    assert verdict(marked(NEW, pulls=(linked(problem="gone"),)), "link") == "unknown"
    assert verdict(marked("rmsnorm_h512"), "link") == "none"
    assert verdict(marked(NEW, "❌", "🟡"), "link") == "none"


def test_the_kernel_request() -> None:
    missing = {"support": "fi_missing", "sign": "🟡"}
    pull = (linked(workloads=False),)
    wrong = only(marked(NEW, pulls=pull, **missing), "request")
    assert wrong.verdict == "wrong"
    asked = marked(NEW, pulls=pull, body="flashinfer-ai/flashinfer#5", **missing)
    assert verdict(asked, "request") == "ok"
    for key in ("gqa_paged", "gqa_paged_decode"):
        named = marked(NEW, pulls=pull, requests={key: "https://a.example"}, **missing)
        assert verdict(named, "request") == "ok"
    assert verdict(marked(NEW, "🟡", pulls=pull), "request") == "none"
    unsure = only(marked(NEW, "🟡", pulls=pull, support=None), "request")
    assert (unsure.verdict, unsure.text) == ("unknown", "could not be read")
    assert verdict(marked(NEW, "❌", "🟡", support="fi_missing"), "request") == "none"
    collected = marked("rmsnorm_h512", support="fi_missing")
    assert verdict(collected, "request") == "none"


def test_a_definition_without_a_row() -> None:
    path = f"definitions/gqa_paged/{NEW}.json"
    found = listed(None, None, files={path: definition()})
    assert found.rows[0].titles == ("Plain 1B",)
    assert (verdict(found, "name"), verdict(found, "axes")) == ("ok", "ok")
    untagged = listed(None, None, files={path: definition(tags=[])})
    assert (verdict(untagged, "name"), verdict(untagged, "axes")) == ("unknown", "unknown")


def test_other_files_are_named() -> None:
    assert marked("rmsnorm_h512").other_files == ()
    found = marked("rmsnorm_h512", files={"definitions/gemm/gemm_n768_k512.json": "{}"})
    assert found.other_files == ("definitions/gemm/gemm_n768_k512.json",)
    assert not found.agrees


def test_what_could_not_be_read_is_a_remark() -> None:
    change = Change(
        number=1, body="", files=(), before="", after="", unread={"a": "too large"}, complete=False
    )
    found = checklist(change, (), Ground(known=known()))
    assert found.remarks == (
        "a could not be read: too large",
        "GitHub does not list all files of this pull request",
    )


def test_a_doubt_is_not_known() -> None:
    name = "gemm_n768_k512"
    other = section([row(name, "🟡")], title="Unknown 3B")
    doubt = only(marked(name, head=other, complete=False), "status")
    assert doubt.verdict == "unknown"
    assert f"{name} is ✅ here and 🟡 in line" in doubt.text


@pytest.mark.parametrize("name", list(DATASET))
def test_a_published_definition_of_the_model_is_never_wrongly_named(name: str) -> None:
    sign = "✅" if DATASET[name] else "🟡"
    title = "Mix 2B" if name.startswith("moe") else "Plain 1B"
    found = marked(name, sign, title=title)
    assert found.rows[0].of("wrong") == ()
