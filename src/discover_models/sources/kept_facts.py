"""What is known of SGLang's files one by one, so that a new commit re-reads only changed ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from discover_models.sources.cache import DiskCache
from discover_models.sources.contents import Contents
from discover_models.sources.files import read_inside
from discover_models.sources.python_uses import ModuleFacts

_NAME = "sglang-files"


@dataclass(slots=True)
class _Entry:
    """What follows from the content of one file, as far as it was asked."""

    content: str
    imports: bool | None = None
    facts: ModuleFacts | None = None
    asked: dict[str, bool] = field(default_factory=dict[str, bool])


@cache
def _adapter() -> TypeAdapter[dict[str, _Entry]]:
    return TypeAdapter(dict[str, _Entry])


@dataclass(slots=True)
class Seen:
    """One file, read at the first question that was not asked before. May raise SourceError."""

    path: str
    _checkout: Path
    _entry: _Entry
    _source: bytes | None = None

    def imports(self, test: Callable[[bytes], bool]) -> bool:
        if self._entry.imports is None:
            self._entry.imports = test(self._read())
        return self._entry.imports

    def may_import(self, question: str, test: Callable[[str, bytes], bool]) -> bool:
        """`question` stands for `test`."""
        if question not in self._entry.asked:
            self._entry.asked[question] = test(self.path, self._read())
        return self._entry.asked[question]

    def facts(self, scan: Callable[[str, bytes], ModuleFacts]) -> ModuleFacts:
        if self._entry.facts is None:
            self._entry.facts = scan(self.path, self._read())
        return self._entry.facts

    def _read(self) -> bytes:
        if self._source is None:
            self._source = read_inside(self._checkout, self.path)
        return self._source


class KeptFacts:
    """The files of one checkout."""

    def __init__(
        self, checkout: Path, contents: Contents | None = None, cache: DiskCache | None = None
    ) -> None:
        """Without `contents` and `cache` nothing is known beforehand and nothing is kept."""
        self._checkout = checkout
        self._contents = contents
        self._cache = cache
        self._before = self._load()
        self._now: dict[str, _Entry] = {}

    def file(self, path: str) -> Seen:
        return Seen(path, self._checkout, self._entry(path))

    def save(self) -> None:
        """Keep what is known of the files that were asked for."""
        if self._cache is not None:
            self._cache.store(_NAME, "", _adapter().dump_json(self._now))

    def _entry(self, path: str) -> _Entry:
        content = self._contents.id_of(path) if self._contents is not None else None
        if content is None:
            return _Entry("")
        known = self._before.get(path)
        if known is None or known.content != content:
            known = _Entry(content)
        self._now[path] = known
        return known

    def _load(self) -> dict[str, _Entry]:
        content = self._cache.load(_NAME, "") if self._cache is not None else None
        try:
            return _adapter().validate_json(content) if content is not None else {}
        except ValidationError:
            return {}
