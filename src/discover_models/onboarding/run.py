"""A pull request checked against the world: reads what its claims are held against."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from discover_models.audit.document import parse
from discover_models.audit.rows import Known
from discover_models.audit.run import known_names, local_repositories, repositories_of
from discover_models.classify import support
from discover_models.domain.model_name import plain_slugs
from discover_models.errors import ConfigError, SourceError
from discover_models.onboarding.change import (
    Change,
    Claim,
    claims,
    definition_place,
    pulls_linked,
)
from discover_models.onboarding.checklist import (
    Checked,
    Ground,
    LinkedPull,
    checklist,
    titles_claimed,
)
from discover_models.one_model import configurations
from discover_models.pipeline import take_inventories
from discover_models.progress import Say
from discover_models.render.links import public_origin
from discover_models.settings import ModelRequest, RunOptions
from discover_models.slugs import slug_of
from discover_models.sources.config_file import LARGEST_FILE
from discover_models.sources.dataset import Definition, read_definition, workloads_path
from discover_models.sources.hub_access import Hub
from discover_models.world import World, open_world, workspace_of

MOST_PULLS = 4
"""Linked pull requests of the dataset that are looked at."""
MOST_CLAIMS = 100
"""Definitions that are looked for in them."""
MOST_MODELS = 3
"""Models whose inventories are shown."""
PUBLISHED = "https://huggingface.co/datasets/flashinfer-ai/flashinfer-trace"
_DATASETS = "/datasets/"


@dataclass(frozen=True)
class Wishes:
    """What the configuration says that matters here."""

    tracked: Mapping[str, tuple[str, ...]]
    """Repositories by title of the coverage document."""
    known_requests: Mapping[str, str]


def check(change: Change, wishes: Wishes, options: RunOptions, say: Say) -> Checked | None:
    """The change's checklist and the inventories of its models; None when it claims nothing.

    Raises:
        UsageError: the workspace can't be used.
        SourceError: the dataset can't be read, so that nothing could be judged.
    """
    claimed = claims(change)
    if not claimed:
        return None
    workspace = workspace_of(options, say)
    with workspace.locked():
        world = open_world(workspace, options)
        dataset = dataset_id(world.origins.get("flashinfer-trace", ""))
        linked = linked_pulls(change, claimed, dataset, world.hub)
        ground, repositories = _ground(change, claimed, wishes, world, options, linked)
        found = checklist(change, claimed, ground)
        titles = tuple(dict.fromkeys(title for row in found.rows for title in row.titles))
        shown = [title for title in titles if repositories.get(title)][:MOST_MODELS]
        targets = [ModelRequest(hf_repo_id=repositories[title][0]) for title in shown]
        inventories, deferred = take_inventories(targets, world, options, say)
    return Checked(
        checklist=found,
        dataset=dataset,
        inventories=inventories,
        deferred=deferred,
        more_models=tuple(title for title in titles if title not in shown),
        origins=world.origins,
    )


def dataset_id(origin: str) -> str:
    """OWNER/NAME of a dataset on the Hub by its address; the published one for other addresses."""
    path = urlsplit(public_origin(origin) or PUBLISHED).path
    return (path if path.startswith(_DATASETS) else urlsplit(PUBLISHED).path)[len(_DATASETS) :]


def linked_pulls(
    change: Change, claimed: Iterable[Claim], dataset: str, hub: Hub | None
) -> tuple[LinkedPull, ...]:
    """The dataset's pull requests that the change links, each read at its own ref as data."""
    places = [place for claim in list(claimed)[:MOST_CLAIMS] for place in _places(claim)]
    numbers = pulls_linked(change.body, dataset)[:MOST_PULLS]
    return tuple(_linked(number, places, dataset, hub) for number in numbers)


def _places(claim: Claim) -> Iterable[tuple[str, str]]:
    """Op type and name under which a claimed definition may be in the dataset."""
    own = definition_place(claim.file)
    found = [own] if own else []
    if claim.usable:
        kinds = dict.fromkeys(r.row.op_type for r in claim.rows)
        found += [place for kind in kinds if (place := _place(kind, claim.name))]
    return dict.fromkeys(found)


def _place(op_type: str, name: str) -> tuple[str, str] | None:
    return definition_place(_path(op_type, name))


def _path(op_type: str, name: str) -> str:
    return f"definitions/{op_type}/{name}.json"


def _linked(
    number: int, places: list[tuple[str, str]], dataset: str, hub: Hub | None
) -> LinkedPull:
    if hub is None:
        return LinkedPull(number, problem="the Hub is not asked in this run")
    revision = f"refs/pr/{number}"
    paths = [path(*place) for place in places for path in (_path, workloads_path)]
    definitions: dict[str, Definition] = {}
    unusable: dict[str, str] = {}
    try:
        sizes = hub.dataset_sizes(dataset, revision, paths) if paths else {}
        for op_type, name in places:
            path = _path(op_type, name)
            if path not in sizes:
                continue
            try:
                content = hub.dataset_file(dataset, revision, path)
                collected = sizes.get(workloads_path(op_type, name), 0) > 0
                definitions[name] = _read(content, path, has_workloads=collected)
            except SourceError as error:
                unusable[name] = f"in pull request {number} of the dataset {error}"
    except ConfigError as error:
        return LinkedPull(number, problem=str(error))
    return LinkedPull(number, definitions, unusable)


def _read(content: bytes, path: str, *, has_workloads: bool) -> Definition:
    if len(content) > LARGEST_FILE:
        raise SourceError(f"{path} is larger than {LARGEST_FILE} bytes")
    try:
        return read_definition(content.decode("utf-8"), path, has_workloads=has_workloads)
    except UnicodeDecodeError as error:
        raise SourceError(f"{path} is not UTF-8") from error


def _ground(
    change: Change,
    claimed: tuple[Claim, ...],
    wishes: Wishes,
    world: World,
    options: RunOptions,
    linked: tuple[LinkedPull, ...],
) -> tuple[Ground, Mapping[str, tuple[str, ...]]]:
    """What the claims are held against, and the repositories that the document's titles mean."""
    dataset = world.sources.dataset
    if isinstance(dataset, SourceError):
        raise dataset
    document = parse(change.after)
    repositories = repositories_of(
        document.titles,
        local_repositories(options.configs),
        [model.model_path for model in world.cookbook.models] if world.hub else (),
        wishes.tracked,
    )
    ground = Ground(
        known=Known({}, {}, dataset),
        linked=linked,
        support=lambda kernel: support(kernel, world.sources),
        known_requests=wishes.known_requests,
        titles_of=lambda definition: _titles_of(definition, repositories),
    )
    wanted = titles_claimed(change, claimed, ground)
    names, without = known_names(
        document,
        {title: repo_ids for title, repo_ids in repositories.items() if title in wanted},
        lambda repo_ids: configurations(repo_ids, options.configs, world.hub),
        world.libraries,
    )
    published = public_origin(world.origins.get("flashinfer-trace", "")) == PUBLISHED
    # A clone that an earlier step made may lack workloads.
    known = Known(names, without, dataset, complete=published and not options.offline)
    return replace(ground, known=known), repositories


def _titles_of(
    definition: Definition, repositories: Mapping[str, tuple[str, ...]]
) -> tuple[str, ...]:
    """The titles whose models a definition's tags name."""
    tags = set(definition.tagged("model"))
    return tuple(
        title
        for title, repo_ids in repositories.items()
        if any(tags & {slug_of(repo), *plain_slugs(repo)} for repo in repo_ids)
    )
