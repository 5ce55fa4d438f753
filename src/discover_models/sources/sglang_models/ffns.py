"""The feed-forward part of a decoder layer, from its records."""

from __future__ import annotations

import re
from dataclasses import dataclass

from discover_models.domain.architecture import DenseMlp, Ffn, Moe, OtherFfn
from discover_models.domain.dimension import Dim, unknown
from discover_models.sources.sglang_models.activations import activation_of
from discover_models.sources.sglang_models.layer_view import (
    LayerView,
    parent_of,
    plain_value,
    size_of,
)
from discover_models.sources.sglang_models.mixers import mixers_of
from discover_models.sources.sglang_models.model_source import Record
from discover_models.sources.sglang_models.routing import Routing, routing_of
from discover_models.sources.sglang_models.values import Instance, Tensor, to_dim


def ffn_of(view: LayerView, hidden: Dim) -> tuple[Ffn | None, Routing | None]:
    """The feed-forward part and, for a mixture of experts, its routing."""
    mixers = mixers_of(view)
    experts = view.of_kind("experts")
    if experts:
        return _moe(view, experts[0], hidden)
    listed = [r for r in view.of_kind("linear") if LISTED_EXPERT.search(r.name)]
    if listed:
        return _listed_moe(view, listed, hidden)
    linears = [r for r in view.of_kind("linear") if not any(m.holds(r) for m in mixers)]
    linears = [r for r in linears if parent_of(r.name)]
    if not linears:
        return None, None
    return _dense(view, linears, hidden), None


def _dense(view: LayerView, linears: list[Record], hidden: Dim) -> Ffn:
    mlp = _mlp(linears, hidden)
    if mlp is None:
        names = ", ".join(r.name for r in linears)
        return OtherFfn(
            name=parent_of(linears[0].name), reason=f"{names} are no gated or plain MLP"
        )
    activation = activation_of(view, mlp.place)
    return DenseMlp(intermediate=mlp.width, gated=mlp.gated, activation=activation)


@dataclass(frozen=True)
class _Mlp:
    """Up and down projections of one block."""

    width: Dim
    gated: bool
    """Whether a gate runs beside up."""
    place: str


def _mlp(linears: list[Record], hidden: Dim) -> _Mlp | None:
    """The first block among linear layers that is an MLP."""
    for down in linears:
        n, width = size_of(down)
        if n.value is None or n.value != hidden.value or width.value is None:
            continue
        home = parent_of(down.name)
        ups = [r for r in linears if r is not down and parent_of(r.name) == home]
        ups = [r for r in ups if size_of(r)[1].value == hidden.value]
        total = sum(size_of(r)[0].value or 0 for r in ups)
        if total in (width.value, 2 * width.value) and ups:
            return _Mlp(width, total == 2 * width.value, home)
    return None


LISTED_EXPERT = re.compile(r"(?:^|\.)experts\.\d+\.")
"""A layer of one of many experts that a class constructs one by one; they run as one kernel."""


def _listed_moe(view: LayerView, listed: list[Record], hidden: Dim) -> tuple[Ffn, Routing | None]:
    """Experts in a list, each an MLP of its own."""
    places = list(dict.fromkeys(parent_of(r.name) for r in listed))
    mlp = _mlp([r for r in listed if parent_of(r.name) == places[0]], hidden)
    if mlp is None:
        return OtherFfn(name="experts", reason=f"{places[0]} is no gated or plain MLP"), None
    box = parent_of(places[0])
    home = parent_of(box)
    topk = _topk(view, home)
    routing = routing_of(topk, {})
    block = view.at(home)
    holder = block.instance if block is not None and isinstance(block.instance, Instance) else None
    kept = (view.number(holder, name) for name in ("n_routed_experts", "num_experts"))
    count = next((n for n in kept if n is not None and n.value == len(places)), None)
    top_k = to_dim(topk.args.get("top_k")) if topk is not None else view.number(holder, "top_k")
    shared, beside = _shared(view, home, hidden), _beside(view, home, hidden)
    return Moe(
        experts=count or Dim(value=len(places), expression="experts built"),
        top_k=top_k or unknown("top_k"),
        intermediate=mlp.width,
        routing=routing.name,
        n_group=routing.n_group,
        topk_group=routing.topk_group,
        gated=mlp.gated,
        shared_intermediate=shared.width if shared else None,
        dense_beside=beside.width if beside else None,
        activation=_activation(view, mlp, shared, beside) or "silu",
    ), routing


def _topk(view: LayerView, home: str) -> Record | None:
    return next(iter(view.under(home, "topk")), None) or next(
        (r for r in view.under(home, "module") if r.cls.endswith("TopK")), None
    )


def _moe(view: LayerView, experts: Record, hidden: Dim) -> tuple[Ffn, Routing]:
    home = parent_of(experts.name)
    args = experts.args
    topk = _topk(view, home)
    routing = routing_of(topk, args)
    shared, beside = _shared(view, home, hidden), _beside(view, home, hidden)
    width = to_dim(args.get("hidden_size"))
    return Moe(
        experts=to_dim(args.get("num_experts")),
        top_k=to_dim((topk.args if topk and "top_k" in topk.args else args).get("top_k")),
        intermediate=to_dim(args.get("intermediate_size")),
        routing=routing.name,
        n_group=routing.n_group,
        topk_group=routing.topk_group,
        routing_bias=routing.bias,
        choices=_choices(topk, to_dim(args.get("num_experts"))),
        gated=plain_value(args.get("is_gated", True)) is not False,
        shared_intermediate=shared.width if shared else None,
        shared_gate=any(size_of(r)[0].value == 1 for r in view.under(home, "linear")),
        latent=width if width.known and width.value != hidden.value else None,
        dense_beside=beside.width if beside else None,
        activation=_activation(view, shared, beside)
        or str(plain_value(args.get("activation")) or "silu"),
    ), routing


def _choices(topk: Record | None, experts: Dim) -> Dim | None:
    """The length of the bias that takes part in choosing, where it is longer than the experts."""
    bias = topk.args.get("correction_bias") if topk is not None else None
    if not isinstance(bias, Tensor) or len(bias.shape) != 1:
        return None
    length = to_dim(bias.shape[0])
    return length if (length.value or 0) > (experts.value or 0) > 0 else None


def _activation(view: LayerView, *mlps: _Mlp | None) -> str:
    """What MLPs of one layer apply; empty where one does not show it or they differ."""
    found = {activation_of(view, mlp.place) for mlp in mlps if mlp is not None}
    return found.pop() if len(found) == 1 else ""


def _shared(view: LayerView, home: str, hidden: Dim) -> _Mlp | None:
    """The shared expert is an MLP in the same block as the routed ones."""
    linears = [
        r
        for r in view.under(home, "linear")
        if parent_of(r.name) != home and not LISTED_EXPERT.search(r.name)
    ]
    return _mlp(linears, hidden)


def _beside(view: LayerView, home: str, hidden: Dim) -> _Mlp | None:
    """A dense MLP outside the block of experts."""
    if not home:
        return None
    mixers = mixers_of(view)
    outside = [
        r
        for r in view.of_kind("linear")
        if not r.name.startswith(f"{home}.")
        and parent_of(r.name)
        and not any(m.holds(r) for m in mixers)
    ]
    return _mlp(outside, hidden)
