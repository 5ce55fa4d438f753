"""Everything that a run reads, opened once: the repositories and the indexes over them."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from discover_models.classify import Sources
from discover_models.errors import SourceError, UsageError
from discover_models.progress import Say
from discover_models.settings import RunOptions
from discover_models.sources.answers import FlashInferAnswers, SglangAnswers
from discover_models.sources.cache import DiskCache
from discover_models.sources.config_defaults import ConfigDefaults, ConfigLookup
from discover_models.sources.contents import Contents
from discover_models.sources.cookbook import Cookbook, read_cookbook
from discover_models.sources.dataset import DatasetIndex
from discover_models.sources.flashinfer_files import marks_its_api
from discover_models.sources.hub_access import Hub, HubOnDemand
from discover_models.sources.pages import CookbookPages, read_pages
from discover_models.sources.sglang_configs import SglangConfigs
from discover_models.sources.source_architecture import SourceArchitectures
from discover_models.sources.source_spec import SourceName, merge_sources
from discover_models.sources.workspace import RepoState, Workspace

Index = TypeVar("Index")
_SHA_NAMES = {
    "sglang": "sglang",
    "flashinfer": "flashinfer",
    "sgl-cookbook": "sgl_cookbook",
    "flashinfer-trace": "flashinfer_trace",
}


@dataclass(frozen=True)
class World:
    """Everything that a run reads, opened once."""

    sources: Sources
    cookbook: Cookbook
    pages: CookbookPages
    """SGLang's own cookbook."""
    libraries: tuple[ConfigLookup, ...]
    models: SourceArchitectures | SourceError
    """SGLang's model classes."""
    repositories: Mapping[SourceName, RepoState]
    origins: Mapping[str, str]
    hub: Hub | None
    configs: Path | None
    unread: dict[str, str]
    """Why a source can't be taken for what it is today; nobody is asked for what rests on it."""

    def save(self) -> None:
        """Keep for the next run what was read in this one."""
        for source in (self.sources.flashinfer, self.sources.sglang, self.models):
            if isinstance(source, FlashInferAnswers | SglangAnswers | SourceArchitectures):
                source.save()

    @property
    def repo_shas(self) -> dict[str, str]:
        """Full commit ids by the manifest's names."""
        return {
            _SHA_NAMES[name]: state.commit
            for name, state in self.repositories.items()
            if state.commit is not None
        }


class DatasetError(SourceError):
    """The dataset can't be read, so that nothing can be called new or existing."""


def workspace_of(options: RunOptions, say: Say) -> Workspace:
    """The folder of the repositories; `UsageError` when it is missing offline."""
    if options.workspace.exists() and not options.workspace.is_dir():
        raise UsageError(f"--workspace: {options.workspace} is no folder")
    if options.offline and not options.workspace.is_dir():
        raise UsageError(
            f"the workspace {options.workspace} is not there: run without --offline to clone the"
            " repositories into it, or name another one with --workspace"
        )
    if options.configs is not None and not options.configs.is_dir():
        raise UsageError(f"--configs: the folder {options.configs} is not there")
    return Workspace(options.workspace, offline=options.offline, say=say)


def open_world(workspace: Workspace, options: RunOptions) -> World:
    """Bring the repositories and build the indexes.

    Raises:
        DatasetError: the dataset can't be read.
        UsageError: none of the repositories can be read.
    """
    states = workspace.prepare(merge_sources(options.sources), options.since)
    if not any(state.usable for state in states.values()):
        reasons = "; ".join(state.error for state in states.values())
        raise UsageError(f"{options.workspace} holds none of the repositories: {reasons}")
    dataset = opened(states["flashinfer-trace"], DatasetIndex.open)
    if isinstance(dataset, SourceError):
        raise DatasetError(str(dataset))
    transformers = ConfigDefaults.load()
    cache = DiskCache(options.cache_dir / "indexes") if options.cache_dir is not None else None
    # SGLang's files are told apart once for all that rests on them.
    contents = Contents(states["sglang"].path)
    libraries = (transformers, *config_classes(states["sglang"], transformers, cache, contents))
    sources = Sources(
        dataset=dataset,
        flashinfer=opened(
            states["flashinfer"], lambda path, at: FlashInferAnswers(path, at, cache)
        ),
        sglang=opened(states["sglang"], lambda path, at: SglangAnswers(path, at, cache, contents)),
    )
    cookbook = cookbook_of(states["sgl-cookbook"], cache)
    return World(
        sources=sources,
        cookbook=cookbook,
        pages=_pages(states["sglang"]),
        libraries=libraries,
        models=opened(
            states["sglang"],
            lambda path, at: SourceArchitectures(path, at, libraries, cache, contents),
        ),
        repositories=states,
        origins={name: _origin(workspace, name) for name in states},
        hub=None if options.offline else hub_of(options),
        configs=options.configs,
        unread=_unread(states, sources, cookbook),
    )


def _unread(
    states: Mapping[SourceName, RepoState], sources: Sources, cookbook: Cookbook
) -> dict[str, str]:
    """By source why nothing new may rest on it: unreadable, not brought up to date, outdated."""
    found: dict[str, str] = {name: s.error for name, s in states.items() if s.error}
    if isinstance(sources.flashinfer, SourceError):
        found.setdefault("flashinfer", str(sources.flashinfer))
    elif not marks_its_api(states["flashinfer"].path):
        why = "it marks no function with @flashinfer_api, as only old versions do"
        found.setdefault("flashinfer", why)
    if isinstance(sources.sglang, SourceError):
        found.setdefault("sglang", str(sources.sglang))
    if cookbook.unread:
        found.setdefault("sgl-cookbook", cookbook.unread)
    return found


def _origin(workspace: Workspace, name: SourceName) -> str:
    """The remote of a clone; empty for a repository that has none."""
    try:
        return workspace.git(name).text("remote", "get-url", "origin")
    except SourceError:
        return ""


def opened(
    state: RepoState, open_index: Callable[[Path, str | None], Index]
) -> Index | SourceError:
    """The index, or why there is none."""
    if not state.usable:
        return SourceError(f"{state.name} can't be read: {state.error}")
    try:
        return open_index(state.path, state.commit)
    except SourceError as error:
        return error


def cookbook_of(state: RepoState, cache: DiskCache | None = None) -> Cookbook:
    """The cookbook, or an empty one with the reason."""
    if not state.usable:
        return Cookbook.nothing(state.error)
    return read_cookbook(state.path, cache)


def _pages(state: RepoState) -> CookbookPages:
    return read_pages(state.path) if state.usable else CookbookPages()


def config_classes(
    state: RepoState,
    transformers: ConfigDefaults,
    cache: DiskCache | None = None,
    contents: Contents | None = None,
) -> Iterable[ConfigLookup]:
    """SGLang's own configuration classes, as far as its checkout has them."""
    if state.usable:
        try:
            name = f"sglang {(state.commit or '')[:8]}"
            yield SglangConfigs(state.path, name, transformers, cache, contents)
        except SourceError:
            return


def hub_of(options: RunOptions) -> Hub:
    """A client of the Hub as the run's options want it."""
    return HubOnDemand(
        cache_dir=options.hub_cache.expanduser(),
        endpoint=options.hub_endpoint,
        token=options.hub_token,
    )
