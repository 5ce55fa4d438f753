"""The real client against GitHub's own answers, where those differ from the emulator's."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

import pytest
import vcr  # pyright: ignore[reportMissingTypeStubs] - it has none
import yaml
from vcr.errors import (  # pyright: ignore[reportMissingTypeStubs] - likewise
    CannotOverwriteExistingCassetteException,
)

from discover_models.publish.github import GitHubIssues
from discover_models.publish.issues import (
    Edit,
    FoundIssue,
    NewIssue,
    PublishError,
    RefusedError,
)
from emulator.contract import problems
from hosts import BOT, FakeTime

FOLDER = Path(__file__).parents[1] / "cassettes"
NAMES = sorted(path.stem for path in FOLDER.glob("*.yaml"))
REPOSITORY = "octocat/Hello-World"
TOKEN = "ghs_canary0123456789"
NEW = NewIssue(title="Found a bug", body="I'm having a problem with this.", labels=("bug",))
PLAYER = vcr.VCR(
    cassette_library_dir=str(FOLDER),
    record_mode=vcr.record_mode.RecordMode.NONE,
    match_on=("method", "scheme", "host", "path", "query", "body"),
)
_played: set[str] = set()


@contextmanager
def played(name: str, time: FakeTime | None = None) -> Generator[GitHubIssues]:
    """A client that gets the answers of a cassette, each of them once and all of them."""
    _played.add(name)
    with PLAYER.use_cassette(f"{name}.yaml", allow_playback_repeats=False) as cassette:
        client = GitHubIssues(REPOSITORY, TOKEN, (time or FakeTime()).timing())
        yield client
        client.close()
        assert cassette.all_played
        assert all("If-None-Match" not in request.headers for request in cassette.requests)


def unseen(_issue: FoundIssue) -> bool:
    return False


def test_a_list_of_two_pages_with_a_pull_request():
    with played("two_pages") as github:
        found = github.everything()
    assert [(i.number, i.is_pull, i.author) for i in found] == [
        (1, False, BOT),
        (2, True, "octocat"),
        (3, False, BOT),
    ]


def test_a_renamed_repository_is_written_to_under_its_new_name():
    with played("renamed_repository") as github:
        assert github.create(NEW, unseen).number == 1347


def test_a_transferred_issue_is_gone():
    with played("transferred_issue") as github:
        assert github.issue(1347) is None


def test_a_deleted_issue_and_one_that_never_was_are_gone():
    with played("deleted_issue") as github:
        assert github.issue(1347) is None
        assert github.issue(1348) is None


def test_a_pull_request_is_no_issue():
    with played("pull_request_as_issue") as github:
        assert github.issue(1347) is None


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("refused_title", "title is too long (maximum is 256 characters)"),
        ("refused_field", "assignees: invalid"),
        ("issues_switched_off", "Issues are disabled for this repo"),
        ("token_without_the_right", "Resource not accessible by integration"),
    ],
)
def test_a_refusal_says_what_github_says(name: str, said: str):
    with played(name) as github, pytest.raises(RefusedError) as caught:
        github.create(NEW, unseen)
    assert said in str(caught.value)


def test_an_archived_repository_takes_nothing():
    with played("archived_repository") as github, pytest.raises(PublishError, match="archived"):
        github.create(NEW, unseen)


def test_the_hourly_limit_is_waited_out():
    time = FakeTime(now=1_000_000_000.0)
    with played("hourly_limit", time) as github:
        assert github.create(NEW, unseen).number == 1347
    assert time.slept == [301.0]


def test_a_secondary_limit_with_and_without_a_time_to_wait():
    time = FakeTime()
    with played("secondary_limit", time) as github:
        assert github.create(NEW, unseen).number == 1347
    assert time.slept == [90.0, 120.0]


def test_an_answer_that_nothing_was_modified_is_asked_for_again():
    """The bot sends no conditional requests; something on the way may."""
    with played("not_modified") as github:
        found = github.issue(1347)
    assert found
    assert found.number == 1347


def test_a_wrong_token_is_one_sentence_without_it():
    with played("bad_credentials") as github, pytest.raises(PublishError, match="token") as caught:
        github.issues()
    assert TOKEN not in str(caught.value)


def test_the_token_of_an_app_does_not_say_whose_it_is():
    with played("token_of_an_app") as github:
        assert github.login() == ""


def test_an_issue_is_closed_as_a_duplicate():
    with played("closed_as_duplicate") as github:
        found = github.edit(1347, lambda _: Edit(state="closed", state_reason="duplicate"))
    assert found
    assert (found.state, found.state_reason, found.closed_by) == ("closed", "duplicate", BOT)


def test_labels_that_github_drops_are_no_error():
    with played("labels_dropped") as github:
        assert github.create(NEW, unseen).labels == ()


def test_a_locked_issue_takes_no_comment():
    with played("locked_issue") as github, pytest.raises(RefusedError, match="locked"):
        github.comment(1347, "Said", lambda _: False)


def test_who_may_write():
    with played("permissions") as github:
        accounts = ("admin", "maintainer", "triager", "stranger", "nobody")
        found = {login: github.may_write(login) for login in accounts}
    assert [login for login, may in found.items() if may] == ["admin", "maintainer"]


@pytest.mark.parametrize("name", NAMES)
def test_a_cassette_keeps_to_githubs_description(name: str):
    text = (FOLDER / f"{name}.yaml").read_text(encoding="utf-8")
    found: list[str] = []
    for exchange in yaml.safe_load(text)["interactions"]:
        request, response = exchange["request"], exchange["response"]
        body = response["body"]["string"].encode()
        found += problems(
            request["method"],
            named(request["uri"]),
            cast("str | None", request["body"]),
            response["status"]["code"],
            body,
            errors=True,
        )
    assert found == []


def named(uri: str) -> str:
    """The address with the repository's name where a redirect has its number."""
    path = urlsplit(uri).path
    number = "/".join(path.split("/")[:3])
    by_number = path.startswith("/repositories/")
    return uri.replace(number, f"/repos/{REPOSITORY}", 1) if by_number else uri


def test_no_cassette_is_left_unplayed():
    """Last of all here, and only where all of them ran."""
    if len(_played) > 1:
        assert sorted(_played) == NAMES


def test_a_request_that_differs_in_one_field_of_its_body_is_not_answered():
    other = NEW.model_copy(update={"body": "Another problem"})
    with PLAYER.use_cassette("labels_dropped.yaml"):
        github = GitHubIssues(REPOSITORY, TOKEN, FakeTime().timing())
        with pytest.raises(CannotOverwriteExistingCassetteException):
            github.create(other, unseen)
        github.close()
