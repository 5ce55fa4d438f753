"""What changed between two manifests of one model, in words. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

from discover_models.domain.frozen import Frozen
from discover_models.domain.manifest import Manifest, ManifestKernel

Kind = Literal["new", "gone", "better", "worse", "undecided"]
MOST = 60
"""Definitions of which a `News` keeps the words; of the rest it keeps how many they are."""


class EntryChange(Frozen):
    """What changed for one definition."""

    definition_name: str
    kind: Kind
    words: str
    """For example ``FlashInfer has it now``."""


class News(Frozen):
    """What changed in one manifest on one day."""

    day: str
    """ISO day."""
    first: bool = False
    """Whether this is the model's first manifest; then nothing is listed."""
    changes: tuple[EntryChange, ...] = ()
    more: int = 0
    """Definitions that changed and are not listed."""

    def by_words(self) -> dict[str, tuple[str, ...]]:
        """Definitions by what changed for them, in the order of the changes."""
        found: dict[str, list[str]] = {}
        for change in self.changes:
            found.setdefault(change.words, []).append(change.definition_name)
        return {words: tuple(names) for words, names in found.items()}


def news(old: Manifest | None, new: Manifest, day: str) -> News | None:
    """What is new, gone or newly supported; None when nothing of that kind is."""
    if old is None:
        return News(day=day, first=True)
    found = changes(old, new)
    if not found:
        return None
    return News(day=day, changes=found[:MOST], more=len(found[MOST:]))


def latest(found: Mapping[str, News | None]) -> dict[str, News]:
    """Of the news by slug those of the last day on which there were any."""
    known = {slug: item for slug, item in found.items() if item is not None}
    day = max((item.day for item in known.values()), default="")
    return {slug: item for slug, item in sorted(known.items()) if item.day == day}


def changes(old: Manifest, new: Manifest) -> tuple[EntryChange, ...]:
    """Every definition for which something changed, by what changed and name."""
    before, after = _required(old.kernels), _required(new.kernels)
    found = [
        EntryChange(definition_name=name, kind=kind, words=words)
        for name in before.keys() | after.keys()
        for kind, words in entry_changes(before.get(name), after.get(name))
    ]
    return tuple(sorted(found, key=lambda c: (_ORDER.index(c.kind), c.words, c.definition_name)))


def entry_changes(
    old: ManifestKernel | None, new: ManifestKernel | None
) -> tuple[tuple[Kind, str], ...]:
    """What changed for one definition; None stands for "not needed"."""
    if old is None or new is None:
        if new is not None:
            return (("new", "newly needed"),)
        return (("gone", "no longer needed"),) if old is not None else ()
    if old.phase1_status != new.phase1_status:
        arrived = new.phase1_status == "existing"
        return (
            ("better", "in the dataset now") if arrived else ("worse", "no longer in the dataset"),
        )
    return tuple(
        said
        for field, words in _WORDS.items()
        if (said := words.get((getattr(old, field), getattr(new, field)))) is not None
    )


def _required(kernels: Iterable[ManifestKernel]) -> dict[str, ManifestKernel]:
    return {k.definition_name: k for k in kernels if k.required}


_ORDER: tuple[Kind, ...] = ("new", "better", "worse", "undecided", "gone")
_Said = dict[tuple[object, object], tuple[Kind, str]]
_FI: _Said = {
    ("fi_missing", "fi_supported"): ("better", "FlashInfer has it now"),
    (None, "fi_supported"): ("better", "FlashInfer has it, which was undecided"),
    ("fi_supported", "fi_missing"): ("worse", "FlashInfer no longer has it"),
    (None, "fi_missing"): ("worse", "FlashInfer does not have it, which was undecided"),
    ("fi_supported", None): ("undecided", "whether FlashInfer has it is undecided now"),
    ("fi_missing", None): ("undecided", "whether FlashInfer has it is undecided now"),
}
_SGL: _Said = {
    ("sgl_missing", "sgl_integrated"): ("better", "SGLang calls it now"),
    (None, "sgl_integrated"): ("better", "SGLang calls it, which was undecided"),
    ("sgl_integrated", "sgl_missing"): ("worse", "SGLang no longer calls it"),
    (None, "sgl_missing"): ("worse", "SGLang does not call it, which was undecided"),
    ("sgl_integrated", None): ("undecided", "whether SGLang calls it is undecided now"),
    ("sgl_missing", None): ("undecided", "whether SGLang calls it is undecided now"),
}
_TRACE: _Said = {
    (False, True): ("better", "FlashInfer has a trace template for it now"),
    (True, False): ("worse", "FlashInfer's trace template for it is gone"),
}
_WORKLOADS: _Said = {
    (False, True): ("better", "the dataset has workloads for it now"),
    (True, False): ("worse", "the dataset's workloads for it are gone"),
}
_WORDS: dict[str, _Said] = {
    "fi_status": _FI,
    "sgl_status": _SGL,
    "fi_trace_template": _TRACE,
    "dataset_workloads": _WORKLOADS,
}
