"""The coverage document: which models are tracked already."""

from __future__ import annotations

import re
from pathlib import Path

from discover_models.errors import SourceError
from discover_models.sources.files import read_text

_LINK = re.compile(r"\[([^\]]{0,200})\]\([^)]{0,500}\)")
_CELL = re.compile(r"(?<!\\)\|")


def read_tracked(path: Path) -> tuple[str, ...]:
    """The titles in the Summary table, in order; `SourceError` when there is no such table.

    Titles are for people: `model_name.expand_title` says which models they mean.
    """
    return parse_tracked(read_text(path.parent, path.name), str(path))


def parse_tracked(text: str, name: str) -> tuple[str, ...]:
    """The titles in the first column of the table below ``## Summary``."""
    lines = iter(text.splitlines())
    for line in lines:
        if re.fullmatch(r"##\s+Summary\s*", line):
            break
    rows: list[list[str]] = []
    for line in lines:
        if line.startswith("## "):
            break
        if line.strip().startswith("|"):
            rows.append([cell.strip() for cell in _CELL.split(line.strip().strip("|"))])
    if len(rows) < 2 or rows[0][0].casefold() != "model":
        raise SourceError(f"{name} has no Summary table with a column Model")
    titles = (_plain(row[0]) for row in rows[1:] if not re.fullmatch(r":?-+:?", row[0]))
    return tuple(dict.fromkeys(title for title in titles if title))


def _plain(cell: str) -> str:
    """A cell without Markdown."""
    return re.sub(r"[*`]|(?<!\w)_|_(?!\w)", "", _LINK.sub(r"\1", cell)).strip()
