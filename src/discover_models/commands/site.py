"""``discover-models site``: the manifests of a folder as a page to put on the web."""

from __future__ import annotations

from pathlib import Path

from discover_models import outputs
from discover_models.catalogue import catalogue
from discover_models.errors import DiscoverError, UsageError
from discover_models.manifest_folder import read_manifests
from discover_models.render.site import render_site
from discover_models.sources.source_spec import DEFAULT_SOURCES


def write_site(manifests: Path, output: Path) -> Path:
    """Write ``index.html`` and what GitHub Pages needs beside it; the page's path.

    Raises:
        UsageError: the folder holds no usable manifests, or `output` is no folder.
        DiscoverError: the page can't be written.
    """
    page = render_site(
        catalogue(read_manifests(manifests)), {spec.name: spec.url for spec in DEFAULT_SOURCES}
    )
    if output.exists() and not output.is_dir():
        raise UsageError(f"--output: {output} is no folder")
    try:
        output.mkdir(parents=True, exist_ok=True)
        (output / ".nojekyll").touch()  # GitHub Pages publishes the folder as it is
    except OSError as error:
        raise DiscoverError(f"{output}: can't be written ({error.strerror})") from error
    outputs.put(page, output / "index.html")
    return output / "index.html"
