"""How the bot recognises its own text: marker and fences, facts, tick boxes. Pure.

A body of ours looks like this, with anything that people write before and after it::

    <!-- discover-models:begin v1 tracking qwen/qwen3-32b -->
    Text for people.
    <!-- discover-models:facts {"facts":{},"written":"2026-11-23T06:00:00+00:00"} -->
    <!-- discover-models:end -->

The first line is the marker: format version, kind and stable key. Every one of these lines counts
only when it is a whole line, when there is exactly one of it, and in this order. `compose` makes
sure that the text between them holds none, so text that came from outside can't end our section
early, start another one or pretend to be another issue's.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Literal, cast

from discover_models.domain.frozen import Frozen

FORMAT = 1
"""Version of everything between the fences; raised when a rewrite of all issues is wanted."""

Kind = Literal[
    "dashboard", "tracking", "kernel-request", "trace-request", "closing", "announcement"
]
Facts = dict[str, Any]
"""What an issue says, as a JSON object: equal facts need no write, however the text differs."""

_BEGIN = re.compile(
    r"^<!-- discover-models:begin v(?P<version>\d{1,6}) (?P<kind>[a-z-]+)"
    r" (?P<key>[A-Za-z0-9._-]+(?:/[A-Za-z0-9._-]+)?) -->[ \t]*(?=\r?$)",
    re.MULTILINE,
)
_END = re.compile(r"^<!-- discover-models:end -->[ \t]*(?=\r?$)", re.MULTILINE)
_FACTS = re.compile(r"^<!-- discover-models:facts (?P<json>\{.*\}) -->[ \t]*\r?$", re.MULTILINE)
_KEY = re.compile(r"[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)?")
_RESERVED = re.compile(r"<!--(?=\s*discover-models:(?!box ))", re.IGNORECASE)
_BOX = re.compile(
    r"^(?P<open>\s*[-*] \[)(?P<tick>[ xX])(?P<rest>\] .*"
    r"<!-- discover-models:box (?P<key>[A-Za-z0-9._/-]+) -->[ \t]*\r?)$",
    re.MULTILINE,
)


class Marker(Frozen):
    """Which issue a body belongs to."""

    kind: str
    key: str
    version: int = FORMAT

    def line(self) -> str:
        """The marker as it stands in a body; ValueError for a key that can't stand there."""
        if not _KEY.fullmatch(self.key):
            raise ValueError(f"{self.key!r} can't be the key of a marker")
        return f"<!-- discover-models:begin v{self.version} {self.kind} {self.key} -->"


class Section(Frozen):
    """Our part of a body and what surrounds it."""

    marker: Marker
    before: str
    """What people wrote above, to the last character."""
    text: str
    """Ours, without the fences."""
    after: str
    facts: Facts | None
    """None when the facts can't be read: then the section is written anew."""
    written: datetime | None
    """When it was written (UTC); None when that can't be read."""


class Damaged(Frozen):
    """A body in which our fences stand, but not once each and in order."""

    reason: str
    claims: tuple[Marker, ...]
    """What its opening fences say; it is left alone rather than filed a second time."""


def parse(body: str) -> Section | Damaged | None:
    """Our section of a body; None when there is nothing of ours in it."""
    begins, ends = list(_BEGIN.finditer(body)), list(_END.finditer(body))
    if not begins and not ends:
        return None
    if len(begins) != 1 or len(ends) != 1 or ends[0].start() < begins[0].end():
        return Damaged(
            reason=f"its body has {len(begins)} opening and {len(ends)} closing fences of ours",
            claims=tuple(_marker(begin) for begin in begins),
        )
    begin, end = begins[0], ends[0]
    text = body[begin.end() : end.start()].strip("\r\n")
    facts, written = _facts(text)
    return Section(
        marker=_marker(begin),
        before=body[: begin.start()],
        text=text,
        after=body[end.end() :],
        facts=facts,
        written=written,
    )


def compose(marker: Marker, text: str, facts: Facts, written: datetime) -> str:
    """Our section with its fences; `text` is Markdown in which outside strings are escaped."""
    inside = _RESERVED.sub("&lt;!--", text).strip("\n")
    return "\n".join(
        (marker.line(), inside, facts_line(facts, written), "<!-- discover-models:end -->")
    )


def replace(body: str, section: str) -> str:
    """The body with our section replaced, or added below what people wrote.

    Boxes that were ticked in the old section stay ticked. Raises ValueError for a damaged body.
    """
    found = parse(body)
    if isinstance(found, Damaged):
        raise ValueError(found.reason)
    if found is None:
        return f"{body.rstrip()}\n\n{section}" if body.strip() else section
    return found.before + keep_ticks(section, ticked(found.text)) + found.after


def outside(body: str) -> str:
    """What of a body is not ours."""
    found = parse(body)
    if isinstance(found, Section):
        return found.before + found.after
    return body


def facts_line(facts: Facts, written: datetime) -> str:
    """The facts as an HTML comment of one line that no value inside can end."""
    envelope = {"facts": facts, "written": written.astimezone(UTC).isoformat(timespec="seconds")}
    text = json.dumps(envelope, separators=(",", ":"), sort_keys=True, allow_nan=False)
    for character in "<>&-":
        text = _escaped(text, character)
    return f"<!-- discover-models:facts {text} -->"


def box(key: str, label: str, *, done: bool = False) -> str:
    """A tick box whose state survives rewriting; `label` is Markdown of one line."""
    if not re.fullmatch(r"[A-Za-z0-9._/-]+", key):
        raise ValueError(f"{key!r} can't be the key of a box")
    return f"- [{'x' if done else ' '}] {label} <!-- discover-models:box {key} -->"


def ticked(text: str) -> frozenset[str]:
    """Keys of the boxes that are ticked."""
    return frozenset(m["key"] for m in _BOX.finditer(text) if m["tick"] in "xX")


def keep_ticks(text: str, keys: Iterable[str]) -> str:
    """The text with the boxes of these keys ticked."""
    wanted = frozenset(keys)

    def tick(match: re.Match[str]) -> str:
        done = match["key"] in wanted
        return f"{match['open']}x{match['rest']}" if done else match[0]

    return _BOX.sub(tick, text)


def _marker(begin: re.Match[str]) -> Marker:
    return Marker(kind=begin["kind"], key=begin["key"], version=int(begin["version"]))


def _escaped(text: str, character: str) -> str:
    """JSON with the character as an escape; outside strings only `-` of numbers may occur."""
    code = f"\\u{ord(character):04x}"
    if character != "-":
        return text.replace(character, code)
    return text.replace("--", code * 2)


def _facts(text: str) -> tuple[Facts | None, datetime | None]:
    matches = list(_FACTS.finditer(text))
    if len(matches) != 1:
        return None, None
    try:
        envelope: object = json.loads(matches[0]["json"])
    except (ValueError, RecursionError):
        return None, None
    if not isinstance(envelope, dict):
        return None, None
    values = cast("dict[str, object]", envelope)
    facts = values.get("facts")
    return (
        cast("Facts", facts) if isinstance(facts, dict) else None,
        _time(values.get("written")),
    )


def _time(value: object) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        found = datetime.fromisoformat(value)
    except ValueError:
        return None
    return found if found.tzinfo else None
