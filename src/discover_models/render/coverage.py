"""What to paste into the coverage document for a model, in the document's own style."""

import re

from discover_models.audit.document import PRESENT
from discover_models.domain.frozen import Frozen
from discover_models.domain.kernel import ClassifiedKernel, Inventory, Parallelism
from discover_models.ops import SPECS
from discover_models.render.environment import text

_OUTSIDE_CELLS = str.maketrans("|`{}<>[]", "/'()()()")
"""Characters that end a table cell or a fence around the section, or start MDX code or links."""
_EXPERTS = "moe"
_ORDER = {op: at for at, op in enumerate(dict.fromkeys(spec.op_type for spec in SPECS.values()))}


class CoverageRow(Frozen):
    """A row of the section's table."""

    name: str
    """Empty for a row that names a module."""
    what: str
    op: str
    status: str


class CoverageSection(Frozen):
    """A model's part of the coverage document."""

    title: str
    summary_row: str
    section: str


def coverage_section(inventory: Inventory) -> CoverageSection:
    """The Summary row and the section of one model.

    Definitions without workloads are 🟡, also where the dataset at hand may lack workloads that
    were collected.
    """
    rows = [_row(kernel) for kernel in sorted(inventory.kernels, key=_family)]
    unmapped = [
        CoverageRow(name="", what=_cell(item.what), op="unmapped", status="—")
        for item in inventory.unmapped
    ]
    present = sum(row.status in PRESENT for row in rows)
    title = _title(inventory.hf_repo_id)
    section = (
        text()
        .get_template("coverage_section.mdx.j2")
        .render(
            title=title,
            architecture=_cell(inventory.summary.replace(" layers", " decoder layers", 1)),
            served=_served(inventory.parallelism),
            rows=[*rows, *unmapped],
            present=present,
            total=len(rows),
            missing=[row.name for row in rows if row.status not in PRESENT],
        )
    )
    covered = _covered(present, len(rows), all(row.status == "✅" for row in [*rows, *unmapped]))
    summary_row = f"| {title} | {_architecture(inventory.summary)} | {covered} |"
    return CoverageSection(title=title, summary_row=summary_row, section=section)


def _family(kernel: ClassifiedKernel) -> int:
    """Where the families' order, which is the document's, has the kernel's op type."""
    return _ORDER.get(kernel.required.op_type, len(_ORDER))


def _row(kernel: ClassifiedKernel) -> CoverageRow:
    name = _cell(kernel.matched_name or kernel.required.definition_name)
    op = _cell(kernel.required.op_type) + _sizes(kernel)
    if kernel.phase1_status == "new":
        return CoverageRow(name=name, what="", op=op, status="❌")
    return CoverageRow(name=name, what="", op=op, status="✅" if kernel.workloads else "🟡")


def _sizes(kernel: ClassifiedKernel) -> str:
    """`` TP=8`` or `` EP=2``, whichever decides the name; nothing when several give the same."""
    served = kernel.required.parallelism
    experts = kernel.required.op_type == _EXPERTS
    sizes = {item.ep if experts else item.attention_tp for item in served}
    return f" {'EP' if experts else 'TP'}={sizes.pop()}" if len(sizes) == 1 else ""


def _served(parallelism: tuple[Parallelism, ...]) -> str:
    """``**TP=8, EP=2** or **TP=4**``; empty without sizes."""
    sizes = dict.fromkeys((item.tp, item.ep) for item in parallelism)
    return " or ".join(f"**TP={tp}{f', EP={ep}' if ep > 1 else ''}**" for tp, ep in sizes)


def _title(repo_id: str) -> str:
    return _cell(repo_id.rpartition("/")[2].replace("-", " ").replace("_", " "))


def _architecture(summary: str) -> str:
    """``GDN + GQA + MoE`` from ``48 layers, GDN (36) and GQA (12) + MoE``."""
    kinds = re.sub(r" \(\d+\)", "", summary.partition(", ")[2])
    kinds = kinds.replace("MLA (DSA)", "DSA").replace("dense MLP", "Dense")
    mixers, plus, ffns = kinds.partition(" + ")
    return _cell(mixers.replace(" and ", " + ") + plus + ffns.replace(" and ", "/"))


def _covered(present: int, total: int, all_collected: bool) -> str:
    if not present:
        return "❌ Not covered"
    return "✅ Fully covered" if present == total and all_collected else "🟡 Partial"


def _cell(value: str) -> str:
    return " ".join(value.translate(_OUTSIDE_CELLS).split())
