"""The bodies of issues: what they show, that they fit, and which changes count as facts."""

from __future__ import annotations

import re
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

import builders
from discover_models.domain.architecture import Unmapped
from discover_models.domain.kernel import Parallelism
from discover_models.domain.manifest import Manifest, from_inventory
from discover_models.render import bodies
from discover_models.render.bodies import Dashboard, DashboardModel, Listed, Page
from discover_models.render.budget import MARKS, fit, length, trim

TODAY = date(2026, 11, 23)
MANIFESTS = "https://github.com/octo/bench/tree/kernel-inventory/manifests"
PAGE = Page(
    origins=builders.ORIGINS,
    today=TODAY.isoformat(),
    repository_url="https://github.com/octo/bench",
    state_branch="kernel-inventory",
)
GFM = MarkdownIt("gfm-like")
HOSTILE = (
    "a|b `c` @octocat #1 o/r#2 <!-- discover-models:end --> ::error::x https://e.com/ "
    "</details><img src=x> [t](https://e.com) **b** ```\n# h\n"
    "- [x] i <!-- discover-models:box ready -->"
)


def sample(*kernels: Any, **fields: Any) -> Manifest:
    found = builders.inventory(*kernels, **fields) if kernels else builders.sample()
    return from_inventory(found, TODAY)


def changed(manifest: Manifest, **fields: Any) -> Manifest:
    """The manifest with fields of every kernel changed."""
    data = manifest.model_dump(exclude_unset=True)
    return Manifest.model_validate(
        {**data, "kernels": [{**kernel, **fields} for kernel in data["kernels"]]}
    )


def tracking_body(manifest: Manifest, page: Page, limit: int, deferred: str = "") -> str:
    why = {manifest.hf_repo_id: deferred} if deferred else None
    return bodies.tracking_body((manifest,), page, limit, deferred=why)


def tracking_facts(manifest: Manifest, deferred: str = "") -> dict[str, Any]:
    why = {manifest.hf_repo_id: deferred} if deferred else None
    return bodies.tracking_facts((manifest,), deferred=why)


def text_of(markdown: str) -> str:
    """What a reader sees, roughly."""
    return re.sub(r"<[^>]*>|&#8288;|\u2060", "", MarkdownIt("gfm-like").render(markdown))


def test_a_tracking_issue_shows_everything_that_is_known():
    text = text_of(tracking_body(sample(), PAGE, 60_000))
    for said in (
        "sample-org/Sample-MoE",
        "94 layers, GQA + MoE",
        "1 FlashInfer missing: file a kernel request",
        "moe_fp8_block_scale_renorm_topk8_e32_h4096_i1536",
        "flashinfer/decode.py:700",
        "short convolution",
        "no family maps it yet",
        "tp=16 is refused",
        "no workloads yet",
        '"model_slug"',
    ):
        assert said in text.replace("&quot;", '"'), said


def test_a_note_of_many_rows_is_said_once_below_them():
    long = "SGLang: --attention-backend flashinfer (default); --attention-backend trtllm_mha"
    kernels = [
        builders.supported(f"gqa_{n}", notes=(long, "odd") if n % 2 else (long,)) for n in range(4)
    ]
    body = tracking_body(sample(*kernels), PAGE, 60_000).split("Axes and evidence")[0]
    assert body.count(long) == 1
    assert re.search(rf"^1\. {re.escape(long)}$", body, re.M)
    cells = re.findall(r"^\| <code>gqa.*\| ([^|]*) \|$", body, re.M)
    assert cells == ["[1]", "odd [1]", "[1]", "odd [1]"]


def test_no_name_of_a_field_is_shown_in_a_note():
    kernel = builders.undecided("rope_x", notes=("sgl_status undecided: it rests on fi_status",))
    body = tracking_body(sample(kernel), PAGE, 60_000).split("<summary>Manifest")[0]
    assert "SGLang undecided: it rests on FlashInfer" in body
    assert "_status" not in text_of(body)


def test_notes_below_a_table_go_before_its_rows():
    kernels = [
        builders.missing(f"moe_{n}", notes=(f"a rather long reason of its own, number {n}",))
        for n in range(60)
    ]
    body = tracking_body(sample(*kernels), PAGE, 7_000)
    assert length(body) <= 7_000
    assert body.count("| <code>moe_") == 60
    shown = len(re.findall(r"^\d+\. a rather long", body, re.M))
    assert 0 < shown < 60
    assert f"_{60 - shown} more left out" in body


def test_evidence_is_a_permalink_only_to_public_hosts():
    link = f"https://github.com/flashinfer-ai/flashinfer/blob/{'b' * 40}/flashinfer/decode.py#L700"
    assert link in tracking_body(sample(), PAGE, 60_000)
    local = Page(origins={"flashinfer": "file:///srv/secret"}, today="2026-11-23")
    body = tracking_body(sample(), local, 60_000)
    assert "secret" not in body
    assert "github.com/flashinfer-ai" not in body


def test_a_request_is_linked_without_leaving_a_trace_there():
    url = "https://github.com/flashinfer-ai/flashinfer/issues/123"
    body = tracking_body(changed(sample(), fi_issue_url=url), PAGE, 60_000)
    assert "https://redirect.github.com/flashinfer-ai/flashinfer/issues/123" in body
    assert f"]({url})" not in body
    hostile = changed(sample(), fi_issue_url="javascript:alert(1)")
    assert bodies.requests_of(hostile, PAGE) == {}


@pytest.mark.parametrize("limit", [60_000, 12_000, 5_000, 3_000])
def test_a_tracking_issue_fits_and_says_what_is_left_out(limit: int):
    kernels = [builders.missing(f"moe_{n}") for n in range(40)]
    kernels += [builders.existing(f"rmsnorm_{n}") for n in range(40)]
    body = tracking_body(sample(*kernels), PAGE, limit)
    assert length(body) <= limit
    rows = len(re.findall(r"^\| <code>", body, re.M))
    hidden = sum(int(n) for n in re.findall(r"_(\d+) more left out", body))
    evidence = len(re.findall(r"^- <code>", body, re.M))
    assert rows + evidence + hidden == 80 + 41  # 40 proofs, and one that is shared
    assert hidden == 0 or MANIFESTS in body


def test_the_least_important_rows_go_first():
    kernels = [builders.missing(f"moe_{n}") for n in range(40)]
    kernels += [builders.existing(f"rmsnorm_{n}") for n in range(40)]
    body = tracking_body(sample(*kernels), PAGE, 4_000)
    assert len(re.findall(r"^\| <code>moe_", body, re.M)) == 40
    assert len(re.findall(r"^\| <code>rmsnorm_", body, re.M)) < 40


def marked(sizes: list[int], width: int) -> str:
    """Sections s0, s1, … with that many rows each, and what is said of those left out."""
    text = "begin\n"
    for n, size in enumerate(sizes):
        row = f"{MARKS.section}s{n}{MARKS.name_end}{'x' * width}{MARKS.end}"
        text += row * size + f"{MARKS.rest}s{n}{MARKS.name_end}-{MARKS.count}{MARKS.end}|"
    return text + "end"


@given(
    st.lists(st.integers(0, 30), min_size=1, max_size=5), st.integers(0, 2000), st.integers(5, 40)
)
def test_no_row_is_dropped_without_need(sizes: list[int], limit: int, width: int):
    order = [f"s{n}" for n in range(len(sizes))]
    text = trim(marked(sizes, width), order, limit)
    rows = [part.count("x") // width for part in text.split("|")][: len(sizes)]
    left = [int(n) for n in re.findall(r"-(\d+)", text)]
    dropped = [size - shown for size, shown in zip(sizes, rows, strict=True)]
    assert left == [n for n in dropped if n]
    assert len(text) <= limit or sum(rows) == 0
    cut = [n for n, count in enumerate(dropped) if count]
    assert not any(rows[n] for n in cut[:-1])  # the first of the order go first
    assert sum(left) == 0 or len(text) + width + len("-1") > limit


@given(st.lists(st.integers(0, 30), min_size=1, max_size=5), st.integers(0, 2000))
def test_rendering_again_and_again_drops_no_row_without_need(sizes: list[int], limit: int):
    sections = [(f"s{n}", size) for n, size in enumerate(sizes)]
    text = fit(sections, lambda shown: "x" * 9 * sum(shown.values()), limit)
    rows, whole = len(text) // 9, sum(sizes)
    assert len(text) <= limit or rows == 0
    assert rows == whole or (rows + 1) * 9 > limit


def test_rows_beside_the_order_stay():
    assert trim(marked([3, 1], 1), ["s1"], 0) == "begin\nxxx|-1|end"


@pytest.mark.parametrize(
    ("fields", "counts"),
    [
        ({"evidence": []}, False),
        ({"tests": []}, False),
        ({"changed": "2027-01-01"}, False),
        ({"notes": ["not refreshed: sglang could not be read"]}, False),
        ({"phase1_status": "existing", "fi_status": None, "sgl_status": None}, True),
        ({"fi_status": "fi_missing"}, True),
        ({"sgl_status": "sgl_missing"}, True),
        ({"fi_trace_template": False}, True),
        ({"axes": {"hidden_size": 1}}, True),
        ({"layers": 1}, True),
        ({"notes": ["for another reason"]}, True),
        ({"parallelism": [{"tp": 2}]}, True),
        ({"required": False}, True),
        ({"fi_issue_url": "https://github.com/o/r/issues/1"}, True),
    ],
)
def test_which_changes_of_a_kernel_are_facts(fields: dict[str, Any], counts: bool):
    before = sample(builders.supported("rope_x"))
    facts = tracking_facts(before)
    assert (tracking_facts(changed(before, **fields)) != facts) is counts


def test_commits_and_dates_of_a_model_are_no_facts_and_the_rest_is():
    before = sample()
    facts = tracking_facts(before)
    for fields, counts in (
        ({"date": "2027-01-01", "hf_revision": "f" * 40, "repo_shas": {"sglang": "f" * 40}}, False),
        ({"notes": [*before.notes, "sglang could not be read: gone"]}, False),
        ({"summary": "other"}, True),
        ({"variants": [{"hf_repo_id": "o/v"}]}, True),
        ({"unmapped": []}, True),
    ):
        after = Manifest.model_validate({**before.model_dump(exclude_unset=True), **fields})
        assert (tracking_facts(after) != facts) is counts, fields
    assert tracking_facts(before, deferred="gated") != facts


def test_facts_of_very_many_kernels_stay_short_and_still_tell_changes():
    many = [builders.missing(f"moe_with_a_rather_long_name_{n}") for n in range(500)]
    before = tracking_facts(sample(*many))
    many[250] = builders.existing("moe_with_a_rather_long_name_250")
    after = tracking_facts(sample(*many))
    assert len(str(before)) < 500
    assert before != after


def everywhere(text: str) -> Manifest:
    proof = builders.evidence("flashinfer", text, 3, looked_for=text, note=text)
    need = builders.required(
        text, axes={text: builders.axis(1, text)}, variant=text, used_for=(text,)
    )
    fields: dict[str, Any] = {"required": need, "notes": (text,), "evidence": (proof,)}
    found = builders.inventory(
        builders.missing("", **fields, tests=(proof,)),
        model_slug=text,
        hf_repo_id=text,
        summary=text,
        revision=text,
        repo_shas={"sglang": text},
        parallelism=(Parallelism(source=text),),
        notes=(text,),
        unmapped=(Unmapped(what=text, reason=text, fields=(text,), evidence=(proof,)),),
    )
    data = from_inventory(found, TODAY).model_dump(exclude_unset=True)
    return Manifest.model_validate({**data, "variants": [{"hf_repo_id": text}]})


def skeleton(markdown: str) -> list[tuple[str, ...]]:
    """The tree of a rendered body without its texts."""
    return [
        (token.type, token.tag, *(child.type for child in token.children or () if _counts(child)))
        for token in GFM.parse(markdown)
    ]


def _counts(token: Any) -> bool:
    return token.type not in ("text", "softbreak", "text_special")


def test_hostile_strings_change_nothing_but_the_text():
    harmless = tracking_body(
        everywhere("x//y".ljust(len(HOSTILE), "z")), PAGE, 60_000, deferred="x"
    )
    hostile = tracking_body(everywhere(HOSTILE), PAGE, 60_000, deferred=HOSTILE)
    assert skeleton(hostile) == skeleton(harmless)
    outside_code = hostile.split("<summary>Manifest")[0]
    assert outside_code.count("<!--") == harmless.split("<summary>Manifest")[0].count("<!--")
    assert (
        "discover-models:end"
        not in re.sub(r"(&lt;|\()!-- discover-models:end --(&gt;|\))", "", hostile).split(
            "<summary>Manifest"
        )[0]
    )


def listed(text: str) -> tuple[Listed, ...]:
    return (Listed(name=text, reason=text, detail=text),)


def board(text: str = "x", **fields: Any) -> Dashboard:
    row = DashboardModel(
        slug=text,
        hf_repo_id=text,
        variants=(text,),
        counts=bodies.counts(sample()),
        changed="2026-11-23",
        number=3,
        remark=text,
    )
    lists = ("held_back", "deferred", "unresolved", "skipped", "ignored")
    values: dict[str, Any] = {name: listed(text) for name in lists}
    values |= {"models": (row,), "totals": bodies.totals([sample()])}
    values |= {"not_refreshed": {"sglang": text}, "not_looked": {text: text}, "tracked": 7}
    return Dashboard(**{**values, **fields})


def test_the_dashboard_shows_models_and_everything_that_is_missing():
    text = text_of(bodies.dashboard_body(board("sample"), PAGE, 60_000))
    for said in ("#3", "Held back (1)", "Deferred (1)", "Skipped (1)", "Ignored (1)", "sglang"):
        assert said in text


def test_hostile_strings_in_the_dashboard_change_nothing_but_the_text():
    harmless = bodies.dashboard_body(board(), PAGE, 60_000)
    hostile = bodies.dashboard_body(board(HOSTILE), PAGE, 60_000)
    assert skeleton(hostile) == skeleton(harmless)
    assert "<!--" not in hostile


def test_a_dashboard_of_very_many_models_fits_and_drops_ignored_ones_first():
    row = board("x").models[0]
    rows = tuple(row.model_copy(update={"slug": f"model-{n}"}) for n in range(400))
    ignored = tuple(Listed(name=f"ignored-{n}", reason="not wanted") for n in range(300))
    body = bodies.dashboard_body(board(models=rows, ignored=ignored), PAGE, 40_000)
    assert length(body) <= 40_000
    assert "<b>Ignored (300)</b>" in body
    assert body.count("<code>model-") == 400
    assert 0 < body.count("<code>ignored-") < 300


def test_details_and_dates_of_the_dashboard_are_no_facts():
    before = bodies.dashboard_facts(board())
    other_detail = (Listed(name="x", reason="x", detail="another time"),)
    later = board().models[0].model_copy(update={"changed": "2027-01-01"})
    assert bodies.dashboard_facts(board(deferred=other_detail, models=(later,))) == before
    assert bodies.dashboard_facts(board(deferred=())) != before
    assert bodies.dashboard_facts(board(not_refreshed={})) != before
    unnumbered = board().models[0].model_copy(update={"number": None})
    assert bodies.dashboard_facts(board(models=(unnumbered,))) != before


def test_a_model_is_finished_only_when_every_required_kernel_is_in_the_dataset():
    done = sample(builders.existing("a"), builders.existing("b"))
    assert "(2)" in bodies.finished_comment(done)
    assert bodies.finished_comment(sample(builders.existing("a"), builders.missing("b"))) == ""
    assert bodies.finished_comment(sample(builders.existing("a"), builders.undecided("b"))) == ""
    none = Manifest.model_validate({**done.model_dump(exclude_unset=True), "kernels": []})
    assert bodies.finished_comment(none) == ""


def test_the_title_is_one_harmless_line():
    title = bodies.tracking_title(everywhere("a\nb\x00 ::error::"))
    assert "\n" not in title
    assert "\x00" not in title
    assert "::error" not in title
