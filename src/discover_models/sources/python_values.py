"""Evaluates the small constant expressions that packages use for `__all__` and lazy imports."""

import ast
from collections.abc import Callable, Mapping
from typing import cast


class UnknownValueError(Exception):
    """The expression is not a constant that can be worked out without running the code."""


Lookup = Callable[[str], object]
"""Gives the value of a name; raises `UnknownValueError`."""

_CONTAINERS: Mapping[str, Callable[[list[object]], object]] = {
    "list": list,
    "tuple": tuple,
    "sorted": list,
    "set": frozenset,
    "frozenset": frozenset,
}


def constant(node: ast.expr, lookup: Lookup) -> object:
    """The value of literals, names, `a + b`, `a | b`, `frozenset(...)`, f-strings and so on.

    Sets come back as frozensets, dictionaries as dicts. Raises `UnknownValueError`.
    """
    match node:
        case ast.Constant(value=value):
            return value
        case ast.Name(id=name):
            return lookup(name)
        case ast.List(elts=elts) | ast.Tuple(elts=elts):
            return _items(elts, lookup)
        case ast.Set(elts=elts):
            return frozenset(_items(elts, lookup))
        case ast.Dict():
            return _mapping(node, lookup)
        case ast.BinOp(op=ast.Add() | ast.BitOr()):
            return _joined(constant(node.left, lookup), constant(node.right, lookup))
        case ast.JoinedStr():
            return "".join(_text(part, lookup) for part in node.values)
        case ast.Call():
            return _called(node, lookup)
        case _:
            raise UnknownValueError(ast.dump(node)[:80])


def elements(value: object) -> list[object]:
    """The elements of a container (the keys of a dict); raises `UnknownValueError`."""
    if isinstance(value, dict):
        return list(cast("dict[object, object]", value))
    if isinstance(value, list | tuple | frozenset):
        return list(cast("list[object]", value))
    raise UnknownValueError(f"{type(value).__name__} has no elements")


def _items(nodes: list[ast.expr], lookup: Lookup) -> list[object]:
    values: list[object] = []
    for node in nodes:
        if isinstance(node, ast.Starred):
            values.extend(elements(constant(node.value, lookup)))
        else:
            values.append(constant(node, lookup))
    return values


def _mapping(node: ast.Dict, lookup: Lookup) -> dict[object, object]:
    values: dict[object, object] = {}
    for key, value in zip(node.keys, node.values, strict=True):
        if key is None:
            merged = constant(value, lookup)
            if not isinstance(merged, dict):
                raise UnknownValueError("** of something that is no dict")
            values.update(cast("dict[object, object]", merged))
        else:
            values[constant(key, lookup)] = _value_or_none(value, lookup)
    return values


def _value_or_none(node: ast.expr, lookup: Lookup) -> object:
    """A value of a dict; one that can't be worked out must not hide the keys."""
    try:
        return constant(node, lookup)
    except UnknownValueError:
        return None


def _joined(left: object, right: object) -> object:
    match left, right:
        case str(), str():
            return left + right
        case dict(), dict():
            return {
                **cast("dict[object, object]", left),
                **cast("dict[object, object]", right),
            }
        case _:
            return [*elements(left), *elements(right)]


def _text(node: ast.expr, lookup: Lookup) -> str:
    value = constant(node.value if isinstance(node, ast.FormattedValue) else node, lookup)
    if not isinstance(value, str):
        raise UnknownValueError("not a string")
    return value


def _called(node: ast.Call, lookup: Lookup) -> object:
    match node:
        case ast.Call(func=ast.Name(id=name), args=[], keywords=[]) if name in _CONTAINERS:
            return []
        case ast.Call(func=ast.Name(id=name), args=[argument]) if name in _CONTAINERS:
            return _CONTAINERS[name](elements(constant(argument, lookup)))
        case ast.Call(func=ast.Attribute(value=owner, attr="keys"), args=[]):
            return elements(constant(owner, lookup))
        case _:
            raise UnknownValueError(ast.dump(node.func)[:80])
