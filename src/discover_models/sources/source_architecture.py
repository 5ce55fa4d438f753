"""Decoders as SGLang's classes build them, read once for each state of the checkout."""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from discover_models.domain.architecture import Architecture
from discover_models.domain.evidence import Evidence
from discover_models.domain.listing import UnmappedClass
from discover_models.errors import SourceError
from discover_models.sources.answers import Answers, Kind, sglang_key
from discover_models.sources.cache import DiskCache
from discover_models.sources.class_defaults import defaults_by_place
from discover_models.sources.config_defaults import ConfigLookup
from discover_models.sources.contents import Contents
from discover_models.sources.files import read_inside

if TYPE_CHECKING:
    from discover_models.sources.sglang_models.checkout import SglangSource
    from discover_models.sources.sglang_models.unknown_classes import UnknownClasses

MODELS = "python/sglang/srt/models"
_CLASS = re.compile(rb"\nclass (\w+)[(:]")
SECONDS = 60.0
"""Of this thread's own computing; reading a model takes about one, an endless one is given up."""
_ARCHITECTURE: Kind[Architecture] = Kind(Architecture)
_CLASSES: Kind[tuple[UnmappedClass, ...]] = Kind(tuple[UnmappedClass, ...])


def _clock() -> Callable[[], bool]:
    """Whether this thread has computed too long: a busy machine must give the same verdict."""
    end = time.thread_time() + SECONDS
    return lambda: time.thread_time() > end


@contextmanager
def _in_time() -> Generator[None]:
    """A class that takes too long is an answer too: the next run need not try again."""
    from discover_models.sources.sglang_models.machine import OutOfTime

    try:
        yield
    except OutOfTime as error:
        why = f"it takes more than {SECONDS:g} s of computing to follow ({error})"
        raise SourceError(f"The class's source was not read to its end: {why}.") from error


def _digest(config: Mapping[str, object]) -> str:
    return hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()


@contextmanager
def _sentences() -> Generator[None]:
    """A fault of the interpreter on one class must not cost the model its inventory."""
    try:
        yield
    except SourceError:
        raise
    except Exception as error:
        kind = type(error).__name__
        raise SourceError(f"following the class's source failed: {kind}: {error}") from error


def _classes(config: Mapping[str, object]) -> tuple[str, ...]:
    names = config.get("architectures")
    return tuple(map(str, cast("list[Any]", names))) if isinstance(names, list) else ()


class SourceArchitectures:
    """The model classes of one checkout of SGLang."""

    def __init__(
        self,
        checkout: Path,
        commit: str | None,
        libraries: Sequence[ConfigLookup],
        cache: DiskCache | None = None,
        contents: Contents | None = None,
    ) -> None:
        """`libraries` give what configuration classes say of fields that a file leaves out.

        `contents` are the checkout's, where they are known already.
        """
        self._checkout = checkout
        self._commit = commit
        self._libraries = libraries
        self._cache = cache
        self._contents = (contents or Contents(checkout)) if cache is not None else None

    def read(self, config: Mapping[str, object]) -> Architecture:
        """The decoder that SGLang builds from the whole content of a ``config.json``.

        Raises:
            SourceError: no class is registered for it, or its source can't be followed. No other
                error comes out: the code that is followed is not ours.
        """
        key = f"{self._files} {_digest(config)}" if self._files else None
        answers = Answers("sglang-model", key, self._commit, self._cache)
        try:
            with _sentences():
                return answers.ask("architecture", _ARCHITECTURE, lambda: self._interpret(config))
        finally:
            answers.save()

    def unknown_classes(self, config: Mapping[str, object]) -> tuple[UnmappedClass, ...]:
        """The classes that the model constructs and that no kernel is known for.

        Nothing where no file of the models defines its class: then its layers are not known either.

        Raises:
            SourceError: the class's source can't be followed.
        """
        found = self.defined(config)
        if found is None:
            return ()
        path, name = found.path, found.looked_for.removeprefix("class ")
        answers = self._unknown_answers
        with _sentences():
            possible = answers.ask(
                f"{path} {name}", _CLASSES, lambda: self._unknown.of_class(path, name)
            )
            if not possible:
                return ()
            return answers.ask(
                _digest(config), _CLASSES, lambda: self._unknown_of(path, name, config)
            )

    def save(self) -> None:
        """Keep what was found of unknown classes."""
        self._unknown_answers.save()

    @cached_property
    def _unknown_answers(self) -> Answers:
        return Answers("sglang-unknown", self._files, self._commit, self._cache)

    def _unknown_of(
        self, path: str, name: str, config: Mapping[str, object]
    ) -> tuple[UnmappedClass, ...]:
        from discover_models.sources.sglang_models.interpreter import new_machine

        defaults = defaults_by_place(config, self._libraries)
        machine = new_machine(self._source, out_of_time=_clock())
        with _in_time():
            return self._unknown.of_model(path, name, config, defaults, machine)

    @cached_property
    def _unknown(self) -> UnknownClasses:
        from discover_models.sources.sglang_models.unknown_classes import UnknownClasses

        return UnknownClasses(self._source)

    def defined(self, config: Mapping[str, object]) -> Evidence | None:
        """Where the model's class is defined; None where no file of the models defines it."""
        for name in _classes(config):
            if name in self._definitions:
                path, line = self._definitions[name]
                return Evidence(
                    repository="sglang",
                    commit=self._commit,
                    path=path,
                    line=line,
                    looked_for=f"class {name}",
                )
        return None

    def lacks(self, config: Mapping[str, object]) -> Evidence | None:
        """That no file of the models defines a class that the configuration names; None where one
        does, where it names none, and where a file could not be read."""
        names = _classes(config)
        if not names or self.defined(config) is not None or self._unread:
            return None
        return Evidence(
            repository="sglang",
            commit=self._commit,
            path=MODELS,
            looked_for=" or ".join(f"class {name}" for name in names),
            found=False,
        )

    @property
    def _definitions(self) -> dict[str, tuple[str, int]]:
        """Path and line of every class in the folder of the models, the first of a name."""
        return self._searched[0]

    @property
    def _unread(self) -> bool:
        """Whether a file of the models could not be read."""
        return self._searched[1]

    @cached_property
    def _searched(self) -> tuple[dict[str, tuple[str, int]], bool]:
        found: dict[str, tuple[str, int]] = {}
        unread = False
        for file in sorted((self._checkout / MODELS).rglob("*.py")):
            path = file.relative_to(self._checkout).as_posix()
            try:
                content = b"\n" + read_inside(self._checkout, path)
            except SourceError:
                unread = True
                continue
            for match in _CLASS.finditer(content):
                line = content.count(b"\n", 0, match.start() + 1)
                found.setdefault(match[1].decode(), (path, line))
        return found, unread

    def _interpret(self, config: Mapping[str, object]) -> Architecture:
        # Most runs need no class's source, so they don't load what follows it.
        from discover_models.sources.sglang_models.interpreter import new_machine
        from discover_models.sources.sglang_models.model_source import read_model
        from discover_models.sources.sglang_models.to_architecture import to_architecture

        machine = new_machine(self._source, out_of_time=_clock())
        defaults = defaults_by_place(config, self._libraries)
        with _in_time():
            return to_architecture(read_model(self._source, config, defaults, machine))

    @cached_property
    def _source(self) -> SglangSource:
        from discover_models.sources.sglang_models.checkout import SglangSource

        return SglangSource(self._checkout, self._commit)

    @cached_property
    def _files(self) -> str | None:
        """Stands for all of SGLang's files: any of them may be what a class is made of."""
        return sglang_key(self._contents)
