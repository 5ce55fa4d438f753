"""Which classes a model file of SGLang registers: its ``EntryClass``, read without importing.

SGLang's registry (srt/models/registry.py) imports every module of the package itself, not of its
sub-packages, and registers each class of ``EntryClass`` under its ``__name__``.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field

from discover_models.sources.python_source import parse_python


@dataclass(frozen=True)
class Registered:
    """What a file registers."""

    names: tuple[str, ...] = ()
    """Names of the classes as the registry knows them, in order."""
    undecided: tuple[str, ...] = ()
    """Expressions in ``EntryClass`` that could not be followed."""


@dataclass
class _Bindings:
    """What names of a module stand for."""

    values: dict[str, ast.expr] = field(default_factory=dict[str, ast.expr])
    classes: dict[str, str] = field(default_factory=dict[str, str])
    """Local name to the class's own name (they differ after ``import … as``)."""
    entries: list[ast.expr] = field(default_factory=list[ast.expr])


def registered_classes(source: str, file: str = "the file") -> Registered:
    """Read ``EntryClass``: one class, a list or tuple, sums of them, names of such lists,
    ``+=``, ``append`` and ``extend``, also inside ``if`` and ``try``. `SourceError` when the
    file can't be parsed."""
    bindings = _Bindings()
    for statement in _statements(parse_python(source, file).body):
        _bind(statement, bindings)
    names: dict[str, None] = {}
    undecided: list[str] = []
    for entry in bindings.entries:
        for name in _follow(entry, bindings, depth=0):
            if isinstance(name, str):
                names[name] = None
            else:
                undecided.append(ast.unparse(name))
    return Registered(tuple(names), tuple(undecided))


def _statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """The statements that run when the module is imported, branches included."""
    for statement in body:
        yield statement
        if isinstance(statement, ast.If | ast.Try | ast.With):
            for block in ("body", "orelse", "finalbody"):
                yield from _statements(getattr(statement, block, []))
            for handler in getattr(statement, "handlers", []):
                yield from _statements(handler.body)


def _bind(statement: ast.stmt, bindings: _Bindings) -> None:
    match statement:
        case ast.ClassDef(name=name):
            bindings.classes[name] = name
        case ast.ImportFrom(names=names):
            bindings.classes.update({alias.asname or alias.name: alias.name for alias in names})
            if any((alias.asname or alias.name) == "EntryClass" for alias in names):
                bindings.entries.append(ast.Name(id="EntryClass"))
        case ast.Assign(targets=targets, value=value):
            for target in targets:
                _assign(target, value, bindings)
        case ast.AnnAssign(target=target, value=ast.expr() as value):
            _assign(target, value, bindings)
        case ast.AugAssign(target=ast.Name(id="EntryClass"), value=value):
            bindings.entries.append(value)
        case ast.Expr(
            value=ast.Call(
                func=ast.Attribute(value=ast.Name(id="EntryClass"), attr="append" | "extend"),
                args=[value],
            )
        ):
            bindings.entries.append(value)
        case _:
            pass


def _assign(target: ast.expr, value: ast.expr, bindings: _Bindings) -> None:
    if not isinstance(target, ast.Name):
        return
    if target.id == "EntryClass":
        bindings.entries.append(value)
    bindings.values[target.id] = value


def _follow(node: ast.expr, bindings: _Bindings, depth: int) -> Iterator[str | ast.expr]:
    """The class names that an expression stands for, or the expressions that can't be followed."""
    parts: list[ast.expr] = []
    match node:
        case ast.List(elts=elements) | ast.Tuple(elts=elements):
            parts = elements
        case ast.Starred(value=value):
            parts = [value]
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            parts = [left, right]
        case ast.Name(id="EntryClass"):
            yield node  # imported from another file
        case ast.Name(id=name) if name in bindings.classes:
            yield bindings.classes[name]
        case ast.Name(id=name) if name in bindings.values and depth < 20:
            parts = [bindings.values[name]]
        case ast.Attribute(attr=attr):
            yield attr
        case ast.Call(func=ast.Name(id="type"), args=[ast.Constant(value=str(name)), *_]):
            yield name
        case _:
            yield node
    for part in parts:
        yield from _follow(part, bindings, depth + 1)
