"""Which routing a mixture of experts uses, from what its layers were constructed with."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass

from discover_models.domain.dimension import Dim
from discover_models.sources.sglang_models.layer_view import plain_value
from discover_models.sources.sglang_models.model_source import Record
from discover_models.sources.sglang_models.values import (
    Bound,
    Choice,
    FunctionValue,
    Opaque,
    Partial,
    Site,
    Tensor,
    Unknown,
    Value,
    raw,
    to_dim,
)

_GROUPS = ("num_expert_group", "topk_group")


@dataclass(frozen=True)
class Routing:
    """A routing's name, None where it is not decided."""

    name: str | None
    reason: str = ""
    """What is not known of it."""
    n_group: Dim | None = None
    topk_group: Dim | None = None
    bias: bool = False
    """A learnt bias takes part in choosing, in routings that run apart from the experts."""
    site: Site | None = None
    """Where the function is defined that chooses the experts."""


CUSTOM = "custom_routing"
"""A function of the model's own chooses the experts before their kernel runs."""


def routing_of(topk: Record | None, experts: Mapping[str, Value]) -> Routing:
    """The routing of one MoE layer whose experts were constructed with some arguments.

    Softmax with normalised top-k is ``renorm``; sigmoid with a correction bias is ``ds_routing``
    with groups (even one) and ``minimax2_routing`` without; the rest is named after FlashInfer's
    `RoutingMethodType`. What the constructors leave open is None with a reason.
    """
    declared = _declared(experts.get("routing_method_type"))
    if topk is None:
        return Routing(None, "no top-k layer was found beside the experts")
    if topk.cls == "HashTopK":
        return Routing("hash_routing")
    if topk.cls != "TopK":
        return Routing(None, f"{topk.cls} is a routing of its own")
    custom = topk.args.get("custom_routing_function")
    if custom is not None:
        return _custom(custom, declared, topk.args.get("top_k"))
    return _standard(topk, declared)


_NAMES = {
    "renormalize": "renorm",
    "renormalize_naive": "renorm",
    "deep_seek_v3": "ds_routing",
    "mini_max2": "minimax2_routing",
    "top_k": "topk_routing",
    "top_k_sigmoid": "topk_sigmoid_routing",
}
"""Members of `RoutingMethodType` in snake case that a definition's name calls otherwise."""


def _declared(value: Value) -> str:
    """What a `RoutingMethodType` is called in names of definitions; empty where none is given."""
    name = plain_value(value)
    if not isinstance(name, str) or name in ("Unspecified", "Default"):
        return ""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    return _NAMES.get(words, f"{words}_routing")


def _custom(custom: Value, declared: str, top_k: Value) -> Routing:
    """A function of the model's own: named as declared, else by what it calls in which order."""
    if declared:
        return Routing(declared)
    function = custom_function(custom)
    if function is None:
        return Routing(None, "a routing function that is not read decides it")
    calls = _calls(function)
    if calls[:2] == ["topk", "sigmoid"] and "softmax" not in calls and raw(top_k) == 1:
        return Routing("llama4_routing")
    why = f"the function {function.name} chooses the experts, and no definition is known for it"
    return Routing(CUSTOM, why, site=function.site)


def custom_function(value: Value) -> FunctionValue | None:
    """The function that a layer is given as its routing."""
    while isinstance(value, Bound | Partial):
        value = value.function
    return value if isinstance(value, FunctionValue) else None


def _calls(function: FunctionValue) -> list[str]:
    """The scoring and choosing steps of a routing function in order of appearance."""
    found: list[tuple[int, str]] = []
    for node in ast.walk(function.node):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func).lower()
            step = next((s for s in ("topk", "sigmoid", "softmax") if s in name), "")
            found.append((node.lineno, step))
    return [step for _, step in sorted(found) if step]


def _standard(topk: Record, declared: str) -> Routing:
    args = topk.args
    score, normalised = args.get("scoring_func", "softmax"), args.get("renormalize", True)
    open_values = [score, normalised, args.get("use_grouped_topk")]
    if any(isinstance(v, (Choice, Opaque, Unknown)) for v in open_values):
        return Routing(None, "how scores are computed or normalised is not decided")
    grouped = args.get("use_grouped_topk") is True and args.get("num_expert_group") is not None
    bias = args.get("correction_bias")
    biased = isinstance(bias, (Tensor, Opaque))
    if grouped and score == "softmax" and biased:
        score = "sigmoid"  # with a bias, SGLang's grouped top-k is sigmoid whatever it is told
    if score == "sigmoid":
        return _sigmoid(bias, grouped, bool(normalised), topk)
    grouped = grouped and to_dim(args.get("num_expert_group")).value != 1
    if score == "softmax" and isinstance(bias, (Choice, Unknown)):
        return Routing(None, "whether there is a correction bias is not decided")
    if score == "softmax" and not grouped and not biased:
        return Routing("renorm" if normalised else "default_routing")
    return _apart(str(score), bias, grouped, topk)


def _apart(score: str, bias: Value, grouped: bool, topk: Record) -> Routing:
    """A routing that the experts' kernel of FlashInfer does not know, so that it runs before it."""
    if isinstance(bias, (Choice, Unknown)):
        return Routing(None, "whether there is a correction bias is not decided")
    groups = [to_dim(topk.args.get(name)) if grouped else None for name in _GROUPS]
    return Routing(f"{score}_scores", "", groups[0], groups[1], bias is not None)


def _sigmoid(bias: Value, grouped: bool, normalised: bool, topk: Record) -> Routing:
    if isinstance(bias, (Choice, Unknown)):
        return Routing(None, "whether there is a correction bias is not decided")
    if bias is not None and grouped:
        groups = to_dim(topk.args.get("num_expert_group"))
        return Routing("ds_routing", "", groups, to_dim(topk.args.get("topk_group")))
    if isinstance(bias, (Tensor, Opaque)):
        return Routing("minimax2_routing")
    if grouped:
        return _apart("sigmoid", bias, grouped, topk)
    return Routing("sigmoid_renorm_routing" if normalised else "sigmoid_routing")
