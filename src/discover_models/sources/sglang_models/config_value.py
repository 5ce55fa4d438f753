"""The abstract configuration: published values, then class defaults, then unknown."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypeAlias, cast

from discover_models.domain.dimension import Dim, Origin, known
from discover_models.sources.sglang_models.values import (
    ABSENT,
    ClassValue,
    Real,
    Unknown,
    Value,
    is_dict,
    is_list,
    is_sequence,
)

PUBLISHED = "config.json"
_SUB_CONFIG = re.compile(
    r"^(text|llm|language|language_model|thinker|talker|vision|visual|audio|speech|projector"
    r"|encoder|decoder|sound|vit)_config$"
)
_TEXT_CONFIG = re.compile(r"^(text|llm|language|language_model|thinker)_config$")
BASE_ATTRIBUTES: Mapping[str, Value] = {
    # What every transformers `PretrainedConfig` object has whether or not the file says it.
    "architectures": None,
    "is_encoder_decoder": False,
    "pad_token_id": None,
    "bos_token_id": None,
    "eos_token_id": None,
    "torch_dtype": None,
    "dtype": None,
    "name_or_path": "",
    "_name_or_path": "",
    "chunk_size_feed_forward": 0,
    "problem_type": None,
}


class ClassDefaults(Protocol):
    """What a configuration class says of fields that a file leaves out."""

    def lookup(self, name: str) -> tuple[object, str] | None:
        """A field's default and its source for people; None when the class has none."""
        ...

    def own_name(self, name: str) -> str:
        """The class's name of a field that it also answers to by another one."""
        ...

    def replaces_null(self, name: str) -> bool:
        """Whether the class computes a value for a field that the file gives as null."""
        ...


@dataclass(frozen=True)
class TableDefaults:
    """Defaults that stand in a table."""

    source: str
    """For people: ``default of transformers 5.23 Gemma3TextConfig``."""
    values: Mapping[str, object]
    attribute_map: Mapping[str, str] = field(default_factory=dict[str, str])
    """Other names of fields, for example ``hidden_size`` for ``n_embd``."""

    def lookup(self, name: str) -> tuple[object, str] | None:
        return (self.values[name], self.source) if name in self.values else None

    def own_name(self, name: str) -> str:
        return self.attribute_map.get(name, name)

    def replaces_null(self, name: str) -> bool:
        return False


Defaults: TypeAlias = Callable[[Mapping[str, object], str], ClassDefaults | None]
"""Gives the defaults for a (sub-)configuration at a path; None where no class is known for it."""


def no_defaults(_data: Mapping[str, object], _path: str) -> ClassDefaults | None:
    """Knows no class."""
    return None


@dataclass(eq=False)
class ConfigValue:
    """A (sub-)configuration as an object with attributes."""

    path: str
    """Where it stands in the file, with a dot at the end; empty at the top."""
    attrs: dict[str, Value]
    defaults: ClassDefaults | None = None
    cls: ClassValue | None = None
    """SGLang's own configuration class, whose properties count."""
    provider: Defaults = no_defaults
    text: ConfigValue | None = None
    """The text decoder's sub-configuration, whose values SGLang copies up where they are absent."""
    opened: bool = False
    """Nothing is known of any field (the class is read without a configuration)."""

    def find(self, name: str) -> Value:
        """A published or assigned value, or a class default; `ABSENT` when there is none."""
        if name in self.attrs:
            return self.attrs[name]
        if self.opened and _TEXT_CONFIG.match(name):
            self.attrs[name] = ConfigValue(f"{self.path}{name}.", {}, opened=True)
            return self.attrs[name]
        if self.opened:
            return Unknown(f"{self.path}{name}", (f"{self.path}{name}",))
        return self._default(name)

    def _default(self, name: str) -> Value:
        if self.defaults is not None:
            alias = self.defaults.own_name(name)
            if alias != name:
                return self.find(alias)
            found = self.defaults.lookup(name)
            if found is not None:
                value, source = found
                self.attrs[name] = wrap(value, f"{self.path}{name}", source, self.provider)
                return self.attrs[name]
        found = self.text.find(name) if self.text is not None else ABSENT
        return BASE_ATTRIBUTES.get(name, ABSENT) if found in (ABSENT, None) else found

    def copy(self) -> ConfigValue:
        """An independent copy; sub-configurations are copied too."""
        attrs = {k: v.copy() if isinstance(v, ConfigValue) else v for k, v in self.attrs.items()}
        return replace(self, attrs=attrs)


def make_config(data: Mapping[str, object], path: str, provider: Defaults) -> ConfigValue:
    """A configuration object over published values."""
    defaults = provider(data, path.rstrip("."))
    attrs = {
        key: wrap(value, f"{path}{key}", PUBLISHED, provider)
        for key, value in data.items()
        if value is not None or defaults is None or not defaults.replaces_null(key)
    }
    return ConfigValue(path, attrs, defaults, provider=provider)


def wrap(value: object, path: str, source: str, provider: Defaults, nested: bool = True) -> Value:
    """A JSON value with its provenance; with `nested`, ``*_config`` dicts become configurations."""
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    if isinstance(value, int):
        return known(value, path, source)
    if isinstance(value, float):
        return Real(value, path, (Origin(field=path, value=value, source=source),))
    if is_sequence(value):
        items = cast(list[object], value)
        return [wrap(v, f"{path}[{i}]", source, provider, nested) for i, v in enumerate(items)]
    if is_dict(value):
        entries = cast(dict[str, object], value)
        if nested and is_sub_config(path.rsplit(".", 1)[-1], entries):
            return make_config(entries, f"{path}.", provider)
        return {k: wrap(v, f"{path}.{k}", source, provider, False) for k, v in entries.items()}
    return value


def is_sub_config(name: str, entries: Mapping[str, object]) -> bool:
    """Whether transformers makes an object of a dict in a configuration, or leaves it a dict."""
    return bool(_SUB_CONFIG.match(name)) or (name.endswith("_config") and "model_type" in entries)


def with_default_origin(value: Value, field_name: str, source: str) -> Value:
    """A class's default number as a dimension that says where it comes from."""
    if isinstance(value, int) and not isinstance(value, bool):
        return known(value, field_name, source)
    if isinstance(value, float):
        return Real(value, field_name, (Origin(field=field_name, value=value, source=source),))
    return value


def plain(value: Value) -> Any:
    """A wrapped value as JSON again."""
    if isinstance(value, (Dim, Real)):
        return value.value
    if is_list(value):
        return [plain(v) for v in value]
    if is_dict(value):
        return {k: plain(v) for k, v in value.items()}
    return value
