"""How one Python module uses what it imports from watched packages: facts, without judgement.

Facts of a file depend on its bytes alone, so they can be kept by the file's blob id.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from discover_models.errors import SourceError
from discover_models.sources.python_names import (
    FunctionNode,
    Names,
    Ref,
    Scope,
    blocks,
    elif_of,
    last_name,
)
from discover_models.sources.python_source import parse_python

KINDS = ("called", "decorator", "subclassed", "passed", "stored", "returned", "read")
"""What counts as use, strongest first."""
_USE = frozenset(KINDS)
_CHECKS = frozenset({"hasattr", "isinstance", "issubclass", "callable", "type", "id", "repr"})
"""Functions that look at their argument and don't use it; so does all of ``inspect``."""
_ALIAS = "alias"
_UNPACKED = "unpacked"
_LONGEST = 200
"""Characters of a condition that are kept."""


_ELSEWHERE = re.compile(r"_?forward_(hip|xpu|npu|cpu|hpu|musa|mps|mlx)$")
"""SGLang's layers have one method for each platform; these never run FlashInfer's kernels."""


@dataclass(frozen=True, slots=True)
class Use:
    """One place where an imported name is used."""

    target: str
    """Absolute dotted name of what is used."""
    kind: str
    """One of `KINDS`."""
    line: int
    text: str
    """The source line, stripped."""
    owner: str
    """The outermost function or class around it; empty at module level."""
    condition: str
    """The conditions of the `if` statements around it and of earlier returns."""
    import_line: int
    import_text: str


@dataclass(frozen=True, slots=True)
class Export:
    """A name at module level that stands for something imported."""

    name: str
    target: str
    line: int
    text: str


@dataclass(frozen=True, slots=True)
class ModuleFacts:
    """What one file says."""

    module: str
    path: str
    uses: tuple[Use, ...] = ()
    exports: tuple[Export, ...] = ()
    stars: tuple[str, ...] = ()
    """Modules that it star-imports."""
    names: frozenset[str] = frozenset()
    """Everything bound at module level."""
    error: str = ""
    """Why it could not be parsed; the facts above are empty then."""
    words: frozenset[str] = frozenset()
    """Of a file that could not be parsed: every identifier in it."""


@dataclass(frozen=True, slots=True)
class Watch:
    """Which imports matter: top-level packages, and those whose conditions are worth keeping."""

    roots: frozenset[str]
    detailed: frozenset[str]
    own_functions: bool = False
    """Whether a module's own functions are references too."""


def scan(module: str, path: str, source: bytes, watch: Watch) -> ModuleFacts:
    """The facts of one file; a file that can't be parsed says so in `error`."""
    package = path.endswith("__init__.py")
    try:
        tree = parse_python(source, path)
        names = Names(tree, module, package=package, own=watch.own_functions)
        uses = _Uses(names, watch, source.splitlines()).collect(tree)
        return ModuleFacts(
            module=module,
            path=path,
            uses=uses,
            exports=_exports(names, watch, source.splitlines()),
            stars=tuple(s.target for s in names.stars if _root(s.target) in watch.roots),
            names=frozenset(names.module.names),
        )
    except (SourceError, RecursionError) as error:
        words = frozenset(w.decode() for w in re.findall(rb"[A-Za-z_][A-Za-z0-9_]*", source))
        reason = getattr(error.__cause__, "msg", "") or type(error.__cause__ or error).__name__
        return ModuleFacts(module=module, path=path, error=reason, words=words)


def _exports(names: Names, watch: Watch, lines: Sequence[bytes]) -> tuple[Export, ...]:
    found: dict[tuple[str, str], Export] = {}
    for name in names.module.names:
        for ref in names.references(ast.Name(name, ast.Load()), names.module):
            if _root(ref.target) in watch.roots and ref.target != name:
                export = Export(name, ref.target, ref.line, _text(lines, ref.line))
                found.setdefault((name, ref.target), export)
    return tuple(found.values())


def _root(target: str) -> str:
    return target.partition(".")[0]


def _text(lines: Sequence[bytes], line: int) -> str:
    return lines[line - 1].decode("utf-8", "replace").strip() if line <= len(lines) else ""


@dataclass(slots=True)
class _Uses:
    """Walks a module once and notes every use with the context that it stands in."""

    names: Names
    watch: Watch
    lines: Sequence[bytes]
    found: dict[tuple[str, str, int], Use] = field(default_factory=dict[tuple[str, str, int], Use])
    coarse: set[tuple[str, str]] = field(default_factory=set[tuple[str, str]])
    conditions: list[tuple[bool, ast.expr]] = field(default_factory=list[tuple[bool, ast.expr]])

    def collect(self, tree: ast.Module) -> tuple[Use, ...]:
        self._block(tree.body, self.names.module)
        return tuple(self.found.values())

    # Statements --------------------------------------------------------------------------------

    def _block(self, body: Sequence[ast.AST], scope: Scope) -> None:
        depth = len(self.conditions)
        for node in body:
            self._statement(node, scope)
            if isinstance(node, ast.If) and not node.orelse and _leaves(node.body):
                self.conditions.append((False, node.test))
        del self.conditions[depth:]

    def _statement(self, node: ast.AST, scope: Scope) -> None:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            self._function(node, scope)
        elif isinstance(node, ast.ClassDef):
            self._class(node, scope)
        elif isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
            self._assignment(node, scope)
        elif isinstance(node, ast.If):
            self._if(node, scope)
        elif isinstance(node, ast.Return):
            self._expression(node.value, "returned", scope)
        elif not isinstance(node, ast.Import | ast.ImportFrom | ast.Global | ast.Pass):
            self._other(node, scope)

    def _other(self, node: ast.AST, scope: Scope) -> None:
        """Loops, `with`, `try` and simple statements: their own expressions, then their blocks."""
        if isinstance(node, ast.With | ast.AsyncWith):
            for item in node.items:
                self._expression(item.context_expr, "", scope)
        else:
            for child in ast.iter_child_nodes(node):
                if isinstance(child, ast.expr):
                    self._expression(child, "", scope)
        for body in blocks(node):
            self._block(body, scope)

    def _function(self, node: FunctionNode, scope: Scope) -> None:
        for decorator in node.decorator_list:
            self._expression(decorator, "decorator", scope)
        for default in [*node.args.defaults, *node.args.kw_defaults]:
            self._expression(default, "stored", scope)
        if not _ELSEWHERE.match(node.name):
            self._block(node.body, self.names.scopes[node])

    def _class(self, node: ast.ClassDef, scope: Scope) -> None:
        for decorator in node.decorator_list:
            self._expression(decorator, "decorator", scope)
        for base in [*node.bases, *(k.value for k in node.keywords)]:
            self._expression(base, "subclassed", scope)
        self._block(node.body, self.names.scopes[node])

    def _if(self, node: ast.If, scope: Scope) -> None:
        """A chain of `elif` in a loop, because it may be longer than the stack is deep."""
        depth = len(self.conditions)
        branch: ast.If | None = node
        while branch is not None:
            self._expression(branch.test, "", scope)
            self.conditions.append((True, branch.test))
            self._block(branch.body, scope)
            self.conditions[-1] = (False, branch.test)
            following = elif_of(branch)
            if following is None:
                self._block(branch.orelse, scope)
            branch = following
        del self.conditions[depth:]

    def _assignment(self, node: ast.Assign | ast.AnnAssign | ast.AugAssign, scope: Scope) -> None:
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        leaves = [leaf for target in targets for leaf in _unpacked(target)]
        context = _UNPACKED if len(leaves) > len(targets) else _ALIAS
        if scope.kind == "class" or not all(isinstance(leaf, ast.Name) for leaf in leaves):
            context = "stored"
        self._expression(node.value, context, scope)
        for target in targets:
            if isinstance(target, ast.Subscript):
                self._expression(target.slice, "read", scope)

    # Expressions -------------------------------------------------------------------------------

    def _expression(self, node: ast.expr | None, context: str, scope: Scope) -> None:
        """`context` is one of `KINDS`, or empty where standing there is no use."""
        visit = _VISITS.get(type(node), _Uses._inside)
        visit(self, node, context, scope)

    def _nothing(self, node: ast.expr, context: str, scope: Scope) -> None:
        """Constants, and expressions that are not there."""

    def _name(self, node: ast.Name, context: str, scope: Scope) -> None:
        if context in _USE:
            self._note(node, context, scope)

    def _attribute(self, node: ast.Attribute, context: str, scope: Scope) -> None:
        if not self._note(node, context, scope):
            self._expression(node.value, "read" if context else "", scope)

    def _subscript(self, node: ast.Subscript, context: str, scope: Scope) -> None:
        # kernel[grid](…) calls what is subscripted
        self._expression(node.value, context if context == "called" else "read", scope)
        self._expression(node.slice, "read", scope)

    def _inside(self, node: ast.AST, context: str, scope: Scope) -> None:
        """Operators, comparisons, comprehensions, lambdas: only what is called in them counts."""
        context = "returned" if isinstance(node, ast.Lambda) else ""
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.expr):
                self._expression(child, context, scope)
            elif isinstance(child, ast.comprehension):
                self._inside(child, "", scope)

    def _display(
        self, node: ast.Tuple | ast.List | ast.Set | ast.Dict, context: str, scope: Scope
    ) -> None:
        inner = {_UNPACKED: _ALIAS, "returned": "returned"}.get(context, "stored")
        for element in node.values if isinstance(node, ast.Dict) else node.elts:
            self._expression(element, inner, scope)
        for key in node.keys if isinstance(node, ast.Dict) else ():
            self._expression(key, "stored", scope)

    def _choice(
        self,
        node: ast.IfExp | ast.BoolOp | ast.NamedExpr | ast.Await | ast.Starred,
        context: str,
        scope: Scope,
    ) -> None:
        if isinstance(node, ast.IfExp):
            self._expression(node.test, "", scope)
            parts = [node.body, node.orelse]
        else:
            parts = node.values if isinstance(node, ast.BoolOp) else [node.value]
        for part in parts:
            self._expression(part, context, scope)

    def _call(self, node: ast.Call, context: str, scope: Scope) -> None:
        noted = self._note(node, context, scope)  # LazyImport(…), getattr(module, "name")
        if noted and last_name(node.func) == "getattr":
            return
        checks = _is_check(node.func)
        if not checks:
            self._expression(node.func, "called", scope)
        for argument in [*node.args, *(k.value for k in node.keywords)]:
            self._expression(argument, "" if checks else "passed", scope)

    def _note(self, node: ast.expr, context: str, scope: Scope) -> bool:
        """Whether the expression stands for something watched; a use if the context says so."""
        values = self.names.values(node, scope)
        refs = [v for v in values if isinstance(v, Ref) and self._watched(v)] if values else []
        if not refs or context not in _USE:
            return bool(refs)
        best: dict[str, Ref] = {}
        for ref in refs:
            known = best.get(ref.target)
            if known is None or _nearness(ref) > _nearness(known):
                best[ref.target] = ref
        for ref in best.values():
            self._record(ref, context, node, scope)
        return True

    def _watched(self, ref: Ref) -> bool:
        return _root(ref.target) in self.watch.roots

    def _record(self, ref: Ref, kind: str, node: ast.expr, scope: Scope) -> None:
        detailed = _root(ref.target) in self.watch.detailed
        if ref.target.rpartition(".")[2].startswith("__"):
            return  # __version__, __name__
        if not detailed:
            if (ref.target, kind) in self.coarse:
                return
            self.coarse.add((ref.target, kind))
        line = _line(node)
        use = Use(
            target=ref.target,
            kind=kind,
            line=line,
            text=_text(self.lines, line),
            owner=scope.owner,
            condition=self._condition() if detailed else "",
            import_line=ref.line,
            import_text=_text(self.lines, ref.line),
        )
        self.found.setdefault((use.target, use.kind, use.line), use)

    def _condition(self) -> str:
        parts = [
            ast.unparse(t) if holds else f"not ({ast.unparse(t)})" for holds, t in self.conditions
        ]
        text = " and ".join(f"({p})" if " or " in p and len(parts) > 1 else p for p in parts)
        return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def _nearness(ref: Ref) -> tuple[int, int]:
    """``import a.b`` is nearer to ``a.b.f`` than ``import a`` is; then the earlier line."""
    near = f"{ref.target}.".startswith(f"{ref.imported}.")
    return (len(ref.imported) if near else 0, -ref.line)


def _line(node: ast.expr) -> int:
    """Where the name itself stands: the last line of a chain of attributes."""
    if isinstance(node, ast.Attribute):
        return node.end_lineno or node.lineno
    return node.lineno


def _unpacked(target: ast.expr) -> list[ast.expr]:
    """What an assignment target assigns to, tuples taken apart."""
    if isinstance(target, ast.Tuple | ast.List):
        return [leaf for element in target.elts for leaf in _unpacked(element)]
    return [target]


def _leaves(body: Sequence[ast.stmt]) -> bool:
    return bool(body) and isinstance(body[-1], ast.Return)


def _is_check(function: ast.expr) -> bool:
    if isinstance(function, ast.Attribute):
        return isinstance(function.value, ast.Name) and function.value.id == "inspect"
    return isinstance(function, ast.Name) and function.id in _CHECKS


_VISITS: dict[type, Callable[[_Uses, Any, str, Scope], None]] = {
    type(None): _Uses._nothing,
    ast.Constant: _Uses._nothing,
    ast.Name: _Uses._name,
    ast.Attribute: _Uses._attribute,
    ast.Call: _Uses._call,
    ast.Subscript: _Uses._subscript,
    **dict.fromkeys((ast.Tuple, ast.List, ast.Set, ast.Dict), _Uses._display),
    **dict.fromkeys((ast.IfExp, ast.BoolOp, ast.NamedExpr, ast.Await, ast.Starred), _Uses._choice),
}
"""How each kind of expression is walked; the others are looked into."""
