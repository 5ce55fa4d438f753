"""The token mixer of one layer, from configuration fields."""

from dataclasses import dataclass

from discover_models.domain.architecture import (
    GdnAttention,
    GqaAttention,
    Indexer,
    MambaMixer,
    Mixer,
    MlaAttention,
    OtherMixer,
    Rope,
)
from discover_models.domain.dimension import Dim
from discover_models.reading.fields import Fields
from discover_models.reading.traits import QkNorm, Traits

LAYERS = ("num_hidden_layers", "n_layer", "num_layers", "n_layers")
HIDDEN = ("hidden_size", "n_embd", "d_model", "dim", "model_dim")
Q_HEADS = ("num_attention_heads", "n_head", "num_heads", "n_heads")
KV_HEADS = ("num_key_value_heads", "num_kv_heads", "n_head_kv", "multi_query_group_num",
            "n_kv_heads", "num_query_groups")  # fmt: skip
HEAD_DIM = ("head_dim", "attention_head_dim", "kv_channels", "attention_key_size")


@dataclass(frozen=True)
class MixerPlan:
    """What the layer lists say of one layer's mixer."""

    kind: str
    """``attention``, ``linear``, ``mamba``, or the word that the file uses."""
    sliding: bool = False
    chunked: bool = False
    rope: bool = True


def sizes_vary(fields: Fields) -> bool:
    """Whether a size of the attention is a list with one entry per layer."""
    return any(fields.items(*names) is not None for names in (Q_HEADS, KV_HEADS, HEAD_DIM))


def read_mixer(fields: Fields, traits: Traits | None, plan: MixerPlan, layer: int) -> Mixer:
    """The mixer of a layer."""
    if plan.kind == "mamba":
        return _mamba(fields)
    if plan.kind == "linear":
        return _linear(fields)
    if plan.kind != "attention":
        return OtherMixer(name=plan.kind, reason="no family maps this kind of layer yet")
    if fields.maybe_dim("kv_lora_rank"):
        return _mla(fields, traits, plan)
    if fields.find("compress_ratios", "o_lora_rank"):
        return OtherMixer(
            name="compressed sparse MLA", reason="no family maps attention with compress_ratios yet"
        )
    return _gqa(fields, traits, plan, layer)


def _gqa(fields: Fields, traits: Traits | None, plan: MixerPlan, layer: int) -> GqaAttention:
    q_heads = fields.layer_dim(layer, *Q_HEADS) or fields.dim(*Q_HEADS)
    head_dim = _head_dim(fields, q_heads, layer)
    rope, undecided = _rope(fields, traits, plan, head_dim)
    return GqaAttention(
        q_heads=q_heads,
        kv_heads=_kv_heads(fields, q_heads, layer),
        head_dim=head_dim,
        v_head_dim=fields.maybe_dim("v_head_dim") or head_dim,
        rope=rope,
        rope_undecided=undecided,
        qk_norm=_qk_norm(fields, traits, plan),
        output_gate=_output_gate(fields, traits),
        window=fields.dim("sliding_window") if plan.sliding else None,
        chunk=fields.dim("attention_chunk_size") if plan.chunked else None,
        sinks=bool(traits and traits.sinks),
        soft_cap=fields.find("attn_logit_softcapping") is not None,
    )


def _kv_heads(fields: Fields, q_heads: Dim, layer: int) -> Dim:
    """As many as query heads where the class is known and says no number."""
    found = fields.layer_dim(layer, *KV_HEADS)
    if found is not None:
        return found
    if fields.flag("multi_query"):
        return Dim(value=1, expression="1 (multi_query)")
    if fields.class_leaves_open(*KV_HEADS):
        return q_heads
    return fields.dim(*KV_HEADS)


def _head_dim(fields: Fields, q_heads: Dim, layer: int) -> Dim:
    """The explicit size, else the class's own rule hidden/heads where the class is known."""
    found = fields.layer_dim(layer, *HEAD_DIM)
    if found is not None:
        return found
    if fields.class_leaves_open(*HEAD_DIM):
        return fields.dim(*HIDDEN) // q_heads
    return fields.dim(*HEAD_DIM)


def _qk_norm(fields: Fields, traits: Traits | None, plan: MixerPlan) -> QkNorm:
    if traits is None:
        return "undecided"
    if traits.qk_norm_flag and not fields.flag(traits.qk_norm_flag):
        return "none"
    if traits.no_rope_without_norm and not plan.rope:
        return "none"
    return traits.qk_norm


def _output_gate(fields: Fields, traits: Traits | None) -> bool:
    said = fields.flag("attn_output_gate", "attention_output_gate")
    return said if said is not None else bool(traits and traits.output_gate)


def _rope(
    fields: Fields, traits: Traits | None, plan: MixerPlan, head_dim: Dim
) -> tuple[Rope | None, str]:
    if not plan.rope or (traits is not None and traits.rope == "none"):
        return None, ""
    if traits is None or traits.rope is None:
        return None, "nothing read so far says how this class rotates positions"
    style = "neox" if traits.rope == "neox" else "gptj"
    rotary_dim = _rotary_dim(fields, plan, head_dim)
    multimodal = _mentions_mrope(fields)
    return Rope(style=style, head_size=head_dim, rotary_dim=rotary_dim, multimodal=multimodal), ""


def _rope_section(fields: Fields, plan: MixerPlan) -> Fields | None:
    """`rope_parameters`, which may differ between sliding and full layers."""
    section = fields.inner("rope_parameters") or fields.inner("rope_scaling")
    if section is None:
        return None
    return section.inner("sliding_attention" if plan.sliding else "full_attention") or section


def _rotary_dim(fields: Fields, plan: MixerPlan, head_dim: Dim) -> Dim:
    explicit = fields.maybe_dim("rotary_dim", "rotary_ndims")
    if explicit is not None:
        return explicit
    section = _rope_section(fields, plan)
    factor = fields.find("partial_rotary_factor", "rotary_pct", "rope_pct", "rope_ratio_dim")
    if factor is None and section is not None:
        factor = section.find("partial_rotary_factor")
    if factor is None or not isinstance(factor.value, int | float) or factor.value == 1:
        return head_dim
    value = None if head_dim.value is None else int(head_dim.value * factor.value)
    return head_dim.model_copy(
        update={"value": value, "expression": f"{head_dim.expression} · {factor.field}"}
    )


def _mentions_mrope(fields: Fields) -> bool:
    section = fields.inner("rope_parameters") or fields.inner("rope_scaling")
    return section is not None and section.find("mrope_section") is not None


def _mla(fields: Fields, traits: Traits | None, plan: MixerPlan) -> MlaAttention:
    rope_dim = fields.dim("qk_rope_head_dim")
    interleave = fields.flag("rope_interleave")
    style = "neox" if interleave is False else traits.rope if traits else None
    rope = undecided = None
    if not fields.flag("mla_use_nope") and plan.rope:
        undecided = "" if style else "nothing read so far says how this class rotates positions"
        if style == "neox" or style == "gptj":
            rope = Rope(style=style, head_size=rope_dim, rotary_dim=rope_dim)
    return MlaAttention(
        heads=fields.dim(*Q_HEADS),
        q_lora_rank=fields.maybe_dim("q_lora_rank"),
        kv_lora_rank=fields.dim("kv_lora_rank"),
        qk_nope_head_dim=fields.dim("qk_nope_head_dim"),
        qk_rope_head_dim=rope_dim,
        v_head_dim=fields.dim("v_head_dim"),
        rope=rope,
        rope_undecided=undecided or "",
        indexer=_indexer(fields, rope_dim),
    )


def _indexer(fields: Fields, rope_dim: Dim) -> Indexer | None:
    """Sparse attention is decided by `index_topk`, not by the class having an indexer."""
    if fields.maybe_dim("index_topk") is None:
        return None
    interleave = bool(fields.flag("indexer_rope_interleave"))
    style = "gptj" if interleave else "neox"
    return Indexer(
        heads=fields.dim("index_n_heads"),
        head_dim=fields.dim("index_head_dim"),
        topk=fields.dim("index_topk"),
        rope=Rope(style=style, head_size=rope_dim, rotary_dim=rope_dim),
        fused_weights_proj=interleave,
    )


def _linear(fields: Fields) -> Mixer:
    if fields.find("linear_num_value_heads") is None:
        return OtherMixer(
            name="linear attention", reason="no family maps this linear attention yet"
        )
    return GdnAttention(
        k_heads=fields.dim("linear_num_key_heads"),
        v_heads=fields.dim("linear_num_value_heads"),
        k_head_dim=fields.dim("linear_key_head_dim"),
        v_head_dim=fields.dim("linear_value_head_dim"),
        conv_kernel=fields.dim("linear_conv_kernel_dim"),
    )


def _mamba(fields: Fields) -> Mixer:
    heads = fields.maybe_dim("mamba_num_heads", "mamba_n_heads")
    if heads is None and fields.find("mamba_dt_rank", "time_step_rank"):
        return OtherMixer(name="Mamba-1", reason="no family maps the Mamba-1 scan yet")
    return MambaMixer(
        heads=fields.dim("mamba_num_heads", "mamba_n_heads"),
        head_dim=fields.dim("mamba_head_dim", "mamba_d_head"),
        state_size=fields.dim("ssm_state_size", "mamba_d_state"),
        groups=fields.dim("n_groups", "mamba_n_groups"),
        conv_kernel=fields.dim("conv_kernel", "mamba_d_conv"),
    )
