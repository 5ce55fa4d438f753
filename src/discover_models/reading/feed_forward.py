"""The feed-forward part of one layer, from configuration fields."""

from discover_models.domain.architecture import DenseMlp, Ffn, Moe, OtherFfn
from discover_models.domain.dimension import Dim, Origin, unknown
from discover_models.reading.attention import HIDDEN
from discover_models.reading.fields import Fields, whole_part
from discover_models.reading.layers import EXPERTS
from discover_models.reading.traits import Traits

INTERMEDIATE = ("intermediate_size", "ffn_dim", "n_inner", "ffn_hidden_size", "d_ff",
                "decoder_ffn_dim", "dim_ff", "dff")  # fmt: skip
EXPERT_WIDTH = ("moe_intermediate_size", "expert_intermediate_size", "moe_ffn_hidden_size",
                "expert_ffn_hidden_size", "expert_hidden_dim")  # fmt: skip
TOP_K = ("num_experts_per_tok", "moe_top_k", "moe_k", "top_k_experts", "num_experts_per_token",
         "moe_topk")  # fmt: skip


def read_ffn(
    fields: Fields, traits: Traits | None, kind: str, quantization: str, layer: int
) -> Ffn | None:
    """The feed-forward part; None for a layer that has none."""
    if kind == "dense" and fields.flag("block_auto_adjust_ff_dim"):
        return OtherFfn(
            name="dense MLP",
            reason="its width is adjusted in the class (block_auto_adjust_ff_dim)",
        )
    if kind == "unknown":
        return OtherFfn(
            name="MLP or mixture of experts",
            reason="which layers have experts is computed by the configuration class",
        )
    block = fields.block(layer)
    section = block.inner("ffn") if block is not None else None
    if kind == "dense" and section is not None:
        return _block_mlp(section, fields, traits, layer)
    if kind == "dense":
        return _dense(_dense_width(fields, traits, layer), fields, traits, layer)
    if kind == "moe" and fields.number("zero_expert_num"):
        return OtherFfn(
            name="mixture of experts with zero experts",
            reason="no family maps experts without weights yet (zero_expert_num)",
        )
    return _moe(fields, traits, quantization, layer) if kind == "moe" else None


def _dense(width: Dim, fields: Fields, traits: Traits | None, layer: int) -> DenseMlp:
    return DenseMlp(
        intermediate=width,
        gated=_gated(traits),
        activation=_activation(fields) or (traits.activation if traits is not None else ""),
        activation_limit=_limited(fields, layer),
    )


def _limited(fields: Fields, layer: int) -> bool:
    """`swiglu_limit` clamps gate and up before the activation; 0 leaves them alone.

    `swiglu_limits_shared` has a limit for each layer, of MLPs and shared experts
    (sglang python/sglang/srt/models/step3p5.py).
    """
    by_layer = fields.items("swiglu_limits_shared")
    if by_layer is not None:
        return layer < len(by_layer) and bool(by_layer[layer])
    return bool(fields.number("swiglu_limit"))


def _block_mlp(section: Fields, fields: Fields, traits: Traits | None, layer: int) -> Ffn:
    """The MLP of one entry of `block_configs`; its width is given, or as a multiple of hidden.

    The rounding is that of sglang python/sglang/srt/models/nemotron_nas.py:53.
    """
    if section.flag("replace_with_linear"):
        return OtherFfn(
            name="linear layer in place of an MLP", reason="no family maps this kind of layer yet"
        )
    width = section.maybe_dim("intermediate_size")
    hidden = fields.dim(*HIDDEN)
    multiple = section.number("ffn_mult")
    if width is None and multiple is not None and hidden.value is not None:
        whole = whole_part(2 * multiple * hidden.value / 3)
        origin = Origin(field=f"{section.path}ffn_mult", value=multiple, source=section.file)
        width = Dim(
            value=None if whole is None else -(-whole // 256) * 256,
            expression=f"2/3 · ffn_mult · {hidden.expression}, as a multiple of 256",
            origins=(*hidden.origins, origin),
        )
    missing = unknown(f"{section.path}intermediate_size or {section.path}ffn_mult")
    return _dense(width or missing, fields, traits, layer)


def _dense_width(fields: Fields, traits: Traits | None, layer: int) -> Dim:
    """Where the experts took `intermediate_size`, the dense layers have a field of their own."""
    own = fields.maybe_dim(
        "dense_intermediate_size", "intermediate_size_mlp", "prefix_dense_intermediate_size"
    )
    found = own or fields.layer_dim(layer, *INTERMEDIATE)
    if found is None and traits is not None and traits.width_factor:
        return traits.width_factor * fields.dim(*HIDDEN)
    return found or fields.dim(*INTERMEDIATE)


def _gated(traits: Traits | None) -> bool | None:
    """No field says it: the same activation stands in gated and in plain MLPs."""
    return traits.gated if traits is not None else None


def _activation(fields: Fields) -> str | None:
    return fields.text("mlp_hidden_act", "hidden_act", "hidden_activation", "activation_function")


def _moe(fields: Fields, traits: Traits | None, quantization: str, layer: int) -> Moe:
    width = _expert_width(fields, traits)
    hashed = fields.maybe_dim("num_hash_layers")
    by_hash = hashed is not None and layer < (hashed.value or 0)
    latent = fields.maybe_dim("moe_latent_size", "routed_expert_hidden_size")
    return Moe(
        experts=fields.dim(*EXPERTS),
        top_k=fields.dim(*TOP_K),
        intermediate=width,
        routing="hash_routing" if by_hash else _routing(fields, traits),
        routing_bias=fields.text("topk_method") == "noaux_tc",
        n_group=fields.maybe_dim("n_group", "num_expert_group"),
        topk_group=fields.maybe_dim("topk_group"),
        gated=_gated(traits),
        shared_intermediate=_shared_width(fields, traits, width),
        shared_gate=bool(traits and traits.shared_gate),
        latent=latent,
        latent_norm=latent is not None and bool(fields.flag("latent_moe_use_norm")),
        merged_front=latent is not None and bool(traits and traits.merged_moe_front),
        activation=_activation(fields) or "silu",
        activation_limit=_limited(fields, layer),
        quantization=quantization,
    )


def _expert_width(fields: Fields, traits: Traits | None) -> Dim:
    """`intermediate_size` is the expert width in some classes and unused in others."""
    if traits is not None:
        return fields.dim(traits.expert_width)
    return fields.dim(*EXPERT_WIDTH)


def _shared_width(fields: Fields, traits: Traits | None, expert_width: Dim) -> Dim | None:
    """All shared experts together; an explicit 0 means none."""
    explicit = fields.maybe_dim(
        "shared_expert_intermediate_size",
        "moe_shared_expert_intermediate_size",
        "shared_intermediate_size",
        "share_expert_dim",
    )
    if explicit is not None:
        return explicit if explicit.value else None
    count = fields.maybe_dim("n_shared_experts", "num_shared_experts", "moe_num_shared_experts")
    if count is not None:
        return (expert_width if count.value == 1 else count * expert_width) if count.value else None
    return expert_width if traits is not None and traits.always_shared else None


def _routing(fields: Fields, traits: Traits | None) -> str | None:
    """How tokens choose experts, in FlashInfer's words; None where nothing decides it.

    The names are those of FlashInfer's `RoutingMethodType` (flashinfer/tllm_enums.py), with the
    dataset's ``renorm`` and ``ds_routing`` for its two.
    """
    if traits is not None and traits.routing is not None:
        return traits.routing
    scores = fields.text("scoring_func", "moe_router_activation_func", "score_function")
    groups = fields.maybe_dim("n_group", "num_expert_group")
    method = fields.text("topk_method") or scores
    if scores not in (None, "sigmoid", "softmax", "noaux_tc"):
        return f"{scores}_scores"
    if scores == "sigmoid" or method == "noaux_tc":
        return _sigmoid_routing(fields, grouped=groups is not None)
    if method == "group_limited_greedy" and groups is not None and groups.value != 1:
        return None  # FlashInfer has softmax scores without groups only
    if scores == "softmax" or (scores is None and traits is not None and traits.softmax_scores):
        normalised = fields.flag("norm_topk_prob", "moe_renormalize")
        if normalised is None and traits is not None:
            normalised = traits.default_norm_topk
        return None if normalised is None else "renorm" if normalised else "default_routing"
    return None


def _sigmoid_routing(fields: Fields, *, grouped: bool) -> str | None:
    biased = "noaux_tc" in (fields.text("topk_method"), fields.text("scoring_func"))
    biased = biased or bool(fields.flag("use_routing_bias"))
    if grouped:
        return "ds_routing"
    return "minimax2_routing" if biased else None
