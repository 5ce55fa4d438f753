"""What a condition of SGLang's comes to when it is started with no option beside the model.

Read from the condition itself, the declared defaults of the launch options and environment
variables, and functions that are one expression. Whatever else a condition asks for, of the
configuration of the model above all, stays open.
"""

from __future__ import annotations

import ast
import operator
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Holds = Literal["yes", "no", "free", "open"]
"""`free`: where the GPU, whether FlashInfer is there, the kind of attention or a trait of the model
that is looked at elsewhere decides."""
Values = tuple[object, ...] | None
"""All values that an expression may have; None where that is open."""

_CALLS = 3
"""How many functions deep a condition is followed."""
_FREE = re.compile(
    r"^is_\w*(?:sm_?\d{2,3}|hopper|blackwell)|^use_mla_backend$|^has_attention_sinks$"
    r"|^has_asymmetric_kv$|has_flashinfer|is_flashinfer_available"
)
_GENERATION = re.compile(r"^(?:get_)?device_(?:capability|sm)$|^major$|^sm_version$")
_GIVEN = re.compile(r"^is_cuda$")
_OTHER_START = re.compile(r"connector_type")
"""Of a model that is no folder and no repository of the Hub."""
_CLASSES = re.compile(r"\barchitectures\b|arch\b")
_CONFIGURATIONS = re.compile(r"\b(?:hf_\w+|model_config\w*|\w*config)\b")
_CHECKPOINT = ("quantization",)
"""Options that SGLang fills in from the checkpoint."""
_NEGATED: Mapping[Holds, Holds] = {"yes": "no", "no": "yes", "free": "free", "open": "open"}
_ALL: tuple[Holds, ...] = ("no", "open", "free", "yes")
"""Of parts that must all hold, the first of these that one of them is decides."""
_ANY: tuple[Holds, ...] = ("yes", "free", "open", "no")
_COMPARED: Mapping[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Is: operator.eq,
    ast.Eq: operator.eq,
    ast.IsNot: operator.ne,
    ast.NotEq: operator.ne,
    ast.In: lambda value, among: value in among,
    ast.NotIn: lambda value, among: value not in among,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
}


@dataclass(frozen=True)
class Launch:
    """What is known of every launch."""

    defaults: Mapping[str, object]
    """Declared defaults of the options, as names of Python."""
    environment: Mapping[str, object]
    """Those of environment variables."""
    expression: Callable[[str], ast.expr | None]
    """What a function returns, if that is one expression."""
    other_hardware: Callable[[str], bool]

    def holds(self, conditions: Iterable[str], model: str) -> Holds:
        """Whether all conditions hold for a class in `architectures`; empty for any."""
        return _of(_ALL, (self._parsed(condition, model) for condition in conditions))

    def _parsed(self, condition: str, model: str) -> Holds:
        try:
            node = ast.parse(condition, mode="eval").body
        except SyntaxError:
            return "open"
        return self._part(node, model, wanted=True, calls=_CALLS)

    def _part(self, node: ast.expr, model: str, *, wanted: bool, calls: int) -> Holds:
        match node:
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return self._part(operand, model, wanted=not wanted, calls=calls)
            case ast.BoolOp(op=op, values=values):
                parts: list[Holds] = [
                    self._part(v, model, wanted=wanted, calls=calls) for v in values
                ]
                return _of(_ALL if isinstance(op, ast.And) is wanted else _ANY, parts)
            case _:
                found = self._leaf(node, model, calls)
                return found if wanted else _NEGATED[found]

    def _leaf(self, node: ast.expr, model: str, calls: int) -> Holds:
        if isinstance(node, ast.Compare):
            return self._compared(node, model, calls)
        name = _name(node)
        if self.other_hardware(ast.unparse(node)):
            return "no"
        if _FREE.search(name):
            return "free"
        if _GIVEN.search(name):
            return "yes"
        values = self._values(node, model, calls)
        if values is not None:
            return _agreed([bool(value) for value in values])
        inner = self._returned(node, calls)
        return "open" if inner is None else self._part(inner, model, wanted=True, calls=calls - 1)

    def _compared(self, node: ast.Compare, model: str, calls: int) -> Holds:
        expressions = (node.left, *node.comparators)
        sides = [self._values(side, model, calls) for side in expressions]
        compare = _COMPARED.get(type(node.ops[0]))
        if len(sides) == 2 and sides[0] is not None and sides[1] is not None and compare:
            try:
                found = _agreed([compare(a, b) for a in sides[0] for b in sides[1]])
            except TypeError:
                return "open"
            # What is left to SGLang may come to any value that it is asked for.
            left_open = "auto" in sides[0] and "auto" not in str(sides[1])
            return "open" if left_open else found
        names = [_name(side) for side in expressions]
        if any(_OTHER_START.search(name) for name in names):
            return "no" if isinstance(node.ops[0], ast.Eq | ast.Is | ast.In) else "open"
        return "free" if any(_GENERATION.search(name) for name in names) else "open"

    def _values(self, node: ast.expr, model: str, calls: int) -> Values:
        match node:
            case ast.Constant(value=value):
                return (value,)
            case ast.Tuple(elts=items) | ast.List(elts=items) | ast.Set(elts=items):
                parts = [self._values(item, model, calls) for item in items]
                known = [part[0] for part in parts if part is not None and len(part) == 1]
                return (tuple(known),) if len(known) == len(parts) else None
            case ast.Call(func=ast.Attribute(value=ast.Attribute(attr=name), attr="get"), args=[]):
                return (self.environment[name],) if name in self.environment else None
            case ast.Call(func=ast.Attribute(attr="is_set"), args=[]):
                return (False,)
            case ast.Call(func=ast.Name(id="get_bool_env_var"), args=[_]):
                return (False,)
            case ast.Call(func=ast.Name(id="getattr"), args=[owner, ast.Constant(value=name), *_]):
                return self._option(ast.unparse(owner), str(name))
            case ast.Attribute(value=owner, attr=name) if name in self.defaults:
                return self._option(ast.unparse(owner), name)
            case _:
                pass
        if model and _CLASSES.search(ast.unparse(node)):
            return _class_of(node, model)
        inner = self._returned(node, calls)
        return None if inner is None else self._values(inner, model, calls - 1)

    def _option(self, owner: str, name: str) -> Values:
        if name in _CHECKPOINT or name not in self.defaults or _CONFIGURATIONS.search(owner):
            return None
        return ("cuda",) if name == "device" else (self.defaults[name],)

    def _returned(self, node: ast.expr, calls: int) -> ast.expr | None:
        match node:
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)) if calls:
                return self.expression(name)
            case _:
                return None


def _class_of(node: ast.expr, model: str) -> Values:
    """Of an expression that stands for the class of a model, or for the list with it."""
    match node:
        case ast.Subscript(slice=ast.Constant(value=0)):
            return (model,)
        case ast.BoolOp(op=ast.Or(), values=[first, *_]):
            return _class_of(first, model)
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return ((model,),) if name == "architectures" else (model,)
        case ast.Call(func=ast.Name(id="getattr"), args=[_, ast.Constant(), *_]):
            return ((model,),)
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)) if name.endswith("arch"):
            return (model,)
        case _:
            return None


def _name(node: ast.expr) -> str:
    """The last name of what is asked, whatever it is asked with: ``f`` of ``x.f(y)[0]``."""
    match node:
        case ast.Call(func=inner) | ast.Subscript(value=inner):
            return _name(inner)
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name
        case _:
            return ""


def _of(order: tuple[Holds, ...], parts: Iterable[Holds]) -> Holds:
    found = frozenset(parts)
    for holds in order:
        if holds in found:
            return holds
    return order[-1]


def _agreed(found: list[bool]) -> Holds:
    if all(found):
        return "yes"
    return "open" if any(found) else "no"


def expanded(condition: str, known: Mapping[str, ast.expr], hops: int = _CALLS) -> str:
    """A condition with what variables stand for in their place."""
    try:
        node = ast.parse(condition, mode="eval").body
    except SyntaxError:
        return condition
    for _ in range(hops):
        node = _Expand(known).visit(node)
    return ast.unparse(node)


class _Expand(ast.NodeTransformer):
    def __init__(self, known: Mapping[str, ast.expr]) -> None:
        self._known = known

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self._known.get(node.id, node)


def assigned_once(body: ast.AST) -> dict[str, ast.expr]:
    """Variables of a function or module that get one value, by a plain assignment."""
    found: dict[str, ast.expr] = {}
    stores: list[str] = []
    for node in ast.walk(body):
        match node:
            case ast.Name(id=name, ctx=ast.Store()):
                stores.append(name)
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                found[name] = value
            case _:
                pass
    return {name: value for name, value in found.items() if stores.count(name) == 1}
