"""Reading SGLang's Python files: which ones matter, what they say and how they hang together."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from discover_models.errors import SourceError
from discover_models.sources.kept_facts import KeptFacts, Seen
from discover_models.sources.python_uses import Export, ModuleFacts, Use, Watch, scan
from discover_models.sources.sglang_files import KERNEL, PACKAGE, kernel_root, python_files

_ROOTS = frozenset({"flashinfer", KERNEL, "sglang"})
_DETAILED = frozenset({"flashinfer", KERNEL})
_WATCH = Watch(_ROOTS, _DETAILED)
_KERNEL_WATCH = Watch(_ROOTS, _DETAILED, own_functions=True)
_IMPORTS = re.compile(
    rb"\b(?:from|import)[ \t\\][^\n]*?\b(?:flashinfer|sgl_kernel)\b"
    rb"|\\\r?\n\s*(?:flashinfer|sgl_kernel)\b"
    rb"|\b(?:LazyImport|import_module|__import__)\b"
)
"""What a file that names a package must also contain to import from it."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What one pass over a checkout found."""

    facts: tuple[ModuleFacts, ...]
    """Of the SGLang files that import from FlashInfer, the kernel package or what these export."""
    kernel: tuple[ModuleFacts, ...] | None
    """Of the kernel package; None where its source is not in the checkout."""
    searched: int
    """SGLang files read."""
    unreadable: tuple[str, ...]
    """Paths of files that could not be read."""


def read_checkout(checkout: Path, kept: KeptFacts | None = None) -> Reading:
    """One pass over a checkout; files that `kept` knows are not read again.

    Raises:
        SourceError: `checkout` has no SGLang package.
    """
    return _Pass(checkout, kept or KeptFacts(checkout)).read()


@dataclass(slots=True)
class _Pass:
    checkout: Path
    kept: KeptFacts
    rest: dict[str, Seen] = field(default_factory=dict[str, Seen])
    """Files that import neither FlashInfer nor the kernel package themselves."""

    def read(self) -> Reading:
        facts: list[ModuleFacts] = []
        unreadable: list[str] = []
        for name in python_files(self.checkout, self.checkout / PACKAGE):
            seen = self.kept.file(name)
            try:
                if seen.imports(_mentions):
                    facts.append(seen.facts(_scan))
                else:
                    self.rest[name] = seen
            except SourceError:
                unreadable.append(name)
        searched = len(facts) + len(self.rest)
        if not searched and not unreadable:
            raise SourceError(
                f"{self.checkout} has no SGLang package: {PACKAGE} holds no Python file."
            )
        kernel = self._kernel_facts()
        facts.extend(self._importers(facts, kernel or ()))
        return Reading(tuple(facts), kernel, searched, tuple(unreadable))

    def _kernel_facts(self) -> tuple[ModuleFacts, ...] | None:
        root = kernel_root(self.checkout)
        if root is None:
            return None
        place = root.parent.relative_to(self.checkout).as_posix()
        return tuple(
            self._kernel_file(name, _module(name.removeprefix(f"{place}/")))
            for name in python_files(self.checkout, root)
        )

    def _kernel_file(self, name: str, module: str) -> ModuleFacts:
        try:
            return self.kept.file(name).facts(lambda n, s: scan(module, n, s, _KERNEL_WATCH))
        except SourceError:
            return ModuleFacts(module, name, error="it can't be read")

    def _importers(
        self, facts: Sequence[ModuleFacts], kernel: Sequence[ModuleFacts]
    ) -> list[ModuleFacts]:
        """Facts of the files in `rest` that import a FlashInfer name from another SGLang file.

        Only names that no file uses itself are looked for: the others are known to be used.
        """
        found: list[ModuleFacts] = []
        new = list(facts)
        while new:
            exports = _unused_exports(new, [*facts, *found, *kernel])
            question = exports.digest
            names = [
                name
                for name, seen in self.rest.items()
                if seen.may_import(question, exports.may_be_in)
            ]
            new = [self.rest.pop(name).facts(_scan) for name in names]
            found.extend(new)
        return found


# What files re-export ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Exports:
    """Module and name of each export that no file uses itself."""

    names: tuple[tuple[str, str], ...]

    @property
    def digest(self) -> str:
        return hashlib.sha256(repr(self.names).encode()).hexdigest()[:16]

    def may_be_in(self, path: str, source: bytes) -> bool:
        """Whether a file may import one of them."""
        module = _module(path.removeprefix("python/"))
        return any(
            (_last(exporter).encode() in source or module.startswith(f"{exporter}."))
            and (name.encode() in source or b"import *" in source)
            for exporter, name in self.names
        )


def _unused_exports(files: Sequence[ModuleFacts], everything: Sequence[ModuleFacts]) -> _Exports:
    resolver = Resolver(everything)
    used = {t for f in everything for u in f.uses for t, _ in resolver.resolve(u.target)}
    return _Exports(
        tuple(
            (file.module, export.name)
            for file in files
            for export in file.exports
            if any(t not in used for t, _ in resolver.resolve(export.target))
        )
    )


def _mentions(source: bytes) -> bool:
    named = b"flashinfer" in source or KERNEL.encode() in source
    return named and _IMPORTS.search(source) is not None


def _scan(path: str, source: bytes) -> ModuleFacts:
    return scan(_module(path.removeprefix("python/")), path, source, _WATCH)


def _module(path: str) -> str:
    return path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


def _last(module: str) -> str:
    return module.rpartition(".")[2]


# How files hang together ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Hop:
    """A line between a use in SGLang and FlashInfer."""

    path: str
    line: int
    text: str
    condition: str = ""
    forwards: str = ""
    """The function of the kernel package that forwards here; empty for a re-export."""


Resolved = tuple[str, tuple[Hop, ...]]
"""A name outside SGLang and how it is reached."""


@dataclass(slots=True)
class Resolver:
    """Follows names through re-exports and through functions of the kernel package."""

    files: Sequence[ModuleFacts]
    _modules: dict[str, ModuleFacts] = field(default_factory=dict[str, ModuleFacts])
    _exports: dict[str, list[Export]] = field(default_factory=dict[str, list[Export]])
    _bodies: dict[str, list[Use]] = field(default_factory=dict[str, list[Use]])
    _done: dict[str, tuple[Resolved, ...]] = field(
        default_factory=dict[str, "tuple[Resolved, ...]"]
    )

    def __post_init__(self) -> None:
        for file in self.files:
            self._modules[file.module] = file
            for export in file.exports:
                self._exports.setdefault(f"{file.module}.{export.name}", []).append(export)
            if _in_kernel(file.module):
                for use in file.uses:
                    self._bodies.setdefault(f"{file.module}.{use.owner}", []).append(use)

    def resolve(self, target: str) -> tuple[Resolved, ...]:
        """What a dotted name stands for outside SGLang.

        A name of the kernel package also stands for itself, and for whatever its function uses.
        """
        if target not in self._done:
            self._done[target] = ()  # a name that leads back to itself adds nothing
            self._done[target] = tuple(dict.fromkeys(self._resolve(target)))
        return self._done[target]

    def knows(self, target: str) -> bool:
        """Whether the file that a name belongs to is here and binds it."""
        file, rest = self._file(target)
        if file is None or file.error or not rest:
            return False
        return rest[0] in file.names or any(
            self.knows(".".join([star, *rest])) for star in file.stars
        )

    def _resolve(self, target: str) -> Iterator[Resolved]:
        root = target.partition(".")[0]
        if root in _DETAILED:
            yield target, ()
        if root == "flashinfer":
            return
        file, rest = self._file(target)
        if file is None or not rest:
            return
        name = f"{file.module}.{rest[0]}"
        for export in self._exports.get(name, ()):
            hop = Hop(file.path, export.line, export.text)
            yield from self._through(hop, ".".join([export.target, *rest[1:]]))
        for use in self._bodies.get(name, ()):
            hop = Hop(file.path, use.line, use.text, use.condition, forwards=name)
            yield from self._through(hop, use.target)
        if rest[0] not in file.names:
            for star in file.stars:
                yield from self.resolve(".".join([star, *rest]))

    def _through(self, hop: Hop, target: str) -> Iterator[Resolved]:
        for found, hops in self.resolve(target):
            yield found, (hop, *hops)

    def _file(self, target: str) -> tuple[ModuleFacts | None, list[str]]:
        """The file with the longest name that `target` starts with, and what follows it."""
        parts = target.split(".")
        for length in range(len(parts) - 1, 0, -1):
            file = self._modules.get(".".join(parts[:length]))
            if file is not None:
                return file, parts[length:]
        return None, parts


def _in_kernel(module: str) -> bool:
    return module.partition(".")[0] == KERNEL
