"""The cookbook's serving configurations: ``data/models/generated/<version>/<name>.yaml``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, cast

import yaml
from pydantic import Field

from discover_models.domain.frozen import Frozen
from discover_models.domain.kernel import Parallelism
from discover_models.domain.model_name import kinship, same_model
from discover_models.errors import SourceError
from discover_models.sources.files import read_text, walk
from discover_models.sources.launch_args import as_size, read_launch_args

MAX_BYTES = 1_000_000
"""The largest real file has 43 kB."""
MAX_DEPTH = 50
MAX_NODES = 200_000
"""The largest real file has some 6,000."""
MAX_CONFIGURATIONS = 5_000
"""In one file; aliases can make a small file mean a great many."""

Relation = Literal["exact", "variant", "relative", "none"]


class ServingConfig(Frozen):
    """One way to serve a model, as the cookbook gives it."""

    name: str
    hardware: str
    phase: Literal["engine", "prefill", "decode"]
    """`prefill` and `decode` are the two halves of a disaggregated deployment."""
    tp: int
    ep: int
    dp: int | None
    dp_attention: bool
    quantization: str
    model_path: str
    """Repository that is served: the model's, or the quantised one that replaces it."""
    file: str
    line: int
    """1-based, of the configuration's first key."""
    unread: tuple[str, ...] = ()
    """Sizes that are no sensible number and count as not given."""


class CookbookModel(Frozen):
    """A model of the cookbook."""

    model_path: str
    name: str
    family: str
    kind: str
    """Key of its attributes: ``llm``, ``diffusion``, …; empty when there is none."""
    file: str
    line: int
    configurations: tuple[ServingConfig, ...]


class Cookbook(Frozen):
    """All models of the cookbook."""

    models: tuple[CookbookModel, ...] = ()
    errors: dict[str, str] = Field(default_factory=dict)
    """Files that could not be read, with the reason."""


def read_cookbook(root: Path) -> Cookbook:
    """Read the generated files of every version folder; a bad file stands in `errors`."""
    models: list[CookbookModel] = []
    errors: dict[str, str] = {}
    for file in walk(root, "data/models/generated/*/*.yaml"):
        try:
            models.extend(parse_cookbook(read_text(root, file, limit=MAX_BYTES), file))
        except SourceError as error:
            errors[file] = str(error)
    return Cookbook(models=tuple(models), errors=errors)


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


def parallelism_for(
    repo_id: str, configurations: Iterable[ServingConfig]
) -> tuple[tuple[Parallelism, ...], Relation]:
    """The sizes that a model is served with, each once, and whose they are.

    The repository's own configurations; else those of the same model in another precision or
    tuning; else those of the closest relative of its series; else nothing. `source` names the
    files with lines, and the repository where it is another one.
    """
    entries = tuple(configurations)
    exact = [c for c in entries if c.model_path.casefold() == repo_id.casefold()]
    if exact:
        return _distinct(exact, ""), "exact"
    variants = [c for c in entries if same_model(c.model_path, repo_id)]
    if variants:
        return _distinct(variants, "variant"), "variant"
    relatives = {c.model_path: k for c in entries if (k := kinship(c.model_path, repo_id))}
    if not relatives:
        return (), "none"
    # Equally close ones: the first by name, so that the order of files does not matter.
    closest = min(relatives, key=lambda path: (*(-v for v in relatives[path]), path))
    chosen = [c for c in entries if c.model_path == closest]
    return _distinct(chosen, "closest relative"), "relative"


def _distinct(entries: Sequence[ServingConfig], relation: str) -> tuple[Parallelism, ...]:
    found: dict[tuple[int, int, int | None, bool], dict[str, None]] = {}
    for entry in entries:
        whose = f" ({relation} {entry.model_path})" if relation else ""
        places = found.setdefault((entry.tp, entry.ep, entry.dp, entry.dp_attention), {})
        places[f"{entry.file}{whose}"] = None
    return tuple(
        Parallelism(tp=tp, ep=ep, dp=dp, dp_attention=attention, source=", ".join(places))
        for (tp, ep, dp, attention), places in sorted(
            found.items(), key=lambda item: tuple(int(v or 0) for v in item[0])
        )
    )
