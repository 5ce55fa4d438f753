"""What each kind of expression evaluates to."""

import ast
import itertools
from collections.abc import Callable, Iterator
from typing import Any

from discover_models.sources.sglang_models.config_value import ConfigValue
from discover_models.sources.sglang_models.machine import EXPRESSIONS, Arguments, Machine
from discover_models.sources.sglang_models.operators import (
    binary,
    compare,
    enum_value,
    negative,
    truth,
)
from discover_models.sources.sglang_models.values import (
    ABSENT,
    Bound,
    Builtin,
    Choice,
    ClassValue,
    Condition,
    Frame,
    FunctionValue,
    Instance,
    Opaque,
    Raised,
    Site,
    Unknown,
    Value,
    describe,
    fields_of,
    is_dict,
    is_iterable,
    is_list,
    is_tuple,
    is_undecided,
    raw,
)

BUILTIN_NAMES = frozenset(dir(__builtins__) if not is_dict(__builtins__) else __builtins__)


def site_of(node: ast.AST, frame: Frame) -> Site:
    """Where a piece of syntax stands."""
    return Site(frame.space.file.path, getattr(node, "lineno", 1))


def condition_of(test: ast.expr, frame: Frame, value: Value) -> Condition:
    """An undecided test as text, with the configuration's fields that it hides behind names."""
    text = ast.unparse(test)[:200]
    hidden = [field for field in fields_of(value) if field.rpartition(".")[2] not in text]
    shown = f"{text} [{', '.join(hidden)}]" if hidden else text
    return Condition(shown, True, site_of(test, frame))


def lookup(machine: Machine, name: str, frame: Frame) -> Value:
    """The value of a name; `ABSENT` when nothing binds it."""
    scope: Frame | None = frame
    while scope is not None:
        if name in scope.names and name not in scope.globals:
            return scope.names[name]
        scope = scope.parent
    value = machine.resolve(frame.space, name)
    if value is ABSENT and name in BUILTIN_NAMES:
        return Builtin(name)
    return value


def _name(machine: Machine, node: ast.Name, frame: Frame) -> Value:
    value = lookup(machine, node.id, frame)
    return Opaque(node.id) if value is ABSENT else value


def _constant(_machine: Machine, node: ast.Constant, _frame: Frame) -> Value:
    return Opaque("...") if node.value is ... else node.value


def _attribute(machine: Machine, node: ast.Attribute, frame: Frame) -> Value:
    receiver = machine.evaluate(node.value, frame)
    value = machine.get(receiver, node.attr)
    if value is not ABSENT:
        return value
    if isinstance(receiver, ConfigValue):
        return machine.missing_field(f"{receiver.path}{node.attr}")
    return Opaque(f"{describe(receiver)}.{node.attr}")


def _call(machine: Machine, node: ast.Call, frame: Frame) -> Value:
    if isinstance(node.func, ast.Name) and node.func.id == "super" and not node.args:
        return machine.call(Builtin("super"), Arguments([frame], {}, site_of(node, frame)))
    function = machine.evaluate(node.func, frame)
    args: list[Value] = []
    for arg in node.args:
        if isinstance(arg, ast.Starred):
            args.extend(elements(machine.evaluate(arg.value, frame)))
        else:
            args.append(machine.evaluate(arg, frame))
    kwargs: dict[str, Value] = {}
    for keyword in node.keywords:
        value = machine.evaluate(keyword.value, frame)
        if keyword.arg is not None:
            kwargs[keyword.arg] = value
        elif isinstance(value, Choice):
            kwargs.update(_first_dict(value))
        elif is_dict(value):
            kwargs.update(value)
    return machine.call(function, Arguments(args, kwargs, site_of(node, frame)))


def _first_dict(choice: Choice) -> dict[str, Value]:
    for _, option in choice.options:
        if is_dict(option):
            return option
    return {}


def elements(value: Value) -> list[Value]:
    """What iterating over a value yields; nothing for values that are not read."""
    if isinstance(value, Instance):
        return list(value.items)
    if is_iterable(value):
        return list(value)
    return []


def _binary(machine: Machine, node: ast.BinOp, frame: Frame) -> Value:
    left = machine.evaluate(node.left, frame)
    right = machine.evaluate(node.right, frame)
    try:
        return binary(node.op, left, right)
    except ZeroDivisionError as error:
        raise Raised(f"ZeroDivisionError: {error}", site_of(node, frame)) from error
    except (TypeError, ValueError, OverflowError):
        return Opaque(ast.unparse(node)[:80])


def _unary(machine: Machine, node: ast.UnaryOp, frame: Frame) -> Value:
    value = machine.evaluate(node.operand, frame)
    if isinstance(node.op, ast.Not):
        answer = truth(value)
        return _undecided(node, [value]) if answer is None else not answer
    if isinstance(node.op, ast.USub) and isinstance(raw(value), (int, float)):
        return negative(value) if value is not raw(value) else -value
    return value if isinstance(node.op, ast.UAdd) else Opaque(ast.unparse(node)[:80])


def _undecided(node: ast.expr, values: list[Value]) -> Value:
    """An undecided answer; it remembers missing fields."""
    fields = tuple({f: None for value in values for f in fields_of(value)})
    text = ast.unparse(node)[:200]
    return Unknown(text, fields) if fields else Opaque(text)


def _bool(machine: Machine, node: ast.BoolOp, frame: Frame) -> Value:
    decisive = isinstance(node.op, ast.Or)
    open_values: list[Value] = []
    value: Value = None
    for operand in node.values:
        value = machine.evaluate(operand, frame)
        answer = truth(value)
        if answer is decisive:
            return value if not open_values or answer is False else _or_value(value, open_values)
        if answer is None:
            open_values.append(value)
    if not open_values:
        return value
    return open_values[0] if len(node.values) == 1 else _undecided(node, open_values)


def _or_value(value: Value, open_values: list[Value]) -> Value:
    """`unknown or X`: only the truth of the whole is sure when X is a plain True."""
    return True if value is True else Opaque(f"{describe(open_values[0])} or {describe(value)}")


def _compare(machine: Machine, node: ast.Compare, frame: Frame) -> Value:
    left = machine.evaluate(node.left, frame)
    values = [left]
    answer: bool | None = True
    for op, comparator in zip(node.ops, node.comparators, strict=True):
        right = machine.evaluate(comparator, frame)
        values.append(right)
        found = compare(op, left, right)
        if found is False:
            return False
        answer = None if found is None else answer
        left = right
    return _undecided(node, values) if answer is None else True


def _if_else(machine: Machine, node: ast.IfExp, frame: Frame) -> Value:
    test = machine.evaluate(node.test, frame)
    answer = truth(test)
    if answer is not None:
        return machine.evaluate(node.body if answer else node.orelse, frame)
    return either(
        machine,
        condition_of(node.test, frame, test),
        lambda: machine.evaluate(node.body, frame),
        lambda: machine.evaluate(node.orelse, frame),
    )


def either(
    machine: Machine, condition: Condition, then: Callable[[], Value], other: Callable[[], Value]
) -> Value:
    """The value of both sides of an undecided test."""
    from discover_models.sources.sglang_models.machine import merge

    first, second = machine.fork(condition, then, other)
    opposite = Condition(condition.text, not condition.holds, condition.site)
    return merge(condition, opposite, first, second)


def _list(machine: Machine, node: ast.List | ast.Tuple | ast.Set, frame: Frame) -> Value:
    values: list[Value] = []
    for element in node.elts:
        if isinstance(element, ast.Starred):
            values.extend(elements(machine.evaluate(element.value, frame)))
        else:
            values.append(machine.evaluate(element, frame))
    if isinstance(node, ast.Tuple):
        return tuple(values)
    return values if isinstance(node, ast.List) else {hashable(v) for v in values}


def hashable(value: Value) -> Value:
    """A value as a dictionary key: plain numbers, tuples of plain numbers, or the object."""
    value = raw(value)
    if is_tuple(value):
        return tuple(hashable(v) for v in value)
    return tuple(value) if is_list(value) else value


def _dict(machine: Machine, node: ast.Dict, frame: Frame) -> Value:
    result: dict[Value, Value] = {}
    for key, item in zip(node.keys, node.values, strict=True):
        value = machine.evaluate(item, frame)
        if key is not None:
            result[hashable(machine.evaluate(key, frame))] = value
        elif is_dict(value):
            result.update(value)
    return result


def _subscript(machine: Machine, node: ast.Subscript, frame: Frame) -> Value:
    receiver = machine.evaluate(node.value, frame)
    index = machine.evaluate(node.slice, frame)
    return item(machine, receiver, index, site_of(node, frame))


def item(machine: Machine, receiver: Value, index: Value, site: Site) -> Value:
    """`receiver[index]`."""
    if isinstance(receiver, Choice):
        return map_choice(machine, receiver, lambda option: item(machine, option, index, site))
    if is_undecided(receiver):
        text = f"{describe(receiver)}[{describe(index)}]"
        fields = fields_of(receiver)
        return Unknown(text, fields) if fields else Opaque(text)
    if isinstance(receiver, Instance) and receiver.kind == "list":
        return _plain_item(receiver.items, index, site)
    if is_dict(receiver) and is_open(index):
        return any_entry(receiver, index, site)
    if isinstance(receiver, (list, tuple, str, range, dict)):
        return _plain_item(receiver, index, site)
    method = machine.get(receiver, "__getitem__")
    if method is ABSENT:
        return Opaque(f"{describe(receiver)}[…]")
    return machine.call_plain(method, [index], site)


def map_choice(machine: Machine, choice: Choice, function: Callable[[Value], Value]) -> Value:
    """A function applied to each alternative, under its condition."""
    if len(choice.options) != 2:
        return Opaque("choice")
    (then, first), (_, second) = choice.options
    if first is ABSENT or second is ABSENT:
        present = second if first is ABSENT else first
        with machine.under(then):
            return function(present)
    return either(machine, then, lambda: function(first), lambda: function(second))


def is_open(index: Value) -> bool:
    """Whether a key or index is not decided."""
    return is_undecided(index) or isinstance(index, Choice)


def any_entry(table: dict[Any, Value], index: Value, site: Site) -> Value:
    """An entry under a key that is not decided: one of several where they are code to be called."""
    entries = list(table.items())
    code = (ClassValue, FunctionValue, Bound)
    if len(entries) < 2 or not all(isinstance(value, code) for _, value in entries):
        return _plain_item(table, index, site)
    *others, (_, found) = entries
    for key, value in reversed(others):
        condition = Condition(f"{describe(index)} == {describe(key)}", True, site)
        opposite = Condition(condition.text, False, site)
        found = Choice(((condition, value), (opposite, found)))
    return found


def _plain_item(receiver: Any, index: Value, site: Site) -> Value:
    if is_open(index):
        values = list(receiver.values()) if is_dict(receiver) else list(receiver)
        return values[0] if len(values) == 1 else Opaque(f"…[{describe(index)}]")
    try:
        return receiver[index if isinstance(index, slice) else hashable(index)]
    except (KeyError, IndexError, TypeError) as error:
        raise Raised(f"{type(error).__name__}: {error}", site) from error


def _slice(machine: Machine, node: ast.Slice, frame: Frame) -> Value:
    parts = [machine.evaluate(p, frame) if p else None for p in (node.lower, node.upper, node.step)]
    if any(is_undecided(part) for part in parts):
        return Opaque("slice")
    return slice(*(raw(part) for part in parts))


def _lambda(_machine: Machine, node: ast.Lambda, frame: Frame) -> Value:
    return FunctionValue(node, frame, frame.owner)


def _joined(machine: Machine, node: ast.JoinedStr, frame: Frame) -> Value:
    parts: list[str] = []
    for part in node.values:
        if isinstance(part, ast.Constant):
            parts.append(str(part.value))
        elif isinstance(part, ast.FormattedValue):
            value = machine.evaluate(part.value, frame)
            parts.append(str(raw(enum_value(value, ""))) if not is_undecided(value) else "…")
    return "".join(parts)


def _comprehension(
    machine: Machine, node: ast.ListComp | ast.SetComp | ast.GeneratorExp, frame: Frame
) -> Value:
    values = [machine.evaluate(node.elt, inner) for inner in _rounds(machine, node, frame)]
    return {hashable(v) for v in values} if isinstance(node, ast.SetComp) else values


def _dict_comprehension(machine: Machine, node: ast.DictComp, frame: Frame) -> Value:
    return {
        hashable(machine.evaluate(node.key, inner)): machine.evaluate(node.value, inner)
        for inner in _rounds(machine, node, frame)
    }


def _rounds(
    machine: Machine,
    node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp,
    frame: Frame,
) -> Iterator[Frame]:
    inner = Frame(frame.space, {}, frame, frame.owner, frame.receiver)
    yield from _generate(machine, node.generators, inner)


def _generate(
    machine: Machine, generators: list[ast.comprehension], frame: Frame
) -> Iterator[Frame]:
    if not generators:
        yield frame
        return
    first = generators[0]
    for value in rounds(machine, machine.evaluate(first.iter, frame)):
        # Each round has its own names: a lambda made in it must keep its loop variable's value.
        inner = Frame(frame.space, dict(frame.names), frame.parent, frame.owner, frame.receiver)
        assign_names(machine, first.target, value, inner)
        if all(truth(machine.evaluate(test, inner)) is not False for test in first.ifs):
            yield from _generate(machine, generators[1:], inner)


def rounds(machine: Machine, iterable: Value) -> list[Value]:
    """The values of a loop variable; one undecided value where the length is not known."""
    if isinstance(iterable, Choice):
        longest = [rounds(machine, option) for _, option in iterable.options]
        return max(longest, key=len)
    if is_undecided(iterable):
        fields = fields_of(iterable)
        text = f"each of {describe(iterable)}"
        return [Unknown(text, fields) if fields else Opaque(text)]
    return list(itertools.islice(elements(iterable), 10_000))


def assign_names(machine: Machine, target: ast.expr, value: Value, frame: Frame) -> None:
    """Bind the loop variables of a comprehension."""
    if isinstance(target, ast.Name):
        machine.write(frame.names, target.id, value)
    elif isinstance(target, (ast.Tuple, ast.List)):
        for element, part in zip(target.elts, unpack(value, len(target.elts)), strict=False):
            assign_names(machine, element, part, frame)


def unpack(value: Value, count: int) -> list[Value]:
    """The parts of a value that is assigned to `count` targets."""
    if isinstance(value, Choice):
        first, second = (unpack(option, count) for _, option in value.options[:2])
        then, other = (condition for condition, _ in value.options[:2])
        return [
            Choice(((then, a), (other, b))) if a is not b else a
            for a, b in zip(first, second, strict=False)
        ]
    if isinstance(value, (list, tuple, str, dict, set, range, Instance)):
        return elements(value)
    text = describe(value)
    fields = fields_of(value)
    return [Unknown(text, fields) if fields else Opaque(text) for _ in range(count)]


def _named(machine: Machine, node: ast.NamedExpr, frame: Frame) -> Value:
    value = machine.evaluate(node.value, frame)
    machine.write(frame.names, node.target.id, value)
    return value


def _starred(machine: Machine, node: ast.Starred, frame: Frame) -> Value:
    return machine.evaluate(node.value, frame)


EXPRESSIONS.update(
    {
        ast.Name: _name,
        ast.Constant: _constant,
        ast.Attribute: _attribute,
        ast.Call: _call,
        ast.BinOp: _binary,
        ast.UnaryOp: _unary,
        ast.BoolOp: _bool,
        ast.Compare: _compare,
        ast.IfExp: _if_else,
        ast.List: _list,
        ast.Tuple: _list,
        ast.Set: _list,
        ast.Dict: _dict,
        ast.Subscript: _subscript,
        ast.Slice: _slice,
        ast.Lambda: _lambda,
        ast.JoinedStr: _joined,
        ast.ListComp: _comprehension,
        ast.SetComp: _comprehension,
        ast.GeneratorExp: _comprehension,
        ast.DictComp: _dict_comprehension,
        ast.NamedExpr: _named,
        ast.Starred: _starred,
    }
)
