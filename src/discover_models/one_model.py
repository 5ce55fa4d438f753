"""One model: its configuration, the architecture that it describes and its inventory."""

from pathlib import Path

from discover_models.discovery import kernel_keys
from discover_models.domain.architecture import (
    Architecture,
    Moe,
    OtherFfn,
    OtherMixer,
    Unmapped,
)
from discover_models.domain.candidate import ModelKernels
from discover_models.domain.evidence import Evidence
from discover_models.domain.kernel import Deferred, Inventory, Parallelism
from discover_models.domain.listing import UnmappedClass
from discover_models.domain.manifest import UNREAD
from discover_models.errors import ConfigError, SourceError
from discover_models.inventory import DEFAULT_PARALLELISM, build_inventory
from discover_models.reading.architecture import read_architecture, read_mistral_architecture
from discover_models.reading.decoder import find_decoder
from discover_models.reading.from_source import complete, without_source
from discover_models.reading.quantization import read_quantization
from discover_models.reading.traits import TRAITS, Traits
from discover_models.requirements import requirements
from discover_models.sources.class_defaults import text_defaults
from discover_models.sources.config_defaults import ConfigDefaults, ConfigLookup
from discover_models.sources.config_file import ConfigFile, check_language_model, read_local
from discover_models.sources.cookbook import WHOLE, parallelism_for
from discover_models.sources.hub_access import Hub
from discover_models.sources.source_architecture import SourceArchitectures
from discover_models.world import World

Sizes = tuple[tuple[int, ...], tuple[int, ...]]
"""Tensor and expert parallel sizes; empty: the cookbook's."""


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


def architecture_of(
    file: ConfigFile,
    libraries: tuple[ConfigLookup, ...],
    models: SourceArchitectures | SourceError | None = None,
) -> Architecture:
    """The text decoder that a repository's files describe.

    What the class of an unknown type decides by itself is read in `models`, SGLang's own source;
    None leaves it undecided. The source is also asked where the fields of a known type leave
    something open, and its answer is taken if it leaves less open.

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
    traits = TRAITS.get(decoder.model_type)
    if models is None or (traits is not None and not _needs_source(said, traits)):
        return said
    try:
        if isinstance(models, SourceError):
            raise models
        quantization = read_quantization(file.config, decoder.values, file.quant)
        built = complete(said, models.read(file.config), quantization)
    except SourceError as error:
        return without_source(said, error) if traits is None else said
    if traits is None:
        return built
    better = traits.incomplete or _open(built) < _open(said)
    return built if better and _parts(built) == _parts(said) else said


def _needs_source(said: Architecture, traits: Traits) -> bool:
    """Whether the source of a known class may say more than the fields."""
    unmapped = requirements(said, DEFAULT_PARALLELISM).unmapped
    others = any(isinstance(part, OtherMixer | OtherFfn) for g in said.groups for part in g.parts)
    unrouted = any(isinstance(g.ffn, Moe) and g.ffn.routing is None for g in said.groups)
    return traits.incomplete or others or unrouted or any(item.fields for item in unmapped)


def _parts(architecture: Architecture) -> dict[int, tuple[int, bool]]:
    """How many mixers a layer has and whether a feed-forward; one may be lost where the source
    can't be followed."""
    return {
        layer: (len(group.mixers), group.ffn is not None)
        for group in architecture.groups
        for layer in group.layers
    }


def _open(architecture: Architecture) -> int:
    """How much of a model gives no definition."""
    return len(requirements(architecture, DEFAULT_PARALLELISM).unmapped)


def kernels_of(repo_id: str, architecture: Architecture) -> ModelKernels:
    """What tells a model's kernels from another's, on one GPU whatever it is served on."""
    kernels = requirements(architecture, DEFAULT_PARALLELISM).kernels
    return ModelKernels(repo_id=repo_id, kernels=kernel_keys(kernels))


def inventory_of(
    slug: str, file: ConfigFile, architecture: Architecture, world: World, given: Sizes
) -> Inventory:
    """Every definition that the model needs, with its verdicts; `given`: the sizes asked for."""
    sizes, notes, unread = _parallelism(file.hf_repo_id, world, given)
    unknown, open_notes = _unknown_classes(file, architecture, world)
    architecture = architecture.model_copy(update={"unmapped": (*architecture.unmapped, *unknown)})
    return build_inventory(
        slug=slug,
        repo_id=file.hf_repo_id,
        revision=file.revision,
        architecture=architecture,
        parallelism=sizes,
        sources=world.sources,
        repo_shas=world.repo_shas,
        notes=(*notes, *open_notes),
        implementation=_implementation(file, world),
        lacking=_lacking(file, world),
        unread=unread,
    )


def _implementation(file: ConfigFile, world: World) -> Evidence | None:
    if isinstance(world.models, SourceError) or file.config is None:
        return None
    return world.models.defined(file.config)


def _lacking(file: ConfigFile, world: World) -> Evidence | None:
    if isinstance(world.models, SourceError) or file.config is None:
        return None
    return world.models.lacks(file.config)


def _unknown_classes(
    file: ConfigFile, architecture: Architecture, world: World
) -> tuple[tuple[Unmapped, ...], tuple[str, ...]]:
    """What SGLang's class constructs and no kernel is known for, and why that can't be told."""
    if isinstance(world.models, SourceError) or file.config is None:
        return (), ()
    try:
        found = world.models.unknown_classes(file.config)
    except SourceError as error:
        return (), (f"whether SGLang's class has layers that are unknown here is open: {error}",)
    named = {part.name for g in architecture.groups for part in g.parts
             if isinstance(part, OtherMixer | OtherFfn)}  # fmt: skip
    named |= {item.what for item in architecture.unmapped}
    commit = world.repo_shas.get("sglang")
    return tuple(
        _unknown(item, architecture, commit) for item in found if item.name not in named
    ), ()


def _unknown(item: UnmappedClass, architecture: Architecture, commit: str | None) -> Unmapped:
    place = Evidence(
        repository="sglang",
        commit=commit,
        path=item.file,
        line=item.line,
        looked_for=item.name,
    )
    return Unmapped(
        what=item.name,
        reason=f"{architecture.name} constructs it, and which kernels it runs is not known",
        evidence=(place,),
    )


def _parallelism(
    repo_id: str, world: World, given: Sizes
) -> tuple[tuple[Parallelism, ...], tuple[str, ...], dict[str, str]]:
    """The given sizes, each with each; else the cookbook's; else one GPU.

    Beside them notes, and by source why it may have others that could not be read.

    An expert parallel size alone brings the smallest tensor parallel size that SGLang takes it
    with, which is the same.
    """
    tps, eps = given
    if eps and not tps:
        return tuple(Parallelism(tp=ep, ep=ep, source="--ep") for ep in eps), (), {}
    if tps:
        return (
            tuple(
                Parallelism(tp=tp, ep=ep, source="--tp/--ep") for tp in tps for ep in eps or (1,)
            ),
            (),
            {},
        )
    entries = [c for model in world.cookbook.models for c in model.configurations]
    entries += [c for page in world.pages.pages for c in page.configurations]
    sizes, relation = parallelism_for(repo_id, entries)
    if relation == "exact":
        return sizes, (), {}
    errors = world.cookbook.errors
    unread = {WHOLE: "; ".join(errors.values())} if errors else {}
    if not sizes:
        return DEFAULT_PARALLELISM, _cookbook_notes(world), unread
    return sizes, (f"serving sizes are those of a {relation} in the cookbook",), unread


def _cookbook_notes(world: World) -> tuple[str, ...]:
    return tuple(
        f"the cookbook{UNREAD}{file}: {why}; sizes are not from it"
        for file, why in world.cookbook.errors.items()
    )


def deferred_as(slug: str, repo_id: str, error: ConfigError | SourceError) -> Deferred:
    """The model without an inventory, and why."""
    reason = error.reason if isinstance(error, ConfigError) else "source"
    return Deferred(
        model_slug=slug,
        hf_repo_id=repo_id,
        reason=reason,
        message=str(error),
        skipped=reason == "not_a_language_model",
    )
