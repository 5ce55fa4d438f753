"""The cookbook's generated files, as YAML from strangers: nothing big, deep or clever gets in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal, cast

import yaml

from discover_models.errors import SourceError
from discover_models.sources.cookbook import CookbookModel, ServingConfig
from discover_models.sources.launch_args import as_size, read_launch_args

MAX_DEPTH = 50
MAX_NODES = 200_000
"""The largest real file has some 6,000."""
MAX_CONFIGURATIONS = 5_000
"""In one file; aliases can make a small file mean a great many."""


def parse_cookbook(text: str, file: str) -> tuple[CookbookModel, ...]:
    """The models of one file; `SourceError` when it is no cookbook file."""
    try:
        _check_shape(text)
        content = yaml.load(text, Loader=_Loader)
    except (yaml.YAMLError, ValueError, RecursionError, MemoryError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise SourceError(f"{file} is no YAML that can be read: {reason}") from error
    if not isinstance(content, dict) or "families" not in content:
        raise SourceError(f"{file} lists no model families")
    models = tuple(_models(cast("dict[str, Any]", content), file))
    if sum(len(m.configurations) for m in models) > MAX_CONFIGURATIONS:
        raise SourceError(f"{file} means more than {MAX_CONFIGURATIONS} configurations")
    return models


# PyYAML's two loaders behave alike here; the one on libyaml is ten times as fast.
_Base: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_Base):
    """Safe loading that notes each mapping's line and takes no merge keys.

    Nested merges of aliases grow exponentially; generated files have none.
    """

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Leave ``<<`` where it is; constructing it is then an error."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        mapping = cast("dict[Any, Any]", super().construct_mapping(node, deep=deep))  # pyright: ignore[reportUnknownMemberType] the base is chosen at run time
        mapping[_LINE] = node.start_mark.line + 1
        return mapping


_LINE = ("line",)
"""A key that no YAML text can give (a tuple is not hashable there)."""


def _check_shape(text: str) -> None:
    """Refuse deep nesting and crowds before anything recursive or slow sees them."""
    depth = 0
    for count, event in enumerate(yaml.parse(text, Loader=_Base)):
        if count > MAX_NODES:
            raise ValueError(f"more than {MAX_NODES} values")
        if isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
            depth += 1
        elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            depth -= 1
        if depth > MAX_DEPTH:
            raise ValueError(f"nested deeper than {MAX_DEPTH}")


def _models(content: Mapping[Any, Any], file: str) -> Iterator[CookbookModel]:
    budget = iter(range(MAX_CONFIGURATIONS))
    for family in _mappings(content.get("families")):
        for model in _mappings(family.get("models")):
            path = _text(model.get("model_path"))
            if next(budget, None) is None:
                raise SourceError(f"{file} lists more than {MAX_CONFIGURATIONS} models")
            yield CookbookModel(
                model_path=path,
                name=_text(model.get("name")),
                family=_text(family.get("name")),
                kind=next((str(k) for k in _mapping(model.get("attributes")) if k != _LINE), ""),
                file=file,
                line=model[_LINE],
                configurations=tuple(_configurations(model, path, file)),
            )


def _configurations(model: Mapping[Any, Any], path: str, file: str) -> Iterator[ServingConfig]:
    seen = 0
    for hardware, entry in _mapping(model.get("hardware")).items():
        for config in _mappings(_mapping(entry).get("configurations")):
            for phase in ("engine", "prefill", "decode"):
                if isinstance(config.get(phase), dict):
                    yield _serving(config, phase, str(hardware), path, file)
            seen += 1
            if seen > MAX_CONFIGURATIONS:
                raise SourceError(f"{file} means more than {MAX_CONFIGURATIONS} configurations")


def _serving(
    config: Mapping[Any, Any],
    phase: Literal["engine", "prefill", "decode"],
    hardware: str,
    path: str,
    file: str,
) -> ServingConfig:
    engine = _mapping(config.get(phase))
    extra = read_launch_args([str(word) for word in _words(engine.get("extra_args"))])
    given = {key: engine.get(key) for key in ("tp", "ep", "dp")}
    odd = tuple(f"{k} {v!r}" for k, v in given.items() if v is not None and as_size(v) is None)
    return ServingConfig(
        name=_text(config.get("name")),
        hardware=hardware,
        phase=phase,
        tp=extra.tp or as_size(given["tp"]) or 1,
        ep=extra.ep or as_size(given["ep"]) or 1,
        dp=extra.dp or as_size(given["dp"]),
        dp_attention=extra.dp_attention or engine.get("enable_dp_attention") is True,
        quantization=_text(_mapping(config.get("attributes")).get("quantization")),
        model_path=_text(config.get("quantized_model_path")) or path,
        file=file,
        line=config[_LINE],
        unread=odd + extra.unread,
    )


def _mapping(value: object) -> Mapping[Any, Any]:
    """The value, or nothing when it is no mapping; without the line that we noted."""
    if not isinstance(value, dict):
        return {}
    return {k: v for k, v in cast("dict[Any, Any]", value).items() if k != _LINE}


def _mappings(value: object) -> Iterator[Mapping[Any, Any]]:
    """The mappings of a list."""
    for item in cast("list[Any]", value) if isinstance(value, list) else []:
        if isinstance(item, dict):
            yield cast("dict[Any, Any]", item)


def _words(value: object) -> Iterator[str]:
    """Arguments as words: an item may hold an option and its value."""
    for item in cast("list[Any]", value) if isinstance(value, list) else []:
        yield from str(item).split()


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
