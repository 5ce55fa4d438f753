"""What a run can be told, in one place; both front doors only fill in these values."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal

OutputFormat = Literal["text", "markdown", "json"]

ListFormat = Literal["text", "json"]

AuditFormat = Literal["text", "json", "github"]


@dataclass(frozen=True, kw_only=True)
class ModelRequest:
    """One model that was asked for."""

    slug: str = ""
    """Empty: the repository's name in lower case."""
    hf_repo_id: str = ""
    """Empty: to be found from the slug."""
    tp: tuple[int, ...] = ()
    ep: tuple[int, ...] = ()
    """This model's serving sizes; empty: those of the run."""


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """One run of the inventory."""

    models: tuple[ModelRequest, ...] = ()
    discover: bool = False
    """Find new models, besides those that were asked for."""
    since: datetime | None = None
    """How far back something counts as new; needed with `discover`."""
    coverage_doc: Path = Path("docs/model_coverage.mdx")
    """The models in its Summary table are tracked already."""
    tracked: Mapping[str, str] = field(default_factory=dict[str, str])
    """Further tracked repositories, in lower case, with their title in that table."""
    manifest: str = ""
    """Path with ``{model_slug}`` and ``{date}`` to be filled in; empty for none."""
    manifest_dir: Path | None = None
    """Folder for ``{slug}.json`` files."""
    refresh: bool = False
    """Classify entries again that a manifest already has."""
    tp: tuple[int, ...] = ()
    ep: tuple[int, ...] = ()
    """Serving sizes in place of the cookbook's; empty: the cookbook's."""
    workspace: Path = Path("tmp")
    sources: tuple[str, ...] = ()
    """``NAME=URL[@REVISION]`` in place of the default repositories."""
    offline: bool = False
    """The workspace as it is, and no network at all."""
    configs: Path | None = None
    """Folder of ``ORG/MODEL/config.json``, looked up before the Hub."""
    hub_endpoint: str | None = None
    hub_token: str | None = None
    hub_cache: Path = Path("~/.cache/discover-models/hub")
    cache_dir: Path | None = None
    """Where what was read of the repositories is kept for the next run; None for nowhere."""


@dataclass(frozen=True, kw_only=True)
class WantedOutput:
    """Where the report goes and how it looks."""

    format: OutputFormat = "text"
    output: Path | None = None
    """None for standard output."""
    strict: bool = False
    """With several models, any that failed makes the exit code 3."""


def cache_folder(given: str, environment: Mapping[str, str] = os.environ) -> Path | None:
    """The folder that was given; None for ``none``, and when empty one where caches are kept."""
    if given:
        return None if given == "none" else Path(given).expanduser()
    caches = environment.get("XDG_CACHE_HOME", "")
    # The specification has relative paths ignored.
    base = Path(caches) if caches.startswith("/") else Path("~/.cache").expanduser()
    return base / "discover-models"
