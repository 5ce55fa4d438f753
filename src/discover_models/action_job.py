"""Which job an event asks for. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ValidationError

from discover_models.action_inputs import ActionSettings
from discover_models.domain.frozen import Frozen
from discover_models.onboarding.command import Command, parse_command
from discover_models.settings import ModelRequest

JobName = Literal["one model", "scheduled", "pull request", "comment", "nothing"]

BY_HAND = ("", "workflow_dispatch", "repository_dispatch")
"""Events that somebody with write access, or nobody but the owner of a terminal, can cause."""
PULL_REQUEST, COMMENT = "pull_request_target", "issue_comment"
"""Events that strangers can cause."""
CHECKED_ACTIONS = frozenset(
    {"opened", "reopened", "synchronize", "edited", "labeled", "unlabeled", "ready_for_review"}
)
MAY_COMMAND = frozenset({"OWNER", "MEMBER", "COLLABORATOR"})
"""GitHub's own word for how a comment's author stands to the repository."""


class Job(Frozen):
    """What is to be done."""

    name: JobName
    models: tuple[ModelRequest, ...] = ()
    """The models that were asked for by name."""
    number: int = 0
    """The pull request to look at, or the issue to answer in."""
    comment: int = 0
    """The id of the comment to answer."""
    command: Command | None = None
    notice: str = ""
    """Why there is nothing to do."""

    @property
    def takes_inventory(self) -> bool:
        """Whether kernels are looked up and results published."""
        return self.name in ("one model", "scheduled")


class _User(BaseModel):
    login: str = ""
    type: str = ""


class _Pull(BaseModel):
    number: int
    user: _User | None = None


class _PullEvent(BaseModel):
    action: str
    pull_request: _Pull


class _Comment(BaseModel):
    id: int
    body: str
    author_association: str
    user: _User | None = None


class _Issue(BaseModel):
    number: int


class _CommentEvent(BaseModel):
    action: str
    issue: _Issue
    comment: _Comment


def choose_job(
    settings: ActionSettings, event: str, payload: Mapping[str, Any] | None = None
) -> Job:
    """The job for an event of this name, with what GitHub tells of it.

    The inputs say which model only where the workflow's own maintainers start it: what a pull
    request or a comment causes is decided by the event alone.
    """
    if event == PULL_REQUEST:
        return _for_pull_request(payload or {}, settings.bot_login)
    if event == COMMENT:
        return _for_comment(payload or {}, settings.bot_login)
    if event in BY_HAND and (settings.model_name or settings.hf_repo_id):
        request = ModelRequest(slug=settings.model_name, hf_repo_id=settings.hf_repo_id)
        return Job(name="one model", models=(request,))
    if event in (*BY_HAND, "schedule"):
        return Job(name="scheduled")
    return _nothing(f"There is nothing to do for the event {event!r}.")


def _for_pull_request(payload: Mapping[str, Any], bot: str) -> Job:
    try:
        event = _PullEvent.model_validate(payload)
    except ValidationError:
        return _nothing("There is nothing to do: the event names no pull request.")
    if event.action not in CHECKED_ACTIONS:
        return _nothing(f"There is nothing to do for a pull request that is {event.action!r}.")
    if _is(event.pull_request.user, bot):
        return _nothing("There is nothing to do for a pull request of this bot.")
    return Job(name="pull request", number=event.pull_request.number)


def _for_comment(payload: Mapping[str, Any], bot: str) -> Job:
    try:
        event = _CommentEvent.model_validate(payload)
    except ValidationError:
        return _nothing("There is nothing to do: the event names no comment.")
    command = parse_command(event.comment.body)
    if event.action != "created" or command is None:
        return _nothing("There is nothing to do for a comment without a command.")
    if event.comment.author_association not in MAY_COMMAND or _is(event.comment.user, bot):
        return _nothing(
            "There is nothing to do: commands are taken from owners, members and collaborators."
        )
    return Job(name="comment", number=event.issue.number, comment=event.comment.id, command=command)


def _is(user: _User | None, login: str) -> bool:
    return user is not None and user.login.casefold() == login.casefold()


def _nothing(notice: str) -> Job:
    return Job(name="nothing", notice=notice)
