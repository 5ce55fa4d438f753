"""``discover-models demand``: what is missing, by how many models it holds up."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from discover_models import outputs
from discover_models.catalogue import catalogue
from discover_models.demand import Downloads, rank
from discover_models.domain.manifest import Manifest
from discover_models.manifest_folder import read_manifests
from discover_models.render import demand as render
from discover_models.settings import OutputFormat
from discover_models.sources.downloads import downloads_from_hub


@dataclass(frozen=True)
class HubAccess:
    """How the Hub is asked, where it is to be asked."""

    endpoint: str | None
    token: str | None
    cache: Path | None


def show_demand(
    folder: Path, format: OutputFormat, output: Path | None, hub: HubAccess | None
) -> None:
    """Print the ranking of the manifests in a folder; with `hub` also by downloads.

    Raises:
        UsageError: the folder holds no usable manifests.
    """
    found = read_manifests(folder)
    downloads = _downloads(found, hub) if hub else Downloads()
    ranking = rank(catalogue(found), downloads)
    text = {
        "text": render.render_demand_text,
        "markdown": render.render_demand_markdown,
        "json": render.render_demand_json,
    }[format](ranking)
    outputs.put(text, output)


def _downloads(manifests: Iterable[Manifest], hub: HubAccess) -> Downloads:
    found, failed = downloads_from_hub(
        (m.hf_repo_id for m in manifests),
        endpoint=hub.endpoint,
        token=hub.token,
        cache=hub.cache,
        today=datetime.now(UTC).date(),
    )
    for repo_id, why in failed.items():
        print(f"warning: the downloads of {repo_id} are not known: {why}", file=sys.stderr)
    return found
