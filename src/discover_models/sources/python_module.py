"""What one Python module binds at its top level, read with `ast` and never by importing it.

Only what a look-up needs is kept of each definition, so that the syntax tree can be dropped: a
package of hundreds of large files would not fit in memory otherwise.
"""

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from discover_models.sources.python_source import parse_inside


@dataclass(frozen=True, kw_only=True)
class Binding:
    """A name gets a value at module or class level."""

    name: str
    line: int
    """1-based."""
    conditional: bool = False
    """Inside `if`, `try`, `with`: it may not happen."""
    weak: bool = False
    """A stand-in that counts only where nothing else binds the name: `None`, a function that
    only raises, anything in an `except` block."""


@dataclass(frozen=True, kw_only=True)
class Import(Binding):
    module: str
    """Absolute dotted name."""
    attribute: str | None
    """None for `import module`; ``*`` for a star import (its `name` is ``*`` too)."""


@dataclass(frozen=True, kw_only=True)
class Function(Binding):
    decorators: tuple[ast.expr, ...]
    lazy: ast.FunctionDef | None = None
    """The whole node, kept for the module's own `__getattr__` only."""


@dataclass(frozen=True, kw_only=True)
class Class(Binding):
    bases: tuple[ast.expr, ...]
    members: tuple[Binding, ...]


@dataclass(frozen=True, kw_only=True)
class Value(Binding):
    expression: ast.expr


@dataclass(frozen=True, kw_only=True)
class Removal(Binding):
    """`del name`."""


@dataclass(frozen=True)
class Module:
    """The top level of one file."""

    name: str
    """Absolute dotted name."""
    path: Path
    is_package: bool
    bindings: tuple[Binding, ...]
    """In the order of the file; `@overload` stubs and `if TYPE_CHECKING:` blocks are left out."""
    exports: tuple[ast.expr, ...] | None
    """What is assigned or added to `__all__`; None when the module has none."""
    by_name: dict[str, tuple[Binding, ...]] = field(repr=False)

    def candidates(self, name: str, before: int | None = None) -> tuple[Binding, ...]:
        """What may bind `name`, most likely first; star imports are among them as ``*``.

        The last unconditional binding hides what stands above it. `before` leaves out the
        bindings of the name from that line on (for ``f = decorate(f)``).
        """
        found = [*self.by_name.get(name, ()), *self.by_name.get("*", ())]
        return ordered(b for b in found if before is None or b.line < before or b.name == "*")


def ordered(bindings: Iterator[Binding]) -> tuple[Binding, ...]:
    """Bindings of one name, most likely first (see `Module.candidates`)."""
    strong: list[Binding] = []
    weak: list[Binding] = []
    for binding in sorted(bindings, key=lambda b: b.line, reverse=True):
        (weak if binding.weak else strong).append(binding)
        if not binding.conditional and binding.name != "*":
            break
    return (*strong, *weak)


def read_module(root: Path, path: Path, name: str) -> Module:
    """Read one file below `root`; `SourceError` when it can't be parsed or links lead out."""
    tree = parse_inside(root, path.relative_to(root).as_posix(), str(path))
    is_package = path.name == "__init__.py"
    package = name if is_package else name.rpartition(".")[0]
    bindings = tuple(_Collector(package).collect(tree.body))
    by_name: dict[str, list[Binding]] = {}
    for binding in bindings:
        by_name.setdefault(binding.name, []).append(binding)
    return Module(
        name=name,
        path=path,
        is_package=is_package,
        bindings=bindings,
        exports=_exports(tree.body),
        by_name={key: tuple(values) for key, values in by_name.items()},
    )


@dataclass(frozen=True)
class _Collector:
    """Walks the statements of a module or class body; nested function bodies are not entered."""

    package: str
    conditional: bool = False
    weak: bool = False

    def collect(self, body: Sequence[ast.stmt]) -> Iterator[Binding]:
        for statement in body:
            yield from self._statement(statement)

    def _statement(self, node: ast.stmt) -> Iterator[Binding]:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                yield from self._function(node)
            case ast.ClassDef():
                yield self._class(node)
            case ast.Import() | ast.ImportFrom():
                yield from self._imports(node)
            case ast.Assign() | ast.AnnAssign():
                yield from self._assignment(node)
            case ast.Delete(targets=targets):
                for target in targets:
                    if isinstance(target, ast.Name) and not self.conditional:
                        yield Removal(name=target.id, line=node.lineno)
            case _:
                yield from self._block(node)

    def _block(self, node: ast.stmt) -> Iterator[Binding]:
        inside = _Collector(self.package, True, self.weak)
        match node:
            case ast.If():
                yield from self._branches(node, inside)
            case ast.Try() | ast.TryStar():
                yield from inside.collect(node.body)
                yield from inside.collect(node.orelse)
                for handler in node.handlers:
                    yield from _Collector(self.package, True, True).collect(handler.body)
                yield from self.collect(node.finalbody)
            case ast.With() | ast.AsyncWith() | ast.For() | ast.While():
                yield from inside.collect(node.body)
            case _:
                pass

    def _branches(self, node: ast.If, inside: "_Collector") -> Iterator[Binding]:
        never = _is_type_checking(node.test) or (
            isinstance(node.test, ast.Constant) and not node.test.value
        )
        if never:
            yield from self.collect(node.orelse)
            return
        yield from inside.collect(node.body)
        yield from inside.collect(node.orelse)

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[Binding]:
        if any(_last_name(d) == "overload" for d in node.decorator_list):
            return
        yield Function(
            name=node.name,
            line=node.lineno,
            conditional=self.conditional,
            weak=self.weak or _only_raises(node),
            decorators=tuple(node.decorator_list),
            lazy=_lazy_hook(node),
        )

    def _class(self, node: ast.ClassDef) -> Class:
        return Class(
            name=node.name,
            line=node.lineno,
            conditional=self.conditional,
            weak=self.weak,
            bases=tuple(node.bases),
            members=tuple(_Collector(self.package).collect(node.body)),
        )

    def _imports(self, node: ast.Import | ast.ImportFrom) -> Iterator[Binding]:
        for bound in imported_names(node, self.package):
            yield Import(
                name=bound.name,
                line=node.lineno,
                conditional=self.conditional,
                weak=self.weak,
                module=bound.module,
                attribute=bound.attribute,
            )

    def _assignment(self, node: ast.Assign | ast.AnnAssign) -> Iterator[Binding]:
        if node.value is None:
            return
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        for target in targets:
            for name, value in _assigned(target, node.value):
                yield Value(
                    name=name,
                    line=node.lineno,
                    conditional=self.conditional,
                    weak=self.weak or _is_none(value),
                    expression=value,
                )


@dataclass(frozen=True)
class ImportedName:
    """One name that an import statement binds."""

    name: str
    module: str
    attribute: str | None


def imported_names(node: ast.Import | ast.ImportFrom, package: str) -> Iterator[ImportedName]:
    """The names that a statement in a module of `package` binds, with absolute modules."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            if alias.asname:
                yield ImportedName(alias.asname, alias.name, None)
            else:
                root = alias.name.partition(".")[0]
                yield ImportedName(root, root, None)
        return
    module = absolute_module(node.module or "", node.level, package)
    for alias in node.names:
        yield ImportedName(alias.asname or alias.name, module, alias.name)


def absolute_module(module: str, level: int, package: str) -> str:
    """``from ..a import`` in `package` as an absolute dotted name."""
    if level == 0:
        return module
    parts = package.split(".")
    base = parts[: len(parts) - (level - 1)]
    return ".".join([*base, module]) if module else ".".join(base)


def _assigned(target: ast.expr, value: ast.expr) -> Iterator[tuple[str, ast.expr]]:
    """Names with their values; ``Class.method = value`` gives the name ``Class.method``."""
    match target, value:
        case ast.Name(id=name), _:
            yield name, value
        case ast.Attribute(value=ast.Name(id=owner), attr=attribute), _:
            yield f"{owner}.{attribute}", value
        case ast.Tuple(elts=targets), ast.Tuple(elts=values) if len(targets) == len(values):
            for each, its_value in zip(targets, values, strict=True):
                yield from _assigned(each, its_value)
        case _:
            return


def _exports(body: Sequence[ast.stmt]) -> tuple[ast.expr, ...] | None:
    """Everything that is assigned or added to `__all__`, in `if` and `try` blocks too."""
    found: list[ast.expr] = []
    for statement in body:
        for node in _statements(statement):
            added = _export(node)
            if added is not None:
                found.append(added)
    return tuple(found) or None


def _statements(node: ast.stmt) -> Iterator[ast.stmt]:
    yield node
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.stmt):
            yield from _statements(child)
        elif isinstance(child, ast.ExceptHandler):
            for inner in child.body:
                yield from _statements(inner)


def _export(node: ast.stmt) -> ast.expr | None:
    match node:
        case ast.Assign(targets=[ast.Name(id="__all__")], value=value):
            return value
        case ast.AnnAssign(target=ast.Name(id="__all__"), value=value):
            return value
        case ast.AugAssign(target=ast.Name(id="__all__"), value=value):
            return value
        case ast.Expr(
            value=ast.Call(func=ast.Attribute(value=ast.Name(id="__all__"), attr=how), args=[value])
        ) if how in ("extend", "append"):
            return value if how == "extend" else ast.List(elts=[value])
        case _:
            return None


def _lazy_hook(node: ast.FunctionDef | ast.AsyncFunctionDef) -> ast.FunctionDef | None:
    if isinstance(node, ast.FunctionDef) and node.name == "__getattr__":
        return node
    return None


def _is_type_checking(node: ast.expr) -> bool:
    return _last_name(node) == "TYPE_CHECKING"


def _last_name(node: ast.expr) -> str:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case _:
            return ""


def _is_none(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value is None


def _only_raises(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    body = node.body[1:] if ast.get_docstring(node, clean=False) is not None else node.body
    return len(body) == 1 and isinstance(body[0], ast.Raise)
