"""One test per row of the truth table in docs/publishing.md, and the rules around it."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from discover_models.publish import markers
from discover_models.publish.issues import FoundIssue
from discover_models.publish.markers import Facts, Marker
from discover_models.publish.plan import Change, Key, Policy, Snapshot, Wanted, decide, plan

NOW = datetime(2026, 11, 23, 6, tzinfo=UTC)
BOT = "github-actions[bot]"
FACTS: Facts = {"kernels": {"rmsnorm_h4096": "existing"}}
POLICY = Policy(authors=frozenset({BOT, "former-bot"}), max_new=10)


def wanted(key: str = "model", **given: Any) -> Wanted:
    fields: dict[str, Any] = {
        "kind": "tracking",
        "title": f"Title of {key}",
        "facts": FACTS,
        "render": str,
    }
    return Wanted(key=key, **{**fields, **given})


def body(
    key: str = "model",
    facts: Facts = FACTS,
    *,
    version: int = markers.FORMAT,
    written: datetime = NOW,
    kind: str = "tracking",
) -> str:
    return markers.compose(Marker(kind=kind, key=key, version=version), "text", facts, written)


def issue(number: int = 1, **given: Any) -> FoundIssue:
    fields: dict[str, Any] = {
        "author": BOT,
        "title": "People may rename me",
        "body": body(),
        "state": "open",
        "created_at": NOW - timedelta(days=30),
    }
    return FoundIssue(number=number, **{**fields, **given})


def decided(
    item: Wanted,
    *issues: FoundIssue,
    numbers: dict[Key, int] | None = None,
    policy: Policy = POLICY,
) -> tuple[Change, ...]:
    return plan([item], Snapshot(issues, numbers or {}), policy, NOW)


def only(changes: tuple[Change, ...]) -> tuple[str, int | None]:
    (change,) = changes
    assert change.reason
    return change.action, change.number


def test_nothing_found_is_created():
    assert only(decided(wanted())) == ("create", None)


def test_over_the_cap_is_held_back():
    items = [wanted(f"m{n}") for n in range(3)]
    changes = plan(items, Snapshot(()), Policy(POLICY.authors, max_new=2), NOW)
    assert [c.action for c in changes] == ["create", "create", "held back"]
    assert "2" in changes[2].reason


def test_a_deleted_issue_is_not_filed_again():
    assert only(decided(wanted(), numbers={("tracking", "model"): 7})) == ("refused", None)


def test_finished_work_gets_no_issue():
    assert only(decided(wanted(finished="done"))) == ("unchanged", None)


def test_a_strangers_marker_counts_for_nothing():
    assert only(decided(wanted(), issue(author="stranger"))) == ("create", None)


@pytest.mark.parametrize("state", ["open", "closed"])
def test_damaged_fences_are_left_alone(state: str):
    damaged = body() + "\n" + body()
    found = issue(body=damaged, state=state, closed_by=BOT)
    assert only(decided(wanted(), found)) == ("refused", 1)


@pytest.mark.parametrize("state", ["open", "closed"])
def test_a_newer_format_is_left_alone(state: str):
    newer = issue(body=body(version=markers.FORMAT + 1), state=state, closed_by=BOT)
    assert only(decided(wanted(facts={}), newer)) == ("refused", 1)


@pytest.mark.parametrize("closed_by", ["a-person", None])
@pytest.mark.parametrize("finished", ["", "done"])
def test_closed_by_a_person_means_no(closed_by: str | None, finished: str):
    found = issue(state="closed", closed_by=closed_by)
    assert only(decided(wanted(facts={}, finished=finished), found)) == ("refused", 1)


def test_the_configuration_may_reopen():
    found = issue(state="closed", closed_by="a-person")
    policy = Policy(POLICY.authors, max_new=10, reopen=True)
    (change,) = decided(wanted(), found, policy=policy)
    assert (change.action, change.number, change.reopen) == ("update", 1, True)
    assert only(decided(wanted(finished="done"), found, policy=policy)) == ("unchanged", 1)


@pytest.mark.parametrize("closed_by", [BOT, "GitHub-Actions[bot]", "former-bot"])
def test_closed_by_us_is_reopened_when_there_is_work(closed_by: str):
    (change,) = decided(wanted(), issue(state="closed", closed_by=closed_by))
    assert (change.action, change.number, change.reopen) == ("update", 1, True)


def test_closed_and_finished_stays_so():
    found = issue(state="closed", closed_by=BOT)
    assert only(decided(wanted(finished="done"), found)) == ("unchanged", 1)


def test_closed_and_finished_follows_the_facts():
    found = issue(state="closed", closed_by=BOT)
    (change,) = decided(wanted(finished="done", facts={"new": 1}), found)
    assert (change.action, change.reopen) == ("update", False)


def test_finished_work_is_closed():
    assert only(decided(wanted(finished="done"), issue())) == ("close", 1)


def test_what_is_not_certain_closes_nothing():
    unsure = wanted(finished="done", certain=False)
    assert only(decided(unsure, issue())) == ("unchanged", 1)
    changed = wanted(finished="done", certain=False, facts={"new": 1})
    assert only(decided(changed, issue())) == ("update", 1)


def test_what_is_not_certain_opens_nothing_that_was_finished():
    unsure = wanted(finished="done", certain=False)
    assert only(decided(unsure)) == ("unchanged", None)
    assert only(decided(unsure, issue(state="closed", closed_by=BOT))) == ("unchanged", 1)


def test_a_section_taken_out_comes_back_below():
    found = issue(body="A person rewrote all of this.")
    assert only(decided(wanted(), found, numbers={("tracking", "model"): 1})) == ("update", 1)
    assert only(decided(wanted(), found)) == ("create", None)


def test_an_older_format_is_migrated():
    assert only(decided(wanted(), issue(body=body(version=0)))) == ("update", 1)


def test_changed_facts_are_written():
    assert only(decided(wanted(facts={"kernels": {}}), issue())) == ("update", 1)


def test_unreadable_facts_are_written():
    broken = body().replace('{"facts"', '{"fact')
    assert only(decided(wanted(), issue(body=broken))) == ("update", 1)


@pytest.mark.parametrize(
    ("age", "action"),
    [
        (timedelta(days=6, seconds=1), "update"),
        (timedelta(days=6), "unchanged"),
        (-timedelta(days=1), "unchanged"),  # the clock was set back
    ],
)
def test_an_old_heartbeat_is_renewed(age: timedelta, action: str):
    found = issue(body=body(written=NOW - age))
    assert only(decided(wanted(heartbeat=True), found)) == (action, 1)
    assert only(decided(wanted(heartbeat=False), found)) == ("unchanged", 1)


def test_equal_facts_are_not_written():
    found = issue(title="Renamed", labels=("other",), body=f"Mine.\n\n{body()}\n\nAnd mine.")
    assert only(decided(wanted(labels=("kernel-inventory",)), found)) == ("unchanged", 1)


def test_a_locked_issue_is_decided_like_any_other():
    assert only(decided(wanted(finished="done"), issue(locked=True))) == ("close", 1)
    assert only(decided(wanted(facts={}), issue(locked=True))) == ("update", 1)


def test_younger_duplicates_are_closed():
    changes = decided(wanted(), issue(9), issue(4), issue(6, author="former-bot"))
    assert [(c.action, c.number, c.duplicate_of) for c in changes] == [
        ("unchanged", 4, None),
        ("close", 6, 4),
        ("close", 9, 4),
    ]


def test_which_duplicate_stays_does_not_depend_on_what_a_run_remembers():
    changes = decided(wanted(), issue(4), issue(6), numbers={("tracking", "model"): 6})
    assert [(c.action, c.number) for c in changes] == [("unchanged", 4), ("close", 6)]


@pytest.mark.parametrize("text", [body(version=markers.FORMAT + 1), body() + "\n" + body()])
def test_a_duplicate_that_must_not_be_touched_is_not(text: str):
    assert only(decided(wanted(), issue(4), issue(6, body=text))) == ("unchanged", 4)


def test_an_open_issue_counts_before_a_closed_one():
    found = (issue(4, state="closed", closed_by="a-person"), issue(6))
    assert only(decided(wanted(), *found)) == ("unchanged", 6)


def test_of_closed_issues_the_remembered_one_counts():
    old = issue(4, state="closed", closed_by=BOT)
    new = issue(6, state="closed", closed_by="a-person")
    assert only(decided(wanted(), old, new)) == ("update", 4)
    assert only(decided(wanted(), old, new, numbers={("tracking", "model"): 6})) == ("refused", 6)


def test_a_remembered_number_whose_marker_says_otherwise_counts_for_nothing():
    other = issue(1, body=body("other"))
    (change,) = decided(wanted(), other, numbers={("tracking", "model"): 1})
    assert change.action == "refused"


def test_a_remembered_number_of_a_stranger_counts_for_nothing():
    found = issue(1, author="stranger", body="Not ours.")
    (change,) = decided(wanted(), found, numbers={("tracking", "model"): 1})
    assert (change.action, change.number) == ("refused", None)


def test_kinds_with_the_same_key_are_different_issues():
    found = issue(body=body(kind="dashboard"))
    assert only(decided(wanted(), found)) == ("create", None)


def test_new_issues_come_day_0_first_then_newest_then_by_key():
    items = [
        wanted("a-old", released=date(2026, 3, 1)),
        wanted("b-new", released=date(2026, 9, 1)),
        wanted("undated"),
        wanted("a-new", released=date(2026, 9, 1)),
        wanted("day0", day0=True, released=date(2026, 1, 1)),
    ]
    expected = ["day0", "a-new", "b-new", "a-old", "undated"]
    for order in (items, items[::-1]):
        changes = plan(order, Snapshot(()), POLICY, NOW)
        assert [c.key for c in changes] == expected


def test_issues_of_the_last_day_count_for_the_cap_and_duplicates_do_not():
    recent = NOW - timedelta(hours=23)
    found = (
        issue(1, body=body("a"), created_at=recent),
        issue(2, body=body("a"), created_at=recent),
        issue(3, body=body("b"), created_at=NOW - timedelta(hours=25)),
        issue(4, body=body("all", kind="dashboard"), created_at=recent),
        issue(5, body=body("c"), created_at=recent, author="stranger"),
    )
    items = [wanted(key) for key in ("a", "b", "x", "y")]
    changes = plan(items, Snapshot(found), Policy(POLICY.authors, max_new=2), NOW)
    assert [(c.key, c.action) for c in changes if c.key in "xy"] == [
        ("x", "create"),
        ("y", "held back"),
    ]


def test_an_issue_of_an_uncapped_kind_is_always_opened():
    item = wanted("all", kind="dashboard", capped=False)
    assert only(decided(item, policy=Policy(POLICY.authors, max_new=0))) == ("create", None)


OLD, BY_PERSON = {"facts": {"old": 1}}, {"state": "closed", "closed_by": "a-person"}
BY_US = {"state": "closed", "closed_by": BOT}
REOPENS = Policy(POLICY.authors, max_new=10, reopen=True)
SITUATIONS: list[tuple[dict[str, Any], dict[str, Any] | None, Policy, str]] = [
    ({}, None, POLICY, "create: has no issue yet"),
    ({"finished": "done"}, None, POLICY, "unchanged: nothing to track, so it gets no issue"),
    ({}, None, Policy(POLICY.authors, max_new=0),
     "held back: at most 0 new issues are opened in 24 hours"),
    ({}, {}, POLICY, "unchanged: says the same already"),
    (OLD, {}, POLICY, "update: facts changed"),
    ({}, {"body": body().replace('{"facts"', '{"fact')}, POLICY,
     "update: its facts can't be read"),
    ({}, {"body": body(version=0)}, POLICY, "update: an older version of this bot wrote it"),
    ({"heartbeat": True}, {"body": body(written=NOW - timedelta(days=7))}, POLICY,
     "update: its heartbeat is older than six days"),
    ({"finished": "done"}, {}, POLICY, "close: nothing is left to track"),
    ({}, BY_PERSON, POLICY, "refused: a person closed it"),
    ({}, BY_PERSON, REOPENS, "update: a person closed it, but the configuration reopens"),
    ({}, BY_US, POLICY, "update: there is something to track again"),
    ({"finished": "done"}, BY_US, POLICY,
     "unchanged: is closed, and nothing is left to track"),
    ({"finished": "done", **OLD}, BY_US, POLICY, "update: facts changed"),
    ({}, {"body": body(version=markers.FORMAT + 1)}, POLICY,
     "refused: left alone: a newer version of this bot wrote it"),
    ({}, {"body": body() + "\n" + body()}, POLICY,
     "refused: left alone: its body has 2 opening and 2 closing fences of ours"),
    ({"elsewhere": True, **OLD}, BY_US, POLICY,
     "unchanged: is closed there, which is left as it is"),
    ({"elsewhere": True, **OLD}, BY_PERSON, REOPENS,
     "unchanged: is closed there, which is left as it is"),
    ({"elsewhere": True, **OLD}, {}, POLICY, "update: facts changed"),
]  # fmt: skip


@pytest.mark.parametrize(("item", "found", "policy", "line"), SITUATIONS)
def test_a_plan_says_in_words_what_it_does_and_why(
    item: dict[str, Any], found: dict[str, Any] | None, policy: Policy, line: str
):
    asked = wanted(**item)
    (change,) = decided(asked, *([] if found is None else [issue(**found)]), policy=policy)
    assert f"{change.action}: {change.reason}" == line
    assert change.id == ("tracking", "model")
    assert change.number == (None if found is None else 1)
    assert change.wanted is asked
    assert change.writes == (change.action in ("create", "update", "close"))


def test_what_only_the_state_knows_is_said_in_words():
    key = ("tracking", "model")
    (gone,) = decided(wanted(), numbers={key: 7})
    assert gone.reason == "its issue #7 was deleted, moved away or given to something else"
    (bare,) = decided(wanted(), issue(body="Rewritten."), numbers={key: 1})
    assert (bare.action, bare.reason) == ("update", "our section was taken out")


def test_an_issue_that_was_given_to_another_model_meanwhile_is_left_alone():
    change = decide(wanted(), issue(body=body("other")), POLICY, NOW)
    assert (change.action, change.reason) == (
        "refused",
        "left alone: its marker names another issue",
    )


def test_duplicates_say_of_which_and_are_of_the_same_kind():
    found = [issue(n, body=body("all", kind="dashboard")) for n in (4, 6)]
    _, change = decided(wanted("all", kind="dashboard"), *found)
    assert (change.id, change.reason) == (("dashboard", "all"), "duplicate of #4")


def test_issues_of_a_kind_without_a_limit_do_not_count_for_the_limit_of_another():
    recent = [
        issue(n, body=body(f"b{n}", kind="dashboard"), created_at=NOW - timedelta(hours=1))
        for n in (1, 2, 3)
    ]
    items = [wanted(), *(wanted(f"b{n}", kind="dashboard", capped=False) for n in (1, 2, 3))]
    changes = plan(items, Snapshot(tuple(recent)), Policy(POLICY.authors, max_new=1), NOW)
    assert [c.action for c in changes if c.kind == "tracking"] == ["create"]


def test_after_a_day_an_issue_counts_no_longer():
    found = issue(1, body=body("a"), created_at=NOW - timedelta(hours=24))
    items = [wanted("a"), wanted("x")]
    changes = plan(items, Snapshot((found,)), Policy(POLICY.authors, max_new=1), NOW)
    assert [c.action for c in changes if c.key == "x"] == ["create"]


def test_every_row_of_the_table_has_its_test():
    root = Path(__file__).parents[2]
    rows = re.findall(
        r"^\| \d+ \|.*\| (`[^|]*`) \|$", (root / "docs/publishing.md").read_text(), re.M
    )
    names = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    tests = "".join(p.read_text() for p in (root / "tests/publish").glob("test_*.py"))
    assert len(rows) >= 32
    assert [n for n in sorted(names) if f"def test_{n}(" not in tests] == []
