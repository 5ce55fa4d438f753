"""Which job an event asks for. Pure."""

from __future__ import annotations

from typing import Literal

from discover_models.action_inputs import ActionSettings
from discover_models.domain.frozen import Frozen
from discover_models.settings import ModelRequest

JobName = Literal["one model", "scheduled", "pull request", "comment", "nothing"]

BY_HAND = ("", "workflow_dispatch", "repository_dispatch")
"""Events that somebody with write access, or nobody but the owner of a terminal, can cause."""
BY_STRANGERS: dict[str, JobName] = {
    "pull_request_target": "pull request",
    "issue_comment": "comment",
}


class Job(Frozen):
    """What is to be done."""

    name: JobName
    models: tuple[ModelRequest, ...] = ()
    """The models that were asked for by name."""
    notice: str = ""
    """Why there is nothing to do."""

    @property
    def takes_inventory(self) -> bool:
        """Whether kernels are looked up and results published."""
        return self.name in ("one model", "scheduled")


def choose_job(settings: ActionSettings, event: str) -> Job:
    """The job for an event of this name.

    The inputs say which model only where the workflow's own maintainers start it: what a pull
    request or a comment causes is decided by the event alone.
    """
    if event in BY_STRANGERS:
        return Job(name=BY_STRANGERS[event])
    if event in BY_HAND and (settings.model_name or settings.hf_repo_id):
        request = ModelRequest(slug=settings.model_name, hf_repo_id=settings.hf_repo_id)
        return Job(name="one model", models=(request,))
    if event in (*BY_HAND, "schedule"):
        return Job(name="scheduled")
    return Job(name="nothing", notice=f"There is nothing to do for the event {event!r}.")
