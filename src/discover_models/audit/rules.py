"""What is wrong in a coverage document. Pure: facts, names and the dataset in, findings out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from discover_models.audit.document import (
    MISSING,
    PRESENT,
    UNMAPPED,
    Block,
    CountLine,
    Document,
    SummaryRow,
)
from discover_models.audit.edits import Edit
from discover_models.audit.findings import Finding, FollowUp, NotChecked, Report, Rule
from discover_models.audit.prose import right_architecture, wrong_numbers
from discover_models.audit.rows import Item, Judged, Known, judge
from discover_models.domain.model_name import expand_title

COVERAGE = {"✅": "✅ Fully covered", "🟡": "🟡 Partial", "❌": "❌ Not covered"}
"""What the Summary table says of a model."""


def audit(document: Document, known: Known, path: str) -> tuple[Report, tuple[Edit, ...]]:
    """Everything that is wrong, and the edits that put right what can be put right."""
    judged: list[Judged] = []
    items: list[Item] = []
    for block in document.blocks:
        rows, found = judge(block, known, document)
        judged += rows
        items += found
        items += _counts(block, rows)
        items += _legend(block, rows)
        items += _duplicates(block)
        items += _prose(block, known, document)
    items += _summary(document, judged, known)
    items += _contradictions(judged)
    return _report(items, known, path), tuple(i for i in items if isinstance(i, Edit))


def _report(items: Iterable[Item], known: Known, path: str) -> Report:
    items = list(items)
    findings = [item for item in items if isinstance(item, Finding)]
    return Report(
        document=path,
        models={title: names.repo_ids for title, names in known.names.items()},
        findings=tuple(sorted(findings, key=lambda f: (f.line, f.rule))),
        follow_ups=tuple(
            sorted((i for i in items if isinstance(i, FollowUp)), key=lambda i: i.line)
        ),
        not_checked=tuple(
            sorted((i for i in items if isinstance(i, NotChecked)), key=lambda i: i.line)
        ),
    )


def _counts(block: Block, rows: Sequence[Judged]) -> Iterator[Item]:
    """Count lines: present = ✅ + 🟡, total = present + ❌."""
    if not rows or not all(judged.sign for judged in rows):
        return
    written = _tally(judged.row.sign for judged in rows)
    right = _tally(judged.sign for judged in rows)
    for count in block.counts:
        found, corrected = count.cell.text, _fraction(count, right)
        if _agrees(count, right):
            continue
        yield Edit(count.cell, corrected)
        if _agrees(count, written):
            yield FollowUp(line=count.line, found=found, right=corrected)
            continue
        say = f"the rows above say {_fraction(count, written)}, not {found}"
        if written != right:
            say += f"; with their own mistakes put right, {corrected}"
        yield Finding(
            line=count.line,
            level="mistake",
            rule="count",
            title=block.title,
            subject=found,
            right=corrected,
            message=say,
        )


def _tally(signs: Iterable[str]) -> tuple[int, int]:
    counted = list(signs)
    present = sum(sign in PRESENT for sign in counted)
    return present, present + counted.count(MISSING)


def _agrees(count: CountLine, tally: tuple[int, int]) -> bool:
    return count.present in (None, tally[0]) and count.total in (None, tally[1])


def _fraction(count: CountLine, tally: tuple[int, int]) -> str:
    """The tally as the line writes it, ``?`` kept."""
    present = "?" if count.present is None else tally[0]
    return f"{present} / {'?' if count.total is None else tally[1]}"


def _legend(block: Block, rows: Sequence[Judged]) -> Iterator[Finding]:
    """Statuses that mean something else than the row is."""
    for judged in rows:
        row, sign = judged.row, judged.row.sign
        if not sign:
            said = row.status.text or "nothing"
            yield _doubt(row.line, "legend", block.title, row.what, f"the legend has no {said}")
        elif row.name is None and sign != UNMAPPED:
            message = f"{sign} is for definitions, and this row names none: {UNMAPPED}"
            yield _doubt(row.line, "legend", block.title, row.what, message, UNMAPPED)
        elif row.name is not None and sign == UNMAPPED:
            message = f"{UNMAPPED} is for modules without a definition, and this row names one"
            yield _doubt(row.line, "legend", block.title, row.name.text, message)


def _duplicates(block: Block) -> Iterator[Finding]:
    first: dict[str, int] = {}
    for row in block.rows:
        name = row.name.text if row.name else ""
        if name and first.setdefault(name, row.line) != row.line:
            message = f"{name} is in line {first[name]} already, and counts twice"
            yield _doubt(row.line, "duplicate", block.title, name, message)


def _prose(block: Block, known: Known, document: Document) -> Iterator[Finding]:
    names = known.names.get(block.title)
    if names is None:
        return
    for wrong in wrong_numbers(block, names.models, document.titles):
        repositories = " or ".join(names.repo_ids)
        message = f"{wrong.found}: the {wrong.field} of {repositories} is {wrong.right}"
        yield _doubt(wrong.line, "prose", block.title, wrong.found, message, wrong.right)


def _contradictions(judged: Sequence[Judged]) -> Iterator[Finding]:
    """One definition, once with and once without workloads; told where fewer rows say so."""
    by_name: dict[str, dict[str, list[Judged]]] = defaultdict(lambda: defaultdict(list))
    for item in judged:
        if item.name and item.sign in PRESENT:
            by_name[item.name][item.sign].append(item)
    for name, signs in by_name.items():
        fewest = min(len(rows) for rows in signs.values())
        for sign, rows in signs.items():
            others = [str(r.row.line) for s, found in signs.items() if s != sign for r in found]
            if not others or len(rows) > fewest:
                continue
            other = next(s for s in signs if s != sign)
            message = f"{name} is {sign} here and {other} in line {', '.join(others)}"
            for item in rows:
                yield _doubt(item.row.line, "contradiction", item.block.title, name, message)


def _summary(document: Document, judged: Sequence[Judged], known: Known) -> Iterator[Item]:
    """The Summary table against the sections."""
    if not document.summary:
        return
    sections = {_key(title): title for title in document.titles}
    rows: dict[frozenset[str], list[Judged]] = defaultdict(list)
    for item in judged:
        rows[_key(item.block.title)].append(item)
    for row in document.summary:
        title = sections.get(_key(row.title))
        if title is None:
            yield _doubt(row.line, "summary", row.title, row.title, "no section has this title")
            continue
        yield from _coverage(row, title, rows[_key(row.title)])
        yield from _architecture(row, title, known)
    listed = {_key(row.title) for row in document.summary}
    for block in document.blocks:
        if block.rows and block.heading == block.title and _key(block.title) not in listed:
            message = "the Summary table has no row for this section"
            yield _doubt(block.line, "summary", block.title, block.title, message)


def _key(title: str) -> frozenset[str]:
    return frozenset(name.casefold() for name in expand_title(title))


def _coverage(row: SummaryRow, title: str, rows: Sequence[Judged]) -> Iterator[Item]:
    written = _covered([judged.row.sign for judged in rows])
    right = _covered([judged.sign for judged in rows])
    if not written or not right or row.sign in right:
        return
    wanted = COVERAGE[right[0]]
    yield Edit(row.coverage, wanted)
    if row.sign in written:
        yield FollowUp(line=row.line, found=row.coverage.text, right=wanted)
        return
    message = f"by the rows of its section {row.title} is {wanted}, not {row.coverage.text}"
    yield _finding(row.line, "summary", title, row.title, message, wanted)


def _covered(signs: Sequence[str]) -> tuple[str, ...]:
    """What the Summary may say of such rows; unmapped ones leave open whether all is covered."""
    defined = [sign for sign in signs if sign != UNMAPPED]
    if not all(signs) or not signs:
        return ()
    if not any(sign in PRESENT for sign in defined):
        return ("❌",)
    if all(sign == "✅" for sign in defined):
        return ("✅",) if len(defined) == len(signs) else ("🟡", "✅")
    return ("🟡",)


def _architecture(row: SummaryRow, title: str, known: Known) -> Iterator[Item]:
    names = known.names.get(title)
    right = right_architecture(row.architecture.text, names.models) if names else ""
    if names and right:
        message = f"{' or '.join(names.repo_ids)} is {right}, not {row.architecture.text}"
        yield _finding(row.line, "summary", title, row.title, message, right)
        yield Edit(row.architecture, right)


def _doubt(
    line: int, rule: Rule, title: str, subject: str, message: str, right: str = ""
) -> Finding:
    doubt = _finding(line, rule, title, subject, message, right)
    return doubt.model_copy(update={"level": "doubt"})


def _finding(
    line: int, rule: Rule, title: str, subject: str, message: str, right: str = ""
) -> Finding:
    return Finding(
        line=line,
        level="mistake",
        rule=rule,
        title=title,
        subject=subject,
        right=right,
        message=message,
    )
