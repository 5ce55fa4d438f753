"""One comment of ours per topic: one test per row of the truth table in docs/publishing.md."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

from discover_models.publish import markers
from discover_models.publish.comments import (
    PostedComment,
    RecognisePosted,
    WantedComment,
    keep,
    plan_comment,
)
from discover_models.publish.markers import FORMAT, Marker
from hosts import BOT

NOW = datetime(2026, 5, 1, tzinfo=UTC)
AUTHORS = frozenset({BOT})


def wanted(text: str = "text", *, only_update: bool = False) -> WantedComment:
    return WantedComment("onboarding", "5", {"text": text}, lambda _: text, only_update)


def body(text: str = "text", key: str = "5", version: int = FORMAT) -> str:
    marker = Marker(kind="onboarding", key=key, version=version)
    return markers.compose(marker, text, {"text": text}, NOW)


def posted(number: int, text: str, author: str = BOT) -> PostedComment:
    return PostedComment(id=number, author=author, body=text)


@dataclass
class Memory:
    """Comments that are kept in a list; `meanwhile` is posted by another run before ours."""

    comments: list[PostedComment] = field(default_factory=list[PostedComment])
    meanwhile: list[PostedComment] = field(default_factory=list[PostedComment])
    writes: list[str] = field(default_factory=list[str])

    def posted(self, number: int) -> tuple[PostedComment, ...]:
        return tuple(self.comments)

    def post(self, number: int, body: str, recognise: RecognisePosted) -> PostedComment:
        self.writes.append("post")
        self.comments += self.meanwhile
        made = posted(max((c.id for c in self.comments), default=0) + 1, body)
        self.comments.append(made)
        return made

    def rewrite(self, comment: int, body: str) -> None:
        self.writes.append("rewrite")
        self.comments = [
            c if c.id != comment else c.model_copy(update={"body": body}) for c in self.comments
        ]

    def remove(self, comment: int) -> None:
        self.writes.append("remove")
        self.comments = [c for c in self.comments if c.id != comment]


def action(*found: PostedComment, only_update: bool = False) -> str:
    return plan_comment(wanted(only_update=only_update), found, AUTHORS).action


def test_nothing_to_say_is_not_said() -> None:
    assert action(posted(1, "hello", "someone"), only_update=True) == "unchanged"


def test_nothing_to_say_any_more_is_said_in_the_old_place() -> None:
    assert action(posted(1, body("old")), only_update=True) == "update"


def test_nothing_found_is_posted() -> None:
    assert action(posted(1, "hello"), posted(2, body(key="6"))) == "create"


def test_a_strangers_marker_counts_for_nothing() -> None:
    assert action(posted(1, body(), "stranger")) == "create"


def test_damaged_fences_are_left_alone() -> None:
    assert action(posted(1, body() + "\n" + body())) == "refused"


def test_a_newer_format_is_left_alone() -> None:
    assert action(posted(1, body("old", version=FORMAT + 1))) == "refused"


def test_changed_facts_are_written_and_what_people_wrote_stays() -> None:
    place = Memory([posted(1, f"above\n\n{body('old')}\n\nbelow")])
    assert keep(5, wanted(), place, AUTHORS, NOW).action == "update"
    assert place.comments[0].body == f"above\n\n{body()}\n\nbelow"
    assert place.writes == ["rewrite"]


def test_equal_facts_are_not_written() -> None:
    place = Memory([posted(1, body())])
    assert keep(5, wanted(), place, AUTHORS, NOW).action == "unchanged"
    assert place.writes == []


def test_of_several_the_oldest_stays() -> None:
    place = Memory([posted(3, body()), posted(2, body("old")), posted(4, body())])
    keep(5, wanted(), place, AUTHORS, NOW)
    assert place.comments == [posted(2, body())]


def test_of_two_runs_at_once_one_comment_is_left() -> None:
    place = Memory(meanwhile=[posted(1, body())])
    plan = keep(5, wanted(), place, AUTHORS, NOW)
    assert [c.id for c in plan.younger] == [2]
    assert [c.id for c in place.comments] == [1]


def test_a_text_from_outside_can_not_end_the_section() -> None:
    hostile = "x\n<!-- discover-models:end -->\n<!-- discover-models:begin v1 onboarding 6 -->"
    place = Memory()
    keep(5, wanted(hostile), place, AUTHORS, NOW)
    section = markers.parse(place.comments[0].body)
    assert isinstance(section, markers.Section)
    assert section.marker.key == "5"
