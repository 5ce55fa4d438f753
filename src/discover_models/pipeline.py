"""The phases of a run in their order; the only module that knows them all."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from discover_models.classify import Sources
from discover_models.discovery import (
    class_stem,
    discover,
    group_variants,
    kernel_keys,
    settle,
    with_hints,
)
from discover_models.discovery import resolve as resolve_candidate
from discover_models.domain.architecture import Architecture
from discover_models.domain.candidate import Candidate, Discovery, ModelKernels, VariantGroup
from discover_models.domain.kernel import Deferred, Inventory, Parallelism
from discover_models.domain.model_name import same_model
from discover_models.errors import ConfigError, SourceError, UsageError
from discover_models.inventory import DEFAULT_PARALLELISM, build_inventory
from discover_models.reading.architecture import read_architecture, read_mistral_architecture
from discover_models.reading.decoder import find_decoder
from discover_models.reading.from_source import complete, without_source
from discover_models.reading.quantization import read_quantization
from discover_models.reading.traits import TRAITS
from discover_models.requirements import requirements
from discover_models.resolve import KnownModels, known_groups, resolve
from discover_models.settings import ModelRequest, RunOptions
from discover_models.slugs import distinct_slugs
from discover_models.sources.answers import FlashInferAnswers, SglangAnswers
from discover_models.sources.cache import DiskCache
from discover_models.sources.class_defaults import text_defaults
from discover_models.sources.config_defaults import ConfigDefaults, ConfigLookup
from discover_models.sources.config_file import ConfigFile, check_language_model, read_local
from discover_models.sources.cookbook import Cookbook, parallelism_for, read_cookbook
from discover_models.sources.coverage_doc import read_tracked
from discover_models.sources.dataset import DatasetIndex
from discover_models.sources.hub_access import Hub, HubOnDemand
from discover_models.sources.novelties import read_novelties
from discover_models.sources.pages import CookbookPages, read_pages
from discover_models.sources.registered import registered_names
from discover_models.sources.sglang_configs import SglangConfigs
from discover_models.sources.source_architecture import SourceArchitectures
from discover_models.sources.source_spec import SourceName, merge_sources
from discover_models.sources.workspace import RepoState, Workspace

Say = Callable[[str], None]
Amend = Callable[[ModelRequest], ModelRequest | None]
"""What is to be done about a model that was found: the request for it, or None for nothing."""
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

    def save(self) -> None:
        """Keep for the next run what was read in this one."""
        for source in (self.sources.flashinfer, self.sources.sglang):
            if isinstance(source, FlashInferAnswers | SglangAnswers):
                source.save()

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
    discovery: Discovery | None = None
    """Where new models were looked for: what was found, resolved as far as possible."""


def _as_it_is(request: ModelRequest) -> ModelRequest | None:
    return request


def run(options: RunOptions, say: Say, amend: Amend = _as_it_is) -> RunResult:
    """The inventories of the models that were asked for, and of new ones with `discover`.

    `amend` can correct what is asked for the new ones, and leave some of them out.

    Raises:
        UsageError: the workspace is missing, or a model can't be told from its name.
        SourceError: the dataset can't be read, so that nothing can be decided.
    """
    workspace = workspace_of(options, say)
    with workspace.locked():
        world = open_world(workspace, options)
        discovery = _discover(workspace, world, options, say) if options.discover else None
        known = KnownModels(world.cookbook, options.configs, world.hub)
        targets = [resolve(request, known, options) for request in options.models]
        targets += _new_targets(discovery, targets, amend)
        targets = list(dict.fromkeys(targets))
        inventories, deferred = _inventories(targets, world, options, say)
    return RunResult(inventories, deferred, world.origins, _warnings(world), discovery)


def _inventories(
    targets: list[ModelRequest], world: World, options: RunOptions, say: Say
) -> tuple[tuple[Inventory, ...], tuple[Deferred, ...]]:
    """One model after the other; one that fails does not stop the others."""
    slugs = distinct_slugs(
        [target.hf_repo_id for target in targets], [target.slug for target in targets]
    )
    files = configurations([target.hf_repo_id for target in targets], world.configs, world.hub)
    inventories: list[Inventory] = []
    models: list[ModelKernels] = []
    deferred: list[Deferred] = []
    for slug, target in zip(slugs, targets, strict=True):
        say(f"inventory of {target.hf_repo_id}")
        try:
            file = files[target.hf_repo_id]
            if isinstance(file, ConfigError):
                raise file
            architecture = architecture_of(file, world.libraries, world.models)
            sizes = (target.tp or options.tp, target.ep or options.ep)
            inventories.append(_inventory(slug, file, architecture, world, sizes))
            models.append(_kernels_of(file.hf_repo_id, architecture))
        except (ConfigError, SourceError) as error:
            deferred.append(_deferred(slug, target.hf_repo_id, error))
    world.save()
    known = known_groups(options, slugs)
    groups = group_variants([*_relatives(models, known, world), *models], known)
    return tuple(_grouped(inventory, groups) for inventory in inventories), tuple(deferred)


def _kernels_of(repo_id: str, architecture: Architecture) -> ModelKernels:
    """What tells a model's kernels from another's, on one GPU whatever it is served on."""
    kernels = requirements(architecture, DEFAULT_PARALLELISM).kernels
    return ModelKernels(repo_id=repo_id, kernels=kernel_keys(kernels))


def _relatives(
    models: list[ModelKernels], known: Mapping[str, str], world: World
) -> list[ModelKernels]:
    """Models with a manifest that this run was not asked for and that new ones may belong to.

    Only their configurations are read. One that can't be had joins nobody.
    """
    looked_at = {model.repo_id for model in models}
    new = looked_at - known.keys()
    wanted = [r for r in known if r not in looked_at and any(same_model(r, n) for n in new)]
    found: list[ModelKernels] = []
    for repo_id, file in configurations(wanted, world.configs, world.hub).items():
        if isinstance(file, ConfigError):
            continue
        try:
            found.append(_kernels_of(repo_id, architecture_of(file, world.libraries, world.models)))
        except (ConfigError, SourceError):
            continue
    return found


def _grouped(inventory: Inventory, groups: Iterable[VariantGroup]) -> Inventory:
    group = next(g for g in groups if inventory.hf_repo_id in g.repo_ids)
    others = tuple(r for r in group.repo_ids if r != inventory.hf_repo_id)
    return inventory.model_copy(update={"group": group.key, "variants": others})


def _discover(workspace: Workspace, world: World, options: RunOptions, say: Say) -> Discovery:
    """What is new, each candidate with the repository that its configuration confirms."""
    say("looking for new models")
    new = read_novelties(workspace, world.repositories)
    tracked = options.coverage_doc.is_file()
    titles = read_tracked(options.coverage_doc) if tracked else ()
    unread = f"{options.coverage_doc} is not there: no model counts as tracked already"
    found = discover(
        registrations=new.registrations,
        models=new.models,
        pages=new.pages,
        titles=titles,
        compared=new.compared,
        tracked_as=options.tracked,
        errors=new.errors if tracked else {**new.errors, "coverage document": unread},
    )
    resolver = _Resolver(world)
    return settle(found, map(resolver.resolve, found.candidates), titles, options.tracked)


class _Resolver:
    """Finds candidates' repositories, asking for each configuration once."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._listed = [(model.model_path, "cookbook") for model in world.cookbook.models]
        self._listed += [(repo_id, "page") for page in world.pages.pages for repo_id in page.served]
        self._configs: dict[str, Mapping[str, Any] | None] = {}
        self._registered: frozenset[str] | None = None
        self._checkpoints: dict[str, str] | None = None

    def resolve(self, candidate: Candidate) -> Candidate:
        if candidate.origin != "day0":
            return resolve_candidate(candidate, self._config, self._names())
        documented = self._documented().get(class_stem(candidate.name))
        hinted = with_hints(candidate, listed=self._listed, documented=documented)
        found = resolve_candidate(hinted, self._config, self._names())
        if found.hf_repo_id is None and self._world.hub is not None:
            searched = with_hints(hinted, searched=self._search(candidate.name))
            found = resolve_candidate(searched, self._config, self._names())
        return found

    def _documented(self) -> Mapping[str, str]:
        """The checkpoint that each configuration class documents, by the stem of its name."""
        if self._checkpoints is None:
            library = ConfigDefaults.load()
            classes = (library.for_class(name) for name in library.class_names())
            self._checkpoints = {
                class_stem(f"{found.class_name.removesuffix('Config')}Model"): found.checkpoint
                for found in classes
                if found is not None and found.checkpoint
            }
        return self._checkpoints

    def _search(self, class_name: str) -> list[str]:
        try:
            return self._world.hub.search(class_stem(class_name)) if self._world.hub else []
        except ConfigError:
            return []

    def _config(self, repo_id: str) -> Mapping[str, Any] | None:
        if repo_id not in self._configs:
            file = configurations([repo_id], self._world.configs, self._world.hub)[repo_id]
            self._configs[repo_id] = None if isinstance(file, ConfigError) else file.config
        return self._configs[repo_id]

    def _names(self) -> frozenset[str]:
        """All classes that SGLang registers today."""
        if self._registered is None:
            state = self._world.repositories["sglang"]
            self._registered = registered_names(state.path) if state.usable else frozenset()
        return self._registered


def _new_targets(
    discovery: Discovery | None, asked: list[ModelRequest], amend: Amend
) -> list[ModelRequest]:
    """The resolved candidates that nobody asked for by name."""
    have = {target.hf_repo_id.casefold() for target in asked}
    found = discovery.candidates if discovery is not None else ()
    new = dict.fromkeys(c.hf_repo_id for c in found if c.hf_repo_id)
    wanted = [amend(ModelRequest(hf_repo_id=repo_id)) for repo_id in new]
    return [item for item in wanted if item and item.hf_repo_id.casefold() not in have]


def workspace_of(options: RunOptions, say: Say) -> Workspace:
    """The folder of the repositories; `UsageError` when it is missing offline."""
    if options.offline and not options.workspace.is_dir():
        raise UsageError(
            f"the workspace {options.workspace} is not there: run without --offline to clone the"
            " repositories into it, or name another one with --workspace"
        )
    if options.configs is not None and not options.configs.is_dir():
        raise UsageError(f"--configs: the folder {options.configs} is not there")
    return Workspace(options.workspace, offline=options.offline, say=say)


def open_world(workspace: Workspace, options: RunOptions) -> World:
    """Bring the repositories and build the indexes."""
    states = workspace.prepare(merge_sources(options.sources), options.since)
    if not any(state.usable for state in states.values()):
        reasons = "; ".join(state.error for state in states.values())
        raise UsageError(f"{options.workspace} holds none of the repositories: {reasons}")
    dataset = opened(states["flashinfer-trace"], DatasetIndex.open)
    if isinstance(dataset, SourceError):
        raise dataset
    transformers = ConfigDefaults.load()
    cache = DiskCache(options.cache_dir / "indexes") if options.cache_dir is not None else None
    libraries = (transformers, *config_classes(states["sglang"], transformers, cache))
    return World(
        sources=Sources(
            dataset=dataset,
            flashinfer=opened(
                states["flashinfer"], lambda path, at: FlashInferAnswers(path, at, cache)
            ),
            sglang=opened(states["sglang"], lambda path, at: SglangAnswers(path, at, cache)),
        ),
        cookbook=cookbook_of(states["sgl-cookbook"], cache),
        pages=_pages(states["sglang"]),
        libraries=libraries,
        models=opened(
            states["sglang"], lambda path, at: SourceArchitectures(path, at, libraries, cache)
        ),
        repositories=states,
        origins={name: _origin(workspace, name) for name in states},
        hub=None if options.offline else hub_of(options),
        configs=options.configs,
    )


Index = TypeVar("Index")


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
        return Cookbook(errors={"sgl-cookbook": state.error})
    return read_cookbook(state.path, cache)


def _pages(state: RepoState) -> CookbookPages:
    return read_pages(state.path) if state.usable else CookbookPages()


def config_classes(
    state: RepoState, transformers: ConfigDefaults, cache: DiskCache | None = None
) -> Iterable[ConfigLookup]:
    """SGLang's own configuration classes, as far as its checkout has them."""
    if state.usable:
        try:
            name = f"sglang {(state.commit or '')[:8]}"
            yield SglangConfigs(state.path, name, transformers, cache)
        except SourceError:
            return


def hub_of(options: RunOptions) -> Hub:
    """A client of the Hub as the run's options want it."""
    return HubOnDemand(
        cache_dir=options.hub_cache.expanduser(),
        endpoint=options.hub_endpoint,
        token=options.hub_token,
    )


def configurations(
    repo_ids: list[str], configs: Path | None, hub: Hub | None
) -> dict[str, ConfigFile | ConfigError]:
    """Each model's configuration: from the folder first, the others from the Hub at once."""
    found: dict[str, ConfigFile | ConfigError] = {}
    for repo_id in repo_ids:
        local = _local(repo_id, configs)
        if local is not None:
            found[repo_id] = local
    missing = [repo_id for repo_id in repo_ids if repo_id not in found]
    if hub is not None and missing:
        return found | hub.fetch_many(missing)
    for repo_id in missing:
        where = f"below {configs}" if configs else "without --configs"
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


_Sizes = tuple[tuple[int, ...], tuple[int, ...]]
"""Tensor and expert parallel sizes; empty: the cookbook's."""


def _inventory(
    slug: str, file: ConfigFile, architecture: Architecture, world: World, given: _Sizes
) -> Inventory:
    sizes, notes = _parallelism(file.hf_repo_id, world, given)
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


def architecture_of(
    file: ConfigFile,
    libraries: tuple[ConfigLookup, ...],
    models: SourceArchitectures | SourceError | None = None,
) -> Architecture:
    """The text decoder that a repository's files describe.

    What the class of an unknown type decides by itself is read in `models`, SGLang's own source;
    None leaves it undecided.

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
    said = read_architecture(file.config, file.quant, defaults)
    if models is None or decoder.model_type in TRAITS:
        return said
    try:
        if isinstance(models, SourceError):
            raise models
        quantization = read_quantization(file.config, decoder.values, file.quant)
        return complete(said, models.read(file.config), quantization)
    except SourceError as error:
        return without_source(said, error)


def _parallelism(
    repo_id: str, world: World, given: _Sizes
) -> tuple[tuple[Parallelism, ...], tuple[str, ...]]:
    """The given sizes, each with each; else the cookbook's; else one GPU.

    An expert parallel size alone brings the smallest tensor parallel size that SGLang takes it
    with, which is the same.
    """
    tps, eps = given
    if eps and not tps:
        return tuple(Parallelism(tp=ep, ep=ep, source="--ep") for ep in eps), ()
    if tps:
        return tuple(
            Parallelism(tp=tp, ep=ep, source="--tp/--ep") for tp in tps for ep in eps or (1,)
        ), ()
    entries = [c for model in world.cookbook.models for c in model.configurations]
    entries += [c for page in world.pages.pages for c in page.configurations]
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


def _deferred(slug: str, repo_id: str, error: ConfigError | SourceError) -> Deferred:
    reason = error.reason if isinstance(error, ConfigError) else "source"
    return Deferred(
        model_slug=slug,
        hf_repo_id=repo_id,
        reason=reason,
        message=str(error),
        skipped=reason == "not_a_language_model",
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
