"""Choosing experts apart from the experts' kernel, where that kernel knows no such routing."""

from collections.abc import Iterator

from discover_models.domain.architecture import Architecture, LayerGroup, Moe, Unmapped
from discover_models.domain.dimension import Dim
from discover_models.domain.kernel import Parallelism
from discover_models.ops.base import KernelSpec, Need

HASH_TOPK = KernelSpec(
    key="hash_topk",
    op_type="moe_routing",
    title="experts by a hash of the token",
    asked_as=("hash_topk", "MoE routing by a hash of the token (hash top-k)"),
    apis=("flashinfer.fused_moe.hash_topk",),
    sglang=("HashTopK",),
)
_SCORES = ("softmax", "sigmoid", "sqrtsoftplus")
TOPK = {
    score: KernelSpec(
        key=f"topk_{score}",
        op_type="moe_routing",
        title=f"top-k of {score} scores",
        asked_as=(f"topk_{score}", f"MoE routing by the top-k of {score} scores"),
        sought=(f"topk_{score}", f"{score}_topk"),
        sglang=("biased_topk_impl",) if score == "sqrtsoftplus" else (),
        # The experts' kernels know softmax and sigmoid; nobody read whether those can stand alone.
        read_at="0.7.2" if score == "sqrtsoftplus" else "",
    )
    for score in _SCORES
}


class MoeRoutingFamily:
    """``hash_topk_e{}_k{}_v{}`` and ``topk_{score}[_bias]_e{}_k{}``.

    The first is named as in flashinfer/trace/templates/moe.py. Routings that the experts' kernel
    runs itself have no definition of their own.
    """

    op_type = "moe_routing"
    specs = (HASH_TOPK, *TOPK.values())

    def needs(
        self, architecture: Architecture, parallelism: Parallelism
    ) -> Iterator[Need | Unmapped]:
        for group in architecture.groups:
            if isinstance(group.ffn, Moe):
                need = _need(group, group.ffn, architecture.vocab_size)
                if need is not None:
                    yield need


def _need(group: LayerGroup, moe: Moe, vocab: Dim) -> Need | None:
    axes = {"num_experts": moe.choices or moe.experts, "topk": moe.top_k}
    if moe.routing == "hash_routing":
        return Need(
            spec=HASH_TOPK,
            name="hash_topk_e{num_experts}_k{topk}_v{vocab}",
            axes={**axes, "vocab": vocab},
            used_for="choice of experts",
            layers=group.layers,
        )
    spec = TOPK.get(score_of(moe.routing))
    if spec is None:
        return None
    name, grouped = spec.key + ("_bias" if moe.routing_bias else ""), dict[str, Dim]()
    if moe.n_group is not None and moe.topk_group is not None:
        grouped = {"n_group": moe.n_group, "topk_group": moe.topk_group}
    return Need(
        spec=spec,
        name=f"{name}_e{{num_experts}}_k{{topk}}" + ("_ng{n_group}_kg{topk_group}" * bool(grouped)),
        axes={**axes, **grouped},
        used_for="choice of experts",
        layers=group.layers,
    )


def score_of(routing: str | None) -> str:
    """The score function of a routing that runs apart; empty for any other."""
    apart = routing is not None and routing.endswith("_scores")
    return routing.removesuffix("_scores") if routing is not None and apart else ""
