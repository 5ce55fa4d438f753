"""Looking at one decoder layer's records: who contains whom, and their sizes."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

from discover_models.domain.dimension import Dim
from discover_models.sources.sglang_models.model_source import LayerSource, ModelSource, Record
from discover_models.sources.sglang_models.values import (
    ClassValue,
    Instance,
    Tensor,
    Value,
    describe,
    is_sequence,
    to_dim,
)

_OFFSET = re.compile(
    r"\bgemma_(fused_add_)?rmsnorm\(|\b1(\.0)? \+ self\.weight|self\.weight[\w.()]* \+ 1(\.0)?\b"
)
_PLACE_ARGS = frozenset({"prefix", "layer_id", "quant_config", "alt_stream"})
_GEMM_CALL = re.compile(r"linear|gemm|matmul|\bmm\b|bmm|einsum")


@dataclass(frozen=True, eq=False)
class LayerView:
    """A decoder layer with lookups by path."""

    model: ModelSource
    layer: LayerSource

    def of_kind(self, *kinds: str) -> tuple[Record, ...]:
        """The records of some kinds in order."""
        return tuple(r for r in self.layer.records if r.kind in kinds)

    def under(self, prefix: str, *kinds: str) -> tuple[Record, ...]:
        """The records of some kinds at or below a path; an empty path is the whole layer."""
        return tuple(
            r
            for r in self.of_kind(*kinds)
            if not prefix or r.name == prefix or r.name.startswith(f"{prefix}.")
        )

    def at(self, name: str) -> Record | None:
        """The record at a path."""
        return next((r for r in self.layer.records if r.name == name), None)

    def holder(self, record: Record) -> Instance | None:
        """The object that holds a record."""
        parent = self.at(parent_of(record.name))
        return parent.instance if parent and isinstance(parent.instance, Instance) else None

    def number(self, holder: Instance | None, name: str) -> Dim | None:
        """A number that the holder's constructor kept; None when it has none of that name."""
        value = holder.attrs.get(name) if holder else None
        dim = None if value is None or isinstance(value, bool) else to_dim(value)
        return dim if dim is not None and (dim.known or dim.missing) else None


def parent_of(name: str) -> str:
    """The path of what holds the record at a path."""
    return name.rpartition(".")[0]


def short(name: str) -> str:
    """The last part of a path."""
    return name.rpartition(".")[2]


def size_of(record: Record) -> tuple[Dim, Dim]:
    """`n` and `k` of a linear layer, or of a matrix that the source multiplies by."""
    if record.kind == "parameter":
        rows, columns = record.args["shape"]
        return to_dim(rows), to_dim(columns)
    return to_dim(record.args.get("n")), to_dim(record.args.get("k"))


def norm_size(record: Record) -> Dim:
    """How wide a normalisation is: the first size that its constructor takes."""
    args = record.args
    for name in ("hidden_size", "full_hidden_size", "dim", "size", "normalized_shape", "0"):
        if name in args:
            return to_dim(args[name])
    return to_dim(next(iter(args.values()), None))


def arguments_of(record: Record) -> tuple[tuple[str, object], ...]:
    """What a layer was constructed with, to be compared; without its place in the model."""
    return tuple((k, _shown(v)) for k, v in record.args.items() if k not in _PLACE_ARGS)


def _shown(value: Value) -> object:
    if isinstance(value, Tensor):
        return tuple(_shown(part) for part in value.shape)
    if is_sequence(value):
        return tuple(_shown(part) for part in value)
    if isinstance(value, Dim):
        return value.value if value.known else value.expression
    return describe(value)


def is_gated(record: Record) -> bool:
    """Whether a normalisation multiplies by a gate, by its class, its bases or their module."""
    cls = record.instance.cls if isinstance(record.instance, Instance) else None
    modules = [base.module for base in cls.mro if isinstance(base, ClassValue)] if cls else []
    named = any("Gate" in name for name in (record.cls, *record.bases))
    return named or any(re.search("gated|norm_gate", module) for module in modules)


def adds_one(record: Record) -> bool:
    """Whether a normalisation's weight is an offset from one, as its class's own code shows.

    A class that can do both says in a test which attribute decides: ``self.shift == 1.0``.
    """
    instance = record.instance
    if not isinstance(instance, Instance) or instance.cls is None:
        return False
    cls = instance.cls
    if "adds one" not in cls.cache:
        nodes = [m for b in cls.mro if isinstance(b, ClassValue) for m in b.members.values()]
        offset = any(_OFFSET.search(ast.unparse(node)) for node in nodes)
        cls.cache["adds one"] = (offset, tuple(c for node in nodes for c in _conditions(node)))
    offset, conditions = cls.cache["adds one"]
    return offset and all(
        plain_value(record.args.get(name, value)) == value for name, value in conditions
    )


def _conditions(node: ast.stmt) -> Iterator[tuple[str, object]]:
    """Members and the constants that they must equal for an offset from one."""
    for test in ast.walk(node):
        if isinstance(test, ast.If) and any(_OFFSET.search(ast.unparse(n)) for n in test.body):
            for part in ast.walk(test.test):
                match part:
                    case ast.Compare(
                        left=ast.Attribute(value=ast.Name(id="self"), attr=name),
                        ops=[ast.Eq()],
                        comparators=[ast.Constant(value=value)],
                    ):
                        yield name, value
                    case _:
                        pass


def is_multiplied(view: LayerView, record: Record) -> bool:
    """Whether a bare 2-D parameter is the weight of a GEMM in its class's own code."""
    if record.kind != "parameter" or len(record.args["shape"]) != 2:
        return False
    holder = view.holder(record)
    return holder is not None and short(record.name) in _multiplied(holder.cls)


def _multiplied(cls: ClassValue | None) -> frozenset[str]:
    if cls is None:
        return frozenset()
    if "multiplied" not in cls.cache:
        found: set[str] = set()
        for base in cls.mro:
            for node in base.members.values() if isinstance(base, ClassValue) else ():
                found |= _weights_in_calls(node)
        cls.cache["multiplied"] = frozenset(found)
    return cls.cache["multiplied"]


def _weights_in_calls(node: ast.stmt) -> set[str]:
    """Members that a method multiplies by, also through a converted copy of them."""
    used: set[str] = set()
    for call in ast.walk(node):
        if isinstance(call, ast.Call) and _GEMM_CALL.search(ast.unparse(call.func)):
            for argument in (*call.args, *(k.value for k in call.keywords)):
                used |= _mentioned(argument)
    for copy in ast.walk(node):
        if isinstance(copy, ast.Assign) and _mentioned(copy.targets[0]) & used:
            used |= _mentioned(copy.value)
    return {name.removeprefix("self.") for name in used if name.startswith("self.")}


def _mentioned(node: ast.expr) -> set[str]:
    """Local names and members of `self` in an expression."""
    found: set[str] = set()
    for part in ast.walk(node):
        if isinstance(part, ast.Attribute) and ast.unparse(part.value) == "self":
            found.add(f"self.{part.attr}")
        elif isinstance(part, ast.Name) and part.id != "self":
            found.add(part.id)
    return found


def plain_value(value: Value) -> Value:
    """The value of a decided argument; `Dim` and enum members as plain values."""
    if isinstance(value, Dim):
        return value.value
    if isinstance(value, Instance) and value.kind == "enum":
        return value.attrs["name"]
    return value
