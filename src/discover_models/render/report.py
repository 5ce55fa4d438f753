"""Inventories as text, Markdown and JSON; the wording is in the templates."""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from discover_models.domain.candidate import Discovery
from discover_models.domain.evidence import Evidence
from discover_models.domain.kernel import ClassifiedKernel, Deferred, Inventory
from discover_models.errors import UsageError
from discover_models.render.environment import markdown, text

if TYPE_CHECKING:  # most runs write no manifest
    from discover_models.changes import News


def render_text(inventories: Sequence[Inventory], deferred: Sequence[Deferred] = ()) -> str:
    """The tables that the command prints, without colour."""
    template = text().get_template("inventory.txt.j2")
    return template.render(inventories=inventories, deferred=deferred)


def render_markdown(
    inventories: Sequence[Inventory],
    deferred: Sequence[Deferred] = (),
    *,
    origins: Mapping[str, str],
) -> str:
    """The report with evidence.

    `origins` maps source names (``sglang``, ``flashinfer-trace``, …) to the URLs that they were
    cloned from; only public ones become links.
    """
    template = markdown().get_template("inventory.md.j2")
    return template.render(inventories=inventories, deferred=deferred, origins=origins)


def render_json(
    inventories: Sequence[Inventory],
    deferred: Sequence[Deferred] = (),
    *,
    discovery: Discovery | None = None,
) -> str:
    """One inventory as an object; several, or with deferred models, as a list of objects.

    With a discovery: an object with ``discovery`` and the list under ``models``.
    """
    values = [value.model_dump(mode="json") for value in (*inventories, *deferred)]
    one = len(inventories) == 1 and not deferred
    content: object = values[0] if one else values
    if discovery is not None:
        content = {"discovery": discovery.model_dump(mode="json"), "models": values}
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def render_discovery_text(discovery: Discovery) -> str:
    """What was found to be new, for a terminal."""
    return text().get_template("discovery.txt.j2").render(discovery=discovery)


def render_discovery_markdown(discovery: Discovery, *, origins: Mapping[str, str]) -> str:
    """Likewise as Markdown, with links to where each thing was found."""
    template = markdown().get_template("discovery.md.j2")
    return template.render(discovery=discovery, origins=origins)


def render_changes_text(changed: Mapping[str, News]) -> str:
    """What changed in manifests that were there before, by slug; empty when nothing did."""
    return text().get_template("changes.txt.j2").render(changed=changed) if changed else ""


def render_changes_markdown(changed: Mapping[str, News]) -> str:
    """Likewise as Markdown."""
    return markdown().get_template("changes.md.j2").render(changed=changed) if changed else ""


def render_explain(inventory: Inventory, definition_name: str) -> str:
    """The chain from configuration fields to the verdicts of one definition.

    Raises UsageError when the model does not need that definition.
    """
    kernel = _find(inventory, definition_name)
    template = text().get_template("explain.txt.j2")
    return template.render(
        inventory=inventory,
        kernel=kernel,
        origins=_origins(kernel),
        evidence=_by_repository(kernel),
    )


def _find(inventory: Inventory, name: str) -> ClassifiedKernel:
    for kernel in inventory.kernels:
        if name and name in (kernel.required.definition_name, kernel.matched_name):
            return kernel
    names = [k.required.definition_name for k in inventory.kernels]
    close = difflib.get_close_matches(name, names, n=3, cutoff=0.4)
    hint = f"; the closest are {', '.join(close)}" if close else ""
    raise UsageError(f"{inventory.model_slug} needs no definition {name!r}{hint}.")


def _origins(kernel: ClassifiedKernel) -> list[tuple[str, str, str]]:
    """Field, value and source of everything that the axes rest on."""
    rows = (
        (o.field, "not found" if o.value is None else str(o.value), o.source)
        for axis in kernel.required.axes.values()
        for o in axis.origins
    )
    return list(dict.fromkeys(rows))


def _by_repository(kernel: ClassifiedKernel) -> dict[str, list[Evidence]]:
    """Evidence of the verdicts by repository, and of the requirement under ``required``."""
    found: dict[str, list[Evidence]] = {"required": list(kernel.required.evidence)}
    for evidence in dict.fromkeys(kernel.evidence):
        found.setdefault(evidence.repository, []).append(evidence)
    return found
