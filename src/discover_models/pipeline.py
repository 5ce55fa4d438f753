"""The phases of a run in their order; the only module that knows them all."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from discover_models.discovery import group_variants
from discover_models.domain.candidate import Discovery, ModelKernels, VariantGroup
from discover_models.domain.kernel import Deferred, Inventory
from discover_models.domain.model_name import same_model
from discover_models.errors import ConfigError, SourceError
from discover_models.one_model import (
    architecture_of,
    configurations,
    deferred_as,
    inventory_of,
    kernels_of,
)
from discover_models.progress import Say
from discover_models.resolve import KnownModels, known_groups, resolve
from discover_models.settings import ModelRequest, RunOptions
from discover_models.slugs import distinct_slugs
from discover_models.sources.workspace import Workspace
from discover_models.world import World, open_world, workspace_of

Amend = Callable[[ModelRequest], ModelRequest | None]
"""What is to be done about a model that was found: the request for it, or None for nothing."""


@dataclass(frozen=True)
class RunResult:
    """What a run found."""

    inventories: tuple[Inventory, ...]
    deferred: tuple[Deferred, ...]
    origins: Mapping[str, str]
    """URLs that the repositories were cloned from, by source name."""
    warnings: tuple[str, ...] = ()
    unread: Mapping[str, str] = field(default_factory=dict[str, str])
    """Why a source can't be taken for what it is today, by name."""
    discovery: Discovery | None = None
    """Where new models were looked for: what was found, resolved as far as possible."""


def _as_it_is(request: ModelRequest) -> ModelRequest | None:
    return request


def run(options: RunOptions, say: Say, amend: Amend = _as_it_is) -> RunResult:
    """The inventories of the models that were asked for, and of new ones with `discover`.

    `amend` can correct what is asked for the new ones, and leave some of them out.

    Raises:
        UsageError: the workspace is missing, or a model can't be told from its name.
        DatasetError: the dataset can't be read, so that nothing can be decided.
        SourceError: the workspace can't be used.
    """
    workspace = workspace_of(options, say)
    with workspace.locked():
        world = open_world(workspace, options)
        discovery = _discover(workspace, world, options, say) if options.discover else None
        known = KnownModels(world.cookbook, options.configs, world.hub)
        targets = [resolve(request, known, options) for request in options.models]
        targets += _new_targets(discovery, targets, amend)
        targets = list(dict.fromkeys(targets))
        inventories, deferred = take_inventories(targets, world, options, say)
    return RunResult(
        inventories, deferred, world.origins, _warnings(world), world.unread, discovery
    )


def _discover(workspace: Workspace, world: World, options: RunOptions, say: Say) -> Discovery:
    # Other runs don't load what finds new models.
    from discover_models.candidates import discover_new

    return discover_new(workspace, world, options, say)


def _new_targets(
    discovery: Discovery | None, asked: list[ModelRequest], amend: Amend
) -> list[ModelRequest]:
    """The resolved candidates that nobody asked for by name."""
    have = {target.hf_repo_id.casefold() for target in asked}
    found = discovery.candidates if discovery is not None else ()
    new = dict.fromkeys(c.hf_repo_id for c in found if c.hf_repo_id)
    wanted = [amend(ModelRequest(hf_repo_id=repo_id)) for repo_id in new]
    return [item for item in wanted if item and item.hf_repo_id.casefold() not in have]


def take_inventories(
    targets: list[ModelRequest], world: World, options: RunOptions, say: Say
) -> tuple[tuple[Inventory, ...], tuple[Deferred, ...]]:
    """The inventories of the run's share of models with a repository, and why some have none.

    One model after the other; one that fails does not stop the others. Slugs and groups are those
    that a run over all models gives.
    """
    slugs = distinct_slugs(
        [target.hf_repo_id for target in targets], [target.slug for target in targets]
    )
    every = [target.hf_repo_id for target in targets]
    share = [r for r in every if options.shard.takes(r)]
    files = configurations(share, world.configs, world.hub)
    inventories: list[Inventory] = []
    models: list[ModelKernels] = []
    deferred: list[Deferred] = []
    try:
        for slug, target in zip(slugs, targets, strict=True):
            if target.hf_repo_id not in files:
                continue
            say(f"inventory of {target.hf_repo_id}")
            try:
                file = files[target.hf_repo_id]
                if isinstance(file, ConfigError):
                    raise file
                architecture = architecture_of(file, world.libraries, world.models)
                sizes = (target.tp or options.tp, target.ep or options.ep)
                inventories.append(inventory_of(slug, file, architecture, world, sizes))
                models.append(kernels_of(file.hf_repo_id, architecture))
            except (ConfigError, SourceError) as error:
                deferred.append(deferred_as(slug, target.hf_repo_id, error))
    finally:
        world.save()  # a run that is stopped has read what the next one need not read again
    known = known_groups(options, slugs)
    elsewhere = _kernels(_connected(share, [r for r in every if r not in files]), world)
    place = {repo_id: number for number, repo_id in enumerate(every)}
    models = sorted([*models, *elsewhere], key=lambda model: place[model.repo_id])
    groups = group_variants([*_relatives(models, known, world), *models], known)
    return tuple(_grouped(inventory, groups) for inventory in inventories), tuple(deferred)


def _relatives(
    models: list[ModelKernels], known: Mapping[str, str], world: World
) -> list[ModelKernels]:
    """Models with a manifest that this run was not asked for and that new ones may belong to."""
    looked_at = {model.repo_id for model in models}
    new = looked_at - known.keys()
    wanted = [r for r in known if r not in looked_at and any(same_model(r, n) for n in new)]
    return _kernels(wanted, world)


def _connected(repo_ids: Iterable[str], others: Sequence[str]) -> list[str]:
    """Those of the others that are of one model with one of these, or with one that is."""
    found: list[str] = []
    near: list[str] = list(repo_ids)
    left: list[str] = list(others)
    while near and left:
        near = [r for r in left if any(same_model(r, n) for n in near)]
        found += near
        left = [r for r in left if r not in near]
    return found


def _kernels(repo_ids: list[str], world: World) -> list[ModelKernels]:
    """From the configurations alone. A model of which it can't be had joins nobody."""
    found: list[ModelKernels] = []
    for repo_id, file in configurations(repo_ids, world.configs, world.hub).items():
        if isinstance(file, ConfigError):
            continue
        try:
            found.append(kernels_of(repo_id, architecture_of(file, world.libraries, world.models)))
        except (ConfigError, SourceError):
            continue
    return found


def _grouped(inventory: Inventory, groups: Iterable[VariantGroup]) -> Inventory:
    group = next(g for g in groups if inventory.hf_repo_id in g.repo_ids)
    others = tuple(r for r in group.repo_ids if r != inventory.hf_repo_id)
    return inventory.model_copy(update={"group": group.key, "variants": others})


def _warnings(world: World) -> tuple[str, ...]:
    """What a reader should know of the sources themselves."""
    found = [f"{name}: {why}" for name, why in world.unread.items()]
    if not world.cookbook.unread:
        found += [f"sgl-cookbook: {file}: {why}" for file, why in world.cookbook.errors.items()]
    found += [
        f"{name}: files differ from the commit, so lines in evidence may be off"
        for name, state in world.repositories.items()
        if state.usable and state.dirty
    ]
    return tuple(found)
