"""Every template that makes Markdown, filled with text that wants to be more than text.

What a Markdown renderer makes of the result decides: the same tree as with harmless text, and
nothing shown that GitHub would link or notify somebody of.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import example, given, settings

import builders
from builders import deferred, evidence
from discover_models.changes import EntryChange, News
from discover_models.demand import Demand, Downloads, Ranking
from discover_models.domain.candidate import (
    Candidate,
    ComparedWith,
    Discovery,
    SkippedCandidate,
)
from discover_models.domain.depth import Provider
from discover_models.domain.listing import ArchitectureListing, ListedArchitecture, UnmappedClass
from discover_models.domain.manifest import from_inventory
from discover_models.onboarding.checklist import Check, Checked, Checklist, ChecklistRow
from discover_models.publish.issues import FoundIssue
from discover_models.publish.requests import Request, Row
from discover_models.render import bodies, render_markdown
from discover_models.render.architectures import render_architectures_markdown
from discover_models.render.bodies import (
    Dashboard,
    DashboardModel,
    Listed,
    PossibleMatch,
    ReadyRequest,
    ShownRequest,
)
from discover_models.render.coverage import coverage_section
from discover_models.render.demand import render_demand_markdown
from discover_models.render.environment import template_folder
from discover_models.render.escape import plain
from discover_models.render.onboarding import answer_body, onboarding_body
from discover_models.render.report import render_changes_markdown, render_discovery_markdown
from discover_models.render.request_bodies import Setting, arrival, request_body
from discover_models.render.summary import Summary, job_summary
from discover_models.run_record import Model, Planned, RunRecord
from markdown_tree import HOSTILE, STRINGS, shown, structure
from render.goldens import PAGE
from render.test_escape import everywhere

LONG = "DISCOVER_MODELS_EXAMPLES" in os.environ
EXAMPLES = int(os.environ.get("DISCOVER_MODELS_EXAMPLES", "25"))
NOW = datetime(2026, 11, 23, tzinfo=UTC)
LIMIT = 10_000_000
LINK = "https://github.com/octo/kernels/issues/new?title=x"


@pytest.fixture(autouse=True)
def of_any_length(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is left out for its length, which differs from harmless text's once it is escaped."""
    for name in ("FACTS_LIMIT", "MANIFEST_LIMIT"):
        monkeypatch.setattr(bodies, name, LIMIT)


def one_line(text: str) -> str:
    """As a title always is."""
    return " ".join(plain(text).split())


def proof(text: str) -> Any:
    return evidence("flashinfer", text, 3, looked_for=text, note=text)


def lost(text: str) -> Any:
    return evidence("sglang", text, None, looked_for=text, found=False, note=text)


def news(text: str) -> News:
    change = EntryChange(definition_name=text, kind="better", words=text)
    return News(day="2026-11-23", changes=(change,), more=1)


def ranking(text: str) -> Ranking:
    fields: dict[str, Any] = {"kernel": text, "groups": 1, "families": (text,), "models": (text,)}
    named = Demand(op_type=text, missing="kernel", definitions=(text,), served_by=(text,), **fields)
    unnamed = Demand(op_type="", missing="definition", definitions=(), why=text, **fields)
    counted = Downloads(counts={"x": 1}, oldest="2026-11-01", newest="2026-11-02")
    return Ranking(rows=(named, unnamed), models=1, undecided=1, downloads=counted)


def dashboard(text: str) -> str:
    row = DashboardModel(
        slug=text,
        hf_repo_id=text,
        variants=(text,),
        counts=bodies.counts(from_inventory(builders.sample(), NOW.date())),
        changed="2026-11-23",
        remark=text,
    )
    listed = (Listed(name=text, reason=text, detail=text),)
    match = PossibleMatch(number=1, title=text, state="open", pull=False, url=LINK)
    request = ShownRequest(
        title=one_line(text), key="x", definitions=(text,), url="", reason=text,
        matches=(match,), box="x", link=LINK, text=kernel_request(text),
    )  # fmt: skip
    return bodies.dashboard_body(
        Dashboard(
            models=(row,), totals=row.counts, not_refreshed={"sglang": text},
            not_looked={text: text}, news={text: news(text)}, demand=ranking(text), tracked=1,
            requests=(request,), held_back=listed, deferred=listed, unresolved=listed,
            skipped=listed, ignored=listed,
        ),
        PAGE,
        LIMIT,
    )  # fmt: skip


def tracking(text: str) -> str:
    found = everywhere(text).model_copy(update={"summary": one_line(text)})
    manifest = from_inventory(found, date(2026, 11, 23))
    ready = ReadyRequest(
        title=one_line(text), definitions=(text,), link=LINK, text=kernel_request(text)
    )
    return bodies.tracking_body(
        (manifest,), PAGE, LIMIT, deferred={text: text}, news={text: news(text)}, ready=(ready,)
    )


def request(text: str, **fields: Any) -> Request:
    row = Row(text, text, {text: 1}, (text,), text, text, "missing")
    there = Row(text, text, {text: 1}, (text,), text, text, "there")
    provider = Provider(name=text, function=text, flag=text, gpus=(text,), evidence=(proof(text),))
    values: dict[str, Any] = {
        "kind": "kernel-request", "key": "x", "kernel": text, "limit": "", "apis": (text,),
        "rows": (row, there), "fresh": (row,), "models": (text,), "barred": "", "urls": (),
        "evidence": (proof(text),), "near": (f"{text}: {text}",), "read_at": text,
        "served_by": (provider,), "implementations": {text: lost(text)},
    }  # fmt: skip
    return Request(**{**values, **fields})


def kernel_request(text: str) -> str:
    match = FoundIssue(number=1, author=text, title=text, body=text, state="open", created_at=NOW)
    setting = Setting(PAGE, "octo/kernels", "https://github.com", text, 3, (match,))
    found = request(text)
    limited = request(text, limit=text)
    return "\n".join(request_body(item, item.rows, setting, LIMIT) for item in (found, limited))


def summary(text: str) -> str:
    counts = {key: 1 for key in (*bodies.GROUPS, "unmapped")}
    record = RunRecord(
        version="1", event=text, job=text, repository=text, dry_run=False, started=text,
        seconds={}, requests=1, published=False,
        models=(Model(slug=text, repository=text, revision=text, counts=counts),),
        deferred=(deferred(hf_repo_id=text, reason=text, message=text),),
        plan=(
            Planned(kind=text, key=text, action="create", reason=text, number=None, error=text),
        ),
        warnings=(text,),
    )  # fmt: skip
    return job_summary(Summary(record, published=False, note=text), "")


def discovery(text: str) -> str:
    found = Discovery(
        candidates=(
            Candidate(origin="day0", name=text, hf_repo_id=text, evidence=(proof(text),)),
            Candidate(origin="page", name=text, unresolved=text, evidence=(proof(text),)),
        ),
        skipped=(
            SkippedCandidate(origin="cookbook", name=text, reason="draft", message=text),
        ),
        compared={text: ComparedWith(base=text, base_date=NOW, head=text, note=text)},
        errors={text: text},
    )  # fmt: skip
    return render_discovery_markdown(found, origins=builders.ORIGINS)


def architectures(text: str) -> str:
    part = UnmappedClass(name=text, file=text, line=1)
    listed = ListedArchitecture(
        architecture=text, file=text, line=1, role="text_llm", attention=(text,), ffn=(text,),
        norms=(text,), unmapped=(part,), conditions={text: text}, note=text,
    )  # fmt: skip
    found = ArchitectureListing(commit=text, architectures=(listed,), warnings=(text,))
    return render_architectures_markdown(found)


def onboarding(text: str) -> str:
    checks = (
        Check(key="name", verdict="wrong", texts=(text,)),
        Check(key="dataset", verdict="unknown", texts=(text,), numbers=(7,)),
    )
    row = ChecklistRow(name=text, titles=(text,), claimed=text, checks=checks)
    found = Checked(
        checklist=Checklist(rows=(row,), other_files=(text,), remarks=(text,)),
        dataset="flashinfer-ai/flashinfer-trace",
        inventories=(everywhere(text),),
        deferred=(deferred(hf_repo_id=text, reason=text, message=text),),
        more_models=(text,),
        origins=builders.ORIGINS,
    )
    return onboarding_body(found, LIMIT)


def answer(text: str) -> str:
    gone = (deferred(hf_repo_id=text, reason=text, message=text),)
    return answer_body((everywhere(text),), gone, builders.ORIGINS, LIMIT, problem=text)


TEMPLATES: dict[str, Callable[[str], str]] = {
    "answer_comment.md.j2": answer,
    "architectures.md.j2": architectures,
    "changes.md.j2": lambda text: render_changes_markdown({text: news(text)}),
    "dashboard.md.j2": dashboard,
    "demand.md.j2": lambda text: render_demand_markdown(ranking(text)),
    "discovery.md.j2": discovery,
    "inventory.md.j2": lambda text: render_markdown([everywhere(text)], origins=builders.ORIGINS),
    "job_summary.md.j2": summary,
    "kernel_arrived.md.j2": lambda text: arrival(request(text), PAGE, (text, text)),
    "kernel_request.md.j2": kernel_request,
    "onboarding_comment.md.j2": onboarding,
    "tracking_issue.md.j2": tracking,
}


def test_no_template_is_left_out() -> None:
    made = {path.name for path in template_folder().glob("*.md.j2")}
    assert made == set(TEMPLATES)


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("name", TEMPLATES)
def test_no_known_trick_changes_what_a_template_makes(name: str, text: str) -> None:
    check(name, text)


@pytest.mark.parametrize("name", TEMPLATES)
def test_no_text_changes_what_a_template_makes(name: str) -> None:
    @settings(max_examples=EXAMPLES, deadline=None, derandomize=not LONG)
    @given(STRINGS)
    @example("https://evil.example/@a#1 xwww.example.com xgh-1 x@y")
    def any_text(text: str) -> None:
        check(name, text)

    any_text()


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_changes_the_table_that_a_person_pastes(text: str) -> None:
    def parts(found: str) -> list[str]:
        section = coverage_section(everywhere(found)).section
        kinds = (
            "heading_open",
            "tr_open",
            "td_open",
            "image",
            "html_inline",
            "html_block",
            "fence",
        )
        return [item[0] for item in structure(section) if item[0] in kinds]

    assert parts(text) == parts("h" * len(text))


def check(name: str, text: str) -> None:
    body, harmless = TEMPLATES[name](text), TEMPLATES[name]("h" * len(text))
    assert structure(body) == structure(harmless)
    assert body.count("<!--") == harmless.count("<!--")
    outside = re.sub(r"(?ms)^ *(`{3,})\w+$.*?^ *\1$", "", body)
    assert not re.search(r"(?m)^\s*::|##\[", outside), "workflow command"
    seen = shown(body)
    assert not re.search(r"@[A-Za-z0-9]", seen), "mention"
    assert not re.search(r"#\d|(?i:gh-\d)", seen), "issue reference"
    assert not re.search(r"(?i)://|www\.|mailto:\w", seen), "address"
