"""Issues as the publisher sees them, and what it needs from the place where they are kept."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Literal, Protocol

from discover_models.domain.frozen import Frozen
from discover_models.errors import DiscoverError

BODY_LIMIT = 65_536
"""Characters that GitHub takes in a body or comment."""
TITLE_LIMIT = 256

State = Literal["open", "closed"]
StateReason = Literal["completed", "not_planned", "duplicate", "reopened"]


class PublishError(DiscoverError):
    """Publishing can't go on: what was not written yet stays for the next run."""


class RefusedError(DiscoverError):
    """GitHub refused one write for a reason of its own; other writes may still succeed."""


class FoundIssue(Frozen):
    """An issue as it stands on GitHub."""

    number: int
    author: str
    """Login; empty when the account is gone."""
    title: str
    body: str
    state: State
    state_reason: StateReason | None = None
    closed_by: str | None = None
    """Login; None when it is open or nobody knows."""
    labels: tuple[str, ...] = ()
    locked: bool = False
    created_at: datetime
    """UTC."""
    is_pull: bool = False
    """Whether it is a pull request, which only `Backend.everything` gives."""


class FoundComment(Frozen):
    """A comment on an issue."""

    author: str
    body: str


class BodyEdit(Frozen):
    """One edit of an issue's body."""

    editor: str
    """Login; empty when the account is gone."""
    person: bool
    """Whether it is a person's account and no app's."""
    at: datetime
    """UTC."""


class NewIssue(Frozen):
    """An issue to be opened."""

    title: str
    body: str
    labels: tuple[str, ...] = ()


class Edit(Frozen):
    """What is to change in an issue; None leaves a field as it is."""

    body: str | None = None
    state: State | None = None
    state_reason: StateReason | None = None

    @property
    def empty(self) -> bool:
        return self.body is None and self.state is None


Rewrite = Callable[[FoundIssue], Edit | None]
"""From an issue as just read to what is to change in it; None when it shall stay as it is."""
Recognise = Callable[[FoundIssue], bool]
RecogniseComment = Callable[[FoundComment], bool]


class Backend(Protocol):
    """Where issues are kept. Errors: PublishError for all, RefusedError for one write."""

    def issues(self) -> tuple[FoundIssue, ...]:
        """All issues of all states, oldest first; `closed_by` may be missing."""
        ...

    def everything(self) -> tuple[FoundIssue, ...]:
        """All issues and pull requests of all states, oldest first."""
        ...

    def edits(self, number: int) -> tuple[BodyEdit, ...]:
        """Who edited an issue's body and when, in any order."""
        ...

    def may_write(self, login: str) -> bool:
        """Whether an account has write access to the repository."""
        ...

    def issue(self, number: int) -> FoundIssue | None:
        """One issue with everything known of it; None when it was deleted or moved away."""
        ...

    def create(self, new: NewIssue, recognise: Recognise) -> FoundIssue:
        """Open an issue, unless one that `recognise` knows is already among the newest.

        The answer to a request may be lost: then it is looked for before it is asked for again.
        """
        ...

    def edit(self, number: int, rewrite: Rewrite) -> FoundIssue | None:
        """Read the issue, let `rewrite` decide and write that; the issue as it is then.

        None when it was deleted or moved away.
        """
        ...

    def comment(self, number: int, body: str, recognise: RecogniseComment) -> None:
        """Post a comment, unless there is one that `recognise` knows."""
        ...
