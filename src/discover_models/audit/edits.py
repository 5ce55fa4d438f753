"""Replacements in single lines, and the patch that `git apply` takes."""

from __future__ import annotations

import difflib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from discover_models.audit.document import Cell

_NO_NEWLINE = "\n\\ No newline at end of file\n"


@dataclass(frozen=True)
class Edit:
    """Other text in place of a cell."""

    cell: Cell
    text: str


def apply(lines: Sequence[str], edits: Iterable[Edit]) -> list[str]:
    """The lines with all edits made; cells of one line must not overlap."""
    by_line: dict[int, dict[int, Edit]] = defaultdict(dict)
    for edit in edits:
        by_line[edit.cell.line][edit.cell.start] = edit
    changed = list(lines)
    for number, wanted in by_line.items():
        line = changed[number - 1]
        for _, edit in sorted(wanted.items(), reverse=True):
            line = line[: edit.cell.start] + edit.text + line[edit.cell.end :]
        changed[number - 1] = line
    return changed


def patch(path: str, before: Sequence[str], after: Sequence[str]) -> str:
    """A unified diff for `git apply`; empty when nothing changes. `path` is from the top level."""
    diff = difflib.unified_diff(before, after, _quoted(f"a/{path}"), _quoted(f"b/{path}"))
    return "".join(line if line.endswith("\n") else line + _NO_NEWLINE for line in diff)


def _quoted(path: str) -> str:
    """A path as git writes it in a diff's header."""
    plain = all(" " <= char <= "~" and char not in '"\\' for char in path)
    if plain:
        return path + "\t" if " " in path else path
    octets = path.encode("utf-8", "surrogateescape")
    return '"' + "".join(_octet(octet) for octet in octets) + '"'


def _octet(octet: int) -> str:
    char = chr(octet)
    if char in '"\\':
        return "\\" + char
    return char if " " <= char <= "~" else f"\\{octet:03o}"
