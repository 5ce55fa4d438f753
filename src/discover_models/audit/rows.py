"""Single rows: is the name one that a configuration yields, and does the dataset have it? Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from discover_models.audit.document import (
    MISSING,
    PRESENT,
    UNMAPPED,
    Block,
    Cell,
    Document,
    Row,
)
from discover_models.audit.edits import Edit
from discover_models.audit.findings import Finding, FollowUp, NotChecked
from discover_models.audit.knowledge import Names, spec_of
from discover_models.audit.nearest import assign
from discover_models.domain.kernel import RequiredKernel
from discover_models.domain.model_name import plain_slugs
from discover_models.ops import SPECS
from discover_models.slugs import slug_of
from discover_models.sources.dataset import DatasetIndex

Item = Finding | FollowUp | NotChecked | Edit


@dataclass(frozen=True)
class Known:
    """What the document is held against."""

    names: Mapping[str, Names]
    """By title."""
    without: Mapping[str, str]
    """Titles without a configuration, with the reason."""
    dataset: DatasetIndex
    complete: bool = False
    """Whether a workload that is not in the dataset was never collected."""


@dataclass(frozen=True)
class Judged:
    """A row with what it should say."""

    row: Row
    block: Block
    name: str
    """The right name where one is known, else the row's; empty for a row without definition."""
    sign: str
    """The right sign where one is known, else the row's."""


@dataclass(frozen=True)
class _Verdict:
    """Of a row's name."""

    wrong: bool = False
    unchecked: str = ""
    kernel: RequiredKernel | None = None


def judge(block: Block, known: Known, document: Document) -> tuple[list[Judged], list[Item]]:
    """All rows of a block."""
    names = known.names.get(block.title)
    verdicts = {row: _verdict(row, block, names, known) for row in block.rows if row.name}
    right = _right_names(verdicts, names, block)
    judged: list[Judged] = []
    items: list[Item] = []
    for row in block.rows:
        verdict = verdicts.get(row)
        if verdict is None:
            judged.append(Judged(row, block, "", row.sign))
            continue
        found, more = _row(row, verdict, right.get(row.line, ""), block, known, document)
        judged.append(found)
        items += more
    return judged, items


def _row(
    row: Row, verdict: _Verdict, right: str, block: Block, known: Known, document: Document
) -> tuple[Judged, list[Item]]:
    """One row that names a definition."""
    assert row.name is not None
    names = known.names.get(block.title)
    items: list[Item] = []
    if verdict.unchecked:
        items.append(_unchecked(row, block, verdict.unchecked))
    if verdict.wrong or row.placeholder:
        name, sign = right or row.name.text, row.sign
        if right:
            sign = _right_sign(right, row, known, document, renamed=True)
            kernel = names.kernels.get(right) if names else None
            items += _op_type(row, block, right, kernel, known)
        items += _wrong_name(row, block, names, right, sign)
        return Judged(row, block, name, sign), items
    items += _op_type(row, block, row.name.text, verdict.kernel, known)
    if names is not None and verdict.kernel is not None:
        items += _size(row, block, names, verdict.kernel)
    sign = _right_sign(row.name.text, row, known, document)
    items += _status(row, block, sign, known)
    return Judged(row, block, row.name.text, sign), items


def _verdict(row: Row, block: Block, names: Names | None, known: Known) -> _Verdict:
    assert row.name is not None
    name = row.name.text
    if names is None:
        reason = known.without.get(block.title, "no configuration")
        return _Verdict(unchecked=f"name: {reason}")
    if name in names.kernels:
        return _Verdict(kernel=names.kernels[name])
    if name in names.aliases or _tagged(name, names, known.dataset):
        return _Verdict()
    key = spec_of(name)
    if key is None:
        return _Verdict(unchecked="name: no formula is known for names of this kind")
    if SPECS[key].op_type in names.undecided:
        return _Verdict(unchecked="name: the configuration does not decide it")
    return _Verdict(wrong=True)


def _tagged(name: str, names: Names, dataset: DatasetIndex) -> bool:
    """Whether the dataset itself gives the definition to the model, as with unfused GEMMs."""
    definition = dataset.find(name)
    if definition is None:
        return False
    slugs = {slug for repo in names.repo_ids for slug in (slug_of(repo), *plain_slugs(repo))}
    return not slugs.isdisjoint(definition.tagged("model"))


def _right_names(
    verdicts: Mapping[Row, _Verdict], names: Names | None, block: Block
) -> dict[int, str]:
    """The nearest right name of each wrong row, by line; none twice, and none that is there."""
    if names is None:
        return {}
    listed = {row.name.text for row, v in verdicts.items() if row.name and not v.wrong}
    lines: dict[str, list[int]] = defaultdict(list)
    candidates: dict[str, list[str]] = {}
    for row, verdict in verdicts.items():
        if row.name and (verdict.wrong or row.placeholder):
            lines[row.name.text].append(row.line)
            candidates[row.name.text] = _candidates(row, names)
    chosen = assign(candidates, candidates, listed)
    return {line: chosen[name] for name in chosen for line in lines[name]}


def _candidates(row: Row, names: Names) -> list[str]:
    """Names of the same kernel, else of the same op type, at the sizes that the row states."""
    assert row.name is not None
    key = spec_of(row.name.text)
    stated = names.at(row.sizes) if row.sizes else None
    pool = stated or names.kernels
    same = [name for name, kernel in pool.items() if kernel.spec == key]
    op_type = SPECS[key].op_type if key else row.op_type
    return same or [name for name, kernel in pool.items() if kernel.op_type == op_type]


def _right_sign(
    name: str, row: Row, known: Known, document: Document, *, renamed: bool = False
) -> str:
    """What the dataset says of the definition, as far as it can; else the row's own sign."""
    definition = known.dataset.find(name)
    if not row.sign or row.sign == UNMAPPED:
        return row.sign
    if definition is None:
        return row.sign if _dumped(name, known) else MISSING
    if definition.has_workloads:
        return "✅"
    if known.complete:
        return "🟡"
    if row.sign in PRESENT and not renamed:
        return row.sign
    others = {other.sign for other in _rows_of(name, document)} & set(PRESENT)
    return others.pop() if len(others) == 1 else "🟡"


def _dumped(name: str, known: Known) -> bool:
    """Whether the dataset may have the definition under the name that dumps give it."""
    kernels = (names.kernels.get(name) for names in known.names.values())
    kernel = next((found for found in kernels if found is not None), None)
    if kernel is None:
        return False
    values = {axis: value.value for axis, value in kernel.axes.items()}
    dumps = SPECS[kernel.spec].dumps
    return any(known.dataset.find(dump.name.format(**values)) for dump in dumps)


def _rows_of(name: str, document: Document) -> Iterator[Row]:
    for block in document.blocks:
        yield from (row for row in block.rows if row.name and row.name.text == name)


def _wrong_name(
    row: Row, block: Block, names: Names | None, right: str, sign: str
) -> Iterator[Item]:
    assert row.name is not None
    kernel = names.kernels.get(right) if names and right else None
    because = f" ({_derivation(kernel, row.name.text)})" if kernel else ""
    status = f", status {sign}" if right and sign != row.sign else ""
    nearest = f"; the nearest right name is {right}{because}{status}" if right else ""
    if row.placeholder:
        message = f"{row.name.text} leaves a value open{nearest.replace('nearest ', '')}"
    else:
        repositories = " or ".join(names.repo_ids) if names else ""
        message = f"no tp and ep of {repositories} yields {row.name.text}{nearest}"
    yield Finding(
        line=row.line,
        level="mistake",
        rule="placeholder" if row.placeholder else "name",
        title=block.title,
        subject=row.name.text,
        right=right,
        message=message,
    )
    if right:
        yield Edit(row.name, right)
        if sign != row.sign:
            yield Edit(row.status, sign)
        yield from _mentions(row.name, right, block)


def _mentions(name: Cell, right: str, block: Block) -> Iterator[Item]:
    """The same name as code in the block's sentences."""
    for cell in block.lines:
        if cell.text.lstrip().startswith("|"):
            continue
        at = cell.text.find(f"`{name.text}`")
        while at >= 0:
            yield Edit(Cell(name.text, cell.line, at + 1), right)
            yield FollowUp(line=cell.line, found=name.text, right=right)
            at = cell.text.find(f"`{name.text}`", at + 1)


def _derivation(kernel: RequiredKernel, wrong: str) -> str:
    """Where the numbers come from that the wrong name does not have."""
    parts = [
        f"{name} = {axis.expression} = {axis.value}".replace(f"{name} = {name}", name)
        for name, axis in kernel.axes.items()
        if str(axis.value) not in _numbers(wrong) and str(axis.value) != axis.expression
    ]
    return ", ".join(parts) or ", ".join(kernel.used_for)


def _numbers(name: str) -> set[str]:
    return {word.lstrip("abcdefghijklmnopqrstuvwxyz") for word in name.split("_")}


def _op_type(
    row: Row, block: Block, name: str, kernel: RequiredKernel | None, known: Known
) -> Iterator[Item]:
    definition = known.dataset.find(name)
    right = kernel.op_type if kernel else definition.op_type if definition else ""
    if not right or not row.op_type or row.op_type == right:
        return
    message = f"the op type of {name} is {right}, not {row.op_type}"
    yield _mistake(row, block, "op_type", right, message)
    yield Edit(Cell(row.op_type, row.line, row.op.start), right)


def _size(row: Row, block: Block, names: Names, kernel: RequiredKernel) -> Iterator[Item]:
    """Whether the row's name is what its own TP or EP gives."""
    stated = row.sizes
    if not stated:
        return
    at = names.at(stated)
    if not at or kernel.definition_name in at:
        return
    fixes = [
        (name, size)
        for name in stated
        for size in _sizes_of(kernel, name) - {stated[name]}
        if kernel.definition_name in names.at({**stated, name: size})
    ]
    said = ", ".join(f"{name}={size}" for name, size in stated.items())
    right = f"{fixes[0][0]}={fixes[0][1]}" if len(fixes) == 1 else ""
    does = f"{right} does" if right else "another size does"
    message = f"{said} does not give {kernel.definition_name}; {does}"
    yield _mistake(row, block, "size", right, message)
    cell = row.size_cell(fixes[0][0]) if right else None
    if cell is not None:
        yield Edit(cell, str(fixes[0][1]))


def _sizes_of(kernel: RequiredKernel, name: str) -> set[int]:
    return {p.ep if name == "EP" else p.attention_tp for p in kernel.parallelism}


def _status(row: Row, block: Block, sign: str, known: Known) -> Iterator[Item]:
    assert row.name is not None
    name = row.name.text
    definition = known.dataset.find(name)
    if row.sign == "✅" and sign == "✅" and definition and not definition.has_workloads:
        yield _unchecked(row, block, "workload: the dataset at hand is not complete")
    if sign == row.sign:
        return
    if definition is None:
        reason = f"the dataset has no definition {name}"
    elif definition.has_workloads:
        reason = f"the dataset has {definition.path} and workloads for it"
    elif row.sign == MISSING:
        reason = f"the dataset has {definition.path}"
    else:
        reason = f"the dataset has no workloads for {name}"
    yield _mistake(row, block, "status", sign, f"{reason}: {sign}, not {row.sign}")
    yield Edit(Cell(row.sign, row.line, row.status.start), sign)


def _mistake(row: Row, block: Block, rule: str, right: str, message: str) -> Finding:
    return Finding.model_validate(
        {
            "line": row.line,
            "level": "mistake",
            "rule": rule,
            "title": block.title,
            "subject": row.name.text if row.name else row.what,
            "right": right,
            "message": message,
        }
    )


def _unchecked(row: Row, block: Block, reason: str) -> NotChecked:
    subject = row.name.text if row.name else row.what
    return NotChecked(line=row.line, title=block.title, subject=subject, reason=reason)
