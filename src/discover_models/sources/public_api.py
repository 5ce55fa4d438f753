"""Finds the definition behind a public dotted name of a Python package, with `ast` only.

Nothing is imported or run. Files are read when a name leads to them and at most once.
"""

import ast
import os
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from discover_models.errors import SourceError
from discover_models.sources.lazy_exports import Reference, lazy_reference
from discover_models.sources.python_module import (
    Binding,
    Class,
    Function,
    Import,
    Module,
    Value,
    ordered,
    read_module,
)
from discover_models.sources.python_values import UnknownValueError, constant, elements


@dataclass(frozen=True)
class Hop:
    """One step from the public name to the definition."""

    module: Module
    line: int
    text: str
    """What the line does, for example ``from .core import f``."""


@dataclass(frozen=True)
class Wrapped:
    """A call around a definition, as in ``public = decorate(option)(private)``."""

    module: Module
    call: ast.Call


@dataclass(frozen=True)
class Definition:
    """A function, class or other callable value, with how it was reached."""

    module: Module
    binding: Function | Class | Value
    hops: tuple[Hop, ...] = ()
    wrappers: tuple[Wrapped, ...] = ()
    """Outermost first."""
    owner: Class | None = None
    """The class that has it, for a method."""

    @property
    def key(self) -> tuple[str, int]:
        """The same for all public names of one object."""
        return (str(self.module.path), self.binding.line)


@dataclass(frozen=True)
class ModuleTarget:
    """The name is a module."""

    module: Module
    hops: tuple[Hop, ...] = ()


Target = Definition | ModuleTarget


@dataclass(frozen=True)
class Absent:
    """The package was read and does not provide the name."""

    reason: str
    looked_at: tuple[Path, ...]
    """The files that were read for it."""


class PublicApi:
    """Look-ups in one package folder, for example ``checkout/flashinfer``.

    A module outside the checkout, behind a link, can't be read.
    """

    def __init__(self, checkout: Path, root: Path) -> None:
        self._checkout = checkout
        self.root = root
        self.name = root.name
        self._modules: dict[str, Module | SourceError | None] = {}

    def resolve(self, dotted: str) -> Definition | Absent:
        """The definition behind ``package.module.name`` or ``package.module.Class.method``.

        Raises `SourceError` when a file that the name rests on can't be parsed or is missing, or
        when the name comes from another package: then nothing can be said of it.
        """
        search = _Search(self)
        parts = dotted.split(".")
        try:
            module, rest = self._split(parts, search)
            target: Target | None = ModuleTarget(module)
            for name in rest:
                target = search.member(target, name)
                if target is None:
                    return Absent(f"{name} is not bound there", search.files())
        except _NotCallableError as error:
            return Absent(str(error), search.files())
        if isinstance(target, ModuleTarget):
            return Absent("it is a module", search.files())
        return target

    def load(self, name: str) -> Module | None:
        """A module of the package; None when it has no such file. Raises `SourceError`."""
        if name not in self._modules:
            self._modules[name] = self._read(name)
        module = self._modules[name]
        if isinstance(module, SourceError):
            raise module
        return module

    def contains(self, module: str) -> bool:
        return module == self.name or module.startswith(f"{self.name}.")

    def lookup(self, module: Module, name: str) -> Target | None:
        """A name as seen from inside a module; None when nothing can be told of it."""
        try:
            return _Search(self).name(module, name)
        except (SourceError, _NotCallableError):
            return None

    def method(self, definition: Definition, name: str) -> Definition | None:
        """A member of a class or of its bases; None when no class that was read has it."""
        try:
            return _Search(self).attribute(definition, name)
        except _NotCallableError:
            return None

    def _split(self, parts: list[str], search: "_Search") -> tuple[Module, list[str]]:
        """The longest leading part that is a module, and the names after it."""
        for size in range(len(parts) - 1, 0, -1):
            module = search.load(".".join(parts[:size]))
            if module is not None:
                return module, parts[size:]
        raise SourceError(f"{parts[0]} is not the package at {self.root}")

    def _read(self, name: str) -> Module | SourceError | None:
        if not self.contains(name):
            return None
        base = self.root.joinpath(*name.split(".")[1:])
        for path in (base / "__init__.py", base.with_name(f"{base.name}.py")):
            if os.path.isfile(path):  # also for a name that no file can have
                try:
                    return read_module(self._checkout, path, name)
                except SourceError as error:
                    return error
        return None


class _NotCallableError(Exception):
    """The name is bound to something that can't be called."""


class _Search:
    """One look-up: follows names and remembers what it read and where it has been."""

    def __init__(self, api: PublicApi) -> None:
        self._api = api
        self._read: dict[Path, None] = {}
        self._open: set[tuple[object, ...]] = set()

    def files(self) -> tuple[Path, ...]:
        return tuple(self._read)

    def load(self, name: str) -> Module | None:
        module = self._api.load(name)
        if module is not None:
            self._read[module.path] = None
        return module

    def member(self, target: Target | None, name: str) -> Target | None:
        match target:
            case ModuleTarget(module=module, hops=hops):
                return _after(hops, self.name(module, name))
            case Definition(binding=Class()):
                return _after(target.hops, self.attribute(target, name))
            case _:
                return None

    def name(self, module: Module, name: str, before: int | None = None) -> Target | None:
        """What `name` is in a module: bound, lazily given, or a module below a package."""
        with self._first_time(module.name, name, before) as first:
            if not first:
                return None
            return (
                self._bound(module, name, before)
                or self._lazy(module, name)
                or self._submodule(module, name)
            )

    @contextmanager
    def _first_time(self, *key: object) -> Generator[bool]:
        """Whether `key` is not being followed already: names can lead in a circle."""
        first = key not in self._open
        self._open.add(key)
        try:
            yield first
        finally:
            if first:
                self._open.discard(key)

    def attribute(self, definition: Definition, name: str) -> Definition | None:
        """A member of a class: set from outside, its own, or inherited, in this order."""
        owner = definition.binding
        if not isinstance(owner, Class):
            return None
        outside = self._outside(definition.module, owner.name, name)
        if outside is not None:
            return outside
        with self._first_time(definition.key, name) as first:
            return self._inside(definition, owner, name) if first else None

    def _inside(self, definition: Definition, owner: Class, name: str) -> Definition | None:
        for binding in ordered(b for b in owner.members if b.name == name):
            found = self._own(definition, owner, binding)
            if found is not None:
                return found
        for base in owner.bases:
            parent = self._expression(definition.module, base, owner.line)
            if isinstance(parent, Definition):
                found = self.attribute(parent, name)
                if found is not None:
                    return replace(found, hops=(*parent.hops, *found.hops))
        return None

    def _outside(self, module: Module, owner: str, name: str) -> Definition | None:
        """``Class.name = value`` at module level."""
        for binding in ordered(iter(module.by_name.get(f"{owner}.{name}", ()))):
            with self._first_time(module.name, binding.line) as first:
                if not first or not isinstance(binding, Value):
                    continue
                found = self._value(module, binding)
                if isinstance(found, Definition):
                    return found
        return None

    def _own(self, definition: Definition, owner: Class, binding: Binding) -> Definition | None:
        match binding:
            case Function() | Class():
                return Definition(definition.module, binding, owner=owner)
            case Value(expression=expression):
                return self._class_value(definition, expression, binding)
            case _:
                return None

    def _class_value(
        self, definition: Definition, node: ast.expr, binding: Value
    ) -> Definition | None:
        """``forward = run`` and ``forward = decorate(run)`` in a class body."""
        match node:
            case ast.Name(id=name) if name != binding.name:
                found = self.attribute(definition, name)
                hop = Hop(definition.module, binding.line, f"{binding.name} = {name}")
                return found and replace(found, hops=(hop, *found.hops))
            case ast.Call(args=[inner, *_]):
                found = self._class_value(definition, inner, binding)
                wrapped = Wrapped(definition.module, node)
                return found and replace(found, wrappers=(wrapped, *found.wrappers))
            case _:
                found = self._expression(definition.module, node, binding.line)
                return found if isinstance(found, Definition) else None

    def _bound(self, module: Module, name: str, before: int | None) -> Target | None:
        broken: SourceError | None = None
        for binding in module.candidates(name, before):
            try:
                found = self._binding(module, binding, name)
            except SourceError as error:
                if binding.name != "*":
                    raise
                broken = error
                continue
            if found is not None:
                return found
        if broken is not None:
            raise broken
        return None

    def _binding(self, module: Module, binding: Binding, name: str) -> Target | None:
        match binding:
            case Import(attribute="*"):
                return self._star(module, binding, name)
            case Import():
                return self._import(module, binding)
            case Function(weak=True, conditional=False):
                raise _NotCallableError(f"{name} only raises an error")
            case Function() | Class():
                return Definition(module, binding)
            case Value():
                return self._value(module, binding)
            case _:
                return None

    def _import(self, module: Module, binding: Import) -> Target | None:
        if not self._api.contains(binding.module):
            raise SourceError(
                f"{binding.name} in {module.name} comes from {binding.module}, another package"
            )
        source = self._source(module, binding)
        if source is None:
            return None
        if binding.attribute is None:
            return ModuleTarget(source, (self._hop(module, binding),))
        found = self.name(source, binding.attribute)
        return _after((self._hop(module, binding),), found)

    def _source(self, module: Module, binding: Import) -> Module | None:
        """The imported module; None when an optional one is not part of the package."""
        source = self.load(binding.module)
        if source is None and not binding.conditional:
            raise SourceError(
                f"{module.path}:{binding.line} imports {binding.module}, "
                "which is not in the checkout"
            )
        return source

    def _star(self, module: Module, binding: Import, name: str) -> Target | None:
        if not self._api.contains(binding.module):
            return None
        source = self._source(module, binding)
        if source is None or not self._exports(source, name):
            return None
        return _after((self._hop(module, binding),), self.name(source, name))

    def _exports(self, module: Module, name: str) -> bool:
        """Whether a star import takes the name. An `__all__` that can't be worked out in full
        takes every name without a leading underscore."""
        if module.exports is None:
            return not name.startswith("_")
        complete = True
        for expression in module.exports:
            try:
                names = elements(constant(expression, lambda n: self._constant(module, n)))
            except UnknownValueError:
                complete = False
                continue
            if name in names:
                return True
        return not complete and not name.startswith("_")

    def _constant(self, module: Module, name: str) -> object:
        """The value of a module's constant; a list gets what every branch assigns to it."""
        values = [b for b in module.by_name.get(name, ()) if isinstance(b, Value)]
        if not values:
            raise UnknownValueError(name)
        results = [constant(b.expression, lambda n: self._constant(module, n)) for b in values]
        if len(results) == 1:
            return results[0]
        return [item for result in results for item in elements(result)]

    def _lazy(self, module: Module, name: str) -> Target | None:
        for binding in module.by_name.get("__getattr__", ()):
            if isinstance(binding, Function) and binding.lazy is not None:
                return self._given(module, binding, binding.lazy, name)
        return None

    def _given(
        self, module: Module, binding: Function, node: ast.FunctionDef, name: str
    ) -> Target | None:
        package = module.name if module.is_package else module.name.rpartition(".")[0]
        reference = lazy_reference(
            node,
            name,
            package=package,
            module=module.name,
            lookup=lambda n: self._constant(module, n),
        )
        if reference is None:
            return None
        hop = Hop(module, binding.line, f"__getattr__ gives {name}")
        return _after((hop,), self._referenced(module, reference))

    def _referenced(self, module: Module, reference: Reference) -> Target | None:
        if reference.module is None:
            return self.name(module, reference.attribute or "")
        if not self._api.contains(reference.module):
            raise SourceError(f"{module.name} gives names of {reference.module} on demand")
        dotted, _, last = reference.module.rpartition(".")
        source = self.load(reference.module)
        if source is None:
            # `from . import package_attribute` looks like a module until it is looked up.
            parent = self.load(dotted)
            owner = self.name(parent, last) if parent else None
            return self.member(owner, reference.attribute) if reference.attribute else owner
        if reference.attribute is None:
            return ModuleTarget(source)
        return self.name(source, reference.attribute)

    def _submodule(self, module: Module, name: str) -> Target | None:
        source = self.load(f"{module.name}.{name}") if module.is_package else None
        return ModuleTarget(source) if source else None

    def _value(self, module: Module, binding: Value) -> Target | None:
        if binding.weak and not binding.conditional:
            raise _NotCallableError(f"{binding.name} is None")
        found = self._expression(module, binding.expression, binding.line)
        if found is not None:
            return _after((self._hop(module, binding),), found)
        if isinstance(binding.expression, ast.Call | ast.Lambda):
            return Definition(module, binding)
        if binding.weak:
            return None
        raise _NotCallableError(f"{binding.name} is a value that can't be called")

    def _expression(self, module: Module, node: ast.expr, line: int) -> Target | None:
        """What an expression at `line` stands for; None when it is no known name or wrapper."""
        match node:
            case ast.Name(id=name):
                return self.name(module, name, line)
            case ast.Attribute(value=owner, attr=attribute):
                return self.member(self._expression(module, owner, line), attribute)
            case ast.IfExp(body=body, orelse=orelse):
                return self._expression(module, body, line) or self._expression(
                    module, orelse, line
                )
            case ast.Call(args=[inner, *_]):
                return self._wrapped(module, node, inner, line)
            case _:
                return None

    def _wrapped(self, module: Module, node: ast.Call, inner: ast.expr, line: int) -> Target | None:
        """``decorate(option)(function)``, ``functools.partial(function, ...)`` and the like."""
        try:
            found = self._expression(module, inner, line)
        except _NotCallableError:
            return None
        if not isinstance(found, Definition):
            return None
        return replace(found, wrappers=(Wrapped(module, node), *found.wrappers))

    def _hop(self, module: Module, binding: Import | Value) -> Hop:
        return Hop(module, binding.line, _statement_text(binding))


def _after(hops: tuple[Hop, ...], target: Target | None) -> Target | None:
    return replace(target, hops=(*hops, *target.hops)) if target else None


def _statement_text(binding: Import | Value) -> str:
    match binding:
        case Value(expression=expression):
            return f"{binding.name} = {ast.unparse(expression)}"
        case Import(attribute=None):
            return f"import {binding.module}"
        case Import():
            alias = "" if binding.attribute == binding.name else f" as {binding.name}"
            return f"from {binding.module} import {binding.attribute}{alias}"


def dotted_name(node: ast.expr) -> str:
    """``a.b.c`` for nested attributes; empty for other expressions."""
    return ".".join(reversed(tuple(_reversed_parts(node)) or ("",)))


def _reversed_parts(node: ast.expr) -> Iterator[str]:
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if isinstance(node, ast.Name):
        yield from (*parts, node.id)
