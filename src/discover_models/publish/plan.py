"""What has to change on GitHub: wanted issues and found issues to a list of changes. Pure.

The rules are the upsert truth table of docs/publishing.md; each row there has one test.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Literal

from discover_models.publish import markers
from discover_models.publish.issues import FoundIssue
from discover_models.publish.markers import Damaged, Facts, Marker, Section

Action = Literal["create", "update", "unchanged", "close", "held back", "refused"]
Key = tuple[str, str]
"""Kind and stable key of an issue."""

HEARTBEAT = timedelta(days=6)
"""A section with a heartbeat is written again when it is older, though no fact changed."""
CAP_WINDOW = timedelta(hours=24)
"""Over what time new issues are counted: a run that died and is started again stays in the cap."""


@dataclass(frozen=True)
class Wanted:
    """An issue as it should be."""

    kind: str
    key: str
    title: str
    """Fixed when the issue is opened; later it belongs to people."""
    facts: Facts
    render: Callable[[int], str]
    """Markdown of the section in at most that many characters (UTF-16 units)."""
    labels: tuple[str, ...] = ()
    """Set when the issue is opened; later they belong to people."""
    finished: str = ""
    """Why nothing is left to track, in Markdown; then it is closed with this comment."""
    certain: bool = True
    """Whether this run saw all that `finished` rests on; else an open issue stays open."""
    heartbeat: bool = False
    elsewhere: bool = False
    """In a repository of other people: never closed, opened again or labelled there."""
    announcement: str = ""
    """Said once in a comment, in Markdown, when the issue is written with these facts."""
    capped: bool = True
    """Whether it counts as one of the new issues that are limited."""
    day0: bool = False
    released: date | None = None

    @property
    def id(self) -> Key:
        return self.kind, self.key


@dataclass(frozen=True)
class Policy:
    """The choices that a plan depends on."""

    authors: frozenset[str]
    """Logins whose issues may be ours: the bot's and those that the configuration trusts."""
    max_new: int
    reopen: bool = False
    """Whether an issue that a person closed is opened again."""


@dataclass(frozen=True)
class Change:
    """One decision; `action` says what is done, `reason` why, in words for people."""

    action: Action
    kind: str
    key: str
    reason: str
    number: int | None = None
    wanted: Wanted | None = None
    reopen: bool = False
    duplicate_of: int | None = None

    @property
    def id(self) -> Key:
        return self.kind, self.key

    @property
    def writes(self) -> bool:
        return self.action in ("create", "update", "close")


@dataclass(frozen=True)
class Snapshot:
    """What was found on GitHub."""

    issues: Sequence[FoundIssue]
    numbers: Mapping[Key, int] = field(default_factory=dict[Key, int])
    """Numbers that the state remembers."""


def is_ours(login: str | None, authors: Iterable[str]) -> bool:
    """Whether this account may speak for the bot; GitHub's logins ignore case."""
    if not login:
        return False
    return login.casefold() in {a.casefold() for a in authors}


def plan(
    wanted: Sequence[Wanted], found: Snapshot, policy: Policy, now: datetime
) -> tuple[Change, ...]:
    """The changes that bring GitHub to what is wanted, in the order in which to make them.

    New issues: day-0 models first, then the newest, then by key, up to the policy's limit.
    """
    ours = matches(found, policy.authors)
    left = policy.max_new - opened_lately(ours, wanted, now)
    changes: list[Change] = []
    for item in sorted(wanted, key=_urgency):
        group = ours.get(item.id, ())
        change = _first(item, group, found.numbers.get(item.id), policy, now)
        if change.action == "create" and item.capped:
            left -= 1
            if left < 0:
                change = _change("held back", item, _limit_reached(policy))
        changes.append(change)
        changes += duplicates(item.kind, item.key, group)
    return tuple(changes)


def matches(found: Snapshot, authors: frozenset[str]) -> dict[Key, tuple[FoundIssue, ...]]:
    """Our issues by what they are for, oldest first.

    An issue is ours when a trusted account opened it and its marker says so, or when it has no
    marker any more and the state remembers its number.
    """
    remembered = {number: key for key, number in found.numbers.items()}
    ours: dict[Key, list[FoundIssue]] = {}
    for issue in sorted(found.issues, key=lambda i: i.number):
        if is_ours(issue.author, authors):
            for key in _claimed(issue, remembered.get(issue.number)):
                ours.setdefault(key, []).append(issue)
    return {key: tuple(group) for key, group in ours.items()}


def primary(group: Sequence[FoundIssue], number: int | None) -> FoundIssue | None:
    """The issue that counts: the oldest open one, else the remembered one, else the oldest."""
    if not group:
        return None
    still_open = [i for i in group if i.state == "open"]
    remembered = [i for i in group if i.number == number]
    return (still_open or remembered or list(group))[0]


def duplicates(kind: str, key: str, group: Sequence[FoundIssue]) -> tuple[Change, ...]:
    """Closings of the open issues that are younger than the oldest open one.

    Which one stays depends on nothing but the issues, so two runs at once agree on it.
    """
    still_open = [i for i in group if i.state == "open"]
    return tuple(
        Change(
            "close",
            kind,
            key,
            f"duplicate of #{still_open[0].number}",
            issue.number,
            duplicate_of=still_open[0].number,
        )
        for issue in still_open[1:]
        if untouchable(markers.parse(issue.body), (kind, key)) is None
    )


def opened_lately(
    ours: Mapping[Key, Sequence[FoundIssue]], wanted: Iterable[Wanted], now: datetime
) -> int:
    """How many of the limited kinds were opened within the window, duplicates not counted."""
    kinds = {w.kind for w in wanted if w.capped}
    return sum(
        kind in kinds and any(i.created_at > now - CAP_WINDOW for i in group)
        for (kind, _), group in ours.items()
    )


def untouchable(section: Section | Damaged | None, wanted: Key) -> str | None:
    """Why a body must not be written to; None when it may be."""
    if isinstance(section, Damaged):
        return section.reason
    if section is None:
        return None
    if section.marker.version > markers.FORMAT:
        return "a newer version of this bot wrote it"
    return None if _key(section.marker) == wanted else "its marker names another issue"


def _first(
    item: Wanted,
    group: Sequence[FoundIssue],
    number: int | None,
    policy: Policy,
    now: datetime,
) -> Change:
    issue = primary(group, number)
    if issue is None:
        return _without_issue(item, number)
    return decide(item, issue, policy, now)


def decide(item: Wanted, issue: FoundIssue, policy: Policy, now: datetime) -> Change:
    """What to do with the issue that counts; asked again when it was just read again."""
    section = markers.parse(issue.body)
    reason = untouchable(section, item.id)
    if reason is not None or isinstance(section, Damaged):
        return _change("refused", item, f"left alone: {reason}", issue)
    if issue.state == "closed" and item.elsewhere:
        return _change("unchanged", item, "is closed there, which is left as it is", issue)
    if issue.state == "closed":
        return _closed(item, issue, section, policy)
    if item.finished and item.certain:
        return _change("close", item, "nothing is left to track", issue)
    reason = _outdated(item, section, now)
    if reason is None:
        return _change("unchanged", item, "says the same already", issue)
    return _change("update", item, reason, issue)


def _without_issue(item: Wanted, number: int | None) -> Change:
    if number is not None:
        reason = f"its issue #{number} was deleted, moved away or given to something else"
        return _change("refused", item, reason)
    if item.finished:
        return _change("unchanged", item, "nothing to track, so it gets no issue")
    return _change("create", item, "has no issue yet")


def _closed(item: Wanted, issue: FoundIssue, section: Section | None, policy: Policy) -> Change:
    """A closed issue: a person's closing means no, the bot's own is undone when need be."""
    by_person = not is_ours(issue.closed_by, policy.authors)
    if by_person and not policy.reopen:
        return _change("refused", item, "a person closed it", issue)
    if not item.finished:
        reason = (
            "a person closed it, but the configuration reopens"
            if by_person
            else ("there is something to track again")
        )
        return _change("update", item, reason, issue, reopen=True)
    reason = _different(item, section)
    if reason is None or by_person:
        return _change("unchanged", item, "is closed, and nothing is left to track", issue)
    return _change("update", item, reason, issue)


def _outdated(item: Wanted, section: Section | None, now: datetime) -> str | None:
    """Why an open issue must be written again; None when it need not be."""
    reason = _different(item, section)
    if reason is not None or not item.heartbeat or section is None:
        return reason
    if section.written is None or now - section.written > HEARTBEAT:
        return "its heartbeat is older than six days"
    return None


def _different(item: Wanted, section: Section | None) -> str | None:
    if section is None:
        return "our section was taken out"
    if section.marker.version < markers.FORMAT:
        return "an older version of this bot wrote it"
    if section.facts != item.facts:
        return "facts changed" if section.facts is not None else "its facts can't be read"
    return None


def _claimed(issue: FoundIssue, remembered: Key | None) -> tuple[Key, ...]:
    section = markers.parse(issue.body)
    if isinstance(section, Section):
        return (_key(section.marker),)
    if isinstance(section, Damaged) and section.claims:
        return tuple(dict.fromkeys(_key(claim) for claim in section.claims))
    return (remembered,) if remembered is not None else ()


def _key(marker: Marker) -> Key:
    return marker.kind, marker.key


def _urgency(item: Wanted) -> tuple[bool, int, str, str]:
    released = item.released.toordinal() if item.released else 0
    return not item.day0, -released, item.kind, item.key


def _limit_reached(policy: Policy) -> str:
    return f"at most {policy.max_new} new issues are opened in 24 hours"


def _change(
    action: Action,
    item: Wanted,
    reason: str,
    issue: FoundIssue | None = None,
    *,
    reopen: bool = False,
) -> Change:
    number = issue.number if issue else None
    return Change(action, item.kind, item.key, reason, number, item, reopen)
