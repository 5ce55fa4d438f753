"""Reading one configuration object, remembering where each value came from."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, cast

from discover_models.domain.dimension import Dim, known, unknown


class Default(Protocol):
    """A value that a class puts in for a field that was left out."""

    @property
    def value(self) -> Any: ...

    @property
    def source(self) -> str:
        """For people: ``default of transformers 5.23 Gemma3TextConfig``."""
        ...

    @property
    def rests_on(self) -> tuple[str, ...]:
        """The fields that it was computed from; empty for a constant."""
        ...


class Defaults(Protocol):
    """What a configuration class assumes for fields that a file leaves out."""

    def names(self, name: str) -> tuple[str, ...]:
        """All names under which a file may give the field."""
        ...

    def declares(self, name: str) -> bool:
        """Whether the class has the field at all."""
        ...

    def resolve(self, name: str, config: Mapping[str, Any]) -> Default | None:
        """The value for a field that `config` leaves out or gives as null."""
        ...


@dataclass(frozen=True)
class Found:
    """A value and where it stood."""

    value: object
    field: str
    source: str


_NESTED = ("attn_config", "ffn_config")
"""Objects that some configurations (DBRX, MPT) put fields of attention and MLP into."""


def _nothing() -> Mapping[str, object]:
    return {}


def whole_part(number: float) -> int | None:
    """None of infinity and NaN, which files may hold."""
    return int(number) if math.isfinite(number) else None


_SIZES_BY_LAYER = (
    "num_attention_heads",
    "num_key_value_heads",
    "head_dim",
    "intermediate_size",
    "sliding_window",
)
"""Sizes that may be a list, also by a class's default or shorter than the layers are many."""


def _is_per_layer(value: object, layers: int) -> bool:
    """Whether a value is a list of numbers with one for each layer."""
    if not isinstance(value, list):
        return False
    entries = cast("list[object]", value)
    return len(entries) >= layers and any(isinstance(entry, int | float) for entry in entries)


@dataclass(frozen=True)
class Fields:
    """The fields of the text decoder.

    A field of the file wins, also when it is 0 or false; null counts as left out. Then come the
    class's defaults.
    """

    values: Mapping[str, object]
    path: str = ""
    """Path of this object in the file, with a final dot; empty at the top."""
    defaults: Defaults | None = None
    file: str = "config.json"
    overrides: Mapping[str, object] = field(default_factory=_nothing)
    """What `per_layer_config` says of one layer; it wins."""
    overrides_path: str = ""
    _found: dict[tuple[str, ...], Found | None] = field(
        default_factory=dict[tuple[str, ...], "Found | None"],
        init=False,
        compare=False,
        repr=False,
    )
    """What was looked up before: many layers ask the same."""

    def find(self, *names: str) -> Found | None:
        """The first of the names that has a value in the file, else in the class's defaults."""
        if names not in self._found:
            self._found[names] = self._find(names)
        return self._found[names]

    def _find(self, names: tuple[str, ...]) -> Found | None:
        spellings = tuple(spelling for name in names for spelling in self._spellings(name))
        for path, values in self._objects():
            for spelling in spellings:
                if values.get(spelling) is not None:
                    return Found(values[spelling], self.path + path + spelling, self.file)
        defaults = (self._default(name) for name in names)
        return next((found for found in defaults if found is not None), None)

    def _objects(self) -> Iterator[tuple[str, Mapping[str, object]]]:
        """Where a field may stand, best first: path below this object, and the object."""
        if self.overrides:
            yield self.overrides_path, self.overrides
        yield "", self.values
        for name in _NESTED:
            inner = self.values.get(name)
            if isinstance(inner, dict):
                yield f"{name}.", cast("dict[str, object]", inner)

    def at_layer(self, layer: int) -> Fields:
        """The fields as one layer sees them, by `per_layer_config` (layer → what differs)."""
        per_layer = self.values.get("per_layer_config")
        if not isinstance(per_layer, dict):
            return self
        for key, values in cast("dict[str, object]", per_layer).items():
            here = key.isdecimal() and key.lstrip("0") == str(layer or "")
            if here and isinstance(values, dict):
                path = f"per_layer_config.{key}."
                overrides = cast("dict[str, object]", values)
                return replace(self, overrides=overrides, overrides_path=path)
        return self

    def differ_by_layer(self, layers: int) -> bool:
        """Whether a size may be another one in each layer, beyond the lists of layer kinds."""
        if any(self.find(name) is not None for name in ("per_layer_config", "block_configs")):
            return True
        own = any(_is_per_layer(value, layers) for value in self.values.values())
        return own or any(self.items(name) is not None for name in _SIZES_BY_LAYER)

    def block(self, layer: int) -> Fields | None:
        """What `block_configs` says of one layer; None where there is no such list."""
        blocks = self.items("block_configs")
        values = blocks[layer] if blocks and layer < len(blocks) else None
        if not isinstance(values, dict):
            return None
        inner = cast("dict[str, object]", values)
        return Fields(inner, f"{self.path}block_configs[{layer}].", None, self.file)

    def _spellings(self, name: str) -> tuple[str, ...]:
        return (name, *(self.defaults.names(name) if self.defaults is not None else ()))

    def _default(self, name: str) -> Found | None:
        """A null in the file is a statement, except where the class computes something for it."""
        default = self.defaults.resolve(name, self.values) if self.defaults is not None else None
        if default is None or default.value is None:
            return None
        if not default.rests_on and any(n in self.values for n in self._spellings(name)):
            return None
        computed = f", computed from {', '.join(default.rests_on)}" if default.rests_on else ""
        return Found(default.value, self.path + name, default.source + computed)

    def class_leaves_open(self, *names: str) -> bool:
        """Whether the class is known and either has none of the fields or has null for them.

        Classes of `transformers` then fall back on a rule in their modelling code.
        """
        return self.defaults is not None and all(
            not self.defaults.declares(name) or self._is_null(name) for name in names
        )

    def unresolved(self, *names: str) -> str | None:
        """A field that the class computes in a way that is not known; None where there is none.

        It has a value then, but nobody here knows which.
        """
        if self.defaults is None or self.find(*names) is not None:
            return None
        for name in names:
            if self.defaults.declares(name) and self.defaults.resolve(name, self.values) is None:
                return self.path + name
        return None

    def _is_null(self, name: str) -> bool:
        default = self.defaults.resolve(name, self.values) if self.defaults is not None else None
        return default is not None and default.value is None

    def dim(self, *names: str) -> Dim:
        """A dimension; unknown, with all names that were looked for, when none has a number."""
        return self.maybe_dim(*names) or unknown(self.path + " or ".join(names))

    def maybe_dim(self, *names: str) -> Dim | None:
        """A dimension, or None where no field has a number; -1 and the like say nothing."""
        found = self.find(*names)
        if found is None or isinstance(found.value, bool):
            return None
        if isinstance(found.value, float) and found.value.is_integer() and found.value >= 0:
            return known(int(found.value), found.field, found.source)
        if not isinstance(found.value, int) or found.value < 0:
            return None
        return known(found.value, found.field, found.source)

    def layer_dim(self, layer: int, *names: str) -> Dim | None:
        """A dimension that may be a list with one entry per layer."""
        found = self.find(*names)
        per_layer = self.items(*names)
        if found is None or per_layer is None:
            return self.maybe_dim(*names)
        value = per_layer[layer] if layer < len(per_layer) else None
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            return known(value, f"{found.field}[{layer}]", found.source)
        return None

    def flag(self, *names: str) -> bool | None:
        """A switch; None where no field says."""
        found = self.find(*names)
        return bool(found.value) if found is not None else None

    def text(self, *names: str) -> str | None:
        """A word; None where no field says."""
        found = self.find(*names)
        return found.value if found is not None and isinstance(found.value, str) else None

    def number(self, *names: str) -> float | None:
        """A number that is no dimension, for example a factor."""
        found = self.find(*names)
        if found is None or isinstance(found.value, bool):
            return None
        return float(found.value) if isinstance(found.value, int | float) else None

    def items(self, *names: str) -> list[object] | None:
        """A list; None where no field has one."""
        found = self.find(*names)
        value = found.value if found is not None else None
        return list(cast("list[object]", value)) if isinstance(value, list) else None

    def inner(self, name: str) -> Fields | None:
        """A nested object, without class defaults; None where there is none."""
        found = self.find(name)
        value = found.value if found is not None else None
        if found is None or not isinstance(value, dict):
            return None
        values = cast("dict[str, object]", value)
        return Fields(values, f"{found.field}.", None, found.source)
