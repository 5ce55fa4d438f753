"""Decoders as SGLang's classes build them, read once for each state of the checkout."""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from discover_models.domain.architecture import Architecture
from discover_models.domain.evidence import Evidence
from discover_models.errors import SourceError
from discover_models.sources.answers import Answers, Kind, sglang_key
from discover_models.sources.cache import DiskCache
from discover_models.sources.class_defaults import defaults_by_place
from discover_models.sources.config_defaults import ConfigLookup
from discover_models.sources.contents import Contents

if TYPE_CHECKING:
    from discover_models.sources.sglang_models.checkout import SglangSource

MODELS = "python/sglang/srt/models"
_CLASS = re.compile(rb"\nclass (\w+)[(:]")
SECONDS = 60.0
"""Reading a model takes about one; an endless one is given up."""
_ARCHITECTURE: Kind[Architecture] = Kind(Architecture)


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
        text = json.dumps(config, sort_keys=True).encode()
        key = f"{self._files} {hashlib.sha256(text).hexdigest()}" if self._files else None
        answers = Answers("sglang-model", key, self._commit, self._cache)
        try:
            return answers.ask("architecture", _ARCHITECTURE, lambda: self._interpret(config))
        except SourceError:
            raise
        except Exception as error:
            # A fault of the interpreter on one class must not cost the model its inventory.
            kind = type(error).__name__
            raise SourceError(f"following the class's source failed: {kind}: {error}") from error
        finally:
            answers.save()

    def defined(self, config: Mapping[str, object]) -> Evidence | None:
        """Where the model's class is defined; None where no file of the models defines it."""
        names = config.get("architectures")
        for name in cast("list[Any]", names) if isinstance(names, list) else ():
            if str(name) in self._definitions:
                path, line = self._definitions[str(name)]
                return Evidence(
                    repository="sglang",
                    commit=self._commit,
                    path=path,
                    line=line,
                    looked_for=f"class {name}",
                )
        return None

    @cached_property
    def _definitions(self) -> dict[str, tuple[str, int]]:
        """Path and line of every class in the folder of the models, the first of a name."""
        found: dict[str, tuple[str, int]] = {}
        for file in sorted((self._checkout / MODELS).rglob("*.py")):
            path = file.relative_to(self._checkout).as_posix()
            with suppress(OSError):
                content = b"\n" + file.read_bytes()
                for match in _CLASS.finditer(content):
                    line = content.count(b"\n", 0, match.start() + 1)
                    found.setdefault(match[1].decode(), (path, line))
        return found

    def _interpret(self, config: Mapping[str, object]) -> Architecture:
        # Most runs need no class's source, so they don't load what follows it.
        from discover_models.sources.sglang_models.interpreter import new_machine
        from discover_models.sources.sglang_models.model_source import read_model
        from discover_models.sources.sglang_models.to_architecture import to_architecture

        end = time.monotonic() + SECONDS
        machine = new_machine(self._source, out_of_time=lambda: time.monotonic() > end)
        defaults = defaults_by_place(config, self._libraries)
        return to_architecture(read_model(self._source, config, defaults, machine))

    @cached_property
    def _source(self) -> SglangSource:
        from discover_models.sources.sglang_models.checkout import SglangSource

        return SglangSource(self._checkout, self._commit)

    @cached_property
    def _files(self) -> str | None:
        """Stands for all of SGLang's files: any of them may be what a class is made of."""
        return sglang_key(self._contents)
