"""The names of a module: where each is bound, under which guards."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field

from discover_models.sources.sglang_models.checkout import SourceFile
from discover_models.sources.sglang_models.values import Value

Guard = tuple[ast.expr, bool]


@dataclass(frozen=True, slots=True)
class Binding:
    """One statement that binds a name; `alias` is set for imports."""

    statement: ast.stmt
    guards: tuple[Guard, ...]
    alias: ast.alias | None = None


@dataclass(eq=False, slots=True)
class Namespace:
    """A module's bindings in order of appearance, and what they gave so far."""

    file: SourceFile
    bindings: dict[str, list[Binding]]
    stars: list[ast.ImportFrom]
    memo: dict[str, Value] = field(default_factory=dict[str, Value])


def scan(file: SourceFile) -> Namespace:
    """Collect the top-level bindings of a module."""
    space = Namespace(file, {}, [])
    for statement, guards in _flatten(file.tree.body, ()):
        for name, alias in _bound_names(statement):
            if name == "*" and isinstance(statement, ast.ImportFrom):
                space.stars.append(statement)
            else:
                binding = Binding(statement, guards, alias)
                space.bindings.setdefault(name, []).append(binding)
    return space


def imported_module(statement: ast.ImportFrom, file: SourceFile) -> str:
    """The absolute dotted name of the module that an import statement names."""
    if not statement.level:
        return statement.module or ""
    parts = file.dotted.split(".")
    drop = statement.level - (1 if file.is_package else 0)
    base = parts[: len(parts) - drop] if drop else parts
    return ".".join([*base, statement.module] if statement.module else base)


def class_members(node: ast.ClassDef) -> dict[str, ast.stmt]:
    """The statements that define a class's members; setters don't replace their property."""
    members: dict[str, ast.stmt] = {}
    for statement, _ in _flatten(node.body, ()):
        if isinstance(statement, ast.FunctionDef) and _is_accessor(statement):
            continue
        for name, _alias in _bound_names(statement):
            members[name] = statement
    return members


def _is_accessor(node: ast.FunctionDef) -> bool:
    return any(
        (isinstance(d, ast.Attribute) and d.attr in ("setter", "deleter"))
        or (isinstance(d, ast.Name) and d.id == "overload")
        for d in node.decorator_list
    )


def _flatten(
    body: list[ast.stmt], guards: tuple[Guard, ...]
) -> Iterator[tuple[ast.stmt, tuple[Guard, ...]]]:
    for statement in body:
        if isinstance(statement, ast.If):
            yield from _flatten(statement.body, (*guards, (statement.test, True)))
            yield from _flatten(statement.orelse, (*guards, (statement.test, False)))
        elif isinstance(statement, ast.Try):
            for handler in statement.handlers:
                yield from _flatten(handler.body, guards)
            yield from _flatten(statement.body, guards)
            yield from _flatten(statement.orelse + statement.finalbody, guards)
        elif isinstance(statement, ast.With):
            yield from _flatten(statement.body, guards)
        else:
            yield statement, guards


def _bound_names(statement: ast.stmt) -> Iterator[tuple[str, ast.alias | None]]:
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        yield statement.name, None
    elif isinstance(statement, ast.Import):
        for alias in statement.names:
            yield alias.asname or alias.name.split(".")[0], alias
    elif isinstance(statement, ast.ImportFrom):
        for alias in statement.names:
            yield alias.asname or alias.name, alias
    elif isinstance(statement, (ast.Assign, ast.AnnAssign)):
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        for target in targets:
            yield from ((name, None) for name in _target_names(target))


def _target_names(target: ast.expr) -> Iterator[str]:
    if isinstance(target, ast.Name):
        yield target.id
    elif isinstance(target, (ast.Tuple, ast.List)):
        for element in target.elts:
            yield from _target_names(element)
