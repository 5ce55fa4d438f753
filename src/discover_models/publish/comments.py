"""One comment of ours per topic, kept up to date. The rules are pure; `keep` applies them.

The rules are the second truth table of docs/publishing.md; each row there has one test.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Protocol

from discover_models.domain.frozen import Frozen
from discover_models.publish import markers
from discover_models.publish.issues import BODY_LIMIT, RefusedError
from discover_models.publish.markers import Damaged, Facts, Marker, Section
from discover_models.publish.plan import is_ours
from discover_models.render.budget import length

_SLACK = 256
"""Characters kept free for what composing adds."""


class PostedComment(Frozen):
    """A comment as it stands on GitHub."""

    id: int
    author: str
    """Login; empty when the account is gone."""
    body: str


RecognisePosted = Callable[[PostedComment], bool]


class CommentBackend(Protocol):
    """Where comments are kept. Errors: PublishError for all, RefusedError for one write."""

    def posted(self, number: int) -> tuple[PostedComment, ...]:
        """All comments on an issue or pull request, oldest first."""
        ...

    def post(self, number: int, body: str, recognise: RecognisePosted) -> PostedComment:
        """Post a comment, unless there is one that `recognise` knows."""
        ...

    def rewrite(self, comment: int, body: str) -> None:
        """Give a comment another body."""
        ...

    def remove(self, comment: int) -> None:
        """Delete a comment; one that is gone is no error."""
        ...


@dataclass(frozen=True)
class WantedComment:
    """A comment as it should be."""

    kind: str
    key: str
    facts: Facts
    render: Callable[[int], str]
    """Markdown in at most that many characters (UTF-16 units)."""
    only_update: bool = False
    """Whether it says so little that it is not worth a comment of its own."""

    @property
    def marker(self) -> Marker:
        return Marker(kind=self.kind, key=self.key)


CommentAction = Literal["create", "update", "unchanged", "refused"]


@dataclass(frozen=True)
class CommentPlan:
    """What is to be done about a wanted comment."""

    action: CommentAction
    reason: str
    comment: PostedComment | None = None
    younger: tuple[PostedComment, ...] = ()
    """Ours too, and one too many each."""


def plan_comment(
    wanted: WantedComment, found: Iterable[PostedComment], authors: frozenset[str]
) -> CommentPlan:
    """Whether to post, rewrite or leave alone; which comments count depends on them alone."""
    ours = _ours(wanted.marker, found, authors)
    if not ours:
        if wanted.only_update:
            return CommentPlan("unchanged", "there is nothing to say")
        return CommentPlan("create", "has no comment yet")
    first, *rest = ours
    section = markers.parse(first.body)
    if not isinstance(section, Section):
        return CommentPlan("refused", "left alone: its fences are damaged", first)
    if section.marker.version > markers.FORMAT:
        return CommentPlan("refused", "left alone: a newer version of this bot wrote it", first)
    younger = tuple(rest)
    if section.marker.version == markers.FORMAT and section.facts == wanted.facts:
        return CommentPlan("unchanged", "says the same already", first, younger)
    return CommentPlan("update", "facts changed", first, younger)


def keep(
    number: int,
    wanted: WantedComment,
    backend: CommentBackend,
    authors: frozenset[str],
    now: datetime,
) -> CommentPlan:
    """Bring the comment in line; what was done.

    Of several comments of ours the oldest stays. A run that has posted one looks again, so that
    of two runs at once one comment is left.

    Raises:
        RefusedError: GitHub does not let it be written.
        PublishError: GitHub can't be used.
    """
    plan = plan_comment(wanted, backend.posted(number), authors)
    if plan.action == "create":
        body = _body(wanted, "", now)
        made = backend.post(number, body, lambda c: bool(_ours(wanted.marker, [c], authors)))
        again = _ours(wanted.marker, backend.posted(number), authors)
        plan = CommentPlan("create", plan.reason, made, tuple(again[1:]))
    elif plan.action == "update" and plan.comment is not None:
        backend.rewrite(plan.comment.id, _body(wanted, plan.comment.body, now))
    for extra in plan.younger:
        backend.remove(extra.id)
    return plan


def _ours(
    marker: Marker, found: Iterable[PostedComment], authors: frozenset[str]
) -> Sequence[PostedComment]:
    """Our comments on the marker's topic, oldest first; one with damaged fences may be among."""
    return sorted(
        (c for c in found if is_ours(c.author, authors) and _claims(c.body, marker)),
        key=lambda c: c.id,
    )


def _claims(body: str, marker: Marker) -> bool:
    section = markers.parse(body)
    if isinstance(section, Section):
        said: tuple[Marker, ...] = (section.marker,)
    else:
        said = section.claims if isinstance(section, Damaged) else ()
    return any((m.kind, m.key) == (marker.kind, marker.key) for m in said)


def _body(wanted: WantedComment, old: str, now: datetime) -> str:
    frame = markers.compose(wanted.marker, "", wanted.facts, now)
    room = BODY_LIMIT - length(markers.outside(old)) - length(frame) - _SLACK
    text = markers.compose(wanted.marker, wanted.render(room), wanted.facts, now)
    body = markers.replace(old, text)
    if length(body) > BODY_LIMIT:
        raise RefusedError("what people wrote around our section leaves no room for it")
    return body
