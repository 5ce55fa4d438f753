"""The indexes of FlashInfer and SGLang, asked each question once, also across runs.

What an index says follows from the files that it reads and from nothing else, so an answer holds
as long as these files do. The index itself is opened when a question comes that is new.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from pydantic import TypeAdapter, ValidationError

from discover_models.domain.depth import Depth, Question, Release, ShapePath
from discover_models.domain.evidence import Evidence
from discover_models.domain.kernel import ApiLookup, CallLookup
from discover_models.errors import SourceError
from discover_models.sources import flashinfer_files, sglang_files
from discover_models.sources.cache import DiskCache
from discover_models.sources.contents import Contents
from discover_models.sources.sglang_pin import pinned_flashinfer

if TYPE_CHECKING:  # opened only for questions that are new
    from discover_models.sources.flashinfer import FlashInferIndex
    from discover_models.sources.sglang import SglangIndex

Value = TypeVar("Value")
Stored = dict[str, dict[str, Any]]
"""By question: ``{"value": …}``, or ``{"error": "why it can't be answered"}``."""
_STORED: TypeAdapter[Stored] = TypeAdapter(Stored)


class Kind(Generic[Value]):
    """One kind of answer: how it is written down."""

    def __init__(self, shape: Any) -> None:
        self._shape = shape

    @cached_property
    def _adapter(self) -> TypeAdapter[Value]:
        return TypeAdapter(self._shape)

    def dump(self, value: Value) -> Any:
        return self._adapter.dump_python(value, mode="json")

    def parse(self, stored: Any, commit: str | None) -> Value:
        """Raises ValidationError for what no such answer can be."""
        return self._adapter.validate_python(_at(commit, stored))


_API: Kind[ApiLookup] = Kind(ApiLookup)
_CALL: Kind[CallLookup] = Kind(CallLookup)
_DEPTH: Kind[Depth] = Kind(Depth)
_PATHS: Kind[tuple[ShapePath, ...]] = Kind(tuple[ShapePath, ...])
_RELEASE: Kind[Release] = Kind(Release)
_LINE: Kind[Evidence | None] = Kind(Evidence | None)
_LINES: Kind[tuple[Evidence, ...]] = Kind(tuple[Evidence, ...])
_TEXTS: Kind[tuple[str, ...]] = Kind(tuple[str, ...])


def _at(commit: str | None, stored: Any) -> Any:
    """The same answer for another commit with the same files."""
    if isinstance(stored, dict):
        fields = cast("dict[str, Any]", stored)
        moved = {name: _at(commit, value) for name, value in fields.items()}
        return moved | ({"commit": commit} if "commit" in fields else {})
    if isinstance(stored, list):
        return [_at(commit, item) for item in cast("list[Any]", stored)]
    return stored


class Answers:
    """Answers of one index about one state of its files."""

    def __init__(self, name: str, key: str | None, commit: str | None, cache: DiskCache | None):
        """`key` stands for the files; None where that can't be told, then nothing is kept."""
        self._name = name
        self._key = key
        self._commit = commit
        self._cache = cache
        self._known: dict[str, object] = {}
        self._new: Stored = {}
        self._stored = self._load()

    def ask(self, question: str, kind: Kind[Value], answer: Callable[[], Value]) -> Value:
        """The answer, from memory, from the disk or new; a SourceError is an answer too."""
        if question not in self._known:
            self._known[question] = self._recall(question, kind, answer)
        known = self._known[question]
        if isinstance(known, SourceError):
            raise SourceError(str(known))
        return cast("Value", known)

    @property
    def any(self) -> bool:
        """Whether there are answers from earlier runs."""
        return bool(self._stored)

    def save(self) -> None:
        """Keep what is new, beside what another process may have kept meanwhile."""
        if self._new and self._key is not None and self._cache is not None:
            everything = self._load() | self._new
            self._cache.store(self._name, self._key, _STORED.dump_json(everything))
            self._new = {}

    def _load(self) -> Stored:
        if self._key is None or self._cache is None:
            return {}
        content = self._cache.load(self._name, self._key)
        try:
            return _STORED.validate_json(content) if content is not None else {}
        except ValidationError:
            return {}

    def _recall(
        self, question: str, kind: Kind[Value], answer: Callable[[], Value]
    ) -> Value | SourceError:
        stored = self._stored.get(question, {})
        try:
            if isinstance(stored.get("error"), str):
                return SourceError(stored["error"])
            if "value" in stored:
                return kind.parse(stored["value"], self._commit)
        except ValidationError:
            pass
        try:
            value = answer()
        except SourceError as error:
            self._new[question] = {"error": str(error)}
            return error
        self._new[question] = {"value": kind.dump(value)}
        return value


class FlashInferAnswers:
    """A checkout of FlashInfer; see `FlashInferIndex` for what the questions mean."""

    def __init__(self, checkout: Path, commit: str | None, cache: DiskCache | None = None) -> None:
        """Raises `SourceError` when the checkout has no package."""
        self._checkout = checkout
        self._commit = commit
        self._contents = Contents(checkout) if cache is not None else None
        key = _files_key(self._contents, flashinfer_files.searched_files)
        self._answers = Answers("flashinfer", key, commit, cache)
        if not self._answers.any:
            _ = self._index

    def find(self, api: str, *, template_hint: str | None = None) -> ApiLookup:
        return self._answers.ask(
            f"find {api} {template_hint or ''}",
            _API,
            lambda: self._index.find(api, template_hint=template_hint),
        )

    def aliases(self, api: str, names: Iterable[str]) -> tuple[str, ...]:
        asked = tuple(names)
        digest = hashlib.sha256(" ".join(asked).encode()).hexdigest()
        return self._answers.ask(
            f"aliases {api} {digest}", _TEXTS, lambda: self._index.aliases(api, asked)
        )

    def member(self, name: str) -> Evidence | None:
        return self._answers.ask(f"member {name}", _LINE, lambda: self._index.member(name))

    def parameter(self, api: str, name: str) -> Evidence | None:
        return self._answers.ask(
            f"parameter {api} {name}", _LINE, lambda: self._index.parameter(api, name)
        )

    def backends(self, api: str) -> tuple[ShapePath, ...]:
        return self._answers.ask(f"backends {api}", _PATHS, lambda: self._index.backends(api))

    def release(self, api: str, pinned: str) -> Release:
        return self._answers.ask(
            f"release {api} {pinned} {self._commit}",
            _RELEASE,
            lambda: self._index.release(api, pinned),
        )

    def cites(self, path: str, text: str) -> Evidence | None:
        return self._answers.ask(
            f"cites {self._places(path)} {text}", _LINE, lambda: self._index.cites(path, text)
        )

    @property
    def version(self) -> str | None:
        return self._index.version

    def matches(self, path: str, pattern: str) -> tuple[str, ...]:
        return self._answers.ask(
            f"matches {self._file(path)} {pattern}",
            _TEXTS,
            lambda: self._index.matches(path, pattern),
        )

    def named(self, word: str) -> tuple[Evidence, ...]:
        return self._answers.ask(f"named {word}", _LINES, lambda: self._index.named(word))

    def save(self) -> None:
        """Keep the new answers."""
        self._answers.save()

    @cached_property
    def _index(self) -> FlashInferIndex:
        from discover_models.sources.flashinfer import FlashInferIndex

        return FlashInferIndex.open(self._checkout, self._commit)

    def _places(self, path: str) -> str:
        """A file and those that a line of it may have moved to; the key stands for Python's."""
        return f"{self._file(path)} {self._headers if not path.endswith('.py') else ''}"

    @cached_property
    def _headers(self) -> str | None:
        return _files_key(self._contents, flashinfer_files.header_files)

    def _file(self, path: str) -> str:
        """A file and its content: it need not be one of those that the key stands for."""
        return f"{path} {self._contents.id_of(path)}" if self._contents is not None else path


class SglangAnswers:
    """A checkout of SGLang; see `SglangIndex` for what the questions mean."""

    def __init__(
        self,
        checkout: Path,
        commit: str | None,
        cache: DiskCache | None = None,
        contents: Contents | None = None,
    ) -> None:
        """Raises `SourceError` when the checkout has no SGLang package.

        `contents` are the checkout's, where they are known already.
        """
        self._checkout = checkout
        self._commit = commit
        self._cache = cache
        self._contents = (contents or Contents(checkout)) if cache is not None else None
        self._answers = Answers("sglang", sglang_key(self._contents), commit, cache)
        if not self._answers.any:
            _ = self._index

    def used_names(self) -> tuple[str, ...]:
        return self._answers.ask("used names", _TEXTS, lambda: self._index.used_names())

    def calls(
        self, api: str, aliases: Iterable[str] = (), *, passes: str = "", omits: str = ""
    ) -> CallLookup:
        names = tuple(aliases)
        return self._answers.ask(
            " ".join(("calls", api, *names, f"+{passes}", f"-{omits}")),
            _CALL,
            lambda: self._index.calls(api, names, passes=passes, omits=omits),
        )

    def depth(self, question: Question) -> Depth:
        return self._answers.ask(f"{question}", _DEPTH, lambda: self._index.depth(question))

    def pinned(self) -> Evidence | None:
        return self._pinned

    def linear_layer(self) -> CallLookup:
        return self._answers.ask("linear layer", _CALL, lambda: self._index.linear_layer())

    def save(self) -> None:
        """Keep the new answers."""
        self._answers.save()

    @cached_property
    def _pinned(self) -> Evidence | None:
        return pinned_flashinfer(self._checkout, self._commit)

    @cached_property
    def _index(self) -> SglangIndex:
        from discover_models.sources.kept_facts import KeptFacts
        from discover_models.sources.sglang import SglangIndex

        kept = KeptFacts(self._checkout, self._contents, self._cache)
        index = SglangIndex.open(self._checkout, self._commit, kept)
        kept.save()
        return index


def sglang_key(contents: Contents | None) -> str | None:
    """Stands for all of SGLang's files that an answer can rest on, and for where they are.

    None where nothing is kept or a file can't be read.
    """
    return _files_key(contents, sglang_files.searched_files)


def _files_key(contents: Contents | None, searched: Callable[[Path], Iterable[str]]) -> str | None:
    """Likewise for files of any checkout; the text of an error may name where they are."""
    files = contents.key_of_all(searched) if contents is not None else None
    return f"{files} {contents.checkout}" if files and contents is not None else None
