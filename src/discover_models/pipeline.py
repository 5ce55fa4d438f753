"""The phases of a run in their order; the only module that knows them all."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from discover_models.classify import Sources
from discover_models.domain.architecture import Architecture
from discover_models.domain.kernel import Deferred, Inventory, Parallelism
from discover_models.errors import ConfigError, SourceError, UsageError
from discover_models.inventory import DEFAULT_PARALLELISM, build_inventory
from discover_models.reading.architecture import read_architecture, read_mistral_architecture
from discover_models.reading.decoder import find_decoder
from discover_models.resolve import KnownModels, resolve
from discover_models.settings import RunOptions
from discover_models.slugs import distinct_slugs
from discover_models.sources.class_defaults import text_defaults
from discover_models.sources.config_defaults import ConfigDefaults, ConfigLookup
from discover_models.sources.config_file import ConfigFile, check_language_model, read_local
from discover_models.sources.cookbook import Cookbook, parallelism_for, read_cookbook
from discover_models.sources.dataset import DatasetIndex
from discover_models.sources.flashinfer import FlashInferIndex
from discover_models.sources.hub import HubClient
from discover_models.sources.sglang import SglangIndex
from discover_models.sources.sglang_configs import SglangConfigs
from discover_models.sources.source_spec import SourceName, merge_sources
from discover_models.sources.workspace import RepoState, Workspace

Say = Callable[[str], None]
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
    libraries: tuple[ConfigLookup, ...]
    repositories: Mapping[SourceName, RepoState]
    origins: Mapping[str, str]
    hub: HubClient | None
    configs: Path | None

    @property
    def repo_shas(self) -> dict[str, str]:
        """Full commit ids by the manifest's names."""
        return {
            _SHA_NAMES[name]: state.commit
            for name, state in self.repositories.items()
            if state.commit is not None
        }


@dataclass(frozen=True)
class RunResult:
    """What a run found."""

    inventories: tuple[Inventory, ...]
    deferred: tuple[Deferred, ...]
    origins: Mapping[str, str]
    """URLs that the repositories were cloned from, by source name."""
    warnings: tuple[str, ...] = ()


def run(options: RunOptions, say: Say) -> RunResult:
    """The inventories of the models that were asked for.

    Raises:
        UsageError: the workspace is missing, or a model can't be told from its name.
        SourceError: the dataset can't be read, so that nothing can be decided.
    """
    world = open_world(options, say)
    known = KnownModels(world.cookbook, options.configs, world.hub)
    targets = [resolve(request, known, options) for request in options.models]
    slugs = distinct_slugs(
        [target.hf_repo_id for target in targets], [target.slug for target in targets]
    )
    files = _configurations([target.hf_repo_id for target in targets], world)
    inventories: list[Inventory] = []
    deferred: list[Deferred] = []
    for slug, target in zip(slugs, targets, strict=True):
        say(f"inventory of {target.hf_repo_id}")
        try:
            file = files[target.hf_repo_id]
            if isinstance(file, ConfigError):
                raise file
            inventories.append(_inventory(slug, file, world, options))
        except ConfigError as error:
            deferred.append(_deferred(slug, target.hf_repo_id, error))
    return RunResult(tuple(inventories), tuple(deferred), world.origins, _warnings(world))


def open_world(options: RunOptions, say: Say) -> World:
    """Bring the repositories and build the indexes."""
    if options.offline and not options.workspace.is_dir():
        raise UsageError(
            f"the workspace {options.workspace} is not there: run without --offline to clone the"
            " repositories into it, or name another one with --workspace"
        )
    workspace = Workspace(options.workspace, offline=options.offline, say=say)
    states = workspace.prepare(merge_sources(options.sources), None)
    if not any(state.usable for state in states.values()):
        reasons = "; ".join(state.error for state in states.values())
        raise UsageError(f"{options.workspace} holds none of the repositories: {reasons}")
    transformers = ConfigDefaults.load()
    return World(
        sources=Sources(
            dataset=_opened(states["flashinfer-trace"], DatasetIndex.open),
            flashinfer=_opened(states["flashinfer"], FlashInferIndex.open),
            sglang=_opened(states["sglang"], SglangIndex.open),
        ),
        cookbook=_cookbook(states["sgl-cookbook"]),
        libraries=(transformers, *_sglang_configs(states["sglang"], transformers)),
        repositories=states,
        origins={name: _origin(workspace, name) for name in states},
        hub=None if options.offline else _hub(options),
        configs=options.configs,
    )


Index = TypeVar("Index")


def _origin(workspace: Workspace, name: SourceName) -> str:
    """The remote of a clone; empty for a repository that has none."""
    try:
        return workspace.git(name).text("remote", "get-url", "origin")
    except SourceError:
        return ""


def _opened(
    state: RepoState, open_index: Callable[[Path, str | None], Index]
) -> Index | SourceError:
    """The index, or why there is none."""
    if not state.usable:
        return SourceError(f"{state.name} can't be read: {state.error}")
    try:
        return open_index(state.path, state.commit)
    except SourceError as error:
        return error


def _cookbook(state: RepoState) -> Cookbook:
    if not state.usable:
        return Cookbook(errors={"sgl-cookbook": state.error})
    return read_cookbook(state.path)


def _sglang_configs(state: RepoState, transformers: ConfigDefaults) -> Iterable[ConfigLookup]:
    """SGLang's own configuration classes, as far as its checkout has them."""
    if state.usable:
        try:
            yield SglangConfigs(state.path, f"sglang {(state.commit or '')[:8]}", transformers)
        except SourceError:
            return


def _hub(options: RunOptions) -> HubClient:
    return HubClient(
        cache_dir=options.hub_cache.expanduser(),
        endpoint=options.hub_endpoint,
        token=options.hub_token,
    )


def _configurations(repo_ids: list[str], world: World) -> dict[str, ConfigFile | ConfigError]:
    """Each model's configuration: from the folder first, the others from the Hub at once."""
    found: dict[str, ConfigFile | ConfigError] = {}
    for repo_id in repo_ids:
        local = _local(repo_id, world.configs)
        if local is not None:
            found[repo_id] = local
    missing = [repo_id for repo_id in repo_ids if repo_id not in found]
    if world.hub is not None:
        return found | world.hub.fetch_many(missing)
    for repo_id in missing:
        where = f"below {world.configs}" if world.configs else "without --configs"
        found[repo_id] = ConfigError(
            f"{repo_id}: no configuration {where}, and the run is offline", reason="offline"
        )
    return found


def _local(repo_id: str, configs: Path | None) -> ConfigFile | ConfigError | None:
    if configs is None:
        return None
    try:
        return read_local(configs, repo_id)
    except ConfigError as error:
        return error


def _inventory(slug: str, file: ConfigFile, world: World, options: RunOptions) -> Inventory:
    architecture = architecture_of(file, world.libraries)
    sizes, notes = _parallelism(file.hf_repo_id, world, options)
    return build_inventory(
        slug=slug,
        repo_id=file.hf_repo_id,
        revision=file.revision,
        architecture=architecture,
        parallelism=sizes,
        sources=world.sources,
        repo_shas=world.repo_shas,
        notes=notes,
    )


def architecture_of(file: ConfigFile, libraries: tuple[ConfigLookup, ...]) -> Architecture:
    """The text decoder that a repository's files describe.

    Raises:
        ConfigError: they describe none, or it is no language model.
    """
    if file.config is None and file.params is not None:
        return read_mistral_architecture(file.params)
    if file.config is None:
        raise ConfigError(f"{file.hf_repo_id} has no config.json", reason="no_configuration")
    check_language_model(file.config, ConfigDefaults.load())
    decoder = find_decoder(file.config)
    defaults = text_defaults(file.config, decoder.path, decoder.model_type, libraries)
    return read_architecture(file.config, file.quant, defaults)


def _parallelism(
    repo_id: str, world: World, options: RunOptions
) -> tuple[tuple[Parallelism, ...], tuple[str, ...]]:
    """The given sizes, each with each; else the cookbook's; else one GPU."""
    if options.tp or options.ep:
        return tuple(
            Parallelism(tp=tp, ep=ep, source="--tp/--ep")
            for tp in options.tp or (1,)
            for ep in options.ep or (1,)
        ), ()
    entries = [c for model in world.cookbook.models for c in model.configurations]
    sizes, relation = parallelism_for(repo_id, entries)
    if not sizes:
        return DEFAULT_PARALLELISM, _cookbook_notes(world)
    if relation == "exact":
        return sizes, ()
    return sizes, (f"serving sizes are those of a {relation} in the cookbook",)


def _cookbook_notes(world: World) -> tuple[str, ...]:
    return tuple(
        f"the cookbook could not be read ({file}: {why}), so sizes are not from it"
        for file, why in world.cookbook.errors.items()
    )


def _deferred(slug: str, repo_id: str, error: ConfigError) -> Deferred:
    return Deferred(
        model_slug=slug,
        hf_repo_id=repo_id,
        reason=error.reason,
        message=str(error),
        skipped=error.reason == "not_a_language_model",
    )


def _warnings(world: World) -> tuple[str, ...]:
    """What a reader should know of the sources themselves."""
    return tuple(
        f"{name}: {state.error}" for name, state in world.repositories.items() if state.error
    ) + tuple(
        f"{name}: files differ from the commit, so lines in evidence may be off"
        for name, state in world.repositories.items()
        if state.usable and state.dirty
    )
