"""The real backend against the emulator: limits, lost answers, and a dry run of it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest
import requests

from discover_models.publish.github import DryRun, GitHubIssues
from discover_models.publish.issues import (
    Backend,
    Edit,
    FoundComment,
    FoundIssue,
    NewIssue,
    PublishError,
    Recognise,
    RecogniseComment,
    RefusedError,
)
from emulator.faults import FAULTS
from emulator.server import FOREVER, Emulator, Fault
from hosts import BOT, REPOSITORY, FakeTime, connect


@pytest.fixture
def time() -> FakeTime:
    return FakeTime()


@pytest.fixture
def backend(emulator: Emulator, time: FakeTime) -> Iterator[GitHubIssues]:
    backend = connect(emulator, time)
    yield backend
    backend.close()


def new(title: str = "Title", body: str = "Body") -> NewIssue:
    return NewIssue(title=title, body=body, labels=("kernel-inventory",))


def titled(title: str = "Title") -> Recognise:
    return lambda issue: issue.title == title


def said(text: str) -> RecogniseComment:
    return lambda comment: comment.body == text


def as_person(emulator: Emulator, method: str, path: str, payload: dict[str, str]) -> None:
    headers = {"Authorization": f"token {Emulator.token('maintainer')}"}
    url = f"{emulator.url}/repos/{REPOSITORY}{path}"
    assert requests.request(method, url, json=payload, headers=headers).ok


def test_an_issue_is_opened_and_found_with_all_that_is_known_of_it(backend: Backend):
    made = backend.create(new(), titled())
    (found,) = backend.issues()
    assert (found.number, found.author, found.title, found.body) == (1, BOT, "Title", "Body")
    assert (found.state, found.labels, found.locked) == ("open", ("kernel-inventory",), False)
    assert found == made == backend.issue(1)


def test_the_list_has_all_pages_and_states_but_no_pull_requests(
    backend: Backend, emulator: Emulator
):
    for n in range(101):
        as_person(emulator, "POST", "/issues", {"title": f"{n}"})
    as_person(emulator, "PATCH", "/issues/5", {"state": "closed"})
    as_person(emulator, "POST", "/pulls", {"title": "Fix", "head": "feature", "base": "main"})
    found = backend.issues()
    assert [i.number for i in found] == list(range(1, 102))
    assert found[4].state == "closed"
    assert backend.issue(102) is None
    closed = backend.issue(5)
    assert closed
    assert closed.closed_by == "maintainer"


def test_a_deleted_issue_is_none(backend: Backend, emulator: Emulator):
    backend.create(new(), titled())
    emulator.delete(REPOSITORY, 1)
    assert backend.issue(1) is None
    assert backend.issue(77) is None
    assert backend.edit(1, lambda _: Edit(body="x")) is None


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_whatever_happens_to_the_post_there_is_one_issue(
    backend: Backend, emulator: Emulator, fault: Fault
):
    emulator.faults([replace(fault, method="POST")])
    made = backend.create(new(), titled())
    emulator.faults([])
    assert [i.number for i in backend.issues()] == [made.number]


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_whatever_happens_to_the_comment_there_is_one(
    backend: Backend, emulator: Emulator, fault: Fault
):
    backend.create(new(), titled())
    emulator.faults([replace(fault, method="POST")])
    backend.comment(1, "Said", said("Said"))
    backend.comment(1, "Said", said("Said"))
    emulator.faults([])
    seen: list[FoundComment] = []
    backend.comment(1, "Said", lambda comment: seen.append(comment) is None)
    assert [(c.author, c.body) for c in seen] == [(BOT, "Said")]


@pytest.mark.parametrize("method", ["GET", "PATCH"])
@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_whatever_happens_to_an_edit_it_is_made(
    backend: Backend, emulator: Emulator, fault: Fault, method: str
):
    backend.create(new(), titled())
    emulator.faults([replace(fault, method=method)])
    backend.edit(1, lambda issue: Edit(body=issue.body.replace("Body", "New body")))
    emulator.faults([])
    found = backend.issue(1)
    assert found
    assert found.body == "New body"


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_whatever_happens_to_the_list_it_is_whole(
    backend: Backend, emulator: Emulator, fault: Fault
):
    backend.create(new(), titled())
    emulator.faults([replace(fault, path="issues[?]")])
    assert len(backend.issues()) == 1


def test_an_edit_sees_what_a_person_did_meanwhile(backend: Backend, emulator: Emulator):
    backend.create(new(), titled())
    emulator.faults([Fault(method="PATCH", status=502, skip=1)])
    seen: list[str] = []

    def rewrite(issue: FoundIssue) -> Edit:
        seen.append(issue.body)
        if len(seen) == 1:
            as_person(emulator, "PATCH", "/issues/1", {"body": "Mine"})
        return Edit(body=f"{issue.body}!")

    found = backend.edit(1, rewrite)
    assert seen == ["Body", "Mine"]
    assert found
    assert found.body == "Mine!"


@pytest.mark.parametrize(
    ("fault", "waits"),
    [
        (FAULTS["429 with Retry-After"], [7.0]),
        (FAULTS["429"], [60.0]),
        (FAULTS["403 secondary"], [60.0]),
        (Fault(status=429, times=2), [60.0, 120.0]),
        (Fault(status=429, headers={"retry-after": "5"}, times=2), [5.0, 5.0]),
        (
            Fault(
                status=403,
                headers={"x-ratelimit-remaining": "0", "x-ratelimit-reset": "1000000030"},
            ),
            [31.0],
        ),
        (Fault(status=500, times=3), [1.0, 2.0, 4.0]),
    ],
)
def test_it_waits_as_long_as_it_is_told(
    backend: Backend, emulator: Emulator, time: FakeTime, fault: Fault, waits: list[float]
):
    emulator.faults([fault])
    backend.issues()
    assert time.slept == waits


def test_it_gives_up_when_the_wait_is_too_long(backend: Backend, emulator: Emulator):
    emulator.faults([Fault(status=429, headers={"retry-after": "3600"})])
    with pytest.raises(PublishError, match="3600"):
        backend.issues()


def test_it_gives_up_when_github_stays_away(backend: Backend, emulator: Emulator):
    emulator.faults([Fault(how="hang up", times=FOREVER)])
    with pytest.raises(PublishError, match="no answer"):
        backend.issues()


def test_writes_are_a_second_apart(backend: Backend, time: FakeTime):
    for n in range(3):
        backend.create(new(f"{n}"), titled(f"{n}"))
    backend.edit(1, lambda _: Edit(body="x"))
    assert time.slept == [1.0, 1.0, 1.0]


def test_a_clock_that_is_set_back_costs_one_second(backend: Backend, time: FakeTime):
    backend.create(new("a"), titled("a"))
    time.now -= 86_400
    backend.create(new("b"), titled("b"))
    assert time.slept == [1.0]


def test_an_issue_that_another_run_opened_meanwhile_is_taken(backend: Backend, emulator: Emulator):
    other = connect(emulator, FakeTime())
    other.create(new(), titled())
    other.close()
    assert backend.create(new(), titled()).number == 1
    assert len(backend.issues()) == 1


def test_a_refused_write_says_why(backend: Backend):
    with pytest.raises(RefusedError, match="body is too long"):
        backend.create(new(body="x" * 65_537), titled())
    with pytest.raises(RefusedError, match="title is too long"):
        backend.create(new(title="x" * 257), titled())


def test_a_refusal_whose_errors_are_texts_says_them(backend: Backend, emulator: Emulator):
    body = '{"message": "Validation Failed", "errors": ["Labels may not be empty.", null]}'
    emulator.faults([Fault(method="POST", status=422, body=body)])
    with pytest.raises(RefusedError, match="Validation Failed Labels may not be empty"):
        backend.create(new(), titled())


def test_a_token_that_is_not_accepted_is_one_sentence_without_it(
    emulator: Emulator, caplog: pytest.LogCaptureFixture
):
    canary = "ghp_canary0123456789"
    backend = connect(emulator, FakeTime(), token=canary)
    with caplog.at_level(logging.DEBUG), pytest.raises(PublishError) as caught:
        backend.issues()
    backend.close()
    assert "token" in str(caught.value)
    assert caught.value.__cause__ is None
    assert canary not in caplog.text + repr(caught.value) + repr(backend)
    assert all(canary not in request.path for request in emulator.log())


@pytest.mark.parametrize("name", ["", "octo", "octo/bench/x", "octo/be nch", "../bench"])
def test_a_repository_needs_owner_and_name(name: str, time: FakeTime):
    with pytest.raises(PublishError, match="OWNER/NAME"):
        GitHubIssues(name, "", time.timing())


@pytest.mark.parametrize(
    "answer", ['{"full_name":"octo/bench","archived":true}', '{"full_name":"x","has_issues":false}']
)
def test_a_repository_that_takes_no_issues_is_named(
    backend: Backend, emulator: Emulator, answer: str
):
    emulator.faults([Fault(status=200, body=answer, path="/repos/octo/bench$")])
    with pytest.raises(PublishError, match=r"archived|without issues"):
        backend.issues()


def test_a_dry_run_shows_the_same_and_writes_nothing(backend: Backend, emulator: Emulator):
    backend.create(new("old"), titled("old"))
    written = len(emulator.writes())
    dry: Backend = DryRun(backend, BOT, lambda: datetime(2026, 11, 23, tzinfo=UTC))
    made = dry.create(new("new"), titled("new"))
    assert dry.create(new("new"), titled("new")) == made
    dry.edit(1, lambda _: Edit(body="edited", state="closed", state_reason="completed"))
    dry.edit(2, lambda _: None)
    for _ in range(2):
        dry.comment(1, "Said", said("Said"))
    assert [(i.number, i.title, i.body, i.state, i.closed_by) for i in dry.issues()] == [
        (1, "old", "edited", "closed", BOT),
        (2, "new", "Body", "open", None),
    ]
    assert dry.edit(99, lambda _: Edit(body="x")) is None
    assert len(emulator.writes()) == written
