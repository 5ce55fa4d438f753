"""Every architecture that SGLang registers, with what its class can do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from discover_models.domain.listing import (
    ArchitectureListing,
    ListedArchitecture,
    UnmappedClass,
)
from discover_models.errors import SourceError
from discover_models.sources.entry_class import registered_classes
from discover_models.sources.files import read_inside
from discover_models.sources.sglang_models.checkout import SglangSource
from discover_models.sources.sglang_models.config_value import ConfigValue
from discover_models.sources.sglang_models.interpreter import new_machine
from discover_models.sources.sglang_models.kinds import (
    Tree,
    attention_kinds,
    by_class,
    ffn_kinds,
    norm_kinds,
    of_the_decoder,
)
from discover_models.sources.sglang_models.machine import Arguments, Machine
from discover_models.sources.sglang_models.model_source import Record, records_under
from discover_models.sources.sglang_models.registry import ENTRY, MODELS_PACKAGE
from discover_models.sources.sglang_models.roles import Named, named, role_of
from discover_models.sources.sglang_models.sglang_configs import LAUNCHED
from discover_models.sources.sglang_models.symbols import ClassSymbol, Symbols
from discover_models.sources.sglang_models.values import ClassValue, Instance, is_sequence
from discover_models.sources.sglang_models.walker import Reached, Walker

STEP_BUDGET = 250_000
"""Of one class; most take a tenth of it."""
HELPER_BUDGET = 6_000


@dataclass(frozen=True, eq=False)
class _Entry:
    """A name in a module's ``EntryClass``, and the class where that was found."""

    name: str
    module: str
    file: str
    line: int
    symbol: ClassSymbol | None


def list_architectures(source: SglangSource) -> ArchitectureListing:
    """What every registered class can do; a class that can't be followed is listed with the reason.

    Raises SourceError only where the checkout has no package of models.
    """
    symbols = Symbols(source)
    walker = Walker(symbols)
    lists = named(source)
    warnings: list[str] = []
    found: dict[str, ListedArchitecture] = {}
    for entry in _entries(source, symbols, warnings):
        if entry.name not in found:
            found[entry.name] = _listed(source, walker, entry, lists)
    order = tuple(found[name] for name in sorted(found))
    return ArchitectureListing(commit=source.commit, architectures=order, warnings=tuple(warnings))


def _entries(source: SglangSource, symbols: Symbols, warnings: list[str]) -> Iterator[_Entry]:
    for module in source.modules_in(MODELS_PACKAGE):
        space = symbols.space(module)
        if space is None:
            warnings.append(f"{module} can't be parsed")
            continue
        if ENTRY not in space.bindings:
            continue
        path = space.file.path
        text = read_inside(source.root, path).decode("utf-8-sig", "replace")
        entries = registered_classes(text, path)
        warnings += [f"{path}: {text} in {ENTRY} was not followed" for text in entries.undecided]
        line = space.bindings[ENTRY][-1].statement.lineno
        for name in entries.names:
            symbol = next((s for s in symbols.of(space, name) if isinstance(s, ClassSymbol)), None)
            if symbol is None:
                yield _Entry(name, module, path, line, None)
            else:
                file = symbol.space.file.path
                yield _Entry(name, module, file, symbol.node.lineno, symbol)


def _listed(
    source: SglangSource, walker: Walker, entry: _Entry, lists: Named
) -> ListedArchitecture:
    records, note = _constructed(source, entry)
    members = _members(walker.symbols, entry.symbol)
    role = role_of(entry.name, entry.file, records, lists, members)
    tree = Tree(records if role == "encoder_only" else of_the_decoder(records))
    reached = walker.reach(entry.symbol) if entry.symbol else None
    mixers = attention_kinds(tree)
    if reached is not None and not mixers.found:
        mixers = by_class(reached.holders)
    kinds = (mixers, ffn_kinds(tree), norm_kinds(tree))
    conditions: dict[str, str] = {}
    for one in kinds:
        conditions.update(one.conditions())
    attention, ffn, norms = (one.names() for one in kinds)
    return ListedArchitecture(
        architecture=entry.name,
        file=entry.file,
        line=entry.line,
        role=role,
        attention=attention,
        ffn=ffn,
        norms=norms,
        unmapped=_unmapped(entry, reached, attention),
        conditions=conditions,
        note=note,
    )


def _unmapped(
    entry: _Entry, reached: Reached | None, attention: tuple[str, ...]
) -> tuple[UnmappedClass, ...]:
    """The classes that nothing is known about; the architecture itself where nothing mixes tokens,
    for then something that was not seen does."""
    found = reached.unmapped if reached is not None else ()
    shown = [UnmappedClass(name=u.name, file=u.path, line=u.line) for u in found]
    if not attention:
        shown.append(UnmappedClass(name=entry.name, file=entry.file, line=entry.line))
    return tuple(shown)


def _members(symbols: Symbols, symbol: ClassSymbol | None) -> frozenset[str]:
    if symbol is None:
        return frozenset()
    return frozenset(name for cls in symbols.order(symbol) for name in symbols.members(cls))


def _constructed(source: SglangSource, entry: _Entry) -> tuple[tuple[Record, ...], str]:
    """What the constructor makes when nothing is known of the configuration, or why not.

    Each class has a machine of its own: what one leaves in the globals must not reach another.
    """
    machine = new_machine(source, STEP_BUDGET, helper_budget=HELPER_BUDGET)
    try:
        root = _construct(machine, entry)
    except SourceError as error:
        return (), str(error)
    except Exception as error:
        # The code that is followed is not ours, and one class must not cost the others.
        return (), f"following the class's source failed: {type(error).__name__}: {error}"
    return records_under(root), ""


def _construct(machine: Machine, entry: _Entry) -> Instance:
    space = machine.space(entry.module)
    value = machine.resolve(space, ENTRY) if space else None
    entries = list(value) if is_sequence(value) else [value]
    cls = next((c for c in entries if isinstance(c, ClassValue) and c.name == entry.name), None)
    if cls is None:
        raise SourceError(f"{entry.name} is no class that can be followed.")
    config = ConfigValue("", {"architectures": [entry.name], **LAUNCHED}, opened=True)
    root = machine.call(cls, Arguments([], {"config": config, "quant_config": None}, cls.site))
    if not isinstance(root, Instance):
        raise SourceError(f"{entry.name} is not constructed as a layer.")
    return root
