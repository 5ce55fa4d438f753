"""What each kind of statement does.

A statement gives None or a signal: `Return`, `Pending` (a side of an undecided test returned and
the rest runs under the other side), or `Jump` for break and continue.
"""

import ast
from dataclasses import dataclass

from discover_models.sources.sglang_models.expressions import (
    condition_of,
    hashable,
    item,
    lookup,
    rounds,
    site_of,
    unpack,
)
from discover_models.sources.sglang_models.machine import STATEMENTS, Machine, merge
from discover_models.sources.sglang_models.namespace import class_members
from discover_models.sources.sglang_models.operators import binary, truth
from discover_models.sources.sglang_models.values import (
    ABSENT,
    Choice,
    ClassValue,
    Condition,
    Frame,
    FunctionValue,
    Instance,
    Opaque,
    Raised,
    Value,
    is_dict,
    is_list,
    is_undecided,
)

MAX_ROUNDS = 1000


@dataclass(frozen=True, eq=False, slots=True)
class Return:
    """The function ends with this value."""

    value: Value


@dataclass(frozen=True, eq=False, slots=True)
class Pending:
    """The function ended with a value under a condition; otherwise it goes on."""

    condition: Condition
    value: Value


@dataclass(frozen=True, eq=False, slots=True)
class Jump:
    """`break` or `continue`."""

    leaves: bool


Signal = Return | Pending | Jump | None


def run(machine: Machine, body: list[ast.stmt], frame: Frame) -> Signal:
    """Run statements one after the other."""
    for index, statement in enumerate(body):
        handler = STATEMENTS.get(type(statement))
        signal: Signal = handler(machine, statement, frame) if handler else None
        if isinstance(signal, Pending):
            return _rest(machine, signal, body[index + 1 :], frame)
        if signal is not None:
            return signal
    return None


def _rest(machine: Machine, pending: Pending, body: list[ast.stmt], frame: Frame) -> Signal:
    """The statements after an undecided early return."""
    condition = pending.condition
    opposite = Condition(condition.text, not condition.holds, condition.site)
    try:
        with machine.under(opposite):
            signal = run(machine, body, frame)
    except Raised:
        return Return(pending.value)
    if isinstance(signal, Return):
        return Return(merge(condition, opposite, pending.value, signal.value))
    if isinstance(signal, Pending):
        return Pending(signal.condition, merge(condition, opposite, pending.value, signal.value))
    return pending


def result_of(signal: Signal) -> Value:
    """What a function returns when its body ended with `signal`."""
    if isinstance(signal, Return):
        return signal.value
    if isinstance(signal, Pending):
        condition = signal.condition
        opposite = Condition(condition.text, not condition.holds, condition.site)
        return merge(condition, opposite, signal.value, None)
    return None


def _if(machine: Machine, node: ast.If, frame: Frame) -> Signal:
    value = machine.evaluate(node.test, frame)
    answer = truth(value)
    if answer is not None:
        return run(machine, node.body if answer else node.orelse, frame)
    condition = condition_of(node.test, frame, value)
    first, second = machine.fork(
        condition,
        lambda: run(machine, node.body, frame),
        lambda: run(machine, node.orelse, frame),
    )
    return _join(condition, first, second)


def _match(machine: Machine, node: ast.Match, frame: Frame) -> Signal:
    """The cases as a chain of tests; a pattern other than values is never decided."""
    chain: list[ast.stmt] = []
    for case in reversed(node.cases):
        test = _case_test(node.subject, case)
        if test is None:
            chain = case.body
        else:
            chain = [ast.copy_location(ast.If(test, case.body, chain), case.pattern)]
    return run(machine, chain, frame)


def _case_test(subject: ast.expr, case: ast.match_case) -> ast.expr | None:
    test = _pattern_test(subject, case.pattern)
    if test is None or case.guard is None:
        return test or case.guard
    return ast.BoolOp(ast.And(), [test, case.guard])


def _pattern_test(subject: ast.expr, pattern: ast.pattern) -> ast.expr | None:
    """The test that a pattern stands for; None for one that always matches."""
    if isinstance(pattern, ast.MatchValue):
        return ast.Compare(subject, [ast.Eq()], [pattern.value])
    if isinstance(pattern, ast.MatchSingleton):
        return ast.Compare(subject, [ast.Is()], [ast.Constant(pattern.value)])
    if isinstance(pattern, ast.MatchAs) and pattern.pattern is None:
        return None
    if isinstance(pattern, ast.MatchOr):
        tests = [_pattern_test(subject, part) for part in pattern.patterns]
        known = [test for test in tests if test is not None]
        return ast.BoolOp(ast.Or(), list(known)) if len(known) == len(tests) else None
    return ast.Compare(subject, [ast.Eq()], [ast.Constant(...)])


def _join(condition: Condition, first: Signal, second: Signal) -> Signal:
    opposite = Condition(condition.text, not condition.holds, condition.site)
    if first is second:
        return first
    if isinstance(first, Return) and isinstance(second, Return):
        return Return(merge(condition, opposite, first.value, second.value))
    if isinstance(first, (Return, Pending)) and not isinstance(second, (Return, Pending)):
        return Pending(condition, first.value)
    if isinstance(second, (Return, Pending)) and not isinstance(first, (Return, Pending)):
        return Pending(opposite, second.value)
    if isinstance(first, (Return, Pending)) and isinstance(second, (Return, Pending)):
        return Pending(condition, merge(condition, opposite, first.value, second.value))
    return None


def _return(machine: Machine, node: ast.Return, frame: Frame) -> Signal:
    return Return(machine.evaluate(node.value, frame) if node.value else None)


def _expression(machine: Machine, node: ast.Expr, frame: Frame) -> Signal:
    if not isinstance(node.value, ast.Constant):
        machine.evaluate(node.value, frame)
    return None


def _assign(machine: Machine, node: ast.Assign, frame: Frame) -> Signal:
    value = machine.evaluate(node.value, frame)
    for target in node.targets:
        assign(machine, target, value, frame)
    return None


def _annotated(machine: Machine, node: ast.AnnAssign, frame: Frame) -> Signal:
    if node.value is not None:
        assign(machine, node.target, machine.evaluate(node.value, frame), frame)
    return None


def assign(machine: Machine, target: ast.expr, value: Value, frame: Frame) -> None:
    """Bind a target of any shape."""
    if isinstance(target, ast.Name):
        names = frame.space.memo if target.id in frame.globals else frame.names
        machine.write(names, target.id, value)
    elif isinstance(target, (ast.Tuple, ast.List)):
        for element, part in zip(target.elts, unpack(value, len(target.elts)), strict=False):
            assign(machine, element, part, frame)
    elif isinstance(target, ast.Attribute):
        set_attribute(machine, machine.evaluate(target.value, frame), target.attr, value)
    elif isinstance(target, ast.Subscript):
        _assign_item(machine, target, value, frame)


def set_attribute(machine: Machine, receiver: Value, name: str, value: Value) -> None:
    """`receiver.name = value`; without effect on values that are not read."""
    if isinstance(receiver, Choice):
        for _, option in receiver.options:
            set_attribute(machine, option, name, value)
        return
    attrs = getattr(receiver, "attrs", None)
    if attrs is not None:
        machine.write(attrs, name, value)
    elif isinstance(receiver, Opaque) and name == "data" and _is_unsqueezed(value):
        _mark_convolution(machine, receiver.name)


def _is_unsqueezed(value: Value) -> bool:
    return isinstance(value, Opaque) and value.name.endswith(".unsqueeze()")


def _mark_convolution(machine: Machine, weight: str) -> None:
    """A linear layer whose weight gains a middle dimension holds a convolution's filter."""
    for leaf in reversed(machine.created):
        if leaf.kind == "linear" and f"{leaf.name}@{leaf.site.line}.weight" == weight:
            leaf.kind = "conv1d"
            return


def _assign_item(machine: Machine, target: ast.Subscript, value: Value, frame: Frame) -> None:
    receiver = machine.evaluate(target.value, frame)
    index = machine.evaluate(target.slice, frame)
    if isinstance(index, slice) or is_undecided(index):
        return
    if is_dict(receiver):
        machine.write(receiver, hashable(index), value)
    elif is_list(receiver):
        _put(receiver, hashable(index), value)
    elif isinstance(receiver, Instance):
        _put(receiver.items, hashable(index), value)


def _put(values: list[Value], position: Value, value: Value) -> None:
    if isinstance(position, int) and -len(values) <= position < len(values):
        values[position] = value


def _augmented(machine: Machine, node: ast.AugAssign, frame: Frame) -> Signal:
    added = machine.evaluate(node.value, frame)
    if isinstance(node.target, ast.Name):
        old = lookup(machine, node.target.id, frame)
    elif isinstance(node.target, ast.Attribute):
        old = machine.get(machine.evaluate(node.target.value, frame), node.target.attr)
    else:
        receiver = machine.evaluate(node.target.value, frame)
        index = machine.evaluate(node.target.slice, frame)
        old = item(machine, receiver, index, site_of(node, frame))
    try:
        value = binary(node.op, old, added)
    except (TypeError, ZeroDivisionError, ValueError):
        value = Opaque(ast.unparse(node)[:80])
    assign(machine, node.target, value, frame)
    return None


def _for(machine: Machine, node: ast.For, frame: Frame) -> Signal:
    iterable = machine.evaluate(node.iter, frame)
    pending: Pending | None = None
    for value in rounds(machine, iterable)[:MAX_ROUNDS]:
        assign(machine, node.target, value, frame)
        signal = run(machine, node.body, frame)
        if isinstance(signal, Return):
            return signal
        if isinstance(signal, Pending):
            pending = signal
        if isinstance(signal, Jump) and signal.leaves:
            return pending
    return pending or run(machine, node.orelse, frame)


def _while(machine: Machine, node: ast.While, frame: Frame) -> Signal:
    for _ in range(MAX_ROUNDS):
        answer = truth(machine.evaluate(node.test, frame))
        if answer is False:
            return None
        signal = run(machine, node.body, frame)
        if isinstance(signal, (Return, Pending)):
            return signal
        if (isinstance(signal, Jump) and signal.leaves) or answer is None:
            return None
    place = frame.owner.name if frame.owner else frame.space.file.dotted.rpartition(".")[2]
    machine.problem(place, "a loop of it is too long to follow", site_of(node, frame))
    return None


def _with(machine: Machine, node: ast.With, frame: Frame) -> Signal:
    for entry in node.items:
        machine.evaluate(entry.context_expr, frame)
        if entry.optional_vars is not None:
            name = ast.unparse(entry.context_expr)[:60]
            assign(machine, entry.optional_vars, Opaque(name, exists=True), frame)
    return run(machine, node.body, frame)


def _try(machine: Machine, node: ast.Try, frame: Frame) -> Signal:
    machine.catching += 1
    raised: Raised | None = None
    signal: Signal = None
    try:
        signal = run(machine, node.body, frame)
    except Raised as error:
        raised = error
    finally:
        machine.catching -= 1
    if raised is not None:
        signal = _handled(machine, node, raised, frame)
    elif signal is None:
        signal = run(machine, node.orelse, frame)
    return run(machine, node.finalbody, frame) or signal


def _handled(machine: Machine, node: ast.Try, raised: Raised, frame: Frame) -> Signal:
    for handler in node.handlers:
        caught = ast.unparse(handler.type) if handler.type else "Exception"
        if "Exception" in caught or raised.text.split(":")[0] in caught:
            if handler.name:
                machine.write(frame.names, handler.name, Opaque(handler.name, exists=True))
            return run(machine, handler.body, frame)
    raise raised


def _raise(machine: Machine, node: ast.Raise, frame: Frame) -> Signal:
    text = "exception"
    if isinstance(node.exc, ast.Call):
        parts = [machine.evaluate(arg, frame) for arg in node.exc.args]
        said = " ".join(part for part in parts if isinstance(part, str))
        text = f"{ast.unparse(node.exc.func)}: {said}"
    elif node.exc is not None:
        text = ast.unparse(node.exc)
    raise Raised(text, site_of(node, frame))


def _define(machine: Machine, node: ast.FunctionDef | ast.AsyncFunctionDef, frame: Frame) -> Signal:
    machine.write(frame.names, node.name, FunctionValue(node, frame, frame.owner))
    return None


def _class(machine: Machine, node: ast.ClassDef, frame: Frame) -> Signal:
    machine.write(frame.names, node.name, make_class(machine, node, frame))
    return None


def make_class(machine: Machine, node: ast.ClassDef, frame: Frame) -> ClassValue:
    """A class with its linear order of bases."""
    value = ClassValue(node, frame, members=class_members(node))
    orders: list[list[ClassValue | Opaque]] = []
    bases: list[ClassValue | Opaque] = []
    for base in node.bases:
        same_name = isinstance(base, ast.Name) and base.id == node.name
        found = machine.before(frame.space, node.name, node) if same_name else ABSENT
        found = machine.evaluate(base, frame) if found is ABSENT else found
        found = found if isinstance(found, ClassValue) else Opaque(_base_name(found, base))
        bases.append(found)
        orders.append(list(found.mro) if isinstance(found, ClassValue) else [found])
    value.mro = (value, *_linear([*orders, bases]))
    return value


def _base_name(found: Value, base: ast.expr) -> str:
    return found.name if isinstance(found, Opaque) else ast.unparse(base)


def _linear(orders: list[list[ClassValue | Opaque]]) -> list[ClassValue | Opaque]:
    """C3 merge; falls back to order of appearance where the bases disagree."""
    result: list[ClassValue | Opaque] = []
    orders = [list(order) for order in orders if order]
    while orders:
        head = next(
            (o[0] for o in orders if not any(_in_tail(o[0], other) for other in orders)),
            orders[0][0],
        )
        result.append(head)
        orders = [[c for c in order if not _same(c, head)] for order in orders]
        orders = [order for order in orders if order]
    return result


def _in_tail(one: ClassValue | Opaque, order: list[ClassValue | Opaque]) -> bool:
    return any(_same(one, other) for other in order[1:])


def _same(one: ClassValue | Opaque, other: ClassValue | Opaque) -> bool:
    if isinstance(one, Opaque):
        return isinstance(other, Opaque) and one.name == other.name
    return one is other


def _import(machine: Machine, node: ast.Import | ast.ImportFrom, frame: Frame) -> Signal:
    for alias in node.names:
        name = alias.asname or alias.name.split(".")[0]
        machine.write(frame.names, name, machine.imported(node, alias, frame.space))
    return None


def _global(_machine: Machine, node: ast.Global, frame: Frame) -> Signal:
    frame.globals.update(node.names)
    return None


def _jump(_machine: Machine, node: ast.Break | ast.Continue, _frame: Frame) -> Signal:
    return Jump(leaves=isinstance(node, ast.Break))


def _delete(_machine: Machine, node: ast.Delete, frame: Frame) -> Signal:
    for target in node.targets:
        if isinstance(target, ast.Name):
            frame.names.pop(target.id, None)
    return None


STATEMENTS.update(
    {
        ast.If: _if,
        ast.Match: _match,
        ast.Return: _return,
        ast.Expr: _expression,
        ast.Assign: _assign,
        ast.AnnAssign: _annotated,
        ast.AugAssign: _augmented,
        ast.For: _for,
        ast.While: _while,
        ast.With: _with,
        ast.Try: _try,
        ast.Raise: _raise,
        ast.FunctionDef: _define,
        ast.AsyncFunctionDef: _define,
        ast.ClassDef: _class,
        ast.Import: _import,
        ast.ImportFrom: _import,
        ast.Global: _global,
        ast.Break: _jump,
        ast.Continue: _jump,
        ast.Delete: _delete,
    }
)
