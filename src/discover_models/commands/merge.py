"""``discover-models merge``: the manifests of several runs in one folder."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from discover_models import manifests
from discover_models.domain.manifest import Manifest
from discover_models.errors import DiscoverError, UsageError


def merge_folders(folders: Sequence[Path], output: Path) -> tuple[str, ...]:
    """Write what the folders hold together; what a reader should know of it.

    Raises:
        UsageError: a folder is not there, or two models have one slug.
        ManifestError: a file is no manifest.
        DiscoverError: `output` can't be written.
    """
    missing = [str(folder) for folder in folders if not folder.is_dir()]
    if missing:
        raise UsageError(f"{', '.join(missing)}: no such folder")
    files = [file for folder in folders for file in sorted(folder.glob("*.json"))]
    read = [manifests.load(file) for file in files]
    merged = united(read)
    try:
        output.mkdir(parents=True, exist_ok=True)
        for manifest in merged:
            manifests.save(output / f"{manifest.model_slug}.json", manifest)
    except OSError as error:
        raise DiscoverError(f"{output}: can't be written ({error.strerror})") from error
    dropped = sorted({m.model_slug for m in read if m not in merged})
    return tuple(f"{slug}: several manifests, the newest one is kept" for slug in dropped)


def united(found: Iterable[Manifest]) -> tuple[Manifest, ...]:
    """One manifest per slug, by slug: the one of the latest day.

    Associative and order-free: two of one day are told apart by what they say.

    Raises:
        UsageError: one slug stands for two repositories.
    """
    newest: dict[str, Manifest] = {}
    for manifest in found:
        slug = manifest.model_slug
        other = newest.setdefault(slug, manifest)
        if manifest.hf_repo_id != other.hf_repo_id:
            repositories = " and ".join(sorted((manifest.hf_repo_id, other.hf_repo_id)))
            raise UsageError(f"{slug} is the slug of {repositories}")
        newest[slug] = max(manifest, other, key=_age)
    return tuple(newest[slug] for slug in sorted(newest))


def _age(manifest: Manifest) -> tuple[str, bytes]:
    return manifest.date, manifests.dump(manifest)
