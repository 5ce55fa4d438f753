"""What configuration classes put in for fields that a published file leaves out.

The table is generated from the `transformers` library (scripts/generate_config_defaults.py) and
comes with the package. It is read when it is first asked for, not on import.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import Any, Final, Protocol, TypeGuard

Json = Any
"""A value as `json` reads it: text, number, truth value, None, list or mapping of those."""


class _Unknown:
    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN: Final = _Unknown()
"""Stands for a value that can't be computed because an operand is missing or no number."""

_NOTHING: Mapping[str, Json] = MappingProxyType({})


def _nothing() -> Mapping[str, Any]:
    return _NOTHING


_MOST_LAYERS = 10_000
"""Beyond any model: a file that says more must not make us fill the memory."""


class ConfigLookup(Protocol):
    """Configuration classes by name and by model type."""

    def for_class(self, class_name: str) -> ClassDefaults | None:
        """The class of that name; None when the library has none."""
        ...

    def for_model_type(self, model_type: str) -> ClassDefaults | None:
        """The class that reads files with that `model_type`; None when there is none."""
        ...


@dataclass(frozen=True)
class Default:
    """A value that a class puts in for a field that was left out."""

    field: str
    """The field under the name that the class itself uses."""
    value: Json
    source: str
    """For the reader: ``default of transformers 5.23.0 Gemma3TextConfig``."""
    rests_on: tuple[str, ...] = ()
    """The fields that the value was computed from; empty for a constant."""


@dataclass(frozen=True)
class ClassDefaults:
    """The defaults of one configuration class."""

    class_name: str
    model_type: str
    version: str
    """Of the library, for example ``transformers 5.23.0``."""
    fields: Mapping[str, Json] = field(default_factory=_nothing)
    """Constants: they hold whatever else the file says."""
    derived: Mapping[str, Mapping[str, Json]] = field(default_factory=_nothing)
    """What is computed: ``from`` other fields, by a ``formula`` (``if`` those hold), and the
    ``value`` that it has when the file gives none of them."""
    legacy: Mapping[str, Json] = field(default_factory=_nothing)
    """Fields that are read from a file but are no attributes of the class."""
    attribute_map: Mapping[str, str] = field(default_factory=_nothing)
    """Other names → the class's own names."""
    checkpoint: str | None = None
    """The checkpoint that the class documents: a hint, never a fact about another one."""
    sub_configs: Mapping[str, Mapping[str, Json]] = field(default_factory=_nothing)
    where: str = ""
    """File and line of the class, where the library was read from a checkout."""
    library: ConfigLookup | None = field(default=None, repr=False, compare=False)
    """Where the classes of the sub configurations are looked up."""

    @property
    def source(self) -> str:
        """How a value of this class is named to the reader."""
        place = f" ({self.where})" if self.where else ""
        return f"default of {self.version} {self.class_name}{place}"

    def own_name(self, name: str) -> str:
        """The class's name for a field that may be asked for under another one."""
        return self.attribute_map.get(name, name)

    def names(self, name: str) -> tuple[str, ...]:
        """All names under which a file may give this field, the class's own one first."""
        own = self.own_name(name)
        return (own, *sorted(a for a, target in self.attribute_map.items() if target == own))

    def declares(self, name: str) -> bool:
        """Whether the class knows the field at all."""
        own = self.own_name(name)
        return own in self.fields or own in self.derived or own in self.legacy

    def get(self, name: str) -> Json:
        """The constant default of a field; None where it is None, computed or not declared."""
        own = self.own_name(name)
        return self.fields.get(own, self.legacy.get(own))

    def resolve(self, name: str, config: Mapping[str, Json]) -> Default | None:
        """What the class puts in for a field that `config` does not give, or gives as null.

        `config` is the published file's part for this class. A computed value is given only when
        its formula is known, or when the file gives none of the fields that it rests on; None
        otherwise, and for fields that the class does not declare.
        """
        return self._resolve(self.own_name(name), config, ())

    def sub_config(
        self, key: str, published: Mapping[str, Json] | None = None
    ) -> ClassDefaults | None:
        """The class of a nested configuration such as ``text_config``.

        `published` is what the file has under that key; None when it has nothing, in which case
        the values that the outer class gives the inner one count too.
        """
        spec = self.sub_configs.get(key)
        if spec is None or self.library is None:
            return None
        model_type: str = spec["model_type"]
        if published is not None and "class" not in spec:
            said = published.get("model_type")
            model_type = said if isinstance(said, str) and said else model_type
        found = self.library.for_class(spec.get("class", ""))
        found = found or self.library.for_model_type(model_type)
        given: Mapping[str, Json] = spec.get("given", _NOTHING)
        if found is None or published is not None or not given:
            return found
        derived = {k: v for k, v in found.derived.items() if k not in given}
        return replace(found, fields={**found.fields, **given}, derived=derived)

    def _resolve(
        self, own: str, config: Mapping[str, Json], asking: tuple[str, ...]
    ) -> Default | None:
        if own in self.derived and own not in asking:
            return self._resolve_derived(own, config, (*asking, own))
        for constants in (self.fields, self.legacy):
            if own in constants:
                return Default(own, constants[own], self.source)
        return None

    def _resolve_derived(
        self, own: str, config: Mapping[str, Json], asking: tuple[str, ...]
    ) -> Default | None:
        entry = self.derived[own]
        rests_on: tuple[str, ...] = tuple(entry["from"])
        conditions: Mapping[str, Json] = entry.get("if", _NOTHING)
        given = {n: self._value(n, config, asking) for n in rests_on}
        if "formula" in entry and all(given[n] == v for n, v in conditions.items()):
            value = evaluate(entry["formula"], given)
            return None if value is UNKNOWN else Default(own, value, self.source, rests_on)
        untouched = all(given[n] == self._value(n, _NOTHING, asking) for n in rests_on)
        # A value that rests on nothing we know of may rest on something we don't: only "none"
        # of something is certain then.
        if "value" in entry and untouched and (rests_on or entry["value"] == []):
            return Default(own, entry["value"], self.source, rests_on)
        return None

    def _value(self, name: str, config: Mapping[str, Json], asking: tuple[str, ...]) -> Json:
        """A field as the class will see it: from the file, else its default, else UNKNOWN."""
        for spelling in self.names(name):
            if config.get(spelling) is not None:
                return config[spelling]
        default = self._resolve(self.own_name(name), config, asking)
        return UNKNOWN if default is None else default.value


def evaluate(formula: Mapping[str, Json], values: Mapping[str, Json]) -> Json:
    """A formula of the table over the values of fields; `UNKNOWN` where one of them is missing.

    ``{"same": a}``, ``{"quotient": [a, b]}``, ``{"product": [a, b]}``, ``{"sum": [a, b]}``, where
    an operand is a field's name or a number; ``{"cycle": block, "length": n}`` repeats a block
    over n layers; ``{"every": p, "special": x, "rest": y, "length": n}`` has x at each p-th
    layer, with ``"first": k`` at the first k; ``{"steps": p, "length": n}`` lists the indexes of
    each p-th layer.
    """
    match formula:
        case {"same": name}:
            return values.get(name, UNKNOWN)
        case {"quotient": _} | {"product": _} | {"sum": _}:
            return _arithmetic(formula, values)
        case {"length": _}:
            return _layers(formula, values)
        case _:
            return UNKNOWN


def _arithmetic(formula: Mapping[str, Json], values: Mapping[str, Json]) -> Json:
    ((operation, operands),) = formula.items()
    left, right = (values.get(o) if isinstance(o, str) else o for o in operands)
    if not (_is_count(left) and _is_count(right)):
        return UNKNOWN
    if operation == "quotient":
        return left // right if right else UNKNOWN
    return left * right if operation == "product" else left + right


def _layers(formula: Mapping[str, Json], values: Mapping[str, Json]) -> Json:
    """One entry per layer, or the indexes of every so many layers."""
    count = values.get(formula["length"])
    if not (_is_count(count) and count <= _MOST_LAYERS):
        return UNKNOWN
    if "cycle" in formula:
        block = formula["cycle"]
        return [block[i % len(block)] for i in range(count)]
    number = values.get(formula.get("every") or formula.get("steps") or formula["first"])
    if not (_is_count(number) and (number or "first" in formula)):
        return UNKNOWN
    if "steps" in formula:
        return list(range(number - 1, count, number))
    if "first" in formula:
        return [formula["special" if i < number else "rest"] for i in range(count)]
    return [formula["rest" if (i + 1) % number else "special"] for i in range(count)]


def _is_count(value: Json) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


class ConfigDefaults:
    """The defaults of all configuration classes of one `transformers` release."""

    def __init__(self, table: Mapping[str, Json]) -> None:
        """`table` is what scripts/generate_config_defaults.py writes."""
        self._table = table
        self.version = f"transformers {table['transformers']}"

    @staticmethod
    @cache
    def load() -> ConfigDefaults:
        """The table that comes with the package, read once."""
        file = resources.files("discover_models") / "data" / "config_defaults.json"
        return ConfigDefaults(json.loads(file.read_text("utf-8")))

    def for_class(self, class_name: str) -> ClassDefaults | None:
        """The class of that name; None when the library has none."""
        entry: Mapping[str, Json] | None = self._table["classes"].get(class_name)
        if entry is None:
            return None
        parts: dict[str, Any] = dict(entry)
        return ClassDefaults(class_name=class_name, version=self.version, library=self, **parts)

    def for_model_type(self, model_type: str) -> ClassDefaults | None:
        """The class that reads files with that `model_type`; None when there is none."""
        known: Mapping[str, Json] | None = self._table["model_types"].get(model_type)
        return None if known is None else self.for_class(known["class"])

    def tasks(self, model_type: str) -> frozenset[str] | None:
        """What models of that type are for; None for a type that the library does not have.

        Of ``causal_lm multimodal_lm seq2seq_lm masked_lm speech``, and ``decoder`` for the
        language part of another model; empty for vision, time series and the like.
        """
        known: Mapping[str, Json] | None = self._table["model_types"].get(model_type)
        return None if known is None else frozenset(known["tasks"])

    def model_types(self) -> tuple[str, ...]:
        """All model types of the library, in their order."""
        return tuple(sorted(self._table["model_types"]))

    def class_names(self) -> tuple[str, ...]:
        """All classes of the library, by name."""
        return tuple(self._table["classes"])
