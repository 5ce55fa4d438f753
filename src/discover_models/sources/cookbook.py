"""The cookbook's serving configurations: ``data/models/generated/<version>/<name>.yaml``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

from pydantic import Field

from discover_models.domain.frozen import Frozen
from discover_models.domain.kernel import Parallelism
from discover_models.domain.model_name import kinship, same_model
from discover_models.errors import SourceError
from discover_models.sources.cache import DiskCache, kept
from discover_models.sources.contents import Contents, files_below
from discover_models.sources.files import read_text, walk

MAX_BYTES = 1_000_000
"""The largest real file has 43 kB."""
WHOLE = "sgl-cookbook"
_FOLDER = "data/models/generated"

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
    """Files that could not be read, with the reason; under `WHOLE` why nothing could be."""

    @classmethod
    def nothing(cls, reason: str) -> Cookbook:
        """A cookbook that could not be read."""
        return cls(errors={WHOLE: reason})

    @property
    def unread(self) -> str:
        """Why nothing of it could be read; empty when something could."""
        return self.errors.get(WHOLE, "")


def read_cookbook(root: Path, cache: DiskCache | None = None) -> Cookbook:
    """Read the generated files of every version folder; a bad file stands in `errors`.

    Without any file it is no cookbook, which is another thing than one that lists no such model.
    """
    if cache is None:
        return _read(root)
    key = Contents(root).key(files_below(root / _FOLDER, root, ".yaml"))
    return kept(cache, "cookbook", key, Cookbook, lambda: _read(root))


def _read(root: Path) -> Cookbook:
    from discover_models.sources.cookbook_yaml import parse_cookbook

    models: list[CookbookModel] = []
    errors: dict[str, str] = {}
    for file in walk(root, f"{_FOLDER}/*/*.yaml"):
        try:
            models.extend(parse_cookbook(read_text(root, file, limit=MAX_BYTES), file))
        except SourceError as error:
            errors[file] = str(error)
    if not models and not errors:
        return Cookbook.nothing(f"there is nothing below {_FOLDER}")
    return Cookbook(models=tuple(models), errors=errors)


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
    paths = {c.model_path for c in entries}
    same = {path for path in paths if same_model(path, repo_id)}
    if same:
        return _distinct([c for c in entries if c.model_path in same], "variant"), "variant"
    relatives = {path: k for path in paths if (k := kinship(path, repo_id))}
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
