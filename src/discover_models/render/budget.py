"""Keeps a text within a length by leaving out whole rows, the least important first. Pure."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

Rows = tuple[str, int]
"""Name of a section and how many rows it has."""


def length(text: str) -> int:
    """Characters as UTF-16 counts them, which is never fewer than GitHub counts."""
    return len(text.encode("utf-16-le", errors="surrogatepass")) // 2


def fit(sections: Sequence[Rows], render: Callable[[Mapping[str, int]], str], limit: int) -> str:
    """The text with as many rows as the limit allows.

    `sections` come with the least important first; `render` gets how many rows of each to show
    and says in the text how many it left out. When nothing fits, the text without any row.
    """
    most = sum(rows for _, rows in sections)
    text = render(_shown(sections, 0))
    if length(text) <= limit:
        return text
    fewest, best = 1, render(_shown(sections, most))
    while fewest < most:
        middle = (fewest + most) // 2
        text = render(_shown(sections, middle))
        if length(text) <= limit:
            most, best = middle, text
        else:
            fewest = middle + 1
    return best


@dataclass(frozen=True)
class Marks:
    """What a template puts around its rows for `trim`; nothing escaped can hold such characters."""

    section: Markup
    """Begins a row, followed by its section's name."""
    rest: Markup
    """Begins the text that says how many rows of a section are left out, likewise."""
    name_end: Markup
    count: Markup
    """Where the number of rows stands in that text."""
    end: Markup


MARKS = Marks(*(Markup(f"\x1d{sign}\x1d") for sign in "sr:#e"))
_PART = re.compile("\x1d([sr])\x1d(.*?)\x1d:\x1d(.*?)\x1de\x1d", re.DOTALL)


def trim(text: str, order: Sequence[str], limit: int) -> str:
    """A marked text with as many rows as the limit allows.

    Whole rows go, the last of a section first, section by section in `order`; rows of other
    sections stay. Every section may say once, at its end, how many of its rows are left out.
    """
    pieces = _PART.split(text)  # plain text, kind, section and content in turn
    parts = list(zip(pieces[1::4], pieces[2::4], pieces[3::4], strict=True))
    rows: dict[str, list[int]] = {}
    rests: dict[str, int] = {}
    for kind, section, content in parts:
        if kind == "s":
            rows.setdefault(section, []).append(length(content))
        else:
            rests[section] = length(content) - length(MARKS.count)
    over = sum(length(p) for p in pieces[::4]) + sum(map(sum, rows.values())) - limit
    dropped = _dropped(rows, rests, order, over)
    return _assembled(pieces[::4], parts, {s: len(r) - dropped[s] for s, r in rows.items()})


def _dropped(
    rows: Mapping[str, Sequence[int]], rests: Mapping[str, int], order: Sequence[str], over: int
) -> Counter[str]:
    """How many rows of each section must go for the text to be `over` units shorter."""
    dropped: Counter[str] = Counter()
    for section in order:
        for size in reversed(rows.get(section, ())):
            if over <= 0:
                return dropped
            before = _rest(rests, section, dropped[section])
            dropped[section] += 1
            over += _rest(rests, section, dropped[section]) - before - size
    return dropped


def _rest(rests: Mapping[str, int], section: str, count: int) -> int:
    return rests[section] + len(str(count)) if count and section in rests else 0


def _assembled(
    fixed: Sequence[str], parts: Sequence[tuple[str, str, str]], shown: Mapping[str, int]
) -> str:
    text = [fixed[0]]
    seen: Counter[str] = Counter()
    for (kind, section, content), after in zip(parts, fixed[1:], strict=True):
        seen[section] += kind == "s"
        if kind == "s" and seen[section] <= shown[section]:
            text.append(content)
        elif kind == "r" and seen[section] > shown.get(section, 0):
            count = str(seen[section] - shown[section])
            text.append(content.replace(MARKS.count, count))
        text.append(after)
    return "".join(text)


def _shown(sections: Sequence[Rows], dropped: int) -> dict[str, int]:
    """Rows to show of each section when that many are dropped in all."""
    shown: dict[str, int] = {}
    for name, rows in sections:
        here = min(rows, dropped)
        shown[name] = rows - here
        dropped -= here
    return shown
