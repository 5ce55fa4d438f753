"""What the names of one Python module stand for, as far as they come from watched packages.

The module is never run. A name stands for everything that is bound to it anywhere in its scope,
whatever the order and the conditions: an import in one branch and a fallback in the other both
count, because either may be what runs.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

_CHOICES = (ast.IfExp, ast.BoolOp, ast.NamedExpr, ast.Await, ast.Starred)
FunctionNode = ast.FunctionDef | ast.AsyncFunctionDef
_BUILTINS = frozenset(dir(builtins))
_LOADERS = frozenset({"LazyImport", "import_module", "__import__"})
"""Calls whose constant arguments name a module (and a member): they import when first used."""
_WRAPPERS = frozenset({"partial", "compile", "cache", "lru_cache"})
_REGISTER = "register_custom_op"
"""Prefix of SGLang's functions that give back their first argument as a custom operator."""


@dataclass(frozen=True, slots=True)
class Ref:
    """An imported module or a member of it."""

    target: str
    """Absolute dotted name."""
    line: int
    """Where it was imported."""
    imported: str
    """What that line imports; ``import a.b`` binds ``a`` and imports ``a.b``."""

    def member(self, name: str) -> Ref:
        return Ref(f"{self.target}.{name}", self.line, self.imported)


@dataclass(slots=True, eq=False)
class Scope:
    """A module, class or function and what is bound in it."""

    kind: str
    parent: Scope | None = None
    owner: str = ""
    """The outermost function or class that this belongs to; empty at module level."""
    receiver: str = ""
    """First parameter of a method (``self``)."""
    names: dict[str, list[Binding]] = field(default_factory=dict[str, "list[Binding]"])
    attributes: dict[str, list[Binding]] = field(default_factory=dict[str, "list[Binding]"])
    """Of a class: what its methods store on the receiver."""
    outer: dict[str, Scope] = field(default_factory=dict[str, "Scope"])
    """Names declared ``global`` or ``nonlocal`` and the scope they belong to."""
    returns: list[ast.expr] = field(default_factory=list[ast.expr])
    known: dict[str, list[Value]] = field(default_factory=dict[str, "list[Value]"])
    """What names looked up from here, and ``.attributes`` stored here, stand for."""

    def bind(self, name: str, *bindings: Binding) -> None:
        self.outer.get(name, self).names.setdefault(name, []).extend(bindings)

    def enclosing_class(self) -> Scope | None:
        """The class whose method this function is."""
        return self.parent if self.parent and self.parent.kind == "class" else None


@dataclass(frozen=True, slots=True)
class Assigned:
    """The value of an expression, or of one position of it where it is unpacked."""

    value: ast.expr
    scope: Scope
    position: int | None = None


Binding = Ref | Scope | Assigned
Value = Ref | Scope | tuple["list[Value]", ...]
"""A reference, a function defined here, or a tuple display."""


class Names:
    """The scopes of one module and what expressions in them stand for."""

    def __init__(self, tree: ast.Module, module: str, *, package: bool, own: bool) -> None:
        """`own` makes the module's own functions and classes references too."""
        self.module = Scope("module")
        self.scopes: dict[ast.AST, Scope] = {}
        self.stars: list[Ref] = []
        self._name = module
        self._package = module if package else module.rpartition(".")[0]
        self._own = own
        self._known: dict[ast.expr, list[Value]] = {}
        self._block(tree.body, self.module)

    # Binding -----------------------------------------------------------------------------------

    def _block(self, body: Sequence[ast.AST], scope: Scope) -> None:
        for node in body:
            self._statement(node, scope)

    def _statement(self, node: ast.AST, scope: Scope) -> None:
        if isinstance(node, ast.Import | ast.ImportFrom):
            self._import(node, scope)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            self._function(node, scope)
        elif isinstance(node, ast.ClassDef):
            self._class(node, scope)
        elif isinstance(node, ast.Assign):
            for target in node.targets:
                self._assign(target, Assigned(node.value, scope), scope)
        elif isinstance(node, ast.AnnAssign):
            self._assign(node.target, node.value and Assigned(node.value, scope), scope)
        elif isinstance(node, ast.Return):
            scope.returns.extend([node.value] if node.value else [])
        else:
            self._compound(node, scope)

    def _compound(self, node: ast.AST, scope: Scope) -> None:
        if isinstance(node, ast.Global | ast.Nonlocal):
            self._declare(node, scope)
        elif isinstance(node, ast.For | ast.AsyncFor):
            self._assign(node.target, None, scope)
        elif isinstance(node, ast.With | ast.AsyncWith):
            for item in node.items:
                if item.optional_vars:
                    self._assign(item.optional_vars, None, scope)
        for body in blocks(node):
            self._block(body, scope)

    def _declare(self, node: ast.Global | ast.Nonlocal, scope: Scope) -> None:
        is_global = isinstance(node, ast.Global)
        outer = self.module if is_global else _enclosing_function(scope)
        for name in node.names:
            scope.outer[name] = outer or self.module

    def _import(self, node: ast.Import | ast.ImportFrom, scope: Scope) -> None:
        if isinstance(node, ast.Import):
            for alias in node.names:
                bound = alias.asname or alias.name.partition(".")[0]
                target = alias.name if alias.asname else bound
                scope.bind(bound, Ref(target, alias.lineno, alias.name))
            return
        base = self._base(node)
        for alias in node.names:
            if alias.name == "*":
                self.stars.append(Ref(base, alias.lineno, base))
            else:
                target = f"{base}.{alias.name}"
                scope.bind(alias.asname or alias.name, Ref(target, alias.lineno, target))

    def _base(self, node: ast.ImportFrom) -> str:
        """The absolute name of the module that a ``from`` import names."""
        if not node.level:
            return node.module or ""
        parts = self._package.split(".")
        parts = parts[: len(parts) - node.level + 1]
        return ".".join([*parts, *([node.module] if node.module else [])])

    def _function(self, node: FunctionNode, scope: Scope) -> None:
        inner = Scope("function", scope, owner=scope.owner or node.name)
        arguments = [*node.args.posonlyargs, *node.args.args]
        if scope.kind == "class" and arguments:
            inner.receiver = arguments[0].arg
        extra = [a for a in (node.args.vararg, node.args.kwarg) if a]
        for argument in [*arguments, *node.args.kwonlyargs, *extra]:
            inner.bind(argument.arg)
        self.scopes[node] = inner
        scope.bind(node.name, inner, *self._own_reference(node, scope))
        self._block(node.body, inner)

    def _class(self, node: ast.ClassDef, scope: Scope) -> None:
        inner = Scope("class", scope, owner=scope.owner or node.name)
        self.scopes[node] = inner
        scope.bind(node.name, *self._own_reference(node, scope))
        self._block(node.body, inner)

    def _own_reference(self, node: FunctionNode | ast.ClassDef, scope: Scope) -> list[Ref]:
        if not self._own or scope is not self.module:
            return []
        target = f"{self._name}.{node.name}"
        return [Ref(target, node.lineno, target)]

    def _assign(self, target: ast.expr, value: Assigned | None, scope: Scope) -> None:
        bindings = [value] if value else []
        if isinstance(target, ast.Name):
            scope.bind(target.id, *bindings)
        elif isinstance(target, ast.Tuple | ast.List):
            for position, element in enumerate(target.elts):
                part = value and Assigned(value.value, scope, position)
                self._assign(element, part, scope)
        elif isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name):
            owner = scope.enclosing_class()
            if owner and target.value.id == scope.receiver:
                owner.attributes.setdefault(target.attr, []).extend(bindings)

    # Meaning -----------------------------------------------------------------------------------

    def references(self, node: ast.expr, scope: Scope) -> list[Ref]:
        """What an expression may stand for, without repetition."""
        values = self.values(node, scope)
        return list(dict.fromkeys(v for v in values if isinstance(v, Ref))) if values else []

    def values(self, node: ast.expr, scope: Scope) -> list[Value]:
        """Everything known that an expression may stand for; empty for most expressions."""
        if isinstance(node, ast.Name):
            return self._lookup(node.id, scope)
        if isinstance(node, ast.Attribute):
            return self._attribute(node, scope)
        if isinstance(node, (ast.Call, ast.Tuple, ast.List)):
            return self._once(node, scope)
        if isinstance(node, _CHOICES):
            return self._choice(node, scope)
        return []

    def _once(self, node: ast.Call | ast.Tuple | ast.List, scope: Scope) -> list[Value]:
        if node not in self._known:
            self._known[node] = []  # what an expression says of itself is nothing
            if isinstance(node, ast.Call):
                self._known[node] = self._call(node, scope)
            else:
                self._known[node] = [tuple(self.values(part, scope) for part in node.elts)]
        return self._known[node]

    def _choice(self, node: ast.expr, scope: Scope) -> list[Value]:
        if isinstance(node, ast.IfExp):
            return [*self.values(node.body, scope), *self.values(node.orelse, scope)]
        if isinstance(node, ast.BoolOp):
            return [v for part in node.values for v in self.values(part, scope)]
        if isinstance(node, ast.NamedExpr | ast.Await | ast.Starred):
            return self.values(node.value, scope)
        return []

    def _lookup(self, name: str, scope: Scope) -> list[Value]:
        if name not in scope.known:
            scope.known[name] = []  # a name that is bound to itself adds nothing
            scope.known[name] = self._look_up(name, scope)
        return scope.known[name]

    def _look_up(self, name: str, scope: Scope) -> list[Value]:
        at: Scope | None = scope.outer.get(name, scope)
        while at is not None:
            if name in at.names and (at.kind != "class" or at is scope):
                return [v for binding in at.names[name] for v in self._bound(binding)]
            at = at.parent
        if name in _BUILTINS:
            return []
        return [star.member(name) for star in self.stars]

    def _bound(self, binding: Binding) -> list[Value]:
        if not isinstance(binding, Assigned):
            return [binding]
        found = self.values(binding.value, binding.scope)
        if binding.position is None:
            return found
        displays = [v for v in found if isinstance(v, tuple) and binding.position < len(v)]
        return [v for display in displays for v in display[binding.position]]

    def _attribute(self, node: ast.Attribute, scope: Scope) -> list[Value]:
        receiver = _method_scope(node.value, scope)
        if receiver is not None:
            return self._stored(node.attr, receiver)
        base = self.values(node.value, scope)
        return [v.member(node.attr) for v in base if isinstance(v, Ref)] if base else []

    def _stored(self, name: str, owner: Scope) -> list[Value]:
        """What an attribute of a class's instances stands for."""
        key = f".{name}"
        if key not in owner.known:
            owner.known[key] = []  # self.a = self.a or b
            bindings = [*owner.attributes.get(name, []), *owner.names.get(name, [])]
            owner.known[key] = [v for binding in bindings for v in self._bound(binding)]
        return owner.known[key]

    def _call(self, node: ast.Call, scope: Scope) -> list[Value]:
        name = last_name(node.func)
        constants = [a.value for a in node.args if isinstance(a, ast.Constant)]
        texts = [c for c in constants if isinstance(c, str)]
        if name in _LOADERS and texts:
            target = ".".join(texts[: 2 if name == "LazyImport" else 1])
            return [Ref(target, node.lineno, target)]
        if name == "getattr" and len(node.args) > 1 and texts:
            base = self.values(node.args[0], scope)
            return [v.member(texts[0]) for v in base if isinstance(v, Ref)]
        if node.args and (name in _WRAPPERS or name.startswith(_REGISTER)):
            return self.values(node.args[0], scope)
        functions = [v for v in self.values(node.func, scope) if isinstance(v, Scope)]
        return [v for f in functions for r in f.returns for v in self.values(r, f)]


def blocks(node: ast.AST) -> Iterator[Sequence[ast.AST]]:
    """The lists of statements inside a compound statement, its handlers and cases included."""
    while isinstance(node, ast.If) and (following := elif_of(node)):
        yield node.body
        node = following
    for name in ("body", "orelse", "finalbody"):
        found = getattr(node, name, None)
        if isinstance(found, list):
            yield found  # pyright: ignore[reportUnknownVariableType]  (fields of any node)
    if isinstance(node, ast.Try | ast.TryStar):
        for handler in node.handlers:
            yield handler.body
    elif isinstance(node, ast.Match):
        for case in node.cases:
            yield case.body


def elif_of(node: ast.If) -> ast.If | None:
    """The branch that follows, where it is an `elif` (or an `if` alone in an `else`)."""
    only = node.orelse[0] if len(node.orelse) == 1 else None
    return only if isinstance(only, ast.If) else None


def last_name(node: ast.expr) -> str:
    """``f`` of ``f`` and of ``a.b.f``; empty for anything else."""
    if isinstance(node, ast.Name):
        return node.id
    return node.attr if isinstance(node, ast.Attribute) else ""


def _enclosing_function(scope: Scope) -> Scope | None:
    at = scope.parent
    while at is not None and at.kind != "function":
        at = at.parent
    return at


def _method_scope(node: ast.expr, scope: Scope) -> Scope | None:
    """The class that a receiver name belongs to, also from a function inside a method."""
    if not isinstance(node, ast.Name):
        return None
    at: Scope | None = scope
    while at is not None:
        if at.receiver == node.id:
            return at.enclosing_class()
        at = at.parent
    return None
