"""A folder of manifests as the commands read it."""

from pathlib import Path

from discover_models import manifests
from discover_models.domain.manifest import Manifest
from discover_models.errors import UsageError
from discover_models.publish.state_value import usable_slug


def read_manifests(folder: Path) -> tuple[Manifest, ...]:
    """All manifests (``*.json``) in a folder, by name.

    Raises:
        UsageError: there is none, or one can't be the manifest of its model.
        ManifestError: one does not follow the contract.
    """
    files = sorted(folder.glob("*.json"))
    if not files:
        raise UsageError(f"{folder} holds no manifest (*.json)")
    found = tuple(manifests.load(file) for file in files)
    seen: dict[str, Path] = {}
    for file, manifest in zip(files, found, strict=True):
        slug = manifest.model_slug
        if not usable_slug(slug):
            raise UsageError(f"{file}: the slug {slug!r} can't be the name of a file")
        if slug in seen:
            raise UsageError(f"{file} and {seen[slug]} are both of the model {slug!r}")
        seen[slug] = file
    return found
