"""Whose tick counts."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from discover_models.publish import markers
from discover_models.publish.approval import may_decide, newly_ticked, ticked_boxes
from discover_models.publish.issues import BodyEdit
from discover_models.publish.markers import Marker, Section

WRITTEN = datetime(2026, 11, 23, 6, tzinfo=UTC)
BOT = "github-actions[bot]"
BOX = "approve/kernel-request/moe"


def edit(editor: str, minutes: int, *, person: bool = True) -> BodyEdit:
    return BodyEdit(editor=editor, person=person, at=WRITTEN + timedelta(minutes=minutes))


OWN = edit(BOT, 1, person=False)
EARLIER = edit("stranger", -60)


def counts(*edits: BodyEdit, written: datetime | None = WRITTEN) -> bool:
    return may_decide(edits, written, [BOT, "former-bot"], lambda login: login == "maintainer")


def test_a_person_with_write_access_may_decide():
    assert counts(edit("maintainer", 90), OWN, EARLIER)
    assert counts(edit("maintainer", 90))  # the writing was the opening, which is no edit


@pytest.mark.parametrize(
    "edits",
    [
        (OWN,),
        (),
        (edit("stranger", 90), OWN),
        (edit("stranger", 90), edit("maintainer", 95), OWN),
        (edit("maintainer", 90), edit(BOT, 80, person=False), OWN),
        (edit("former-bot", 90),),
        (edit("maintainer", 90, person=False), OWN),
        (BodyEdit(editor="", person=False, at=WRITTEN + timedelta(hours=1)), OWN),
        (edit("maintainer", -1), OWN),
    ],
)
def test_anybody_else_may_not(edits: tuple[BodyEdit, ...]):
    assert not counts(*edits)


def test_without_the_time_of_the_last_writing_nobody_may():
    assert not counts(edit("maintainer", 90), written=None)


def section(tick: str, facts: markers.Facts) -> Section:
    box = markers.box(BOX, "approve").replace("[ ]", f"[{tick}]")
    body = markers.compose(Marker(kind="dashboard", key="all"), box, facts, WRITTEN)
    found = markers.parse(body)
    assert isinstance(found, Section)
    return found


def test_a_box_counts_as_new_when_it_was_not_ticked_as_we_wrote():
    assert newly_ticked(section("x", {})) == {BOX}
    assert newly_ticked(section("x", {"ticked": [BOX]})) == frozenset()
    assert ticked_boxes(section("X", {"ticked": [BOX]})) == {BOX}
    assert ticked_boxes(section(" ", {})) == frozenset()
    assert ticked_boxes(None) == frozenset()
