"""The keywords that calls of a module pass, mappings of the same function among them."""

from __future__ import annotations

import ast
from collections.abc import Iterator

OPEN = "**"
"""Stands for the keys of a mapping that is not known."""


def keywords_by_line(tree: ast.Module) -> dict[int, list[frozenset[str]]]:
    """By the line of what is called: the keywords of each call there."""
    around: dict[ast.Call, ast.AST] = {}
    functions = [n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    for owner in (tree, *functions):  # from the outermost to the innermost
        for node in ast.walk(owner):
            if isinstance(node, ast.Call):
                around[node] = owner
    found: dict[int, list[frozenset[str]]] = {}
    for call, owner in around.items():
        names = frozenset(_passed(call, owner))
        found.setdefault(call.func.end_lineno or call.lineno, []).append(names)
    return found


def _passed(call: ast.Call, owner: ast.AST) -> Iterator[str]:
    for keyword in call.keywords:
        if keyword.arg:
            yield keyword.arg
            continue
        keys = _keys(keyword.value)
        if isinstance(keyword.value, ast.Name):
            keys = _keys_given(owner, keyword.value.id)
        yield from keys if keys is not None else (OPEN,)


def _keys_given(owner: ast.AST, name: str) -> frozenset[str] | None:
    """The keys that a function can give a variable; None where something else may add some."""
    found: set[str] = set()
    mentions = understood = 0
    for node in ast.walk(owner):
        keys: frozenset[str] | None = frozenset()
        match node:
            case ast.Name(id=other):
                mentions += other == name
            case ast.arg(arg=other) if other == name:
                return None
            case (
                ast.Assign(targets=[ast.Name(id=other)], value=value)
                | ast.AnnAssign(target=ast.Name(id=other), value=ast.expr() as value)
            ) if other == name:
                understood += 1
                keys = _keys(value)
            case ast.Subscript(value=ast.Name(id=other), slice=ast.Constant(value=str(key))):
                understood += other == name
                keys = frozenset({key} if other == name else ())
            case ast.keyword(arg=None, value=ast.Name(id=other)):
                understood += other == name
            case _:
                pass
        if keys is None:
            return None
        found |= keys
    return frozenset(found) if mentions == understood and understood else None


def _keys(value: ast.expr) -> frozenset[str] | None:
    """The keys of a mapping that is written out; all that it can have."""
    match value:
        case ast.Dict(keys=keys):
            texts = [k.value for k in keys if isinstance(k, ast.Constant)]
            names = [text for text in texts if isinstance(text, str)]
            return frozenset(names) if len(names) == len(keys) else None
        case ast.Call(func=ast.Name(id="dict"), args=[], keywords=keywords):
            names = [k.arg for k in keywords if k.arg]
            return frozenset(names) if len(names) == len(keywords) else None
        case ast.IfExp(body=one, orelse=other):
            first, second = _keys(one), _keys(other)
            return None if first is None or second is None else first | second
        case _:
            return None
