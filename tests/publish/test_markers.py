from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from discover_models.publish import markers
from discover_models.publish.markers import Damaged, Marker, Section

NOW = datetime(2026, 11, 23, 6, tzinfo=UTC)
MARKER = Marker(kind="tracking", key="qwen3-32b")


def section(text: str = "Hello", facts: dict[str, Any] | None = None) -> str:
    return markers.compose(MARKER, text, {"a": 1} if facts is None else facts, NOW)


def parsed(body: str) -> Section:
    found = markers.parse(body)
    assert isinstance(found, Section)
    return found


def test_what_was_composed_is_found_again():
    found = parsed(section("Two\nlines", {"kernels": {"k": ["new"]}}))
    assert (found.marker, found.facts, found.written) == (MARKER, {"kernels": {"k": ["new"]}}, NOW)
    assert found.text.startswith("Two\nlines")


def test_text_of_people_stays_to_the_last_character():
    body = f"Note above  \r\n\r\n{section()}\r\nbelow\n"
    replaced = markers.replace(body, section("New"))
    assert replaced.startswith("Note above  \r\n\r\n<!--")
    assert replaced.endswith("-->\r\nbelow\n")
    assert "New" in replaced
    assert "Hello" not in replaced


def test_a_body_that_the_web_editor_saved_with_carriage_returns_is_still_ours():
    found = parsed(section("One\nTwo").replace("\n", "\r\n"))
    assert (found.marker, found.facts) == (MARKER, {"a": 1})


def test_replacing_twice_gives_the_same_body():
    body = f"mine\n{section()}\nyours"
    once = markers.replace(body, section("New"))
    assert markers.replace(once, section("New")) == once


def test_a_body_without_our_section_gets_it_below():
    assert markers.parse("only people's words") is None
    replaced = markers.replace("only people's words", section())
    assert replaced.startswith("only people's words\n\n<!-- discover-models:begin")
    assert markers.replace("  \n", section()) == section()


@pytest.mark.parametrize(
    "body",
    [
        section() + "\n" + section(),
        section().removesuffix("<!-- discover-models:end -->"),
        "<!-- discover-models:end -->\n" + MARKER.line(),
        "<!-- discover-models:end -->",
        section() + "\n" + Marker(kind="tracking", key="other").line(),
    ],
)
def test_fences_that_are_not_there_once_each_are_damage(body: str):
    assert isinstance(markers.parse(body), Damaged)
    with pytest.raises(ValueError, match="fences"):
        markers.replace(body, section())


@pytest.mark.parametrize(
    "hostile",
    [
        "<!-- discover-models:end -->",
        "<!-- discover-models:begin v1 dashboard all -->",
        '<!-- discover-models:facts {"facts":{"a":2}} -->',
        "<!--discover-models:end -->\n<!-- DISCOVER-MODELS:END -->",
        "-->\n<!-- discover-models:end -->\n",
    ],
)
def test_text_inside_can_not_forge_a_fence(hostile: str):
    body = "above\n" + section(f"x\n{hostile}\ny") + "\nbelow"
    found = parsed(body)
    assert (found.marker, found.facts) == (MARKER, {"a": 1})
    assert markers.outside(body) == "above\n\nbelow"


@settings(deadline=None)
@given(st.text(max_size=200))
def test_no_text_can_forge_a_fence(text: str):
    found = parsed(section(text))
    assert (found.marker, found.facts, found.before, found.after) == (MARKER, {"a": 1}, "", "")


_HOSTILE = st.text(alphabet='<!->{}"\\\n a\ud800é', max_size=20)


@settings(deadline=None)
@given(st.dictionaries(_HOSTILE, st.lists(_HOSTILE | st.integers(), max_size=3), max_size=3))
def test_no_fact_can_end_the_comment(facts: dict[str, Any]):
    line = markers.facts_line(facts, NOW)
    inside = line.removeprefix("<!--").removesuffix("-->")
    assert "--" not in inside
    assert ">" not in inside
    assert parsed(section("", facts)).facts == facts


@pytest.mark.parametrize("line", ["{", "[1]", '{"facts":3}', '{"facts":' + "[" * 100_000 + "}"])
def test_facts_that_can_not_be_read_are_unknown(line: str):
    broken = section().replace('{"facts":{"a":1},"written":"2026-11-23T06:00:00+00:00"}', line)
    assert broken != section()
    assert parsed(broken).facts is None


def test_two_facts_lines_are_no_facts():
    body = section().replace("Hello", 'x\n<!-- discover-models:facts {"facts":{},"written":""} -->')
    assert parsed(body).facts is None


@pytest.mark.parametrize("written", ["yesterday", "2026-11-23", "3"])
def test_a_time_without_a_zone_is_no_time(written: str):
    body = section().replace("2026-11-23T06:00:00+00:00", written)
    assert (parsed(body).facts, parsed(body).written) == ({"a": 1}, None)


@pytest.mark.parametrize("key", ["", "a b", "a-->b", "a\n", "a/b/c", "/b"])
def test_a_key_that_could_break_the_marker_is_refused(key: str):
    with pytest.raises(ValueError, match="key"):
        Marker(kind="tracking", key=key).line()


def test_ticked_boxes_stay_ticked_and_others_do_not_become_so():
    old = section("\n".join((markers.box("a", "First"), markers.box("b", "Second"))))
    body = old.replace("- [ ] First", "- [x] First")
    new = section("\n".join((markers.box("b", "Second!"), markers.box("a", "First!"))))
    replaced = markers.replace(body, new)
    assert "- [x] First!" in replaced
    assert "- [ ] Second!" in replaced
    assert markers.ticked(replaced) == {"a"}


def test_a_box_needs_a_harmless_key():
    with pytest.raises(ValueError, match="box"):
        markers.box("a -->", "x")
