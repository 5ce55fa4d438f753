"""What a name in a module stands for, without evaluating anything.

Where several statements may bind a name (platform variants, `try` and `except`), all of them count.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field

from discover_models.errors import SourceError
from discover_models.sources.sglang_models.checkout import SglangSource
from discover_models.sources.sglang_models.namespace import (
    Binding,
    Namespace,
    class_members,
    imported_module,
    scan,
)

_DEPTH = 12


@dataclass(frozen=True, eq=False)
class ClassSymbol:
    """A class of SGLang."""

    name: str
    space: Namespace
    node: ast.ClassDef

    @property
    def where(self) -> str:
        return f"{self.space.file.path}:{self.node.lineno}"


@dataclass(frozen=True, eq=False)
class FunctionSymbol:
    """A function of SGLang."""

    name: str
    space: Namespace
    node: ast.FunctionDef


@dataclass(frozen=True)
class ModuleSymbol:
    """A module of SGLang by its dotted name."""

    dotted: str


@dataclass(frozen=True)
class ExternalSymbol:
    """A name of another library, with dots."""

    dotted: str


@dataclass(frozen=True, eq=False)
class ValueSymbol:
    """A module's global that is an expression: an alias, a table, a list."""

    space: Namespace
    expression: ast.expr


Symbol = ClassSymbol | FunctionSymbol | ModuleSymbol | ExternalSymbol | ValueSymbol


@dataclass(eq=False)
class Symbols:
    """The names of a checkout, each module read once."""

    source: SglangSource
    _spaces: dict[str, Namespace | None] = field(default_factory=dict[str, "Namespace | None"])
    _known: dict[tuple[str, str], tuple[Symbol, ...]] = field(
        default_factory=dict[tuple[str, str], tuple[Symbol, ...]]
    )
    _classes: dict[ast.ClassDef, ClassSymbol] = field(
        default_factory=dict[ast.ClassDef, ClassSymbol]
    )
    _orders: dict[ast.ClassDef, tuple[ClassSymbol, ...]] = field(
        default_factory=dict[ast.ClassDef, tuple[ClassSymbol, ...]]
    )
    _members: dict[ast.ClassDef, dict[str, ast.stmt]] = field(
        default_factory=dict[ast.ClassDef, dict[str, ast.stmt]]
    )

    def space(self, dotted: str) -> Namespace | None:
        """A module's names; None when it is no module of SGLang or can't be parsed."""
        if dotted not in self._spaces:
            try:
                file = self.source.module(dotted)
            except SourceError:
                file = None
            self._spaces[dotted] = scan(file) if file else None
        return self._spaces[dotted]

    def of(self, space: Namespace, name: str, depth: int = 0) -> tuple[Symbol, ...]:
        """Everything that a module's global may stand for; nothing where it binds no such name."""
        key = (space.file.dotted, name)
        if key not in self._known:
            self._known[key] = ()  # a cycle ends here
            self._known[key] = tuple(self._find(space, name, depth))
        return self._known[key]

    def expression(
        self, space: Namespace, node: ast.expr, local: dict[str, tuple[Symbol, ...]] | None = None
    ) -> tuple[Symbol, ...]:
        """What a name or a dotted name stands for."""
        if isinstance(node, ast.Name):
            if local is not None and node.id in local:
                return local[node.id]
            return self.of(space, node.id)
        if isinstance(node, ast.Attribute):
            owners = self.expression(space, node.value, local)
            return tuple(s for owner in owners for s in self._attribute(owner, node.attr))
        return ()

    def imported(
        self, space: Namespace, statement: ast.Import | ast.ImportFrom, alias: ast.alias
    ) -> tuple[Symbol, ...]:
        """What an import binds."""
        if isinstance(statement, ast.ImportFrom):
            dotted = imported_module(statement, space.file)
            return tuple(self._member(dotted, alias.name, 0))
        dotted = alias.name if alias.asname else alias.name.split(".")[0]
        return (self._module(dotted),)

    def order(self, cls: ClassSymbol) -> tuple[ClassSymbol, ...]:
        """A class and its bases of SGLang, depth first, each once."""
        if cls.node not in self._orders:
            self._orders[cls.node] = (cls,)
            found = {cls.node: cls}
            for base in self.bases(cls):
                if isinstance(base, ClassSymbol):
                    found.update({c.node: c for c in self.order(base) if c.node not in found})
            self._orders[cls.node] = tuple(found.values())
        return self._orders[cls.node]

    def bases(self, cls: ClassSymbol) -> tuple[Symbol, ...]:
        """The direct bases."""
        return tuple(s for base in cls.node.bases for s in self.expression(cls.space, _plain(base)))

    def base_names(self, cls: ClassSymbol) -> frozenset[str]:
        """Names of a class and all its bases; those of other libraries with dots."""
        names = {c.name for c in self.order(cls)}
        for one in self.order(cls):
            names |= {b.dotted for b in self.bases(one) if isinstance(b, ExternalSymbol)}
            names |= {ast.unparse(_plain(base)) for base in one.node.bases}
        return frozenset(names)

    def members(self, cls: ClassSymbol) -> dict[str, ast.stmt]:
        """The statements that define a class's own members."""
        if cls.node not in self._members:
            self._members[cls.node] = class_members(cls.node)
        return self._members[cls.node]

    def _find(self, space: Namespace, name: str, depth: int) -> Iterator[Symbol]:
        if depth > _DEPTH:
            return
        bindings = space.bindings.get(name, [])
        for binding in bindings:
            yield from self._bound(space, binding, depth)
        if bindings:
            return
        for statement in space.stars:
            yield from self._member(imported_module(statement, space.file), name, depth + 1)

    def _bound(self, space: Namespace, binding: Binding, depth: int) -> Iterator[Symbol]:
        match binding.statement:
            case ast.ClassDef() as node:
                yield self._classes.setdefault(node, ClassSymbol(node.name, space, node))
            case ast.FunctionDef() as node:
                yield FunctionSymbol(node.name, space, node)
            case ast.ImportFrom() as node if binding.alias:
                yield from self._member(
                    imported_module(node, space.file), binding.alias.name, depth + 1
                )
            case ast.Import() as node if binding.alias:
                yield from self.imported(space, node, binding.alias)
            case ast.Assign(value=value) | ast.AnnAssign(value=ast.expr() as value):
                found = self.expression(space, value)
                yield from found or (ValueSymbol(space, value),)
            case _:
                return

    def _member(self, dotted: str, name: str, depth: int) -> Iterator[Symbol]:
        space = self.space(dotted) if dotted.split(".")[0] == "sglang" else None
        found = self.of(space, name, depth) if space else ()
        if found:
            yield from found
        elif self._is_module(f"{dotted}.{name}"):
            yield ModuleSymbol(f"{dotted}.{name}")
        else:
            yield ExternalSymbol(f"{dotted}.{name}")

    def _module(self, dotted: str) -> Symbol:
        ours = dotted.split(".")[0] == "sglang"
        return ModuleSymbol(dotted) if ours else ExternalSymbol(dotted)

    def _is_module(self, dotted: str) -> bool:
        return dotted.split(".")[0] == "sglang" and self.space(dotted) is not None

    def _attribute(self, owner: Symbol, name: str) -> Iterator[Symbol]:
        if isinstance(owner, ModuleSymbol):
            yield from self._member(owner.dotted, name, 0)
        elif isinstance(owner, ExternalSymbol):
            yield ExternalSymbol(f"{owner.dotted}.{name}")


def _plain(base: ast.expr) -> ast.expr:
    """A base without its type parameters."""
    return base.value if isinstance(base, ast.Subscript) else base
