"""Finds what is there and makes planned changes, one after another, over a `Backend`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from discover_models.publish import markers
from discover_models.publish.issues import (
    BODY_LIMIT,
    TITLE_LIMIT,
    Backend,
    Edit,
    FoundComment,
    FoundIssue,
    NewIssue,
    PublishError,
    RefusedError,
)
from discover_models.publish.markers import Facts, Marker, Section
from discover_models.publish.plan import (
    Change,
    Key,
    Policy,
    Snapshot,
    Wanted,
    decide,
    is_ours,
    matches,
    untouchable,
)
from discover_models.render.bodies import digest
from discover_models.render.budget import length

_SLACK = 256
"""Characters kept free for what composing adds."""


@dataclass(frozen=True)
class Outcome:
    """What became of a change; `change` is the decision that held in the end."""

    change: Change
    number: int | None
    error: str = ""
    """Why it was not made; empty when it was or needed nothing."""


def snapshot(backend: Backend, numbers: Mapping[Key, int], policy: Policy) -> Snapshot:
    """What is on GitHub now, with everything known of the issues that are ours.

    The list leaves out who closed an issue and may lag behind, so closed issues of ours and
    remembered numbers that the list lacks are read one by one.
    """
    issues = {i.number: i for i in backend.issues()}
    ours = matches(Snapshot(tuple(issues.values()), numbers), policy.authors)
    closed = {i.number for group in ours.values() for i in group if i.state == "closed"}
    for number in sorted(closed | (set(numbers.values()) - set(issues))):
        issue = backend.issue(number)
        if issue is not None:
            issues[number] = issue
    return Snapshot(tuple(issues[n] for n in sorted(issues)), numbers)


def apply(
    changes: Iterable[Change], backend: Backend, policy: Policy, now: datetime
) -> tuple[Outcome, ...]:
    """Make the changes in order. A refused one doesn't stop the others; a dead GitHub does."""
    outcomes: list[Outcome] = []
    stopped = ""
    for change in changes:
        if not change.writes:
            outcomes.append(Outcome(change, change.number))
        elif stopped:
            outcomes.append(Outcome(change, change.number, f"not tried: {stopped}"))
        else:
            try:
                outcomes.append(_make(change, backend, policy, now))
            except RefusedError as error:
                outcomes.append(Outcome(change, change.number, str(error)))
            except PublishError as error:
                stopped = str(error)
                outcomes.append(Outcome(change, change.number, stopped))
    return tuple(outcomes)


def recognises(issue: FoundIssue, wanted: Key, policy: Policy) -> bool:
    """Whether an issue is the bot's own for this kind and key."""
    section = markers.parse(issue.body)
    return (
        is_ours(issue.author, policy.authors)
        and isinstance(section, Section)
        and (section.marker.kind, section.marker.key) == wanted
    )


def _make(change: Change, backend: Backend, policy: Policy, now: datetime) -> Outcome:
    if change.duplicate_of is not None:
        return _close_duplicate(change, change.duplicate_of, backend, policy, now)
    item = change.wanted
    assert item is not None, "only duplicates are changed without being wanted"
    if change.number is None:
        return _create(change, item, backend, policy, now)
    if change.action == "close":
        fresh = backend.issue(change.number)
        if fresh is not None and decide(item, fresh, policy, now).action == "close":
            facts = _occasion(item, fresh)
            _comment(item.id, fresh, item.finished, facts, backend, policy, now)
    if item.announcement:
        fresh = backend.issue(change.number)
        if fresh is not None and decide(item, fresh, policy, now).writes:
            _comment(item.id, fresh, item.announcement, {}, backend, policy, now, "announcement")
    return _edit(change, change.number, item, backend, policy, now)


def _create(
    change: Change, item: Wanted, backend: Backend, policy: Policy, now: datetime
) -> Outcome:
    body = _body(item, "", now)
    new = NewIssue(title=_title(item.title), body=body, labels=item.labels)
    issue = backend.create(new, lambda found: recognises(found, item.id, policy))
    return Outcome(replace(change, number=issue.number), issue.number)


def _edit(
    change: Change, number: int, item: Wanted, backend: Backend, policy: Policy, now: datetime
) -> Outcome:
    """Write an issue as the decision is when it has been read again."""
    last = [replace(change, action="refused", reason="it was deleted or moved away meanwhile")]

    def rewrite(fresh: FoundIssue) -> Edit | None:
        last[0] = decide(item, fresh, policy, now)
        if not last[0].writes:
            return None
        body = _body(item, fresh.body, now)
        if last[0].action == "close":
            return Edit(body=body, state="closed", state_reason="completed")
        if last[0].reopen:
            return Edit(body=body, state="open", state_reason="reopened")
        return Edit(body=body)

    issue = backend.edit(number, rewrite)
    # After a lost answer the issue is read again and needs nothing more: then it was written.
    made = issue is not None and last[0].action == "unchanged"
    return Outcome(change if made else last[0], number)


def _close_duplicate(
    change: Change, original: int, backend: Backend, policy: Policy, now: datetime
) -> Outcome:
    assert change.number is not None, "a duplicate has a number"

    def closable(fresh: FoundIssue | None) -> bool:
        return (
            fresh is not None
            and fresh.state == "open"
            and untouchable(markers.parse(fresh.body), change.id) is None
        )

    fresh = backend.issue(change.number)
    if fresh is not None and closable(fresh):
        text = f"Duplicate of #{original}: two runs opened this at the same time."
        facts: Facts = {"duplicate_of": original}
        _comment(change.id, fresh, text, facts, backend, policy, now)
    closing = Edit(state="closed", state_reason="duplicate")
    backend.edit(change.number, lambda found: closing if closable(found) else None)
    return Outcome(change, change.number)


def _comment(
    key: Key,
    issue: FoundIssue,
    text: str,
    facts: Facts,
    backend: Backend,
    policy: Policy,
    now: datetime,
    kind: str = "closing",
) -> None:
    """Say something once, such as why an issue is closed; nobody reads more in a locked one."""
    if issue.locked:
        return
    marker = Marker(kind=kind, key=".".join(key))

    def said(comment: FoundComment) -> bool:
        section = markers.parse(comment.body)
        return (
            is_ours(comment.author, policy.authors)
            and isinstance(section, Section)
            and section.marker == marker
            and section.facts == facts
        )

    backend.comment(issue.number, markers.compose(marker, text, facts, now), said)


def _body(item: Wanted, old: str, now: datetime) -> str:
    """The whole body with our section as wanted and everything else as it was."""
    marker = Marker(kind=item.kind, key=item.key)
    frame = markers.compose(marker, "", item.facts, now)
    room = BODY_LIMIT - length(markers.outside(old)) - length(frame) - _SLACK
    body = markers.replace(old, markers.compose(marker, item.render(room), item.facts, now))
    if length(body) > BODY_LIMIT:
        raise RefusedError("what people wrote around our section leaves no room for it")
    return body


def _title(text: str) -> str:
    """The title on one line and within GitHub's limit."""
    line = " ".join(text.split())
    return line if length(line) <= TITLE_LIMIT else line[: TITLE_LIMIT // 2 - 1] + "…"


def _occasion(item: Wanted, issue: FoundIssue) -> Facts:
    """What tells one closing of an issue from a later one, and stays when it is tried again."""
    section = markers.parse(issue.body)
    written = section.written if isinstance(section, Section) else None
    return {"facts": digest(item.facts), "since": written.isoformat() if written else ""}


def numbers_of(outcomes: Sequence[Outcome]) -> dict[Key, int]:
    """The number of each issue that counts for its key."""
    return {
        outcome.change.id: outcome.number
        for outcome in outcomes
        if outcome.number is not None and outcome.change.duplicate_of is None
    }
