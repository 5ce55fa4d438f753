"""Every constructor call that a class reaches, found without understanding any of it.

This is the check on the interpreter, so it shares none of its rules: it evaluates nothing, takes
every branch, and follows every name that stands for a class, whether it is called here or handed
on (in a table, as an argument, as a member of a class). What it finds must be a layer that is
mapped, a class on the list of non-kernels, one that is made of such, or it is reported.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from discover_models.sources.sglang_models.kernel_classes import (
    NON_KERNELS,
    mapped_kind,
)
from discover_models.sources.sglang_models.namespace import Namespace
from discover_models.sources.sglang_models.symbols import (
    ClassSymbol,
    ExternalSymbol,
    FunctionSymbol,
    Symbol,
    Symbols,
    ValueSymbol,
)

_MIXERS = frozenset({"attention", "linear_attention"})
_FOLLOWED = re.compile(r"^sglang\.srt\.(models|layers)\b")
"""Where functions that build layers are; others are handed layers and build none."""
_ASKS = frozenset({"isinstance", "issubclass", "super", "cast", "hasattr", "type"})
Locals = dict[str, tuple[Symbol, ...]]
Taken = Callable[[str, str], bool]


@dataclass(frozen=True)
class Unmapped:
    """A class that is constructed and that nothing is known about."""

    name: str
    path: str
    line: int


@dataclass(frozen=True)
class Reached:
    """What one class reaches."""

    kinds: frozenset[str]
    """Kinds of the layers that are mapped."""
    unmapped: tuple[Unmapped, ...]
    """In order of file and line, each class once."""
    holders: tuple[tuple[str, ClassSymbol], ...] = ()
    """The kinds of attention layers, each with the class that holds it."""


@dataclass(frozen=True)
class _Body:
    """Statements to look through, and the class that `self` is of."""

    space: Namespace
    node: ast.AST
    owner: ClassSymbol | None


@dataclass(eq=False)
class Walker:
    """Walks the classes of one checkout; what a class reaches is found once."""

    symbols: Symbols
    non_kernels: frozenset[str] = frozenset(NON_KERNELS)
    _parts: dict[ast.ClassDef, tuple[tuple[Symbol, str, int], ...]] = field(
        default_factory=dict[ast.ClassDef, tuple[tuple[Symbol, str, int], ...]]
    )

    def reach(self, cls: ClassSymbol, taken: Taken = lambda _holder, _part: True) -> Reached:
        """Everything below a class, itself not counted.

        `taken` says of a class and of one that its code constructs, both with their modules,
        whether that code is run; as a rule everything counts.
        """
        kinds: set[str] = set()
        unmapped: dict[str, Unmapped] = {}
        seen = {cls.node}
        queue = [cls]
        holders: dict[tuple[str, str], ClassSymbol] = {}
        while queue:
            holder = queue.pop()
            for symbol, path, line in self._constructed(holder):
                if not taken(qualified(holder), qualified(symbol)):
                    continue
                entered = self._judge(symbol, path, line, kinds, unmapped)
                if (kind := self._kind(symbol)) in _MIXERS:
                    holders[kind, holder.name] = holder
                if entered is not None and entered.node not in seen:
                    seen.add(entered.node)
                    queue.append(entered)
        order = sorted(unmapped.values(), key=lambda u: (u.path, u.line))
        mixers = tuple((kind, cls) for (kind, _), cls in holders.items())
        return Reached(frozenset(kinds), tuple(order), mixers)

    def _kind(self, symbol: Symbol) -> str:
        if isinstance(symbol, ClassSymbol):
            names = self.symbols.base_names(symbol)
            return mapped_kind(symbol.name, names, symbol.space.file.dotted)
        return (
            mapped_kind(symbol.dotted, frozenset({symbol.dotted}), "")
            if isinstance(symbol, ExternalSymbol)
            else ""
        )

    def _judge(
        self,
        symbol: Symbol,
        path: str,
        line: int,
        kinds: set[str],
        unmapped: dict[str, Unmapped],
    ) -> ClassSymbol | None:
        """Count one constructor; gives the class where it is to be entered."""
        name = symbol.dotted if isinstance(symbol, ExternalSymbol) else getattr(symbol, "name", "")
        if kind := self._kind(symbol):
            kinds.add(kind)
        elif name in self.non_kernels:
            return None
        elif isinstance(symbol, ClassSymbol) and self._constructed(symbol):
            return symbol
        else:
            unmapped.setdefault(name, Unmapped(name, path, line))
        return None

    # --- what one class constructs --------------------------------------------------------

    def _constructed(self, cls: ClassSymbol) -> tuple[tuple[Symbol, str, int], ...]:
        if cls.node not in self._parts:
            self._parts[cls.node] = ()
            self._parts[cls.node] = tuple(self._find(cls))
        return self._parts[cls.node]

    def _find(self, cls: ClassSymbol) -> Iterator[tuple[Symbol, str, int]]:
        start = self._member(cls, "__init__")
        done: set[int] = set()
        queue = list(start)
        while queue:
            body = queue.pop()
            if id(body.node) in done:
                continue
            done.add(id(body.node))
            for node, symbols in self._mentions(body, cls):
                for symbol in symbols:
                    if isinstance(symbol, FunctionSymbol):
                        if _FOLLOWED.match(symbol.space.file.dotted):
                            queue.append(_Body(symbol.space, symbol.node, None))
                    elif isinstance(symbol, ValueSymbol):
                        queue.append(_Body(symbol.space, symbol.expression, None))
                    elif self._is_layer(symbol):
                        yield symbol, body.space.file.path, node.lineno
            queue.extend(self._own(body, cls))

    def _is_layer(self, symbol: Symbol) -> bool:
        if isinstance(symbol, ClassSymbol):
            names = self.symbols.base_names(symbol)
            return any(n.rpartition(".")[2] in _LAYER_BASES for n in names)
        return isinstance(symbol, ExternalSymbol) and bool(_LAYER_OF_OTHERS.match(symbol.dotted))

    def _own(self, body: _Body, cls: ClassSymbol) -> Iterator[_Body]:
        """The methods and class members that a body uses through `self`, `cls` or `super()`."""
        for node in ast.walk(body.node):
            if not isinstance(node, ast.Attribute):
                continue
            if isinstance(node.value, ast.Name) and node.value.id in ("self", "cls"):
                yield from self._member(cls, node.attr)
            elif _is_super(node.value) and body.owner is not None:
                yield from self._member(cls, node.attr, after=body.owner)
            elif isinstance(node.value, ast.Name) and node.attr == "__init__":
                for base in self.symbols.expression(body.space, node.value):
                    if isinstance(base, ClassSymbol):
                        yield from self._member(base, "__init__")

    def _member(
        self, cls: ClassSymbol, name: str, after: ClassSymbol | None = None
    ) -> Iterator[_Body]:
        """The first definition of a member, in the class or after one of its bases."""
        order = list(self.symbols.order(cls))
        if after is not None and after in order:
            order = order[order.index(after) + 1 :]
        for base in order:
            statement = self.symbols.members(base).get(name)
            if isinstance(statement, ast.FunctionDef):
                yield _Body(base.space, statement, base)
                return
            if isinstance(statement, ast.Assign | ast.AnnAssign) and statement.value is not None:
                yield _Body(base.space, statement.value, base)
                return

    def _mentions(
        self, body: _Body, cls: ClassSymbol
    ) -> Iterator[tuple[ast.expr, tuple[Symbol, ...]]]:
        local = self._locals(body)
        for node in _loads(body.node):
            found = self.symbols.expression(body.space, node, local)
            if found:
                yield node, found

    def _locals(self, body: _Body) -> Locals:
        """Names that a function imports or that it gives to modules and classes."""
        local: Locals = {}
        for node in ast.walk(body.node):
            if isinstance(node, ast.Import | ast.ImportFrom):
                for alias in node.names:
                    name = alias.asname or alias.name.split(".")[0]
                    local[name] = self.symbols.imported(body.space, node, alias)
            elif isinstance(node, ast.arg):
                local.setdefault(node.arg, ())
        return local


def qualified(symbol: Symbol) -> str:
    """A class with its module, as ``module.Class``."""
    if isinstance(symbol, ClassSymbol):
        return f"{symbol.space.file.dotted}.{symbol.name}"
    return symbol.dotted if isinstance(symbol, ExternalSymbol) else ""


_LAYER_BASES = frozenset({"Module", "MultiPlatformOp", "CustomOp", "PreTrainedModel"})
# Classes of transformers that start with Auto are tables of classes until they make one.
_LAYER_OF_OTHERS = re.compile(
    r"^transformers\b.*\.AutoModel\w*\.from_\w+$|"
    r"^torch\.nn\.(modules\.\w+\.)?[A-Z]\w*$"
    r"|^(?!torch\b|transformers\b.*\.Auto)[\w.]+\.[A-Z]\w*(Model|Tower|Encoder|Decoder|Attention|MLP|Transformer|Layer"
    r"|Embedding|Norm|Conv|Linear|Resampler|Projector|Backbone)$"
)


def _is_super(node: ast.expr) -> bool:
    return isinstance(node, ast.Call) and ast.unparse(node.func) == "super"


def _loads(root: ast.AST) -> Iterator[ast.expr]:
    """Names and dotted names that are read: no annotations, no tests of a value's class."""
    if isinstance(root, ast.FunctionDef | ast.Lambda):
        defaults = [*root.args.defaults, *(d for d in root.args.kw_defaults if d)]
        body = root.body if isinstance(root, ast.FunctionDef) else [root.body]
        for node in (*defaults, *body):
            yield from _loads(node)
    elif isinstance(root, ast.Attribute | ast.Name):
        yield root
        if isinstance(root, ast.Attribute) and not _is_dotted(root):
            yield from _loads(root.value)
    elif isinstance(root, ast.Call) and _asks(root.func):
        return
    elif isinstance(root, ast.AnnAssign):
        if root.value is not None:
            yield from _loads(root.value)
    elif isinstance(root, ast.Raise | ast.Assert | ast.Compare):
        return
    else:
        for child in ast.iter_child_nodes(root):
            yield from _loads(child)


def _asks(function: ast.expr) -> bool:
    return isinstance(function, ast.Name) and function.id in _ASKS


def _is_dotted(node: ast.expr) -> bool:
    while isinstance(node, ast.Attribute):
        node = node.value
    return isinstance(node, ast.Name)
