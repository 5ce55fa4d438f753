"""All inventoried models and all definitions that any of them needs. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from discover_models.domain.manifest import Manifest, ManifestKernel


@dataclass(frozen=True)
class Need:
    """One model that needs a definition, with its manifest's entry."""

    model: Manifest
    entry: ManifestKernel


@dataclass(frozen=True)
class CataloguedKernel:
    """One definition, over all models that need it."""

    needs: tuple[Need, ...]
    """By slug; at least one."""

    @cached_property
    def entry(self) -> ManifestKernel:
        """The entry that was looked at last; of entries of one day the first by slug."""
        return max(self.needs, key=lambda need: need.model.date).entry

    @property
    def name(self) -> str:
        return self.entry.definition_name

    @property
    def op_type(self) -> str:
        return self.entry.op_type

    @property
    def since(self) -> str:
        """ISO day since when what is said of it has been true; empty where nobody noted it."""
        same = (n.entry for n in self.needs if _verdict(n.entry) == _verdict(self.entry))
        return min((entry.changed for entry in same if entry.changed), default="")


@dataclass(frozen=True)
class Catalogue:
    """Models by slug, definitions by op_type and name."""

    models: tuple[Manifest, ...]
    kernels: tuple[CataloguedKernel, ...]

    @property
    def op_types(self) -> tuple[str, ...]:
        """The kernel families, those that most models need first."""
        models: dict[str, set[str]] = {}
        for kernel in self.kernels:
            slugs = (need.model.model_slug for need in kernel.needs)
            models.setdefault(kernel.op_type, set()).update(slugs)
        return tuple(sorted(models, key=lambda op_type: (-len(models[op_type]), op_type)))


def catalogue(manifests: Iterable[Manifest]) -> Catalogue:
    """The manifests the other way round; entries that are no longer required are left out."""
    models = tuple(sorted(manifests, key=lambda m: m.model_slug))
    needs: dict[str, list[Need]] = {}
    for model in models:
        for entry in model.kernels:
            if entry.required:
                needs.setdefault(entry.definition_name, []).append(Need(model, entry))
    found = [CataloguedKernel(tuple(group)) for group in needs.values()]
    return Catalogue(models, tuple(sorted(found, key=lambda k: (k.op_type, k.name))))


def distinct_groups(models: Sequence[Manifest]) -> int:
    """How many groups of models these are; quantised copies of a model count once."""
    return len({(m.group or m.hf_repo_id).casefold() for m in models})


def _verdict(entry: ManifestKernel) -> tuple[object, ...]:
    return (
        entry.phase1_status,
        entry.fi_status,
        entry.sgl_status,
        entry.fi_trace_template,
        entry.dataset_workloads,
    )
