"""Which group of the report a definition belongs to, and what its row says."""

import re
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

from discover_models.domain.evidence import Evidence
from discover_models.domain.kernel import ClassifiedKernel, Inventory, Parallelism

GroupKey = Literal["existing", "ready", "sgl_missing", "fi_missing", "undecided"]
GROUPS: tuple[GroupKey, ...] = ("existing", "ready", "sgl_missing", "fi_missing", "undecided")
_NOTE_WIDTH = 72


class Group(NamedTuple):
    """Definitions for which the same is to be done."""

    key: GroupKey
    kernels: tuple[ClassifiedKernel, ...]


class Proof(NamedTuple):
    """What supports the verdicts of some definitions alike."""

    names: tuple[str, ...]
    evidence: tuple[Evidence, ...]
    tests: tuple[Evidence, ...]


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
    return _unique((*said, *kernel.notes, *kernel.required.notes))


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
