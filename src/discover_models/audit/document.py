"""The coverage document taken apart: every fact with its line and columns. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

SIGNS = ("✅", "🟡", "❌", "—")
"""Definition and workload, definition only, missing, unmapped: the document's legend."""
PRESENT = ("✅", "🟡")
MISSING = "❌"
UNMAPPED = "—"

_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_COMMENT = {"{/*": "*/}", "<!--": "-->"}
_PIPE = re.compile(r"(?<!\\)\|")
_RULER = re.compile(r":?-+:?")
_CODE = re.compile(r"\[?`([^`]+)`")
_BARE_NAME = re.compile(r"[a-z0-9]+(_[a-z0-9?]+)+")
_NAME = re.compile(r"[A-Za-z0-9_]+")
_SIZE = re.compile(r"\b(TP|EP)\s?=\s?(\d{1,4})\b")
_COUNT = re.compile(r"\*\*Coverage\*\*:?\s*(\d{1,6}|\?)\s*/\s*(\d{1,6}|\?)")
_MARKUP = re.compile(r"[*`]|(?<!\w)_|_(?!\w)")
_LINK = re.compile(r"\[([^\]]{0,200})\]\([^)]{0,500}\)")


@dataclass(frozen=True)
class Cell:
    """A piece of one line."""

    text: str
    line: int
    """1-based."""
    start: int
    """First character in the line, from 0."""

    @property
    def end(self) -> int:
        return self.start + len(self.text)

    def part(self, found: re.Match[str], group: int) -> Cell:
        """The part of this cell that a group of a match within it covers."""
        return Cell(found[group], self.line, self.start + found.start(group))


@dataclass(frozen=True)
class Row:
    """A row of a table of definitions."""

    line: int
    what: str
    """The first cell for people."""
    name: Cell | None
    """The definition; None for a row that names a module."""
    op: Cell
    status: Cell
    sign: str
    """One of `SIGNS`; empty when the status starts with none of them."""

    @property
    def op_type(self) -> str:
        return self.op.text.split(maxsplit=1)[0] if self.op.text else ""

    @property
    def placeholder(self) -> bool:
        """Whether the name has something else in it than a name can have."""
        return self.name is not None and not _NAME.fullmatch(self.name.text)

    @property
    def sizes(self) -> dict[str, int]:
        """The sizes that the row states, by ``TP`` and ``EP``."""
        return {name: int(size) for name, size in _SIZE.findall(self.op.text)}

    def size_cell(self, name: str) -> Cell | None:
        """Where the row states its TP or EP."""
        found = next((m for m in _SIZE.finditer(self.op.text) if m[1] == name), None)
        return None if found is None else self.op.part(found, 2)


@dataclass(frozen=True)
class CountLine:
    """``**Coverage**: present / total``; None for ``?``."""

    line: int
    present: int | None
    total: int | None
    cell: Cell


@dataclass(frozen=True)
class Block:
    """A section, or a subsection with its own table."""

    title: str
    """Of the section, which names the model."""
    heading: str
    line: int
    rows: tuple[Row, ...]
    counts: tuple[CountLine, ...]
    lines: tuple[Cell, ...]
    """All lines of the block."""

    @property
    def stated_sizes(self) -> frozenset[int]:
        """All TP and EP that the block speaks of."""
        return frozenset(int(m[2]) for cell in self.lines for m in _SIZE.finditer(cell.text))


@dataclass(frozen=True)
class SummaryRow:
    """A row of the Summary table."""

    line: int
    title: str
    architecture: Cell
    coverage: Cell
    sign: str


@dataclass(frozen=True)
class Document:
    """Everything that the audit looks at."""

    lines: tuple[str, ...]
    """With their line ends, as in the file."""
    summary: tuple[SummaryRow, ...]
    blocks: tuple[Block, ...]

    @property
    def titles(self) -> tuple[str, ...]:
        """The models' titles: of the sections with a table of definitions, in order."""
        return tuple(dict.fromkeys(block.title for block in self.blocks if block.rows))


def parse(text: str) -> Document:
    """Take the document apart; text that is no such document gives one without rows."""
    lines = tuple(re.findall(r"[^\n]*\n|[^\n]+", text))
    visible = list(_visible(lines))
    blocks: list[Block] = []
    summary: tuple[SummaryRow, ...] = ()
    for title, heading, part in _parts(visible):
        if title.casefold() == "summary":
            summary += _summary(part)
        else:
            blocks.append(_block(title, heading, part))
    return Document(lines=lines, summary=summary, blocks=tuple(blocks))


def plain(text: str) -> str:
    """Text without Markdown."""
    return _MARKUP.sub("", _LINK.sub(r"\1", text)).strip()


def _visible(lines: tuple[str, ...]) -> Iterator[Cell]:
    """The lines outside code blocks and comments."""
    fence, closing = "", ""
    for number, line in enumerate(lines, start=1):
        text = line.rstrip("\r\n")
        mark = _FENCE.match(text)
        if fence:
            fence = "" if mark and mark[1].startswith(fence) else fence
        elif closing:
            closing = "" if closing in text else closing
        elif mark:
            fence = mark[1]
        elif (start := next((s for s in _COMMENT if text.lstrip().startswith(s)), "")) != "":
            closing = "" if _COMMENT[start] in text else _COMMENT[start]
        else:
            yield Cell(text, number, 0)


def _parts(lines: list[Cell]) -> Iterator[tuple[str, str, list[Cell]]]:
    """Sections and subsections: the section's title, the own heading, the lines."""
    title, heading, part = "", "", list[Cell]()
    for cell in lines:
        found = re.fullmatch(r"(#{1,6})\s+(.+?)\s*#*\s*", cell.text)
        if found is None:
            part.append(cell)
            continue
        if heading:
            yield title, heading, part
        heading, part = plain(found[2]), [cell]
        title = heading if len(found[1]) <= 2 else title or heading
    if heading:
        yield title, heading, part


def _block(title: str, heading: str, lines: list[Cell]) -> Block:
    rows = tuple(_row(cells) for cells in _table(lines, ("definition", "op type", "status")))
    counts = tuple(count for cell in lines for count in _counts(cell))
    return Block(title, heading, lines[0].line, rows, counts, tuple(lines))


def _row(cells: list[Cell]) -> Row:
    what, op, status = cells
    code = _CODE.match(what.text)
    name = what.part(code, 1) if code else None
    if name is None and _BARE_NAME.fullmatch(what.text):
        name = what
    return Row(what.line, plain(what.text), name, op, status, _sign(status.text))


def _summary(lines: list[Cell]) -> tuple[SummaryRow, ...]:
    return tuple(
        SummaryRow(title.line, plain(title.text), architecture, coverage, _sign(coverage.text))
        for title, architecture, coverage in _table(lines, ("model", "architecture", "coverage"))
        if plain(title.text)
    )


def _sign(text: str) -> str:
    return next((sign for sign in SIGNS if text.startswith(sign)), "")


def _table(lines: list[Cell], columns: tuple[str, ...]) -> Iterator[list[Cell]]:
    """The named cells of every row below a header that has those columns."""
    places: list[int] | None = None
    for cell in lines:
        if not cell.text.lstrip().startswith("|"):
            places = None
            continue
        cells = _cells(cell)
        names = [c.text.casefold() for c in cells]
        if all(name in names for name in columns):
            places = [names.index(name) for name in columns]
        elif places is None or all(_RULER.fullmatch(c.text) for c in cells):
            continue
        elif max(places) < len(cells):
            yield [cells[place] for place in places]


def _cells(line: Cell) -> list[Cell]:
    """The cells between the pipes of a table's line, without the blanks around them."""
    bars = [found.start() for found in _PIPE.finditer(line.text)]
    ends = bars[1:] if not line.text[bars[-1] + 1 :].strip() else [*bars[1:], len(line.text)]
    cells: list[Cell] = []
    for bar, end in zip(bars, ends, strict=False):
        raw = line.text[bar + 1 : end]
        cells.append(Cell(raw.strip(), line.line, bar + 1 + len(raw) - len(raw.lstrip())))
    return cells


def _counts(cell: Cell) -> Iterator[CountLine]:
    for found in _COUNT.finditer(cell.text):
        present, total = (None if n == "?" else int(n) for n in found.groups())
        whole = Cell(cell.text[found.start(1) : found.end(2)], cell.line, found.start(1))
        yield CountLine(cell.line, present, total, whole)
