"""The summary of a run on its page on GitHub; the wording is in templates/job_summary.md.j2."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from discover_models.render.budget import fit
from discover_models.render.environment import markdown
from discover_models.run_record import RunRecord

LIMIT = 1024 * 1024
"""Bytes that GitHub takes for one step; it drops a longer summary whole."""
_SHORT_LIMIT = 250_000
"""UTF-16 units of the part before the full report: at most 750,000 bytes."""


@dataclass(frozen=True)
class Summary:
    """What the summary tells."""

    record: RunRecord
    published: bool
    note: str
    """Why nothing was published."""


def job_summary(summary: Summary, report: str) -> str:
    """What was done, then the whole report if GitHub takes it; never more than `LIMIT` bytes."""
    record = summary.record
    plan = [p for p in record.plan if p.action != "unchanged"]
    sections = [
        ("deferred", len(record.deferred)),
        ("models", len(record.models)),
        ("plan", len(plan)),
        ("warnings", len(record.warnings)),
    ]
    template = markdown().get_template("job_summary.md.j2")

    def render(shown: Mapping[str, int], *, whole: bool) -> str:
        return template.render(summary=summary, record=record, plan=plan, shown=shown, whole=whole)

    for whole in (True, False):
        text = fit(sections, lambda shown, whole=whole: render(shown, whole=whole), _SHORT_LIMIT)
        full = f"{text}\n{report}" if whole else text
        if len(full.encode("utf-8", errors="backslashreplace")) <= LIMIT:
            return full
    raise AssertionError("a text of 250,000 UTF-16 units takes no more than 750,000 bytes")
