"""Python's own functions and methods of plain values, on abstract arguments."""

import ast
import math
from collections.abc import Callable
from typing import Any, cast

from discover_models.domain.dimension import Dim
from discover_models.sources.sglang_models.attributes import class_of
from discover_models.sources.sglang_models.config_value import ConfigValue, plain
from discover_models.sources.sglang_models.expressions import (
    any_entry,
    elements,
    hashable,
    is_open,
    rounds,
)
from discover_models.sources.sglang_models.machine import Arguments, Machine
from discover_models.sources.sglang_models.operators import binary, extreme, to_int, truth
from discover_models.sources.sglang_models.statements import set_attribute
from discover_models.sources.sglang_models.values import (
    ABSENT,
    Bound,
    Builtin,
    Choice,
    ClassValue,
    Frame,
    FunctionValue,
    Instance,
    MethodOf,
    Opaque,
    Partial,
    Real,
    SuperValue,
    Tensor,
    Unknown,
    Value,
    describe,
    fields_of,
    is_dict,
    is_list,
    is_tuple,
    is_undecided,
    raw,
)

_TYPES: dict[str, tuple[type[Any], ...]] = {
    "int": (int, Dim),
    "float": (float, Real),
    "str": (str,),
    "bool": (bool,),
    "list": (list,),
    "tuple": (tuple,),
    "dict": (dict,),
    "set": (set, frozenset),
    "frozenset": (frozenset,),
    "type": (ClassValue,),
}
_PLAIN: dict[str, Callable[..., Any]] = {
    "abs": abs,
    "bool": bool,
    "round": round,
    "divmod": divmod,
    "pow": pow,
    "repr": repr,
    "ord": ord,
    "math.sqrt": math.sqrt,
    "math.log": math.log,
    "math.log2": math.log2,
    "math.ceil": math.ceil,
    "math.floor": math.floor,
    "math.prod": math.prod,
    "math.gcd": math.gcd,
    "math.lcm": math.lcm,
    "math.pow": math.pow,
    "math.cos": math.cos,
    "math.sin": math.sin,
    "math.exp": math.exp,
    "math.isqrt": math.isqrt,
}


def call_builtin(machine: Machine, function: Builtin, arguments: Arguments) -> Value:
    """A function of Python itself; opaque when it can't be computed."""
    handler = _HANDLERS.get(function.name)
    try:
        if handler is not None:
            return handler(machine, arguments)
        if function.name in _PLAIN:
            return _plain(function.name, arguments)
    except (TypeError, ValueError, IndexError, OverflowError, AttributeError):
        pass
    return _open(function.name, arguments.args)


def _open(name: str, values: list[Value]) -> Value:
    text = f"{name}({', '.join(describe(v) for v in values)})"[:200]
    fields = tuple({f: None for v in values for f in fields_of(v)})
    return Unknown(text, fields) if fields else Opaque(text)


def _plain(name: str, arguments: Arguments) -> Value:
    args = arguments.args
    if any(is_undecided(a) or isinstance(a, (Choice, Instance, Opaque)) for a in args):
        return _open(name, args)
    result = _PLAIN[name](*(raw(a) for a in args))
    traced = [a for a in args if isinstance(a, (Dim, Real))]
    if traced and isinstance(result, int) and not isinstance(result, bool):
        text = f"{name.removeprefix('math.')}({', '.join(describe(a) for a in args)})"
        return Dim(value=result, expression=text, origins=traced[0].origins)
    return result


def _len(_machine: Machine, arguments: Arguments) -> Value:
    value = arguments.args[0]
    if isinstance(value, Instance):
        return len(value.items) + (len(value.attrs) if value.kind == "list" else 0)
    if is_undecided(value) or isinstance(value, (Choice, ConfigValue)):
        return _open("len", arguments.args)
    return len(value)


def _range(_machine: Machine, arguments: Arguments) -> Value:
    if any(is_undecided(a) or isinstance(a, Choice) for a in arguments.args):
        return _open("range", arguments.args)
    return range(*(int(raw(a)) for a in arguments.args))


def _int(_machine: Machine, arguments: Arguments) -> Value:
    return to_int(arguments.args[0]) if arguments.args else 0


def _float(_machine: Machine, arguments: Arguments) -> Value:
    value = arguments.args[0]
    if isinstance(value, Dim) and value.value is not None:
        return Real(float(value.value), value.expression, value.origins)
    if isinstance(value, Real) or is_undecided(value) or isinstance(value, Choice):
        return value
    return float(raw(value))


def _str(_machine: Machine, arguments: Arguments) -> Value:
    value = arguments.args[0] if arguments.args else ""
    return _open("str", [value]) if is_undecided(value) else str(raw(value))


def _bool(_machine: Machine, arguments: Arguments) -> Value:
    answer = truth(arguments.args[0]) if arguments.args else False
    return _open("bool", arguments.args) if answer is None else answer


def _extreme(largest: bool) -> Callable[[Machine, Arguments], Value]:
    def handler(machine: Machine, arguments: Arguments) -> Value:
        args = arguments.args
        values = args if len(args) > 1 else rounds(machine, args[0])
        if not values:
            return arguments.kwargs.get("default")
        if "key" in arguments.kwargs:
            return values[0]
        return extreme(values, largest)

    return handler


def _sum(machine: Machine, arguments: Arguments) -> Value:
    if is_undecided(arguments.args[0]):
        return _open("sum", arguments.args)
    total: Value = arguments.args[1] if len(arguments.args) > 1 else 0
    for value in rounds(machine, arguments.args[0]):
        number = int(value) if isinstance(value, bool) else value
        total = binary(ast.Add(), total, number)
    return total


def _list(machine: Machine, arguments: Arguments) -> Value:
    if not arguments.args:
        return []
    value = arguments.args[0]
    return _open("list", [value]) if is_undecided(value) else rounds(machine, value)


def _tuple(machine: Machine, arguments: Arguments) -> Value:
    value = _list(machine, arguments)
    return value if is_undecided(value) else tuple(value)


def _set(machine: Machine, arguments: Arguments) -> Value:
    value = _list(machine, arguments)
    return value if is_undecided(value) else {hashable(v) for v in value}


def _dict(machine: Machine, arguments: Arguments) -> Value:
    result: dict[Value, Value] = {}
    if arguments.args:
        first = arguments.args[0]
        if is_dict(first):
            result.update(first)
        elif is_undecided(first):
            return first
        else:
            for pair in rounds(machine, first):
                result[hashable(pair[0])] = pair[1]
    return {**result, **arguments.kwargs}


def _sorted(machine: Machine, arguments: Arguments) -> Value:
    values = rounds(machine, arguments.args[0])
    return sorted(values, key=raw, reverse=bool(arguments.kwargs.get("reverse", False)))


def _reversed(machine: Machine, arguments: Arguments) -> Value:
    return list(reversed(rounds(machine, arguments.args[0])))


def _enumerate(machine: Machine, arguments: Arguments) -> Value:
    start = arguments.kwargs.get("start", arguments.args[1] if len(arguments.args) > 1 else 0)
    values = rounds(machine, arguments.args[0])
    return [(index, value) for index, value in enumerate(values, int(raw(start)))]


def _zip(machine: Machine, arguments: Arguments) -> Value:
    return list(zip(*(rounds(machine, a) for a in arguments.args), strict=False))


def _map(machine: Machine, arguments: Arguments) -> Value:
    function, *iterables = arguments.args
    columns = zip(*(rounds(machine, i) for i in iterables), strict=False)
    return [machine.call_plain(function, list(row), arguments.site) for row in columns]


def _filter(machine: Machine, arguments: Arguments) -> Value:
    function, iterable = arguments.args
    kept: list[Value] = []
    for value in rounds(machine, iterable):
        test = value if function is None else machine.call_plain(function, [value], arguments.site)
        if truth(test) is not False:
            kept.append(value)
    return kept


def _quantifier(decisive: bool) -> Callable[[Machine, Arguments], Value]:
    def handler(machine: Machine, arguments: Arguments) -> Value:
        values = rounds(machine, arguments.args[0])
        answers = [truth(value) for value in values]
        if decisive in answers:
            return decisive
        return _open("any" if decisive else "all", values) if None in answers else not decisive

    return handler


def _getattr(machine: Machine, arguments: Arguments) -> Value:
    receiver, name = arguments.args[:2]
    if not isinstance(name, str):
        return Opaque("getattr")
    value = machine.get(receiver, name)
    if value is not ABSENT and not _made_up(receiver, value):
        return value
    if len(arguments.args) > 2:
        return arguments.args[2]
    return _missing(machine, receiver, name)


def _made_up(receiver: Value, value: Value) -> bool:
    return isinstance(value, MethodOf) and not isinstance(receiver, (Instance, ConfigValue))


def _missing(machine: Machine, receiver: Value, name: str) -> Value:
    if isinstance(receiver, ConfigValue):
        return machine.missing_field(f"{receiver.path}{name}")
    return Opaque(f"{describe(receiver)}.{name}")


def _hasattr(machine: Machine, arguments: Arguments) -> Value:
    receiver, name = arguments.args[:2]
    if is_undecided(receiver) or isinstance(receiver, Choice) or not isinstance(name, str):
        return _open("hasattr", arguments.args)
    if isinstance(receiver, ConfigValue):
        if receiver.opened:
            return _open("hasattr", [receiver.find(name)])
        return machine.get(receiver, name) is not ABSENT
    value = machine.get(receiver, name)
    if isinstance(receiver, (Instance, Tensor)) and isinstance(value, Opaque) and value.exists:
        return Opaque(f"hasattr({describe(receiver)}, {name})")
    return value is not ABSENT and not isinstance(value, (MethodOf, Opaque))


def _setattr(machine: Machine, arguments: Arguments) -> Value:
    receiver, name, value = arguments.args[:3]
    if isinstance(name, str):
        set_attribute(machine, receiver, name, value)
    return None


def _isinstance(machine: Machine, arguments: Arguments) -> Value:
    value, kinds = arguments.args[:2]
    wanted = list(kinds) if is_tuple(kinds) else [kinds]
    answers = [_is_a(value, kind) for kind in wanted]
    if True in answers:
        return True
    return _open("isinstance", [value, *wanted]) if None in answers else False


def _is_a(value: Value, kind: Value) -> bool | None:
    if isinstance(value, Choice) or (is_undecided(value) and not isinstance(value, Dim)):
        return None
    if isinstance(kind, Builtin):
        return isinstance(value, _TYPES[kind.name]) if kind.name in _TYPES else None
    if isinstance(kind, ClassValue):
        if isinstance(value, ConfigValue) and value.opened:
            return None
        cls = class_of(value)
        return kind in cls.mro if cls and not isinstance(value, ClassValue) else False
    if isinstance(kind, Opaque):
        return _is_foreign(value, kind.name)
    return None


def _is_foreign(value: Value, name: str) -> bool | None:
    if isinstance(value, Instance):
        if name.endswith("nn.Module"):
            return value.kind != "enum"
        return name in value.class_names
    if isinstance(value, ConfigValue):
        return None
    return False if not isinstance(value, Tensor) else None


def _issubclass(_machine: Machine, arguments: Arguments) -> Value:
    one, other = arguments.args[:2]
    if isinstance(one, ClassValue) and isinstance(other, ClassValue):
        return other in one.mro
    return Opaque("issubclass")


def _type(_machine: Machine, arguments: Arguments) -> Value:
    cls = class_of(arguments.args[0]) if len(arguments.args) == 1 else None
    return cls or Opaque("type()", exists=True)


def _super(_machine: Machine, arguments: Arguments) -> Value:
    first = arguments.args[0] if arguments.args else None
    if isinstance(first, Frame):
        scope: Frame | None = first
        while scope is not None and scope.owner is None:
            scope = scope.parent
        if scope is None or scope.owner is None:
            return Opaque("super()")
        return SuperValue(scope.owner, _receiver(scope))
    if isinstance(first, ClassValue) and len(arguments.args) > 1:
        return SuperValue(first, arguments.args[1])
    return Opaque("super()")


def _receiver(frame: Frame) -> Value:
    scope: Frame | None = frame
    while scope is not None:
        if scope.receiver is not None:
            return scope.receiver
        scope = scope.parent
    return None


def _callable(_machine: Machine, arguments: Arguments) -> Value:
    value = arguments.args[0]
    if is_undecided(value):
        return _open("callable", arguments.args)
    return isinstance(value, (FunctionValue, ClassValue, Bound, Partial, MethodOf, Builtin))


def _next(machine: Machine, arguments: Arguments) -> Value:
    values = rounds(machine, arguments.args[0])
    if values:
        return values[0]
    return arguments.args[1] if len(arguments.args) > 1 else Opaque("next()")


def _iter(_machine: Machine, arguments: Arguments) -> Value:
    return arguments.args[0]


_HANDLERS: dict[str, Callable[[Machine, Arguments], Value]] = {
    "len": _len,
    "range": _range,
    "int": _int,
    "float": _float,
    "str": _str,
    "bool": _bool,
    "max": _extreme(True),
    "min": _extreme(False),
    "sum": _sum,
    "list": _list,
    "tuple": _tuple,
    "set": _set,
    "frozenset": _set,
    "dict": _dict,
    "sorted": _sorted,
    "reversed": _reversed,
    "enumerate": _enumerate,
    "zip": _zip,
    "map": _map,
    "filter": _filter,
    "any": _quantifier(True),
    "all": _quantifier(False),
    "getattr": _getattr,
    "hasattr": _hasattr,
    "setattr": _setattr,
    "isinstance": _isinstance,
    "issubclass": _issubclass,
    "type": _type,
    "super": _super,
    "callable": _callable,
    "next": _next,
    "iter": _iter,
}


# --- methods ----------------------------------------------------------------------------------


def call_method(machine: Machine, method: MethodOf, arguments: Arguments) -> Value:
    """A method of a plain value, a module container, or an object with a foreign base."""
    receiver = method.receiver
    try:
        if isinstance(receiver, (Instance, ConfigValue)):
            return _object_method(machine, receiver, method.name, arguments)
        if is_dict(receiver):
            return _dict_method(machine, receiver, method.name, arguments)
        if isinstance(receiver, (list, set, tuple)):
            return _sequence_method(cast(list[Value], receiver), method.name, arguments)
        if isinstance(receiver, (str, int, float, range, bytes, Dim, Real)):
            return _value_method(receiver, method.name, arguments)
    except (TypeError, ValueError, KeyError, IndexError, AttributeError):
        pass
    return Opaque(f"{describe(receiver)}.{method.name}()")


def _value_method(receiver: Value, name: str, arguments: Arguments) -> Value:
    if any(is_undecided(a) for a in arguments.args):
        return _open(f"{describe(receiver)}.{name}", arguments.args)
    args = [[raw(v) for v in a] if is_list(a) else raw(a) for a in arguments.args]
    if name == "join":
        args = [[str(v) for v in elements(arguments.args[0])]]
    return getattr(raw(receiver), name)(*args)


def _dict_method(
    machine: Machine, receiver: dict[Value, Value], name: str, arguments: Arguments
) -> Value:
    args = arguments.args
    if name in ("get", "pop", "setdefault"):
        if is_open(args[0]):
            found = any_entry(receiver, args[0], arguments.site)
            return found if isinstance(found, Choice) else _open(f"…{name}", args)
        fallback = args[1] if len(args) > 1 else arguments.kwargs.get("default")
        value = receiver.get(hashable(args[0]), fallback)
        if name == "setdefault":
            machine.write(receiver, hashable(args[0]), value)
        return value
    if name in ("items", "keys", "values"):
        return [*getattr(receiver, name)()]
    if name == "update":
        given = args[0] if args and is_dict(args[0]) else {}
        for key, value in {**given, **arguments.kwargs}.items():
            machine.write(receiver, key, value)
        return None
    return dict(receiver) if name == "copy" else Opaque(f"dict.{name}()")


def _sequence_method(receiver: Value, name: str, arguments: Arguments) -> Value:
    if name in ("index", "count"):
        return getattr([raw(v) for v in receiver], name)(raw(arguments.args[0]))
    if name == "extend":
        receiver.extend(elements(arguments.args[0]))
        return None
    if name in ("update", "union"):
        merged = set(receiver).union(*(elements(a) for a in arguments.args))
        if name == "update":
            receiver.update(merged)
        return merged
    if name == "sort":
        receiver.sort(key=raw)
        return None
    return getattr(receiver, name)(*arguments.args)


def _object_method(
    machine: Machine, receiver: Instance | ConfigValue, name: str, arguments: Arguments
) -> Value:
    args = arguments.args
    if isinstance(receiver, ConfigValue):
        return _config_method(machine, receiver, name, arguments)
    if name in ("register_buffer", "register_parameter", "add_module", "register_module"):
        values = [*args, *arguments.kwargs.values()]
        if len(values) > 1 and isinstance(values[0], str):
            machine.write(receiver.attrs, values[0], values[1])
        return None
    if name == "append":
        receiver.items.append(args[0])
        return receiver
    if name == "extend":
        receiver.items.extend(elements(args[0]))
        return receiver
    if name in ("items", "keys", "values") and receiver.kind == "list":
        return [*getattr(receiver.attrs, name)()]
    if name in ("to", "cuda", "eval", "half", "bfloat16", "requires_grad_", "train"):
        return receiver
    return None if name == "__init__" else Opaque(f"{receiver.name}.{name}()")


def _config_method(
    machine: Machine, receiver: ConfigValue, name: str, arguments: Arguments
) -> Value:
    if name == "__init__":
        for key, value in arguments.kwargs.items():
            if key not in receiver.attrs:
                machine.write(receiver.attrs, key, value)
        return None
    if name == "get_text_config":
        return _text_config(receiver)
    if name == "to_dict":
        return plain(dict(receiver.attrs))
    if name == "get" and arguments.args:
        value = receiver.find(arguments.args[0])
        fallback = arguments.args[1] if len(arguments.args) > 1 else None
        return fallback if value is ABSENT else value
    if name == "update" and arguments.args and is_dict(arguments.args[0]):
        for key, value in cast(dict[str, Value], arguments.args[0]).items():
            machine.write(receiver.attrs, key, value)
    return None


def _text_config(receiver: ConfigValue) -> Value:
    for name in ("text_config", "llm_config", "language_config"):
        value = receiver.find(name)
        if isinstance(value, ConfigValue):
            return value
    return receiver
