"""Which group of the report a definition belongs to, and what its row says."""

import re
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from discover_models.domain.evidence import Evidence
from discover_models.domain.kernel import ClassifiedKernel, Inventory, Parallelism

GroupKey = Literal["existing", "ready", "sgl_missing", "fi_missing", "undecided"]
GROUPS: tuple[GroupKey, ...] = ("existing", "ready", "sgl_missing", "fi_missing", "undecided")
_NOTE_WIDTH = 72
_SHORT_NOTE = 24
"""A note of a few words stands in every row that it is about."""
_FIELDS = {"fi_status": "FlashInfer", "sgl_status": "SGLang", "fi_trace_template": "trace template"}
_FIELDS_IN_TEXT = re.compile("|".join(_FIELDS))


class Group(NamedTuple):
    """Definitions for which the same is to be done."""

    key: GroupKey
    kernels: tuple[ClassifiedKernel, ...]


class Proof(NamedTuple):
    """What supports the verdicts of some definitions alike."""

    names: tuple[str, ...]
    evidence: tuple[Evidence, ...]
    tests: tuple[Evidence, ...]


class NotedRow(NamedTuple):
    """A definition with what is said of it beside its verdict."""

    kernel: ClassifiedKernel
    numbers: tuple[int, ...]
    """Which of the table's notes, counted from 1, are about it."""
    notes: tuple[str, ...]
    """Short notes, which its own cell holds."""


class Noted(NamedTuple):
    """The rows of a table and the notes below it, each of which is said once."""

    rows: tuple[NotedRow, ...]
    notes: tuple[str, ...]

    @property
    def any(self) -> bool:
        """Whether anything is noted at all."""
        return any(row.numbers or row.notes for row in self.rows)


def group_of(kernel: ClassifiedKernel) -> GroupKey:
    """The group of one definition; what is not decided is never shown as decided."""
    if kernel.phase1_status == "existing":
        return "existing"
    if kernel.fi_status == "fi_missing":
        return "fi_missing"
    if kernel.fi_status == "fi_supported" and kernel.sgl_status == "sgl_integrated":
        return "ready"
    if kernel.fi_status == "fi_supported" and kernel.sgl_status == "sgl_missing":
        return "sgl_missing"
    return "undecided"


def groups(inventory: Inventory) -> tuple[Group, ...]:
    """All groups in the report's order, each with its definitions in the inventory's order."""
    return tuple(
        Group(key, tuple(k for k in inventory.kernels if group_of(k) == key)) for key in GROUPS
    )


def proofs(group: Group) -> tuple[Proof, ...]:
    """The evidence of a group, each once for all definitions that share it."""
    names: dict[tuple[tuple[Evidence, ...], tuple[Evidence, ...]], list[str]] = {}
    for kernel in group.kernels:
        evidence = tuple(dict.fromkeys(kernel.required.evidence + kernel.evidence))
        if evidence or kernel.tests:
            shared = names.setdefault((evidence, kernel.tests), [])
            shared.append(kernel.required.definition_name)
    return tuple(Proof(tuple(shared), *proof) for proof, shared in names.items())


def sizes(kernel: ClassifiedKernel) -> str:
    """The tensor and expert parallel sizes that the definition depends on; empty for none."""
    axes = kernel.required.axes.values()
    words = {w for a in axes for w in re.findall(r"[a-z]+", a.expression)}
    words |= {w for a in axes for o in a.origins for w in re.findall(r"[a-z]+", o.field)}
    # Sizes of 1 stand in no expression: experts are split by ep, everything else by tp.
    named = words & {"tp", "ep"} or {"ep" if kernel.required.op_type == "moe" else "tp"}
    return ", ".join(_unique(_sizes(p, named) for p in kernel.required.parallelism))


def size_sources(kernel: ClassifiedKernel) -> tuple[str, ...]:
    """Each serving configuration that needs the definition, with who says so."""
    return _unique(
        f"{_sizes(size, {'tp', 'ep'})}: {size.source}" for size in kernel.required.parallelism
    )


def notes(kernel: ClassifiedKernel) -> tuple[str, ...]:
    """Everything that the reader should know beside the verdict."""
    said: list[str] = []
    if kernel.phase1_status == "existing":
        if kernel.matched_name not in ("", kernel.required.definition_name):
            said.append(f"in the dataset as {kernel.matched_name}")
        if kernel.workloads is False:
            said.append("no workloads yet")
    if kernel.required.variant:
        said.append(f"variant: {kernel.required.variant}")
    return _unique((*said, *map(_readable, (*kernel.notes, *kernel.required.notes))))


def noted(kernels: Sequence[ClassifiedKernel]) -> Noted:
    """A table's rows with their notes; longer ones go below it, once each."""
    said = [notes(kernel) for kernel in kernels]
    below = _unique(note for row in said for note in row if len(note) > _SHORT_NOTE)
    number = {note: n for n, note in enumerate(below, 1)}
    rows = (
        NotedRow(
            kernel,
            tuple(sorted(number[note] for note in row if note in number)),
            tuple(note for note in row if note not in number),
        )
        for kernel, row in zip(kernels, said, strict=True)
    )
    return Noted(tuple(rows), below)


def _readable(note: str) -> str:
    """The note without the names of the manifest's fields."""
    field, mark, rest = note.partition(" undecided: ")
    if not mark or field not in _FIELDS:
        return note
    return f"{_FIELDS[field]} undecided: {_FIELDS_IN_TEXT.sub(lambda m: _FIELDS[m[0]], rest)}"


def short_note(kernel: ClassifiedKernel) -> str:
    """The notes as far as one line of a table holds them."""
    trace = ("no trace template",) if kernel.fi_trace_template is False else ()
    return clipped("; ".join((*trace, *notes(kernel))))


def clipped(note: str) -> str:
    """A note as far as a cell of a table holds it."""
    return note if len(note) <= _NOTE_WIDTH else note[: _NOTE_WIDTH - 1].rstrip() + "…"


def served(parallelism: Sequence[Parallelism]) -> str:
    """All serving configurations in one line."""
    return ", ".join(_unique(_sizes(p, {"tp", "ep"}) for p in parallelism))


def _sizes(value: Parallelism, named: set[str]) -> str:
    words = [f"tp={value.tp}"] if "tp" in named else []
    if value.dp_attention and value.dp and "tp" in named:
        words.append(f"dp={value.dp}")
    if "ep" in named:
        words.append(f"ep={value.ep}")
    return "/".join(words)


def _unique(words: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(words))
