"""What changed between planning and writing wins."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from discover_models.publish import markers
from discover_models.publish.apply import apply, snapshot
from discover_models.publish.github import DryRun, GitHubIssues
from discover_models.publish.issues import Edit, FoundIssue, NewIssue
from discover_models.publish.markers import Marker
from discover_models.publish.plan import Change, Policy, Wanted
from emulator.server import Emulator
from hosts import BOT, FakeTime, connect

NOW = datetime(2026, 11, 23, 6, tzinfo=UTC)
POLICY = Policy(authors=frozenset({BOT}), max_new=10)
WANTED = Wanted(kind="tracking", key="alpha", title="Alpha", facts={"a": 2}, render=str)
BODY = markers.compose(Marker(kind="tracking", key="alpha"), "old", {"a": 1}, NOW)


@pytest.fixture
def backend(emulator: Emulator) -> Iterator[GitHubIssues]:
    backend = connect(emulator, FakeTime())
    backend.create(NewIssue(title="Alpha", body=BODY), lambda _: False)
    yield backend
    backend.close()


def close_as_person(emulator: Emulator) -> None:
    person = connect(emulator, FakeTime(), token="maintainer")
    person.edit(1, lambda _: Edit(state="closed", state_reason="not_planned"))
    person.close()


def test_an_issue_that_a_person_closed_after_the_plan_is_not_written(
    backend: GitHubIssues, emulator: Emulator
):
    update = Change("update", "tracking", "alpha", "facts changed", 1, WANTED)
    close_as_person(emulator)
    (outcome,) = apply([update], backend, POLICY, NOW)
    assert (outcome.change.action, outcome.error) == ("refused", "")
    found = backend.issue(1)
    assert found
    assert (found.state, found.body, found.closed_by) == ("closed", BODY, "maintainer")


def test_a_duplicate_that_a_person_closed_meanwhile_is_left_as_it_is(
    backend: GitHubIssues, emulator: Emulator
):
    close = Change("close", "tracking", "alpha", "duplicate of #9", 1, duplicate_of=9)
    close_as_person(emulator)
    before = len(emulator.writes())
    apply([close], backend, POLICY, NOW)
    assert len(emulator.writes()) == before


@dataclass
class Lagging(DryRun):
    """A list that does not show the newest issues yet."""

    def issues(self) -> tuple[FoundIssue, ...]:
        return ()


def test_a_remembered_issue_that_the_list_lacks_is_read_by_its_number(backend: GitHubIssues):
    lagging = Lagging(backend, BOT, lambda: NOW)
    found = snapshot(lagging, {("tracking", "alpha"): 1, ("tracking", "gone"): 5}, POLICY)
    assert [i.number for i in found.issues] == [1]
