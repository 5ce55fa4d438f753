"""Which function a feed-forward block applies, by its own code.

Source: sglang python/sglang/srt/layers/activation.py.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from discover_models.sources.sglang_models.layer_view import LayerView, parent_of, plain_value
from discover_models.sources.sglang_models.model_source import Record
from discover_models.sources.sglang_models.values import ClassValue, Instance

_LAYERS = {
    "SiluAndMul": "silu",
    "SiLU": "silu",
    "GeluAndMul": "gelu",
    "GELU": "gelu",
    "NewGELU": "gelu_tanh",
    "SituAndMul": "situ",
    "ReLU": "relu",
    "ReLU2": "relu2",
}
"""Class of a layer → what configurations call its function."""
_APPROXIMATE = {"GeluAndMul": "tanh", "GELU": "none"}
"""What a layer of either class approximates by where nothing is said."""
_FUNCTIONS = {
    "silu": "silu",
    "silu_and_mul": "silu",
    "gelu_and_mul": "gelu",
    "gelu_tanh_and_mul": "gelu_tanh",
    "relu": "relu",
}


def activation_of(view: LayerView, home: str) -> str:
    """As configurations call it; empty where the block at that path shows none, or several."""
    layers = [r for r in view.under(home, "activation") if parent_of(r.name) == home]
    found = {_by_layer(record) for record in layers}
    if not layers:
        found = set(_called(view.at(home)))
    return found.pop() if len(found) == 1 else ""


def _by_layer(record: Record) -> str:
    name = record.cls.rpartition(".")[2]
    kind = _LAYERS.get(name, "")
    if name in _APPROXIMATE:
        args = record.args
        way = plain_value(args.get("approximate", args.get("0", _APPROXIMATE[name])))
        return {"tanh": "gelu_tanh", "none": "gelu"}.get(str(way), "")
    return kind


def _called(block: Record | None) -> Iterator[str]:
    """The functions that a block's own methods call."""
    cls = block.instance.cls if block and isinstance(block.instance, Instance) else None
    for base in cls.mro if cls is not None else ():
        for member in base.members.values() if isinstance(base, ClassValue) else ():
            for node in ast.walk(member):
                if isinstance(node, ast.Call):
                    name = ast.unparse(node.func).rpartition(".")[2]
                    if name in _FUNCTIONS:
                        yield _FUNCTIONS[name]
