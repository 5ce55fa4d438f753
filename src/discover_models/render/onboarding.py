"""The comment on an onboarding pull request.

The wording is in templates/onboarding_comment.md.j2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from discover_models.domain.kernel import Deferred, Inventory
from discover_models.onboarding.checklist import Checked, Checklist, Key, Verdict
from discover_models.render.bodies import digest
from discover_models.render.budget import length, trim
from discover_models.render.environment import markdown
from discover_models.render.groups import group_of
from discover_models.render.report import render_markdown


class Problem(NamedTuple):
    """What is wrong or unknown alike of some definitions."""

    key: Key
    verdict: Verdict
    text: str
    names: tuple[str, ...]


def onboarding_body(checked: Checked, limit: int) -> str:
    """The comment in at most `limit` characters, as far as rows allow."""
    found = checked.checklist
    text = (
        markdown()
        .get_template("onboarding_comment.md.j2")
        .render(
            checklist=found,
            names=[row.name for row in found.rows],
            problems=problems(found),
            dataset=checked.dataset,
            inventories=checked.inventories,
            deferred=checked.deferred,
            more_models=checked.more_models,
        )
    )
    inventories = [f"inventory {n + 1}" for n in range(len(checked.inventories))]
    return trim(text, (*reversed(inventories), "problems", "rows"), limit)


def answer_body(
    inventories: Sequence[Inventory],
    deferred: Sequence[Deferred],
    origins: Mapping[str, str],
    limit: int,
    *,
    problem: str = "",
) -> str:
    """The answer to a command in at most `limit` characters: with its evidence while that fits."""
    if inventories and not problem:
        whole = render_markdown(inventories, deferred, origins=origins)
        if length(whole) <= limit:
            return whole
    template = markdown().get_template("answer_comment.md.j2")
    text = template.render(inventories=inventories, deferred=deferred, problem=problem)
    return trim(text, ("inventory",), limit)


def onboarding_facts(checked: Checked) -> dict[str, Any]:
    """What the comment says, without commits and dates; names of strangers only as digests."""
    found = checked.checklist
    rows = [
        [row.name, row.titles, row.claimed, [[c.verdict, c.text, c.numbers] for c in row.checks]]
        for row in found.rows
    ]
    inventories = [
        [i.hf_repo_id, [[k.required.definition_name, group_of(k), k.workloads] for k in i.kernels]]
        for i in checked.inventories
    ]
    return {
        "general": digest([found.other_files, found.remarks]),
        "inventories": digest([inventories, [d.message for d in checked.deferred]]),
        "rows": digest(rows),
    }


def problems(found: Checklist) -> tuple[Problem, ...]:
    """Everything that is wrong, then what is not known, each once for all that share it."""
    shared: dict[tuple[Key, Verdict, str], list[str]] = {}
    for verdict in ("wrong", "unknown"):
        for row in found.rows:
            for check in row.of(verdict):
                shared.setdefault((check.key, verdict, check.text), []).append(row.name)
    return tuple(Problem(*what, tuple(names)) for what, names in shared.items())
