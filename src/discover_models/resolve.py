"""Which repository a model name means."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from discover_models import manifests
from discover_models.errors import ConfigError, UsageError
from discover_models.settings import ModelRequest, RunOptions
from discover_models.slugs import check_slug, slug_of
from discover_models.sources.config_file import check_repo_id
from discover_models.sources.cookbook import Cookbook
from discover_models.sources.hub import HubClient


@dataclass(frozen=True)
class KnownModels:
    """Where names are looked up, in that order."""

    cookbook: Cookbook
    configs: Path | None
    hub: HubClient | None


def resolve(request: ModelRequest, known: KnownModels, options: RunOptions) -> ModelRequest:
    """The request with its repository.

    Raises:
        UsageError: no repository has that name, or several have; the sentence lists them.
    """
    if request.slug:
        check_slug(request.slug)
    if request.hf_repo_id:
        return request.model_copy(update={"hf_repo_id": check_repo_id(request.hf_repo_id)})
    for place, candidates in _places(request.slug, known, options):
        found = sorted(set(candidates))
        if len(found) == 1:
            return request.model_copy(update={"hf_repo_id": found[0]})
        if found:
            raise UsageError(
                f"{request.slug!r} is the name of several repositories in {place}:"
                f" {', '.join(found)}; choose one with --hf-repo-id"
            )
    return request.model_copy(update={"hf_repo_id": _on_the_hub(request.slug, known.hub)})


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
    found = [manifests.load(path) for path in sorted(paths) if path.exists()]
    return {manifest.hf_repo_id: manifest.group for manifest in found if manifest.group}


def _from_configs(slug: str, configs: Path | None) -> Iterator[str]:
    if configs is not None and configs.is_dir():
        for folder in configs.glob("*/*"):
            if folder.is_dir() and slug_of(folder.name) == slug:
                yield f"{folder.parent.name}/{folder.name}"


def _on_the_hub(slug: str, hub: HubClient | None) -> str:
    """The one repository of that name on the Hub; a hit of another name is only suggested."""
    if hub is None:
        raise UsageError(
            f"no manifest, configuration folder or cookbook entry has the name {slug!r};"
            " say which repository with --hf-repo-id ORG/MODEL"
        )
    try:
        hits = hub.search(slug)
    except ConfigError as error:
        raise UsageError(
            f"{slug!r} can't be looked up on the Hub ({error}); use --hf-repo-id"
        ) from error
    exact = [hit for hit in hits if slug_of(hit) == slug]
    if len(exact) == 1:
        return exact[0]
    suggestions = ", ".join((exact or hits)[:5]) or "none"
    raise UsageError(
        f"the Hub has {len(exact)} repositories named {slug!r}; choose one with --hf-repo-id"
        f" (candidates: {suggestions})"
    )
