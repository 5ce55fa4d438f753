"""The manifests of models with the same kernels as one, for one issue to show. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

from discover_models.domain.manifest import (
    Manifest,
    ManifestKernel,
    ManifestParallelism,
    ManifestUnmapped,
    Open,
    Variant,
    sort_key,
)

_Model = TypeVar("_Model", bound=Open)


def united(members: Sequence[Manifest]) -> Manifest:
    """One manifest of what any of the members needs; the group's own model comes first.

    An entry that not all members need says in its notes which ones do. Where members were looked
    at on different days, the verdict that changed last counts.
    """
    first, *others = members
    if not others:
        return first
    newest = max(members, key=lambda m: m.date)
    return _with(
        first,
        date=newest.date,
        repo_shas=newest.repo_shas,
        kernels=_kernels(members),
        parallelism=_sizes(p for m in members for p in m.parallelism),
        notes=_notes(members),
        unmapped=_unmapped(members),
        variants=_variants(members),
    )


def _kernels(members: Sequence[Manifest]) -> tuple[ManifestKernel, ...]:
    found: dict[str, dict[str, ManifestKernel]] = {}
    for member in members:
        for kernel in member.kernels:
            found.setdefault(kernel.definition_name, {})[member.model_slug] = kernel
    slugs = [m.model_slug for m in members]
    return tuple(sorted((_kernel(entries, slugs) for entries in found.values()), key=sort_key))


def _kernel(entries: dict[str, ManifestKernel], slugs: Sequence[str]) -> ManifestKernel:
    needed = {slug: k for slug, k in entries.items() if k.required}
    shown = list((needed or entries).values())
    latest = max(shown, key=lambda k: k.changed or "")
    layers = [k.layers for k in shown if k.layers is not None]
    notes = [note for k in shown for note in k.notes]
    if needed and len(needed) < len(slugs):
        notes.insert(0, _only(needed.keys(), slugs))
    return _with(
        latest,
        layers=max(layers, default=None),
        used_for=tuple(dict.fromkeys(part for k in shown for part in k.used_for)),
        parallelism=_sizes(p for k in shown for p in k.parallelism),
        notes=tuple(dict.fromkeys(notes)),
    )


def _only(needed: Iterable[str], slugs: Sequence[str]) -> str:
    """Which members need it, in as few names as possible."""
    having = [slug for slug in slugs if slug in set(needed)]
    lacking = [slug for slug in slugs if slug not in having]
    if len(lacking) < len(having):
        return f"not for {', '.join(lacking)}"
    return f"only for {', '.join(having)}"


def _sizes(values: Iterable[ManifestParallelism]) -> tuple[ManifestParallelism, ...]:
    return tuple({(v.tp, v.ep, v.dp, v.dp_attention): v for v in values}.values())


def _notes(members: Sequence[Manifest]) -> tuple[str, ...]:
    """What is said of all members, and with its model's name what is not."""
    said = dict.fromkeys(note for m in members for note in m.notes)
    lines: list[str] = []
    for note in said:
        of = [m.model_slug for m in members if note in m.notes]
        lines.append(note if len(of) == len(members) else f"{', '.join(of)}: {note}")
    return tuple(lines)


def _unmapped(members: Sequence[Manifest]) -> tuple[ManifestUnmapped, ...]:
    found: dict[str, ManifestUnmapped] = {}
    for member in members:
        for item in member.unmapped:
            found.setdefault(item.what, item)
    return tuple(found.values())


def _variants(members: Sequence[Manifest]) -> tuple[Variant, ...]:
    """Every other repository of the group, those without a manifest last."""
    names = [m.hf_repo_id for m in members]
    names += [v.hf_repo_id for m in members for v in m.variants]
    return tuple(Variant(hf_repo_id=name) for name in dict.fromkeys(names) if name != names[0])


def _with(model: _Model, **fields: Any) -> _Model:
    return type(model).of({**model.known(), **fields}, model.foreign())
