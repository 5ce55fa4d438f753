"""Works out where a module's own `__getattr__` gets one name from, without running it.

Covers the ways of writing it that are in use: a set of names with `from . import x` below it, a
dictionary to module names with `importlib.import_module`, a dictionary to `(module, attribute)`
pairs, comparisons with single names, `try: ... except KeyError`.
"""

import ast
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

from discover_models.sources.python_module import absolute_module, imported_names
from discover_models.sources.python_values import (
    Lookup,
    UnknownValueError,
    constant,
    elements,
)


@dataclass(frozen=True)
class Reference:
    """A module (`attribute` None), a name in one, or a name of the module itself."""

    module: str | None
    """Absolute dotted name; None for the module that has the `__getattr__`."""
    attribute: str | None


class _AttributeMissingError(Exception):
    """The function raises for this name."""


def lazy_reference(
    function: ast.FunctionDef, name: str, *, package: str, module: str, lookup: Lookup
) -> Reference | None:
    """Where `__getattr__(name)` gets its value; None when it gives none that can be told.

    `lookup` gives the values of the module's constants.
    """
    parameter = function.args.args[0].arg if function.args.args else "name"
    run = _Run(package, lookup, {parameter: name, "__name__": module})
    try:
        return run.body(function.body)
    except _AttributeMissingError:
        return None


@dataclass
class _Run:
    package: str
    lookup: Lookup
    names: dict[str, object] = field(default_factory=dict[str, object])

    def body(self, statements: Sequence[ast.stmt]) -> Reference | None:
        """The reference that the statements return; None when they run through."""
        for statement in statements:
            found = self._statement(statement)
            if found is not None:
                return found
        return None

    def _statement(self, node: ast.stmt) -> Reference | None:
        match node:
            case ast.If():
                return self._branch(node)
            case ast.Try():
                return self.body(node.body)
            case ast.Raise():
                raise _AttributeMissingError
            case ast.Import() | ast.ImportFrom():
                for bound in imported_names(node, self.package):
                    self.names[bound.name] = Reference(bound.module, bound.attribute)
            case ast.Assign(targets=[target], value=value):
                self._assign(target, value)
            case ast.Return(value=ast.expr() as value):
                return self._returned(value)
            case _:
                pass
        return None

    def _branch(self, node: ast.If) -> Reference | None:
        try:
            return self.body(node.body if self._test(node.test) else node.orelse)
        except UnknownValueError:
            return None

    def _returned(self, node: ast.expr) -> Reference | None:
        try:
            value = self._value(node)
        except UnknownValueError:
            return Reference(None, node.id) if isinstance(node, ast.Name) else None
        return value if isinstance(value, Reference) else None

    def _assign(self, target: ast.expr, value: ast.expr) -> None:
        try:
            result = self._value(value)
        except UnknownValueError:
            return
        match target:
            case ast.Name(id=name):
                self.names[name] = result
            case ast.Tuple(elts=[ast.Name(id=first), ast.Name(id=second)]):
                self.names[first], self.names[second] = elements(result)[:2]
            case _:
                pass

    def _test(self, node: ast.expr) -> bool:
        match node:
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return not self._test(operand)
            case ast.BoolOp(op=ast.And(), values=values):
                return all(self._test(v) for v in values)
            case ast.BoolOp(values=values):
                return any(self._test(v) for v in values)
            case ast.Compare(left=left, ops=[operator], comparators=[right]):
                return _compare(operator, self._value(left), self._value(right))
            case _:
                return bool(self._value(node))

    def _value(self, node: ast.expr) -> object:
        match node:
            case ast.Call(func=ast.Name(id="getattr"), args=[owner, name, *_]):
                return self._attribute(self._value(owner), self._value(name))
            case ast.Call(func=called, args=[target, *_]) if _is_import_module(called):
                return self._module(self._value(target))
            case ast.Call(func=ast.Attribute(value=owner, attr="get"), args=[key, *_]):
                return self._mapping(owner).get(self._value(key))
            case ast.Subscript(value=owner, slice=key):
                return self._subscript(owner, key)
            case ast.Attribute(value=owner, attr=attribute):
                return self._attribute(self._value(owner), attribute)
            case _:
                return constant(node, self._name)

    def _name(self, name: str) -> object:
        return self.names[name] if name in self.names else self.lookup(name)

    def _mapping(self, node: ast.expr) -> dict[object, object]:
        value = constant(node, self._name)
        if not isinstance(value, dict):
            raise UnknownValueError("not a dict")
        return cast("dict[object, object]", value)

    def _subscript(self, owner: ast.expr, key: ast.expr) -> object:
        value, index = constant(owner, self._name), self._value(key)
        if isinstance(value, dict):
            values = cast("dict[object, object]", value)
            if index not in values:
                raise _AttributeMissingError
            return values[index]
        if isinstance(index, int):
            return elements(value)[index]
        raise UnknownValueError("subscript")

    def _module(self, target: object) -> Reference:
        if not isinstance(target, str):
            raise UnknownValueError("module name")
        bare = target.lstrip(".")
        return Reference(absolute_module(bare, len(target) - len(bare), self.package), None)

    def _attribute(self, owner: object, name: object) -> Reference:
        if not isinstance(owner, Reference) or not isinstance(name, str):
            raise UnknownValueError("attribute")
        module = owner.module or ""
        return Reference(f"{module}.{owner.attribute}" if owner.attribute else module, name)


def _is_import_module(node: ast.expr) -> bool:
    match node:
        case ast.Name(id="import_module") | ast.Attribute(attr="import_module"):
            return True
        case _:
            return False


def _compare(operator: ast.cmpop, left: object, right: object) -> bool:
    match operator:
        case ast.Eq() | ast.Is():
            return left == right
        case ast.NotEq() | ast.IsNot():
            return left != right
        case ast.In():
            return left in elements(right)
        case ast.NotIn():
            return left not in elements(right)
        case _:
            raise UnknownValueError("comparison")
