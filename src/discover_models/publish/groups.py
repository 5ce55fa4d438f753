"""Which models share a tracking issue: those of one group, as the state remembers it. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from discover_models.domain.kernel import Inventory
from discover_models.domain.manifest import Manifest

_REPOSITORY = re.compile(r"[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)?")


@dataclass(frozen=True)
class ModelGroup:
    """Models with one tracking issue."""

    key: str
    """The group's repository in lower case; what the issue's marker says."""
    members: tuple[Manifest, ...]
    """The group's own model first if there is a manifest of it, then by slug."""


def usable_repository(repo_id: str) -> bool:
    """Whether a repository's name can be the key of an issue."""
    return bool(_REPOSITORY.fullmatch(repo_id))


def with_known_group(inventory: Inventory, known: Mapping[str, str]) -> Inventory:
    """The inventory in the group that the state has for it or for one of its variants.

    `known` are groups by repository in lower case. A model keeps its group, and a new one joins
    that of its variants, whichever of them the run saw first.
    """
    related = (inventory.hf_repo_id, inventory.group, *inventory.variants)
    found = (known[name.casefold()] for name in related if name.casefold() in known)
    return inventory.model_copy(
        update={"group": next(found, inventory.group or inventory.hf_repo_id)}
    )


def known_groups(manifests: Iterable[Manifest]) -> dict[str, str]:
    """The group of every repository in the state, by repository in lower case."""
    return {m.hf_repo_id.casefold(): _group(m) for m in manifests}


def model_groups(manifests: Mapping[str, Manifest]) -> tuple[ModelGroup, ...]:
    """All groups by key."""
    found: dict[str, list[Manifest]] = {}
    for _, manifest in sorted(manifests.items()):
        found.setdefault(_group(manifest).casefold(), []).append(manifest)
    return tuple(
        ModelGroup(key, tuple(sorted(members, key=lambda m: m.hf_repo_id.casefold() != key)))
        for key, members in sorted(found.items())
    )


def _group(manifest: Manifest) -> str:
    """The stored group; a manifest without one, or with an unusable one, is on its own."""
    for name in (manifest.group or "", manifest.hf_repo_id):
        if usable_repository(name):
            return name
    return manifest.model_slug
