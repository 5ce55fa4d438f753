"""Whether an object's methods use a member, given what its constructor decided.

Some classes construct a layer for every decoder layer and run it in some of them: a test on their
own members stands around the call.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from discover_models.sources.sglang_models.values import (
    ClassValue,
    Dim,
    Instance,
    Real,
    Value,
    is_sequence,
)

_UNDECIDED = object()
_COMPARISONS: Mapping[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Is: operator.is_,
    ast.IsNot: operator.is_not,
}


def is_used(holder: Value, name: str) -> bool:
    """False where methods mention ``self.name`` and a decided test keeps each mention from running.

    A test that can't be decided counts as passed: other things than the model decide it.
    """
    if not isinstance(holder, Instance) or holder.cls is None:
        return True
    seen: set[str] = set()
    mentions: list[bool] = []
    for base in holder.cls.mro:
        for method, node in base.members.items() if isinstance(base, ClassValue) else ():
            if isinstance(node, ast.FunctionDef) and method != "__init__" and method not in seen:
                seen.add(method)
                mentions += [runs for statement in node.body
                             for runs in _mentions(statement, holder, name, runs=True)]  # fmt: skip
    return not mentions or any(mentions)


def is_called(holder: Value, name: str) -> bool:
    """False where the files of an object's class and its bases only ever assign ``.name``.

    Some classes construct norms that no code of theirs runs. A class that has nothing but a
    constructor is run by others, who are not looked for.
    """
    if not isinstance(holder, Instance) or holder.cls is None:
        return True
    bases = [base for base in holder.cls.mro if isinstance(base, ClassValue)]
    run_by_others = all(base.members.keys() <= {"__init__"} for base in bases)
    return run_by_others or any(name in _read_names(base) for base in bases)


def _read_names(cls: ClassValue) -> frozenset[str]:
    """What the file of a class reads as a member of anything, or spells out as a string."""
    if "read names" not in cls.cache:
        found: set[str] = set()
        for node in ast.walk(cls.frame.space.file.tree):
            match node:
                case ast.Attribute(attr=name, ctx=ast.Load()) | ast.Constant(value=str(name)):
                    found.add(name)
                case _:
                    pass
        cls.cache["read names"] = frozenset(found)
    return cls.cache["read names"]


def _mentions(node: ast.AST, holder: Instance, name: str, *, runs: bool) -> Iterator[bool]:
    """For each mention of the member below a node, whether it can run."""
    if isinstance(node, ast.Attribute) and ast.unparse(node) == f"self.{name}":
        yield runs
    if not isinstance(node, ast.If | ast.IfExp):
        for child in ast.iter_child_nodes(node):
            yield from _mentions(child, holder, name, runs=runs)
        return
    decided = _value(node.test, holder)
    for part, wanted in ((node.body, True), (node.orelse, False)):
        passes = decided is _UNDECIDED or bool(decided) is wanted
        for child in part if isinstance(part, list) else [part]:
            yield from _mentions(child, holder, name, runs=runs and passes)


def _value(node: ast.expr, holder: Instance) -> Any:
    """The value of a test over the holder's members; `_UNDECIDED` where it takes more."""
    match node:
        case ast.Constant(value=value):
            return value
        case ast.Attribute(value=ast.Name(id="self"), attr=attr) if attr in holder.attrs:
            return _plain(holder.attrs[attr])
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            inner = _value(operand, holder)
            return inner if inner is _UNDECIDED else not inner
        case ast.BoolOp(op=op, values=values):
            return _joined(isinstance(op, ast.Or), [_value(part, holder) for part in values])
        case ast.Compare(left=left, ops=[op], comparators=[right]) if type(op) in _COMPARISONS:
            return _compared(type(op), _value(left, holder), _value(right, holder))
        case _:
            return _UNDECIDED


def _joined(either: bool, values: list[Any]) -> Any:
    decided = [bool(value) for value in values if value is not _UNDECIDED]
    if either in decided:
        return either
    return _UNDECIDED if len(decided) < len(values) else not either


def _compared(op: type[ast.cmpop], left: Any, right: Any) -> Any:
    if _UNDECIDED in (left, right):
        return _UNDECIDED
    try:
        return _COMPARISONS[op](left, right)
    except TypeError:
        return _UNDECIDED


def _plain(value: Value) -> Any:
    if isinstance(value, Dim):
        return value.value if value.known else _UNDECIDED
    if isinstance(value, Real):
        return value.value
    if value is None or isinstance(value, bool | int | float | str) or is_sequence(value):
        return value
    return _UNDECIDED
