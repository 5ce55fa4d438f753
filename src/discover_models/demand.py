"""Which kernels that are missing somewhere hold up most models. Pure.

A row is one kernel at all sizes: definitions of one family whose names differ in axis values only,
and to which the same thing is missing. Kernels that FlashInfer lacks come first, then trace
templates and definitions, and calls in SGLang come last; among them what holds up most groups of
models comes first, then most models, then most downloads.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, Literal

from pydantic import Field

from discover_models.catalogue import Catalogue, CataloguedKernel, distinct_groups
from discover_models.domain.frozen import Frozen
from discover_models.domain.manifest import Manifest, ManifestKernel
from discover_models.domain.model_name import read_name

Missing = Literal["kernel", "trace template", "definition", "SGLang call"]
_ORDER: tuple[Missing, ...] = ("kernel", "trace template", "definition", "SGLang call")
_SIZE = re.compile(r"([a-z]+)(\d+)")
_DTYPE = re.compile(r"(fp|bf|int)\d+")
_LAYERS = re.compile(r" \(layers [\d, -]+\)")


class Downloads(Frozen):
    """Downloads from the Hub in the last 30 days."""

    counts: dict[str, int] = Field(default_factory=dict)
    """By repository in lower case; one that is not there is not known."""
    oldest: str = ""
    newest: str = ""
    """ISO days between which they were asked for; empty when none is known."""


class Demand(Frozen):
    """One kernel that is missing somewhere."""

    kernel: str
    """The definition's name with ``*`` for sizes, or what of a model has no definition."""
    op_type: str
    """Its family; empty where no definition names it."""
    missing: Missing
    definitions: tuple[str, ...]
    models: tuple[str, ...]
    """Slugs of the models that it holds up."""
    groups: int
    """How many groups of models these are; quantised copies of one model count once."""
    families: tuple[str, ...]
    """The models' families, for example ``qwen``."""
    downloads: int | None = None
    """Of these models together, as far as known; None when none is."""
    downloads_unknown: int = 0
    """Models whose downloads are not known."""
    served_by: tuple[str, ...] = ()
    """What serves it in SGLang today; empty: not known."""
    since: str = ""
    """ISO day since when the oldest of its definitions has been waiting."""
    why: str = ""
    """Why no definition names it."""


class Ranking(Frozen):
    """All kernels that are missing somewhere, the most wanted first."""

    rows: tuple[Demand, ...]
    models: int
    """How many models were looked at."""
    undecided: int
    """Definitions of which nobody knows whether anything is missing; they are not ranked."""
    downloads: Downloads = Downloads()


def rank(found: Catalogue, downloads: Downloads | None = None) -> Ranking:
    """The ranking over all models of the catalogue."""
    known = downloads or Downloads()
    waiting: dict[tuple[str, str, Missing], list[CataloguedKernel]] = {}
    for kernel in found.kernels:
        missing = missing_to(kernel.entry)
        if missing:
            waiting.setdefault((kernel.op_type, _any_size(kernel.entry), missing), []).append(
                kernel
            )
    rows = [_named(key, kernels, known) for key, kernels in waiting.items()]
    rows += [_unnamed(key, models, known) for key, models in _unmapped(found.models).items()]
    return Ranking(
        rows=tuple(sorted(rows, key=_urgency)),
        models=len(found.models),
        undecided=sum(_undecided(kernel.entry) for kernel in found.kernels),
        downloads=known,
    )


def missing_to(entry: ManifestKernel) -> Missing | None:
    """What a definition waits for; None when it waits for nobody, or nobody knows."""
    if entry.phase1_status == "existing":
        return None
    if entry.fi_status == "fi_missing":
        return "kernel"
    if entry.fi_status != "fi_supported":
        return None
    if entry.fi_trace_template is False:
        return "trace template"
    return "SGLang call" if entry.sgl_status == "sgl_missing" else None


def model_family(hf_repo_id: str) -> str:
    """What a model's name begins with, without the organisation's own: ``nemotron``, ``llama``."""
    organisation, _, name = hf_repo_id.casefold().rpartition("/")
    words = read_name(name).words
    if len(words) > 1 and words[1].isalpha() and words[0] in re.split(r"\W+", organisation):
        words = words[1:]
    letters = re.match(r"[^\W\d]+", words[0]) if words else None
    return letters[0] if letters else name


def _undecided(entry: ManifestKernel) -> bool:
    if entry.phase1_status == "existing" or entry.fi_status == "fi_missing":
        return False
    return entry.fi_status is None or entry.sgl_status is None


def _any_size(entry: ManifestKernel) -> str:
    """The name with a star for every axis value in it; its first word is the family's own."""
    sizes = {str(value) for value in entry.axes.values()}

    def word(text: str) -> str:
        match = _SIZE.fullmatch(text)
        sized = match and match[2] in sizes and not _DTYPE.fullmatch(text)
        return f"{match[1]}*" if match and sized else text

    family, *words = entry.definition_name.split("_")
    return "_".join((family, *map(word, words)))


def _unmapped(models: Iterable[Manifest]) -> dict[tuple[str, str], list[Manifest]]:
    """Models by a part of theirs that has no definition, and the reason."""
    found: dict[tuple[str, str], dict[str, Manifest]] = {}
    for model in models:
        for part in model.unmapped:
            key = (_LAYERS.sub("", part.what), part.reason)
            found.setdefault(key, {})[model.model_slug] = model
    return {key: list(having.values()) for key, having in found.items()}


def _named(
    key: tuple[str, str, Missing], kernels: Sequence[CataloguedKernel], downloads: Downloads
) -> Demand:
    op_type, name, missing = key
    models = {n.model.model_slug: n.model for k in kernels for n in k.needs}
    served = dict.fromkeys(s for k in kernels for s in _served_by(k.entry))
    return Demand(
        kernel=name,
        op_type=op_type,
        missing=missing,
        definitions=tuple(k.name for k in kernels),
        served_by=tuple(served),
        since=min((k.since for k in kernels if k.since), default=""),
        **_held_up(list(models.values()), downloads),
    )


def _unnamed(key: tuple[str, str], models: Sequence[Manifest], downloads: Downloads) -> Demand:
    what, why = key
    return Demand(
        kernel=what,
        op_type="",
        missing="definition",
        definitions=(),
        why=why,
        **_held_up(models, downloads),
    )


def _held_up(models: Sequence[Manifest], downloads: Downloads) -> dict[str, Any]:
    found = [downloads.counts.get(m.hf_repo_id.casefold()) for m in models]
    known = [count for count in found if count is not None]
    return {
        "models": tuple(sorted(m.model_slug for m in models)),
        "groups": distinct_groups(models),
        "families": tuple(sorted({model_family(m.hf_repo_id) for m in models})),
        "downloads": sum(known) if known else None,
        "downloads_unknown": len(found) - len(known),
    }


def _served_by(entry: ManifestKernel) -> tuple[str, ...]:
    providers = entry.depth.served_by if entry.depth else ()
    return tuple(dict.fromkeys(p.name for p in providers))


def _urgency(row: Demand) -> tuple[int, int, int, int, str, str]:
    return (
        _ORDER.index(row.missing),
        -row.groups,
        -len(row.models),
        -(row.downloads or 0),
        row.kernel,
        row.why,
    )
