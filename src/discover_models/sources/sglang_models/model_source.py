"""A model as its source builds it: the records of every decoder layer."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import cast

from discover_models.domain.evidence import Evidence
from discover_models.errors import SourceError
from discover_models.sources.sglang_models.checkout import SglangSource
from discover_models.sources.sglang_models.config_value import ConfigValue, Defaults, no_defaults
from discover_models.sources.sglang_models.interpreter import new_machine
from discover_models.sources.sglang_models.machine import Arguments, Machine, Problem
from discover_models.sources.sglang_models.registry import Registered, registered
from discover_models.sources.sglang_models.sglang_configs import LAUNCHED, load_config
from discover_models.sources.sglang_models.values import (
    ABSENT,
    Choice,
    Condition,
    Instance,
    Site,
    Tensor,
    Value,
    is_dict,
    is_list,
)


@dataclass(frozen=True, eq=False)
class Record:
    """One layer that the source constructs (or one bare parameter), with its arguments."""

    name: str
    """Path of attributes inside the decoder layer, for example ``self_attn.qkv_proj``."""
    kind: str
    """``linear norm attention linear_attention topk experts rope activation conv1d parameter …``;
    ``module`` for a class that was entered."""
    cls: str
    """Class name; with dots for layers of torch."""
    bases: tuple[str, ...]
    args: Mapping[str, Value]
    site: Site
    conditions: tuple[Condition, ...] = ()
    instance: Value = None


@dataclass(frozen=True, eq=False)
class LayerSource:
    """What one decoder layer is made of."""

    index: int
    cls: str
    records: tuple[Record, ...]


@dataclass(frozen=True, eq=False)
class ModelSource:
    """What a model is made of, read from SGLang's source with a real configuration."""

    entry: Registered
    config: ConfigValue
    decoder_path: str
    """Path of the list of decoder layers in the model, for example ``model.layers``."""
    layers: tuple[LayerSource, ...]
    outside: tuple[Record, ...] = ()
    """Records that are in no decoder layer: embeddings, the last norm, the head, towers."""
    unmapped: tuple[Problem, ...] = ()
    conditions: tuple[Condition, ...] = ()
    """Tests that could not be decided and that records depend on."""
    missing: tuple[str, ...] = ()
    """Configuration fields that the source asked for and that were found nowhere."""
    source: SglangSource = field(kw_only=True)

    def evidence(self, record: Record) -> Evidence:
        """Where a record was constructed."""
        note = "; ".join(str(c) for c in record.conditions)
        shown = f"{record.cls} {record.name}"
        return self.source.evidence(record.site.path, record.site.line, shown, note)


def read_model(
    checkout: SglangSource,
    config: Mapping[str, object],
    defaults: Defaults = no_defaults,
    machine: Machine | None = None,
) -> ModelSource:
    """Interpret the class that SGLang registers for a configuration's architecture.

    `config` is the whole ``config.json``; `defaults` gives what configuration classes say of fields
    that it leaves out. Raises SourceError when the architecture is not registered, its source can't
    be read, or no list of decoder layers is found in it.
    """
    machine = machine or new_machine(checkout)
    entry = find_entry(machine, config)
    value = load_config(machine, config, defaults)
    return interpret_entry(machine, entry, value)


def read_class(machine: Machine, entry: Registered) -> ModelSource:
    """What a registered class can build when nothing is known of the configuration.

    Every test on the configuration is open, so both sides are read and each record keeps its
    conditions; one layer stands for all that a loop of unknown length builds. Raises SourceError as
    `read_model` does.
    """
    known = {"architectures": [entry.architecture], **LAUNCHED}
    config = ConfigValue("", known, opened=True)
    return interpret_entry(machine, entry, config)


def find_entry(machine: Machine, config: Mapping[str, object]) -> Registered:
    """The registered class of a configuration; SGLang takes the first that it knows."""
    wanted = config.get("architectures")
    names = [str(name) for name in cast(list[object], wanted)] if is_list(wanted) else []
    table = {entry.architecture: entry for entry in registered(machine)}
    for name in names:
        if name in table:
            return table[name]
    shown = ", ".join(names) or "none named"
    raise SourceError(f"SGLang registers no class for this configuration ({shown}).")


def interpret_entry(machine: Machine, entry: Registered, config: ConfigValue) -> ModelSource:
    """Construct the model and sort what it holds into decoder layers and the rest."""
    site = Site(entry.path, entry.line)
    root = machine.call(entry.cls, Arguments([], {"config": config, "quant_config": None}, site))
    if not isinstance(root, Instance):
        raise SourceError(f"{entry.architecture} is not constructed as a layer.")
    places = list(_walk(root, "", (), set()))
    decoder, box = _decoder(places, entry)
    layers = tuple(_layers(decoder, box))
    inside = {id(r.instance) for layer in layers for r in layer.records}
    outside = tuple(
        r for r in places if id(r.instance) not in inside and not r.name.startswith(f"{decoder}.")
    )
    conditions = {c: None for layer in layers for r in layer.records for c in r.conditions}
    return ModelSource(
        entry,
        config,
        decoder,
        layers,
        outside=outside,
        unmapped=tuple(machine.problems),
        conditions=tuple(conditions),
        missing=tuple(machine.missing),
        source=machine.source,
    )


def _layers(decoder: str, box: Instance) -> Iterator[LayerSource]:
    for index, item in enumerate(box.items):
        records = tuple(_walk(item, "", (), set()))
        cls = next((r.cls for r in records if r.kind == "module"), "")
        yield LayerSource(index, cls, records)


def _walk(
    value: Value, name: str, conditions: tuple[Condition, ...], seen: set[int]
) -> Iterator[Record]:
    """Every layer under a value, in order of assignment, each once."""
    if isinstance(value, Choice):
        for condition, option in value.options:
            yield from _walk(option, name, (*conditions, condition), seen)
    elif isinstance(value, Tensor) and value.parameter and id(value) not in seen:
        seen.add(id(value))
        args = {"shape": value.shape}
        yield Record(name, "parameter", "Parameter", (), args, value.site, conditions, value)
    elif isinstance(value, Instance) and id(value) not in seen and value.kind != "enum":
        seen.add(id(value))
        yield from _walk_instance(value, name, conditions, seen)
    elif isinstance(value, (list, tuple, dict)):
        yield from _walk_items(value, name, conditions, seen)


def _walk_items(
    value: Value, name: str, conditions: tuple[Condition, ...], seen: set[int]
) -> Iterator[Record]:
    pairs = value.items() if is_dict(value) else enumerate(value)
    for key, item in pairs:
        if isinstance(item, (Instance, Choice)):
            yield from _walk(item, _join(name, str(key)), conditions, seen)


def _walk_instance(
    value: Instance, name: str, conditions: tuple[Condition, ...], seen: set[int]
) -> Iterator[Record]:
    own = tuple(dict.fromkeys((*value.conditions, *conditions)))
    if value.kind != "list":
        kind = value.kind or "module"
        bases = value.class_names
        yield Record(name, kind, value.name, bases, value.args, value.site, own, value)
    if value.kind in ("", "list"):
        for index, item in enumerate(value.items):
            yield from _walk(item, _join(name, str(index)), conditions, seen)
        for key, item in value.attrs.items():
            yield from _walk(item, _join(name, str(key)), conditions, seen)


def _join(prefix: str, name: str) -> str:
    return f"{prefix}.{name}" if prefix else name


_CACHED = frozenset({"attention", "linear_attention"})
"""Layers over the KV cache or a recurrent state, which towers of other modalities don't have."""
_MIXERS = _CACHED | {"conv1d", "other"}


def _decoder(places: list[Record], entry: Registered) -> tuple[str, Instance]:
    """The list of layers with the most token mixers in it, those with a cache first."""
    best: tuple[tuple[int, int], str, Instance] | None = None
    for record in places:
        if record.kind != "module":
            continue
        for key, box in record.instance.attrs.items():
            box = _list_of(box)
            if box is None or not box.items:
                continue
            count = _mixers(box)
            if any(count) and (best is None or count > best[0]):
                best = (count, _join(record.name, key), box)
    if best is None:
        raise SourceError(f"No list of decoder layers was found in {entry.architecture}.")
    return best[1], best[2]


def _list_of(value: Value) -> Instance | None:
    if isinstance(value, Choice):
        boxes = [_list_of(option) for _, option in value.options if option is not ABSENT]
        return next((box for box in boxes if box is not None), None)
    if isinstance(value, Instance) and value.kind == "list":
        return value
    return None


def _mixers(box: Instance) -> tuple[int, int]:
    """How many layers have a token mixer with a cache, and how many have any."""
    cached = mixing = 0
    for item in box.items:
        records = list(_walk(item, "", (), set()))
        cached += any(r.kind in _CACHED for r in records)
        mixing += any(r.kind in _MIXERS or re.search("Attention|Mixer", r.cls) for r in records)
    return cached, mixing
