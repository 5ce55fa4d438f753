"""Which repository a model name means."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from discover_models.domain.model_name import plain_slugs
from discover_models.errors import ConfigError, DiscoverError, ManifestError, UsageError
from discover_models.settings import ModelRequest, RunOptions
from discover_models.slugs import check_slug, slug_of
from discover_models.sources.config_defaults import ConfigDefaults
from discover_models.sources.config_file import ConfigFile, check_language_model, check_repo_id
from discover_models.sources.cookbook import Cookbook
from discover_models.sources.hub_access import Hub

if TYPE_CHECKING:  # most runs have no manifest
    from discover_models.domain.manifest import Manifest

_CONFIRMED_AT_MOST = 8
"""Hits of one name that are looked into; each costs two or three requests."""
_NO_MODEL = ("not_a_language_model", "no_configuration", "malformed", "not_found")
"""Reasons for which a repository is certainly not what was meant."""


@dataclass(frozen=True)
class KnownModels:
    """Where names are looked up, in that order."""

    cookbook: Cookbook
    configs: Path | None
    hub: Hub | None


def resolve(request: ModelRequest, known: KnownModels, options: RunOptions) -> ModelRequest:
    """The request with its repository.

    Raises:
        UsageError: no repository has that name, or several have; the sentence lists them.
    """
    if request.slug:
        check_slug(request.slug)
    if request.hf_repo_id:
        return replace(request, hf_repo_id=check_repo_id(request.hf_repo_id))
    for place, candidates in _places(request.slug, known, options):
        found = sorted(set(candidates))
        if len(found) == 1:
            return replace(request, hf_repo_id=found[0])
        if found:
            raise UsageError(
                f"{request.slug!r} is the name of several repositories in {place}:"
                f" {', '.join(found)}; choose one with --hf-repo-id"
            )
    if known.hub is None:
        raise UsageError(
            f"no manifest, configuration folder or cookbook entry has the name {request.slug!r}"
            f"{_nearest(request.slug, known)}; say which repository with --hf-repo-id ORG/MODEL"
        )
    return replace(request, hf_repo_id=_on_the_hub(request.slug, known.hub))


def _nearest(slug: str, known: KnownModels) -> str:
    """The names that are known and look like this one, in brackets; empty when none does."""
    local = _repositories(known.configs)
    names = {slug_of(name) for name in (*local, *(m.model_path for m in known.cookbook.models))}
    close = difflib.get_close_matches(slug, sorted(names), n=3, cutoff=0.7)
    return f" (the nearest are {', '.join(close)})" if close else ""


def _places(
    slug: str, known: KnownModels, options: RunOptions
) -> Iterator[tuple[str, Iterable[str]]]:
    yield "the manifest", _from_manifest(slug, options)
    yield "--configs", _from_configs(slug, known.configs)
    yield (
        "the cookbook",
        (m.model_path for m in known.cookbook.models if slug_of(m.model_path) == slug),
    )


def _from_manifest(slug: str, options: RunOptions) -> Iterator[str]:
    for path in manifest_paths(slug, options, date=""):
        if path.exists():
            from discover_models import manifests

            yield manifests.load(path).hf_repo_id


def manifest_paths(slug: str, options: RunOptions, *, date: str) -> Iterator[Path]:
    """The files that a model's manifest goes to.

    With an empty `date` a template with ``{date}`` names no file.
    """
    if options.manifest and (date or "{date}" not in options.manifest):
        yield Path(options.manifest.replace("{model_slug}", slug).replace("{date}", date))
    if options.manifest_dir is not None:
        yield options.manifest_dir / f"{slug}.json"


def known_groups(options: RunOptions, slugs: Iterable[str]) -> dict[str, str]:
    """The group of each repository that a manifest of this run already has."""
    paths = {path for slug in slugs for path in manifest_paths(slug, options, date="")}
    if options.manifest_dir is not None and options.manifest_dir.is_dir():
        paths.update(options.manifest_dir.glob("*.json"))
    found = (_loaded(path) for path in sorted(paths) if path.exists())
    return {
        manifest.hf_repo_id: manifest.group for manifest in found if manifest and manifest.group
    }


def _loaded(path: Path) -> Manifest | None:
    """None for a file that can't be used; who writes to it says so."""
    from discover_models import manifests

    try:
        return manifests.load(path)
    except ManifestError:
        return None


def _from_configs(slug: str, configs: Path | None) -> Iterator[str]:
    return (name for name in _repositories(configs) if slug_of(name) == slug)


def _repositories(configs: Path | None) -> Iterator[str]:
    """The repositories of a configuration folder."""
    if configs is not None and configs.is_dir():
        for folder in configs.glob("*/*"):
            if folder.is_dir():
                yield f"{folder.parent.name}/{folder.name}"


def _on_the_hub(slug: str, hub: Hub) -> str:
    """The one repository of that name on the Hub, else of that name but for tuning and date.

    A hit counts unless its own files say that it is no language model; other names are only
    suggested.
    """
    try:
        hits = hub.search(slug)
    except ConfigError as error:
        raise DiscoverError(
            f"{slug!r} can't be looked up ({error}); say which repository with --hf-repo-id"
        ) from error
    exact = [hit for hit in hits if slug_of(hit) == slug]
    plain = [hit for hit in hits if slug in plain_slugs(hit) and hit not in exact]
    for candidates in (exact, plain):
        files = hub.fetch_many(candidates[:_CONFIRMED_AT_MOST])
        confirmed = [hit for hit, file in files.items() if _may_be_model(file)]
        if len(confirmed) == 1:
            return confirmed[0]
        if confirmed:
            raise UsageError(
                f"{slug!r} is the name of several models on the Hub: {', '.join(confirmed)};"
                " choose one with --hf-repo-id"
            )
    close = f" (the nearest are {', '.join(hits[:5])})" if hits else ""
    raise UsageError(
        f"the Hub has no language model named {slug!r}{close}; choose one with --hf-repo-id"
    )


def _may_be_model(found: ConfigFile | ConfigError) -> bool:
    """Whether it is a language model's configuration, or can't be seen (a gated repository)."""
    if isinstance(found, ConfigError):
        return found.reason not in _NO_MODEL
    try:
        check_language_model(found.config or {}, ConfigDefaults.load())
    except ConfigError:
        return False
    return found.config is not None
