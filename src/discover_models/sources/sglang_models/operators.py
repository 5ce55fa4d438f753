"""Arithmetic, comparison and truth of abstract values. Pure."""

import ast
import operator
from collections.abc import Callable, Sequence
from typing import Any, cast

from discover_models.domain.dimension import Dim, Origin
from discover_models.sources.sglang_models.config_value import ConfigValue
from discover_models.sources.sglang_models.values import (
    ABSENT,
    Bound,
    Builtin,
    Choice,
    ClassValue,
    FunctionValue,
    Instance,
    ModuleValue,
    Opaque,
    Real,
    Tensor,
    Unknown,
    Value,
    describe,
    fields_of,
    is_iterable,
    is_sequence,
    is_undecided,
    raw,
)

LONGEST = 100_000
"""Items of a list that is written as a product; models have some hundred layers."""
MOST_BITS = 1_000
"""The largest exponent or shift that is worked out."""

_BINARY: dict[type[ast.operator], tuple[str, Callable[[Any, Any], Any]]] = {
    ast.Add: ("+", lambda a, b: a + b),
    ast.Sub: ("-", lambda a, b: a - b),
    ast.Mult: ("·", lambda a, b: a * b),
    ast.Div: ("/", lambda a, b: a / b),
    ast.FloorDiv: ("/", lambda a, b: a // b),
    ast.Mod: ("%", lambda a, b: a % b),
    ast.Pow: ("^", lambda a, b: a**b),
    ast.BitOr: ("|", lambda a, b: a | b),
    ast.BitAnd: ("&", lambda a, b: a & b),
    ast.BitXor: ("^", lambda a, b: a ^ b),
    ast.LShift: ("<<", lambda a, b: a << b),
    ast.RShift: (">>", lambda a, b: a >> b),
    ast.MatMult: ("@", lambda a, b: a @ b),
}
_COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_ALWAYS_TRUE = (FunctionValue, ClassValue, Bound, Builtin, ModuleValue, Tensor)
_NEUTRAL = {("+", 0), ("-", 0), ("·", 1), ("/", 1), ("^", 1)}


def truth(value: Value) -> bool | None:
    """Whether a value is true; None when that can't be decided."""
    if isinstance(value, Choice):
        answers = {truth(option) for _, option in value.options}
        return answers.pop() if len(answers) == 1 else None
    if is_undecided(value):
        return None
    if isinstance(value, _ALWAYS_TRUE):
        return True
    if isinstance(value, Instance):
        return bool(value.items) if value.kind == "list" else True
    return bool(raw(value))


def binary(op: ast.operator, left: Value, right: Value) -> Value:
    """`left op right`; raises TypeError or ZeroDivisionError as Python would."""
    sign, compute = _BINARY[type(op)]
    if isinstance(left, Choice) or isinstance(right, Choice):
        return _each(lambda a, b: binary(op, a, b), left, right)
    if is_undecided(left) or is_undecided(right):
        return _undecided(sign, left, right)
    if isinstance(left, (Instance, *_ALWAYS_TRUE)) or isinstance(right, (Instance, *_ALWAYS_TRUE)):
        return Opaque(f"{describe(left)} {sign} {describe(right)}")
    if _too_much(op, raw(left), raw(right)):
        return Opaque(f"{describe(left)} {sign} {describe(right)}")
    if _numeric(left) and _numeric(right) and (_traced(left) or _traced(right)):
        return _traced_number(op, sign, compute, left, right)
    return compute(raw(left), raw(right))


def _too_much(op: ast.operator, left: Any, right: Any) -> bool:
    """Whether the result is a sequence or a number that nobody can have meant to make.

    A configuration's numbers can be anything, and source code may be in error.
    """
    if isinstance(op, (ast.Pow, ast.LShift)):
        return abs(right) > MOST_BITS and (isinstance(op, ast.LShift) or abs(left) > 1)
    if not isinstance(op, ast.Mult):
        return False
    for sequence, times in ((left, right), (right, left)):
        if isinstance(sequence, (str, bytes, list, tuple)) and isinstance(times, int):
            return len(cast("Sequence[Any]", sequence)) * times > LONGEST
    return False


def compare(op: ast.cmpop, left: Value, right: Value) -> bool | None:
    """`left op right`; None when undecided."""
    if isinstance(left, Choice) or isinstance(right, Choice):
        answer = _each(lambda a, b: compare(op, a, b), left, right)
        return None if isinstance(answer, Choice) else answer
    if isinstance(op, (ast.Is, ast.IsNot)):
        same = _identical(left, right)
        return same if same is None or isinstance(op, ast.Is) else not same
    if isinstance(op, (ast.In, ast.NotIn)):
        inside = _contains(left, right)
        return inside if inside is None or isinstance(op, ast.In) else not inside
    if is_undecided(left) or is_undecided(right):
        return None
    return _ordered(op, left, right)


def negative(value: Value) -> Value:
    """`-value`."""
    return binary(ast.Mult(), -1, value)


def to_int(value: Value) -> Value:
    """`int(value)`, provenance kept."""
    if isinstance(value, Real):
        return Dim(
            value=int(value.value), expression=f"int({value.expression})", origins=value.origins
        )
    if isinstance(value, Dim) or is_undecided(value) or isinstance(value, Choice):
        return value
    return int(value)


def extreme(values: list[Value], largest: bool) -> Value:
    """`max` or `min` of numbers, with the winner's provenance."""
    if any(isinstance(v, Choice) for v in values) or any(is_undecided(v) for v in values):
        name = "max" if largest else "min"
        text = f"{name}({', '.join(describe(v) for v in values)})"
        fields = tuple({f: None for v in values for f in fields_of(v)})
        return Unknown(text, fields) if fields else Opaque(text)
    pick = (max if largest else min)(values, key=raw)
    dims = [v for v in values if isinstance(v, Dim) and v is not pick]
    if isinstance(pick, int) and not isinstance(pick, bool) and dims and largest:
        return dims[0].at_least(pick)
    return pick


def _identical(left: Value, right: Value) -> bool | None:
    for one, other in ((left, right), (right, left)):
        if isinstance(one, Opaque):
            return False if one.exists and other is None else (True if one is other else None)
        if isinstance(one, Unknown):
            return None
    if left is None or right is None or isinstance(left, bool) or isinstance(right, bool):
        return raw(left) is raw(right)
    return left is right


def _contains(item: Value, container: Value) -> bool | None:
    if is_undecided(item) or is_undecided(container):
        return None
    if isinstance(container, ConfigValue):
        return None if container.opened else container.find(raw(item)) is not ABSENT
    if not is_iterable(container):
        return None
    plain = [raw(element) for element in container] if not isinstance(container, str) else container
    if raw(item) in plain:
        return True
    undecided = not isinstance(plain, str) and any(is_undecided(element) for element in plain)
    return None if undecided else False


def _ordered(op: ast.cmpop, left: Value, right: Value) -> bool | None:
    one, other = enum_value(raw(left), right), enum_value(raw(right), left)
    if is_sequence(one) and is_sequence(other):
        items = [*one, *other]
        if any(is_undecided(item) for item in items):
            return None
        one = type(one)(raw(item) for item in one)
        other = type(other)(raw(item) for item in other)
    try:
        return bool(_COMPARE[type(op)](one, other))
    except TypeError:
        return None


def enum_value(value: Value, beside: Value) -> Value:
    """A member of a str or int enum as its value where it meets a plain one."""
    mixed = (
        isinstance(value, Instance) and value.kind == "enum" and not isinstance(beside, Instance)
    )
    return raw(value.attrs["value"]) if mixed else value


def _numeric(value: Value) -> bool:
    return isinstance(value, (int, float, Dim, Real))


def _traced(value: Value) -> bool:
    return isinstance(value, (Dim, Real))


def _traced_number(
    op: ast.operator, sign: str, compute: Callable[[Any, Any], Any], left: Value, right: Value
) -> Value:
    if (sign, right if isinstance(right, int) else None) in _NEUTRAL and not isinstance(
        op, ast.Div
    ):
        return left
    if isinstance(left, int) and (sign, left) in {("+", 0), ("·", 1)}:
        return right
    number = compute(raw(left), raw(right))
    expression = f"{_bracket(left, sign)} {sign} {_bracket(right, sign)}"
    origins = _origins(left) + tuple(o for o in _origins(right) if o not in _origins(left))
    if isinstance(number, float):
        return Real(number, expression, origins)
    return Dim(value=number, expression=expression, origins=origins)


def _bracket(value: Value, sign: str) -> str:
    text = describe(value)
    return f"({text})" if sign in "·/%^" and (" + " in text or " - " in text) else text


def _origins(value: Value) -> tuple[Origin, ...]:
    return value.origins if isinstance(value, (Dim, Real)) else ()


def _undecided(sign: str, left: Value, right: Value) -> Value:
    text = f"{_bracket(left, sign)} {sign} {_bracket(right, sign)}"[:300]
    fields = fields_of(left) + tuple(f for f in fields_of(right) if f not in fields_of(left))
    return Unknown(text, fields) if fields else Opaque(text)


def _each(function: Callable[[Value, Value], Value], left: Value, right: Value) -> Value:
    """The function on every alternative of its operands."""
    if isinstance(left, Choice):
        options = tuple((c, _each(function, option, right)) for c, option in left.options)
    elif isinstance(right, Choice):
        options = tuple((c, _each(function, left, option)) for c, option in right.options)
    else:
        return function(left, right)
    first = options[0][1]
    same = all(not isinstance(v, Choice) and equal(v, first) for _, v in options)
    return first if same else Choice(options)


def equal(left: Value, right: Value) -> bool:
    """Whether two values are interchangeable."""
    if left is right:
        return True
    if type(left) is not type(right):
        return False
    if isinstance(left, Instance):
        return _equal_instances(left, cast(Instance, right))
    if is_sequence(left):
        pairs = zip(cast(list[Value], left), cast(list[Value], right), strict=False)
        return len(cast(list[Value], left)) == len(right) and all(equal(a, b) for a, b in pairs)
    if isinstance(left, Opaque):
        return left.name == right.name
    if isinstance(left, (Unknown, Real, Dim, int, float, str)):
        return bool(left == right)
    return False


def _equal_instances(left: Instance, right: Instance) -> bool:
    if left.kind in ("", "list", "enum") or left.kind != right.kind or left.cls is not right.cls:
        return False
    keys = (left.args.keys() | right.args.keys()) - {"prefix", "quant_config"}
    return all(equal(left.args.get(k), right.args.get(k)) for k in keys)
