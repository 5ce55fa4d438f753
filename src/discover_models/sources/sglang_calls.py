"""What functions of one file come to from one of them, where callers pass constants.

``run(x, routed=True)`` never comes to what stands under ``if not routed``.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping

from discover_models.sources.sglang_launch import Launch, expanded

Given = frozenset[tuple[str, bool]]
"""Parameters that are known to be true or false."""
Functions = Mapping[str, ast.FunctionDef]
Statement = tuple[ast.stmt, tuple[str, ...]]
"""A statement and the conditions around it."""

_NOTHING_KNOWN = Launch({}, {}, lambda _: None, lambda _: False)
_BLOCKS = ("body", "orelse", "finalbody", "handlers", "cases")


def reached(
    start: str, functions: Functions, bodies: Mapping[str, Iterable[Statement]]
) -> dict[str, set[str]]:
    """The functions of the file that `start` comes to, itself too, and the names each comes to.

    `bodies`: the statements of each function.
    """
    names: dict[str, set[str]] = {}
    seen: set[tuple[str, Given]] = set()
    queue: list[tuple[str, Given]] = [(start, frozenset())]
    while queue:
        name, given = queue.pop()
        if (name, given) in seen:
            continue
        seen.add((name, given))
        found = names.setdefault(name, set())
        live = list(_live(bodies[name], given))
        called: set[int] = set()
        for node in live:
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                called.add(id(node.func))
                callee = functions.get(node.func.id)
                if callee is not None:
                    queue.append((callee.name, _given_to(callee, node, dict(given))))
        for node in live:
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
                found.add(node.id)
                if node.id in functions and id(node) not in called:
                    queue.append((node.id, frozenset()))
    return names


def _live(body: Iterable[Statement], given: Given) -> Iterator[ast.AST]:
    known: dict[str, ast.expr] = {name: ast.Constant(value) for name, value in given}
    for statement, conditions in body:
        told = [expanded(c, known) for c in conditions if any(name in c for name in known)]
        if _NOTHING_KNOWN.holds(told, "") != "no":
            yield from _heads(statement)


def _heads(statement: ast.stmt) -> Iterator[ast.AST]:
    """The expressions of a statement, without the blocks below it."""
    for name, value in ast.iter_fields(statement):
        for part in value if isinstance(value, list) else [value]:  # pyright: ignore[reportUnknownVariableType]
            if isinstance(part, ast.AST) and name not in _BLOCKS:
                yield from ast.walk(part)


def _given_to(callee: ast.FunctionDef, call: ast.Call, given: Mapping[str, bool]) -> Given:
    parameters = [a.arg for a in (*callee.args.posonlyargs, *callee.args.args)]
    passed = [*zip(parameters, call.args, strict=False)]
    passed += [(k.arg, k.value) for k in call.keywords if k.arg]
    found: dict[str, bool] = {}
    for name, value in passed:
        match value:
            case ast.Constant(value=bool(known)):
                found[name] = known
            case ast.Name(id=other) if other in given:
                found[name] = given[other]
            case _:
                pass
    return frozenset(item for item in found.items() if _keeps(callee, *item))


def _keeps(function: ast.FunctionDef, name: str, value: bool) -> bool:
    """Whether what a function does to a parameter leaves it true, or false, as it was."""
    stores = kept = 0
    for node in ast.walk(function):
        match node:
            case ast.Name(id=changed, ctx=ast.Store()):
                stores += changed == name
            case ast.Assign(targets=[ast.Name(id=changed)], value=ast.Constant(value=new)):
                kept += changed == name and new is value
            case ast.AugAssign(target=ast.Name(id=changed), op=op):
                kept += changed == name and isinstance(op, ast.BitOr if value else ast.BitAnd)
            case _:
                pass
    return stores == kept
