"""Reading one configuration object, remembering where each value came from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, cast

from discover_models.domain.dimension import Dim, known, unknown


class Defaults(Protocol):
    """What a configuration class assumes for fields that a file leaves out."""

    @property
    def label(self) -> str:
        """For people: ``default of transformers 5.23 Gemma3TextConfig``."""
        ...

    def has(self, field: str) -> bool:
        """Whether the class has the field at all."""
        ...

    def get(self, field: str) -> object:
        """The default; None when there is none or when it is computed from other fields."""
        ...

    def names(self, field: str) -> Sequence[str]:
        """The names under which the class keeps a field that it also knows as `field`."""
        ...


@dataclass(frozen=True)
class Found:
    """A value and where it stood."""

    value: object
    field: str
    source: str


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

    def find(self, *names: str) -> Found | None:
        """The first of the names that has a value."""
        spellings = [n for name in names for n in (name, *self._class_names(name))]
        for name in spellings:
            if self.values.get(name) is not None:
                return Found(self.values[name], self.path + name, self.file)
        if self.defaults is not None:
            for name in spellings:
                value = self.defaults.get(name)
                if value is not None and name not in self.values:
                    return Found(value, self.path + name, self.defaults.label)
        return None

    def _class_names(self, name: str) -> Sequence[str]:
        return self.defaults.names(name) if self.defaults is not None else ()

    def states_null(self, name: str) -> bool:
        """Whether the file or the class says that there is no such value."""
        in_file = name in self.values and self.values[name] is None
        return in_file or (
            name not in self.values
            and self.defaults is not None
            and self.defaults.has(name)
            and self.defaults.get(name) is None
        )

    def dim(self, *names: str) -> Dim:
        """A dimension; unknown, with all names that were looked for, when none has a number."""
        return self.maybe_dim(*names) or unknown(self.path + " or ".join(names))

    def maybe_dim(self, *names: str) -> Dim | None:
        """A dimension, or None where no field has a number."""
        found = self.find(*names)
        if found is None or isinstance(found.value, bool):
            return None
        if isinstance(found.value, float) and found.value.is_integer():
            return known(int(found.value), found.field, found.source)
        if not isinstance(found.value, int):
            return None
        return known(found.value, found.field, found.source)

    def layer_dim(self, layer: int, *names: str) -> Dim | None:
        """A dimension that may be a list with one entry per layer."""
        found = self.find(*names)
        per_layer = self.items(*names)
        if found is None or per_layer is None:
            return self.maybe_dim(*names)
        value = per_layer[layer] if layer < len(per_layer) else None
        if isinstance(value, int) and not isinstance(value, bool):
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
