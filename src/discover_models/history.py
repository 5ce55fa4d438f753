"""What became of one definition over time, from the versions of the manifests. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from discover_models.changes import Kind, entry_changes
from discover_models.domain.frozen import Frozen
from discover_models.domain.manifest import Manifest, ManifestKernel

Version = tuple[str, str, Manifest | None]
"""ISO day, the manifest's file, and what it said from then on; None where it was removed."""


class Event(Frozen):
    """Something that changed for one definition on one day."""

    day: str
    """ISO day."""
    kind: Kind
    words: str
    models: tuple[str, ...]
    """Slugs of the models in whose manifests it changed."""


def history(definition_name: str, versions: Iterable[Version]) -> tuple[Event, ...]:
    """The events of a definition, oldest first; what changed for several models is one event.

    `versions` are in the order in which they were written.
    """
    before: dict[str, ManifestKernel | None] = {}
    found: dict[tuple[str, Kind, str], list[str]] = {}
    for day, file, manifest in versions:
        entry = _entry(manifest, definition_name)
        slug = manifest.model_slug if manifest else file.rpartition("/")[2].removesuffix(".json")
        for kind, words in entry_changes(before.get(file), entry):
            said = f"{words}: {_stand(entry)}" if kind == "new" and entry else words
            found.setdefault((day, kind, said), []).append(slug)
        before[file] = entry
    return tuple(
        Event(day=day, kind=kind, words=words, models=tuple(dict.fromkeys(models)))
        for (day, kind, words), models in found.items()
    )


def _entry(manifest: Manifest | None, name: str) -> ManifestKernel | None:
    kernels = manifest.kernels if manifest else ()
    return next((k for k in kernels if k.definition_name == name and k.required), None)


def _stand(entry: ManifestKernel) -> str:
    """Where a definition stands when it is first needed."""
    if entry.phase1_status == "existing":
        return "in the dataset"
    if entry.fi_status == "fi_missing":
        return "FlashInfer does not have it"
    if entry.fi_status == "fi_supported" and entry.sgl_status is not None:
        calls = entry.sgl_status == "sgl_integrated"
        return f"FlashInfer has it, SGLang {'calls it' if calls else 'does not call it'}"
    return "undecided"
