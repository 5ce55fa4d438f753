"""The command that lists what SGLang's registered architectures can do."""

from __future__ import annotations

from discover_models.domain.listing import ArchitectureListing
from discover_models.errors import SourceError
from discover_models.progress import Say
from discover_models.settings import RunOptions
from discover_models.sources.architectures import listed_architectures
from discover_models.sources.cache import DiskCache
from discover_models.sources.source_spec import merge_sources
from discover_models.world import workspace_of


def list_from_workspace(options: RunOptions, say: Say) -> ArchitectureListing:
    """List the architectures of the workspace's SGLang.

    Raises:
        UsageError: the workspace is not there.
        SourceError: SGLang is not in it, or has no package of models.
    """
    workspace = workspace_of(options, say)
    specs = [spec for spec in merge_sources(options.sources) if spec.name == "sglang"]
    cache = DiskCache(options.cache_dir / "indexes") if options.cache_dir is not None else None
    with workspace.locked():
        state = workspace.prepare(specs, None)["sglang"]
        if not state.usable:
            raise SourceError(f"sglang: {state.error}")
        say("reading what SGLang's classes can do")
        return listed_architectures(state.path, state.commit, cache)
