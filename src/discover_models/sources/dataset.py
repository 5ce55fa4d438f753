"""The flashinfer-trace dataset: which definitions exist, with what axes, and for which models."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import cast

from discover_models.domain.evidence import Evidence
from discover_models.errors import SourceError
from discover_models.sources.files import read_regular

MAX_BYTES = 4 << 20
"""Of one definition file; real ones are below 20 KB."""


@dataclass(frozen=True)
class Definition:
    """One definition file, as far as it matters here."""

    name: str
    op_type: str
    axes: Mapping[str, int]
    """Constant axes only."""
    inputs: Mapping[str, tuple[str, tuple[str, ...] | None]]
    """Name → (dtype, axes); None for a scalar."""
    tags: tuple[str, ...]
    path: str
    has_workloads: bool

    def tagged(self, key: str) -> Iterator[str]:
        """The values of the tags ``key:value``."""
        return (tag[len(key) + 1 :] for tag in self.tags if tag.startswith(f"{key}:"))


@dataclass(frozen=True)
class DatasetIndex:
    """All definitions of one clone."""

    definitions: Mapping[str, Definition]
    commit: str | None

    @staticmethod
    def open(checkout: Path, commit: str | None) -> DatasetIndex:
        """Read every definition.

        Raises:
            SourceError: there are no definitions, or one can't be read or contradicts its name.
        """
        root = checkout / "definitions"
        files = sorted(root.glob("*/*.json"))
        if not files:
            raise SourceError(
                f"no definitions at {root}: expected definitions/<op_type>/<name>.json"
            )
        found = [_read(file, checkout) for file in files]
        return DatasetIndex({definition.name: definition for definition in found}, commit)

    def find(self, name: str) -> Definition | None:
        """The definition of that name."""
        return self.definitions.get(name)

    def tagged(self, models: frozenset[str]) -> tuple[Definition, ...]:
        """The definitions that a ``model:`` tag gives to one of the models, by name."""
        found = {d.name: d for model in models for d in self._by_model.get(model, ())}
        return tuple(found[name] for name in sorted(found))

    @cached_property
    def _by_model(self) -> Mapping[str, Sequence[Definition]]:
        found: dict[str, list[Definition]] = {}
        for definition in self.definitions.values():
            for model in definition.tagged("model"):
                found.setdefault(model, []).append(definition)
        return found

    def evidence(self, definition: Definition) -> tuple[Evidence, ...]:
        """Where a definition is, and whether it has workloads."""
        workloads = workloads_path(definition.op_type, definition.name)
        return (
            self._at(definition.path, f"definition {definition.name}", found=True),
            self._at(workloads, "workloads", found=definition.has_workloads),
        )

    def absence(self, op_type: str, names: tuple[str, ...]) -> Evidence:
        """That none of the names is there."""
        return self._at(
            f"definitions/{op_type}/",
            f"{' or '.join(names)} among {len(self.definitions)} definitions",
            found=False,
        )

    def _at(self, path: str, looked_for: str, *, found: bool) -> Evidence:
        return Evidence(
            repository="flashinfer-trace",
            commit=self.commit,
            path=path,
            looked_for=looked_for,
            found=found,
        )


def read_definition(text: str, path: str, *, has_workloads: bool = False) -> Definition:
    """What a definition file says; whether that agrees with its path is for others to see.

    Raises:
        SourceError: it holds no JSON object.
    """
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise SourceError(f"{path} can't be read as JSON: {error}") from error
    if not isinstance(content, dict):
        raise SourceError(f"{path} holds no JSON object")
    return _definition(cast("dict[str, object]", content), path, has_workloads=has_workloads)


def workloads_path(op_type: str, name: str) -> str:
    """Where a definition's workloads are."""
    return f"workloads/{op_type}/{name}.jsonl"


def _definition(content: dict[str, object], path: str, *, has_workloads: bool) -> Definition:
    return Definition(
        name=str(content.get("name")),
        op_type=str(content.get("op_type")),
        axes=_axes(content),
        inputs=_inputs(content),
        tags=tuple(map(str, _list(content.get("tags")))),
        path=path,
        has_workloads=has_workloads,
    )


def _read(file: Path, checkout: Path) -> Definition:
    path = file.relative_to(checkout).as_posix()
    content = _json(file, path)
    workloads = checkout / workloads_path(file.parent.name, file.stem)
    found = _definition(content, path, has_workloads=workloads.is_file())
    if found.name != file.stem or found.op_type != file.parent.name:
        raise SourceError(
            f"{path} in the dataset contradicts itself: the file says name {found.name[:200]!r} and"
            f" op_type {found.op_type[:200]!r}"
        )
    return found


def _json(file: Path, path: str) -> dict[str, object]:
    try:
        content = json.loads(read_regular(file, f"{path} in the dataset", limit=MAX_BYTES))
    except (ValueError, RecursionError) as error:
        raise SourceError(f"{path} in the dataset can't be read as JSON: {error}") from error
    if not isinstance(content, dict):
        raise SourceError(f"{path} in the dataset holds no JSON object")
    return cast("dict[str, object]", content)


def _mapping(value: object) -> dict[str, object]:
    return cast("dict[str, object]", value) if isinstance(value, dict) else {}


def _list(value: object) -> list[object]:
    return cast("list[object]", value) if isinstance(value, list) else []


def _axes(content: Mapping[str, object]) -> dict[str, int]:
    axes = {
        name: _mapping(axis).get("value") for name, axis in _mapping(content.get("axes")).items()
    }
    return {name: value for name, value in axes.items() if isinstance(value, int)}


def _inputs(
    content: Mapping[str, object],
) -> dict[str, tuple[str, tuple[str, ...] | None]]:
    result: dict[str, tuple[str, tuple[str, ...] | None]] = {}
    for name, entry in _mapping(content.get("inputs")).items():
        tensor = _mapping(entry)
        shape = tensor.get("shape")
        axes = None if shape is None else tuple(map(str, _list(shape)))
        result[name] = (str(tensor.get("dtype")), axes)
    return result
