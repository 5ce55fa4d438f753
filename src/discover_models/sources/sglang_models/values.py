"""What the interpreter computes with: plain Python values and the abstract ones defined here."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias, TypeGuard

from discover_models.domain.dimension import Dim, Origin

if TYPE_CHECKING:
    from discover_models.sources.sglang_models.namespace import Namespace

Value: TypeAlias = Any
"""None, bool, int, float, str, list, tuple, dict, set, `Dim` or one of the classes below."""


class _Absent:
    """The answer of a lookup that found nothing; never stored."""

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT = _Absent()


@dataclass(frozen=True, slots=True)
class Site:
    """A line of a source file."""

    path: str
    line: int


@dataclass(frozen=True, slots=True)
class Condition:
    """A test that could not be decided, and which side of it was taken."""

    text: str
    holds: bool
    site: Site

    def __str__(self) -> str:
        return self.text if self.holds else f"not ({self.text})"


@dataclass(frozen=True, slots=True)
class Unknown:
    """A value that rests on configuration fields that were found nowhere."""

    expression: str
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Real:
    """A float that remembers where it comes from."""

    value: float
    expression: str
    origins: tuple[Origin, ...] = ()


@dataclass(eq=False, slots=True)
class Opaque:
    """A value of code that is not read: another library, or the machine's state.

    `role` marks the few whose attributes mean something: ``bag`` (server arguments),
    ``parallel``, ``group`` and ``platform``. `exists` says that it is surely not None.
    """

    name: str
    exists: bool = False
    role: str = ""


@dataclass(eq=False, slots=True)
class Tensor:
    """A tensor of which only the shape matters."""

    shape: tuple[Value, ...]
    site: Site
    parameter: bool = False


@dataclass(frozen=True, eq=False, slots=True)
class Choice:
    """One of several values; each under a condition that could not be decided."""

    options: tuple[tuple[Condition, Value], ...]


@dataclass(eq=False, slots=True)
class Frame:
    """Names in reach of a piece of code."""

    space: Namespace
    names: dict[str, Value]
    parent: Frame | None = None
    owner: ClassValue | None = None
    receiver: Value = None
    globals: set[str] = field(default_factory=set[str])


@dataclass(eq=False, slots=True)
class ModuleValue:
    """A module of SGLang."""

    space: Namespace


@dataclass(eq=False, slots=True)
class FunctionValue:
    """A function or lambda of SGLang."""

    node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
    frame: Frame
    owner: ClassValue | None = None

    @property
    def name(self) -> str:
        return "<lambda>" if isinstance(self.node, ast.Lambda) else self.node.name

    @property
    def site(self) -> Site:
        return Site(self.frame.space.file.path, self.node.lineno)


@dataclass(eq=False, slots=True)
class ClassValue:
    """A class of SGLang."""

    node: ast.ClassDef
    frame: Frame
    mro: tuple[ClassValue | Opaque, ...] = ()
    """Linear order of the class and its bases; bases outside SGLang are opaque."""
    members: Mapping[str, ast.stmt] = field(default_factory=dict[str, ast.stmt])
    cache: dict[str, Value] = field(default_factory=dict[str, Value])

    @property
    def name(self) -> str:
        return self.node.name

    @property
    def module(self) -> str:
        return self.frame.space.file.dotted

    @property
    def site(self) -> Site:
        return Site(self.frame.space.file.path, self.node.lineno)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the class and its bases; those of other libraries with dots."""
        return tuple(base.name for base in self.mro)


@dataclass(eq=False, slots=True)
class Bound:
    """A method with its receiver."""

    receiver: Value
    function: FunctionValue


@dataclass(eq=False, slots=True)
class Partial:
    """`functools.partial`."""

    function: Value
    args: tuple[Value, ...]
    kwargs: dict[str, Value]


@dataclass(eq=False, slots=True)
class SuperValue:
    """`super()` inside a method of `owner`."""

    owner: ClassValue
    receiver: Value


@dataclass(eq=False, slots=True)
class Builtin:
    """A function of Python itself."""

    name: str


@dataclass(eq=False, slots=True)
class MethodOf:
    """A method of a plain value, an instance of a foreign base or a module container."""

    receiver: Value
    name: str


@dataclass(eq=False, slots=True)
class Instance:
    """An object of a class of SGLang, or a layer of torch.

    `kind` is empty for an ordinary object; a leaf layer (`linear`, `norm`, …) was recorded with
    its arguments and not entered; ``list`` holds modules under ``items``.
    """

    cls: ClassValue | None
    name: str
    site: Site
    attrs: dict[str, Value] = field(default_factory=dict[str, Value])
    kind: str = ""
    args: dict[str, Value] = field(default_factory=dict[str, Value])
    conditions: tuple[Condition, ...] = ()
    items: list[Value] = field(default_factory=list[Value])

    @property
    def class_names(self) -> tuple[str, ...]:
        return self.cls.names if self.cls else (self.name,)


class Raised(Exception):  # noqa: N818 - it is the interpreted program's exception, not an error
    """An exception of the interpreted program."""

    def __init__(self, text: str, site: Site) -> None:
        super().__init__(text)
        self.text = text
        self.site = site


def is_dict(value: object) -> TypeGuard[dict[Any, Any]]:
    """Whether a value is a dictionary."""
    return isinstance(value, dict)


def is_list(value: object) -> TypeGuard[list[Any]]:
    """Whether a value is a list."""
    return isinstance(value, list)


def is_tuple(value: object) -> TypeGuard[tuple[Any, ...]]:
    """Whether a value is a tuple."""
    return isinstance(value, tuple)


def is_sequence(value: object) -> TypeGuard[list[Any] | tuple[Any, ...]]:
    """Whether a value is a list or a tuple."""
    return isinstance(value, (list, tuple))


def is_iterable(
    value: object,
) -> TypeGuard[list[Any] | tuple[Any, ...] | dict[Any, Any] | set[Any] | str | range]:
    """Whether a value is a plain container that a loop runs over."""
    return isinstance(value, (list, tuple, dict, set, frozenset, str, range))


def raw(value: Value) -> Value:
    """The plain number of a `Dim` or `Real`; anything else as it is."""
    if isinstance(value, (Dim, Real)):
        return value.value
    return value


def is_undecided(value: Value) -> bool:
    """Whether nothing at all can be said of a value."""
    return isinstance(value, (Unknown, Opaque)) or (isinstance(value, Dim) and value.value is None)


def describe(value: Value) -> str:
    """A short text for expressions and conditions."""
    if isinstance(value, (Dim, Real, Unknown)):
        return value.expression
    if isinstance(value, Opaque):
        return value.name
    if isinstance(value, (Instance, ClassValue, FunctionValue)):
        return value.name
    return repr(value) if isinstance(value, (str, int, float, bool, type(None))) else "…"


def fields_of(value: Value) -> tuple[str, ...]:
    """The missing configuration fields that a value rests on."""
    if isinstance(value, Unknown):
        return value.fields
    if isinstance(value, Dim):
        return value.missing
    if isinstance(value, Choice):
        return tuple({f: None for _, option in value.options for f in fields_of(option)})
    return ()


def to_dim(value: Value) -> Dim:
    """A value as a dimension; what is no number gives an unknown one that says why."""
    if isinstance(value, Dim):
        return value
    if isinstance(value, bool) or not isinstance(value, (int, Real, float)):
        origins = tuple(
            Origin(field=name, value=None, source="found nowhere") for name in fields_of(value)
        )
        return Dim(value=None, expression=describe(value), origins=origins)
    number = raw(value)
    if isinstance(value, Real):
        return Dim(value=int(number), expression=value.expression, origins=value.origins)
    return Dim(
        value=int(number), expression=f"{number:g}" if number != int(number) else str(int(number))
    )
