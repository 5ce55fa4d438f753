"""Which event asks for which job; what strangers write decides nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from discover_models.action_inputs import ActionSettings
from discover_models.action_job import Job, choose_job
from discover_models.onboarding.command import Command

BOT = "github-actions[bot]"
SETTINGS = ActionSettings.model_validate({"model-name": "qwen3-8b"})


def pull(action: str = "opened", login: str = "someone") -> dict[str, Any]:
    return {"action": action, "pull_request": {"number": 5, "user": {"login": login}}}


def comment(
    body: str = "/discover-models qwen3-8b",
    association: str = "MEMBER",
    action: str = "created",
    login: str = "someone",
) -> dict[str, Any]:
    said = {"id": 9, "body": body, "author_association": association, "user": {"login": login}}
    return {"action": action, "issue": {"number": 5}, "comment": said}


def job(event: str, payload: Any) -> Job:
    return choose_job(SETTINGS, event, payload)


@pytest.mark.parametrize("action", ["opened", "synchronize", "edited", "reopened", "labeled"])
def test_pull_requests_are_looked_at(action: str) -> None:
    found = job("pull_request_target", pull(action))
    assert (found.name, found.number, found.models) == ("pull request", 5, ())


@pytest.mark.parametrize("action", ["closed", "assigned", "review_requested", "", "$(id)"])
def test_other_changes_of_them_are_not(action: str) -> None:
    assert job("pull_request_target", pull(action)).name == "nothing"


def test_the_bots_own_are_not() -> None:
    assert job("pull_request_target", pull(login=BOT.upper())).name == "nothing"
    assert job("issue_comment", comment(login=BOT)).name == "nothing"


@pytest.mark.parametrize("association", ["OWNER", "MEMBER", "COLLABORATOR"])
def test_commands_of_those_who_may(association: str) -> None:
    found = job("issue_comment", comment(association=association))
    assert (found.name, found.number, found.comment) == ("comment", 5, 9)
    assert found.command == Command(slug="qwen3-8b")
    assert found.models == ()


@pytest.mark.parametrize(
    "association",
    ["CONTRIBUTOR", "FIRST_TIMER", "FIRST_TIME_CONTRIBUTOR", "MANNEQUIN", "NONE", "", "member"],
)
def test_nobody_else_gets_anything_done(association: str) -> None:
    assert job("issue_comment", comment(association=association)).name == "nothing"


def test_other_comments_do_nothing() -> None:
    assert job("issue_comment", comment("Looks good!")).name == "nothing"
    assert job("issue_comment", comment(action="edited")).name == "nothing"
    assert job("issue_comment", comment(action="deleted")).name == "nothing"


@pytest.mark.parametrize("event", ["pull_request_target", "issue_comment"])
@pytest.mark.parametrize(
    "payload",
    [None, {}, {"action": "opened"}, {"action": ["created"], "comment": 1, "issue": {}},
     {"action": "opened", "pull_request": {"number": "five"}}],
)  # fmt: skip
def test_an_event_that_says_nothing_does_nothing(event: str, payload: Any) -> None:
    assert job(event, payload).name == "nothing"


@pytest.mark.parametrize("event", ["pull_request", "push", "pull_request_review_comment"])
def test_events_with_other_names_do_nothing(event: str) -> None:
    assert job(event, pull() | comment()).name == "nothing"
