"""Which architectures SGLang registers, and where."""

import ast
from dataclasses import dataclass

from discover_models.errors import SourceError
from discover_models.sources.sglang_models.checkout import SglangSource
from discover_models.sources.sglang_models.machine import Machine
from discover_models.sources.sglang_models.namespace import Namespace
from discover_models.sources.sglang_models.values import (
    ABSENT,
    ClassValue,
    Value,
    is_sequence,
)

MODELS_PACKAGE = "sglang.srt.models"
ENTRY = "EntryClass"


@dataclass(frozen=True)
class Registered:
    """One architecture that SGLang serves."""

    architecture: str
    module: str
    """Dotted name of the module whose ``EntryClass`` lists it."""
    path: str
    line: int
    """Where the class is defined; 1-based."""
    cls: ClassValue


def registered(machine: Machine) -> tuple[Registered, ...]:
    """Every architecture in SGLang's registry, sorted by name.

    Follows SGLang's own registry: every module of the models package is looked at for
    ``EntryClass``, a class or a list or tuple of classes. Raises SourceError when a module can't be
    read or an entry is no class that can be found.
    """
    found: dict[str, Registered] = {}
    for dotted in _modules(machine.source):
        space = machine.space(dotted)
        if space is None or ENTRY not in space.bindings:
            continue
        for cls in _classes(machine, space):
            entry = Registered(cls.name, dotted, cls.site.path, cls.site.line, cls)
            found.setdefault(cls.name, entry)
    return tuple(found[name] for name in sorted(found))


def _modules(source: SglangSource) -> list[str]:
    """The modules that SGLang's registry imports: those directly in the package."""
    return list(source.modules_in(MODELS_PACKAGE))


def _classes(machine: Machine, space: Namespace) -> list[ClassValue]:
    value = machine.resolve(space, ENTRY)
    entries: list[Value] = list(value) if is_sequence(value) else [value]
    classes = [entry for entry in entries if isinstance(entry, ClassValue)]
    if value is ABSENT or len(classes) != len(entries):
        raise SourceError(f"An entry of {space.file.path}'s {ENTRY} is no class that can be found.")
    return classes


def entry_line(space: Namespace) -> int:
    """Where a module sets its `EntryClass`."""
    statement: ast.stmt = space.bindings[ENTRY][-1].statement
    return statement.lineno
