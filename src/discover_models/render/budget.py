"""Keeps a text within a length by leaving out whole rows, the least important first. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

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


def _shown(sections: Sequence[Rows], dropped: int) -> dict[str, int]:
    """Rows to show of each section when that many are dropped in all."""
    shown: dict[str, int] = {}
    for name, rows in sections:
        here = min(rows, dropped)
        shown[name] = rows - here
        dropped -= here
    return shown
