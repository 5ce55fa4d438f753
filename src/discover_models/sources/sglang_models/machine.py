"""The interpreter's state: source, conditions, budget, and the undo log for undecided branches.

What each kind of syntax and value does stands in the modules that fill the tables here
(`expressions`, `statements`, `calls`, `attributes`); `interpreter` imports them all.
"""

from __future__ import annotations

import ast
import sys
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, cast

from discover_models.errors import SourceError
from discover_models.sources.sglang_models.checkout import SglangSource
from discover_models.sources.sglang_models.namespace import (
    Binding,
    Namespace,
    imported_module,
    scan,
)
from discover_models.sources.sglang_models.operators import equal, truth
from discover_models.sources.sglang_models.values import (
    ABSENT,
    Choice,
    Condition,
    Frame,
    FunctionValue,
    Instance,
    ModuleValue,
    Opaque,
    Raised,
    Site,
    Unknown,
    Value,
)

STEP_BUDGET = 1_500_000  # the largest real model takes a fifth of it
HELPER_BUDGET = 150_000  # of one call that constructs no layer itself
DEPTH_LIMIT = 60
MANY_VALUES = 24
OPEN_RECURSIONS = 6  # an undecided test never ends one
_ENDLESS = sys.maxsize
_LOOK_AT_CLOCK = 2048  # steps, some milliseconds

Evaluate = Callable[["Machine", Any, Frame], Value]
EXPRESSIONS: dict[type[ast.expr], Evaluate] = {}
STATEMENTS: dict[type[ast.stmt], Evaluate] = {}
CALLS: dict[type[Any], Callable[[Machine, Any, Arguments], Value]] = {}
GETTERS: dict[type[Any], Callable[[Machine, Any, str], Value]] = {}


def _never() -> bool:
    return False


class GivenUp(Exception):  # noqa: N818 - one call was not followed; what called it goes on
    """A call that constructs no layer itself took too many steps."""


class OutOfTime(Exception):  # noqa: N818 - whoever set the limit says what it means
    """Reading took longer than its caller allows."""


@dataclass(slots=True)
class Arguments:
    """What a call passes, and where it stands."""

    args: list[Value]
    kwargs: dict[str, Value]
    site: Site


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that could not be interpreted, with where it stands."""

    what: str
    reason: str
    site: Site


@dataclass(slots=True)
class _Write:
    names: dict[Any, Value]
    key: Any
    old: Value


@dataclass(eq=False, slots=True)
class Machine:
    """One interpretation of one model."""

    source: SglangSource
    step_budget: int = STEP_BUDGET
    out_of_time: Callable[[], bool] = _never
    spaces: dict[str, Namespace | None] = field(default_factory=dict[str, "Namespace | None"])
    conditions: list[Condition] = field(default_factory=list[Condition])
    journal: list[_Write] = field(default_factory=list[_Write])
    problems: list[Problem] = field(default_factory=list[Problem])
    created: list[Instance] = field(default_factory=list[Instance])
    """Every leaf layer in order of construction."""
    missing: dict[str, None] = field(default_factory=dict[str, None])
    """Configuration fields that were asked for and found nowhere."""
    server_arguments: dict[str, tuple[Namespace, ast.expr]] | None = None
    """Declared defaults of SGLang's server arguments, once they were asked for."""
    config_modules: dict[str, list[str]] | None = None
    """Modules of SGLang's configuration classes by model type, once they were asked for."""
    steps: int = 0
    depth: int = 0
    catching: int = 0
    """How many interpreted `try` bodies are being run."""
    forks: int = 0
    """How many undecided branches are open; above zero, writes go to the journal."""
    helper_budget: int = HELPER_BUDGET
    helper_end: int = _ENDLESS
    """The step at which the outermost helper that runs is given up."""
    given_up: set[ast.AST] = field(default_factory=set[ast.AST])
    """Functions that were given up once: they are not tried again."""
    running: Counter[ast.AST] = field(default_factory=Counter[ast.AST])
    """How often each function is being run."""
    called: set[str] = field(default_factory=set[str])
    """Classes, and functions of other libraries, that were called, with their modules."""
    entered: set[str] = field(default_factory=set[str])
    """Classes whose constructors ran to their end."""

    # --- dispatch -------------------------------------------------------------------------

    def evaluate(self, node: ast.expr, frame: Frame) -> Value:
        """The value of an expression."""
        self._step(frame.space.file.path)
        if not self.steps % _LOOK_AT_CLOCK and self.out_of_time():
            raise OutOfTime(f"it was in {frame.space.file.path}")
        handler = EXPRESSIONS.get(type(node))
        return handler(self, node, frame) if handler else Opaque(ast.unparse(node)[:80])

    def _step(self, path: str) -> None:
        self.steps += 1
        if self.steps > self.step_budget:
            raise SourceError(f"Interpreting {path} took more than {self.step_budget} steps.")
        if self.steps > self.helper_end:
            raise GivenUp

    def call(self, function: Value, arguments: Arguments) -> Value:
        """Call a value."""
        handler = CALLS.get(cast(type[Any], type(function)))
        return handler(self, function, arguments) if handler else Opaque("call")

    def call_plain(self, function: Value, args: list[Value], site: Site) -> Value:
        """Call a value with positional arguments."""
        return self.call(function, Arguments(args, {}, site))

    def get(self, receiver: Value, name: str) -> Value:
        """An attribute; `ABSENT` when the receiver surely has none of that name."""
        handler = GETTERS.get(cast(type[Any], type(receiver))) or GETTERS[object]
        return handler(self, receiver, name)

    # --- writes ---------------------------------------------------------------------------

    def write(self, names: dict[Any, Value], key: Any, value: Value) -> None:
        """Bind a name, attribute or key so that an undecided branch can be merged."""
        if self.forks:
            self.journal.append(_Write(names, key, names.get(key, ABSENT)))
        names[key] = value

    def fork(
        self, condition: Condition, then: Callable[[], Value], other: Callable[[], Value]
    ) -> tuple[Value, Value]:
        """Run both sides of an undecided test and merge what they wrote.

        A side that raises did not happen: the program goes on under the other one. Where both
        raise, the second exception is raised.
        """
        self._step(condition.site.path)  # choices of choices fork without evaluating anything
        first, first_writes, failed = self._side(condition, then)
        opposite = Condition(condition.text, not condition.holds, condition.site)
        second, second_writes, raised = self._side(opposite, other)
        if raised is not None:
            if failed is not None:
                raise raised
            self._redo(first_writes)
            return first, first
        if failed is not None:
            self._redo(second_writes)
            return second, second
        self._merge(condition, opposite, first_writes, second_writes)
        return first, second

    def _side(
        self, condition: Condition, run: Callable[[], Value]
    ) -> tuple[Value, list[_Write], Raised | None]:
        mark, created, problems = len(self.journal), len(self.created), len(self.problems)
        raised: Raised | None = None
        result: Value = None
        self.forks += 1
        self.catching += 1
        self.conditions.append(condition)
        try:
            result = run()
        except Raised as error:
            raised = error
            del self.created[created:]
            del self.problems[problems:]
        finally:
            self.conditions.pop()
            self.catching -= 1
            self.forks -= 1
        return result, self._undo(mark), raised

    def _undo(self, mark: int) -> list[_Write]:
        """Take back the writes since `mark`; gives what they had written."""
        taken = self.journal[mark:]
        del self.journal[mark:]
        final: dict[tuple[int, Any], _Write] = {}
        for write in taken:
            now = write.names.get(write.key, ABSENT)
            final.setdefault((id(write.names), write.key), _Write(write.names, write.key, now))
        for write in reversed(taken):
            _restore(write)
        return list(final.values())

    def _redo(self, writes: list[_Write]) -> None:
        for write in writes:
            if write.old is ABSENT:
                write.names.pop(write.key, None)
            else:
                self.write(write.names, write.key, write.old)

    def _merge(
        self, then: Condition, other: Condition, first: list[_Write], second: list[_Write]
    ) -> None:
        news = {(id(w.names), w.key): w for w in second}
        for write in first:
            rival = news.pop((id(write.names), write.key), None)
            before = write.names.get(write.key, ABSENT)
            value = merge(then, other, write.old, rival.old if rival else before)
            self.write(write.names, write.key, value)
        for write in news.values():
            before = write.names.get(write.key, ABSENT)
            self.write(write.names, write.key, merge(then, other, before, write.old))

    @contextmanager
    def helping(self, function: FunctionValue) -> Generator[None, None, None]:
        """Run a function that is no constructor of a layer; what it does may be given up.

        The steps of one such call are limited, those of the layers that it constructs not counted:
        what serves a model (stages, exchanges, compilation) may ask of every open test at once,
        and no layer must be lost to it.
        """
        if self.helper_end != _ENDLESS:
            yield
            return
        mark, created = len(self.journal), len(self.created)
        self.helper_end = self.steps + self.helper_budget
        try:
            yield
        except (GivenUp, RecursionError):
            self._undo(mark)
            self.given_up.add(function.node)
            if len(self.created) > created:
                self.problem(function.name, "it takes too long to follow", function.site)
        finally:
            self.helper_end = _ENDLESS

    @contextmanager
    def building(self) -> Generator[None, None, None]:
        """Run the constructor of a layer, whose steps are not those of the helper that asked."""
        end, begin, self.helper_end = self.helper_end, self.steps, _ENDLESS
        try:
            yield
        finally:
            self.helper_end = end if end == _ENDLESS else end + self.steps - begin

    @contextmanager
    def under(self, condition: Condition) -> Generator[None, None, None]:
        """Take a side of a test that could not be decided."""
        self.conditions.append(condition)
        try:
            yield
        finally:
            self.conditions.pop()

    # --- names ----------------------------------------------------------------------------

    def space(self, dotted: str) -> Namespace | None:
        """The namespace of a module of SGLang; None when there is no such file."""
        if dotted not in self.spaces:
            file = self.source.module(dotted)
            self.spaces[dotted] = scan(file) if file else None
        return self.spaces[dotted]

    def resolve(self, space: Namespace, name: str) -> Value:
        """A module's global; `ABSENT` when it binds no such name."""
        if name in space.memo:
            return space.memo[name]
        space.memo[name] = Opaque(f"{space.file.dotted}.{name}")  # a cycle ends here
        forks, self.forks = self.forks, 0
        try:
            value = self._resolve(space, name)
        finally:
            self.forks = forks
        if value is ABSENT:
            del space.memo[name]
        else:
            space.memo[name] = value
        return value

    def _resolve(self, space: Namespace, name: str) -> Value:
        fallback: Value = ABSENT
        for binding in reversed(space.bindings.get(name, [])):
            holds = self._guards_hold(space, binding)
            if holds:
                return self._bound(space, name, binding)
            if holds is None and fallback is ABSENT:
                fallback = self._bound(space, name, binding)
        if fallback is not ABSENT:
            return fallback
        return self._from_stars(space, name)

    def before(self, space: Namespace, name: str, statement: ast.stmt) -> Value:
        """A module's global as a statement finds it that binds the same name anew."""
        found: Value = ABSENT
        for binding in space.bindings.get(name, []):
            if binding.statement is statement:
                break
            found = self._bound(space, name, binding)
        return found

    def _guards_hold(self, space: Namespace, binding: Binding) -> bool | None:
        frame = Frame(space, space.memo)
        answer: bool | None = True
        for test, wanted in binding.guards:
            found = truth(self.evaluate(test, frame))
            if found is None:
                answer = None
            elif found is not wanted:
                return False
        return answer

    def _bound(self, space: Namespace, name: str, binding: Binding) -> Value:
        frame = Frame(space, {})
        if binding.alias is not None:
            return self.imported(binding.statement, binding.alias, space)
        STATEMENTS[type(binding.statement)](self, binding.statement, frame)
        return frame.names.get(name, ABSENT)

    def _from_stars(self, space: Namespace, name: str) -> Value:
        for statement in space.stars:
            other = self.space(imported_module(statement, space.file))
            value = self.resolve(other, name) if other and not name.startswith("_") else ABSENT
            if value is not ABSENT:
                return value
        child = self.space(f"{space.file.dotted}.{name}") if space.file.is_package else None
        return ModuleValue(child) if child else ABSENT

    def imported(self, statement: ast.stmt, alias: ast.alias, space: Namespace) -> Value:
        """What an import binds: a value of SGLang, or an opaque name of another library."""
        if isinstance(statement, ast.ImportFrom):
            dotted = imported_module(statement, space.file)
            other = self.space(dotted) if dotted.split(".")[0] == "sglang" else None
            value = self.resolve(other, alias.name) if other else ABSENT
            child = self.space(f"{dotted}.{alias.name}") if value is ABSENT else None
            if child is not None:
                return ModuleValue(child)
            external = not dotted.startswith("sglang")
            return Opaque(f"{dotted}.{alias.name}", exists=external) if value is ABSENT else value
        dotted = alias.name if alias.asname else alias.name.split(".")[0]
        other = self.space(dotted) if dotted.split(".")[0] == "sglang" else None
        return ModuleValue(other) if other else Opaque(dotted, exists=True)

    def missing_field(self, path: str) -> Unknown:
        """A configuration field that is asked for and found nowhere."""
        self.missing[path] = None
        return Unknown(path, (path,))

    def problem(self, what: str, reason: str, site: Site) -> None:
        """Note what could not be interpreted, once."""
        entry = Problem(what, reason, site)
        if entry not in self.problems:
            self.problems.append(entry)


def merge(then: Condition, other: Condition, first: Value, second: Value) -> Value:
    """One value where both sides agree, else a choice between them."""
    first, second = _on_side(first, then), _on_side(second, other)
    if equal(first, second):
        if isinstance(first, Instance) and first is not second:
            first.conditions = tuple(c for c in first.conditions if c != then)
        return first
    if _many_settings(first, second):
        return Opaque("one of many values")
    return Choice(((then, first), (other, second)))


def _many_settings(*values: Value) -> bool:
    """Whether so many plain values are possible that nothing follows from them any more.

    A global that is filled on first use is asked for below many open tests, and each doubles what
    it may hold. Layers are never dropped.
    """
    queue, count = list(values), 0
    while queue:
        value = queue.pop()
        if isinstance(value, Choice):
            queue.extend(option for _, option in value.options)
        elif isinstance(value, Instance) and value.kind != "enum":
            return False
        else:
            count += 1
    return count > MANY_VALUES


def _on_side(value: Value, condition: Condition) -> Value:
    """What is left of a choice where one of its own tests is taken again.

    A global that a function fills on first use would else nest deeper with every call.
    """
    while isinstance(value, Choice):
        chosen = [option for known, option in value.options if known == condition]
        if not chosen:
            return value
        value = chosen[0]
    return value


def _restore(write: _Write) -> None:
    if write.old is ABSENT:
        write.names.pop(write.key, None)
    else:
        write.names[write.key] = write.old
