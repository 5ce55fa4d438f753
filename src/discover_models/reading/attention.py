"""The token mixer of one layer, from configuration fields."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from discover_models.domain.architecture import (
    Dsv4Attention,
    GdnAttention,
    GqaAttention,
    Indexer,
    InfllmSelection,
    KdaAttention,
    LightningAttention,
    Mamba1Mixer,
    MambaMixer,
    Mixer,
    MlaAttention,
    MsaSelection,
    OtherMixer,
    Rope,
    ShortConvMixer,
)
from discover_models.domain.dimension import Dim
from discover_models.reading.fields import Fields, whole_part
from discover_models.reading.traits import QkNorm, Traits

LAYERS = ("num_hidden_layers", "n_layer", "num_layers", "n_layers")
HIDDEN = ("hidden_size", "n_embd", "d_model", "dim", "model_dim")
Q_HEADS = ("num_attention_heads", "n_head", "num_heads", "n_heads", "num_query_heads",
           "attention_heads")  # fmt: skip
KV_HEADS = ("num_key_value_heads", "num_kv_heads", "n_head_kv", "multi_query_group_num",
            "n_kv_heads", "kv_n_heads", "num_query_groups", "num_attention_groups")  # fmt: skip
HEAD_DIM = ("head_dim", "attention_head_dim", "kv_channels", "attention_key_size",
            "attention_head_size", "dim_head", "d_head")  # fmt: skip


@dataclass(frozen=True)
class _Shape:
    """Fields that hold a shape of their own for one kind of layer."""

    q_heads: tuple[str, ...]
    kv_heads: tuple[str, ...]
    head_dim: tuple[str, ...]
    v_head_dim: tuple[str, ...]


_OWN_SHAPES = {
    # Gemma 4: the common fields are those of the sliding layers (sglang
    # python/sglang/srt/utils/hf_transformers/config.py:115).
    False: _Shape((), ("num_global_key_value_heads",), ("global_head_dim",), ()),
    # MiMo-V2: the common fields are those of the full layers (sglang
    # python/sglang/srt/models/mimo_v2.py:883).
    True: _Shape(
        ("swa_num_attention_heads",),
        ("swa_num_key_value_heads",),
        ("swa_head_dim",),
        ("swa_v_head_dim",),
    ),
}
"""By whether the layer has a sliding window."""
_COMMON_SHAPE = _Shape((), (), (), ())


def _own_shape(fields: Fields, *, sliding: bool) -> _Shape:
    """The fields for one kind of layer, unless `per_layer_config` replaces them."""
    if "per_layer_config" in fields.values:
        return _COMMON_SHAPE
    shape = _OWN_SHAPES[sliding]
    if not sliding and fields.flag("attention_k_eq_v") is False:
        return replace(shape, kv_heads=())
    return shape


@dataclass(frozen=True)
class MixerPlan:
    """What the layer lists say of one layer's mixer."""

    kind: str
    """``attention``, ``linear``, ``mamba``, or the word that the file uses."""
    sliding: bool = False
    chunked: bool = False
    rope: bool = True
    reuses_topk: bool = False
    """Reads the tokens that an earlier layer's indexer picked."""
    beside: str = ""
    """The kind of a second mixer on the same input; empty where there is none."""
    reason: str = ""
    """Why nothing can be made of it; empty where something can."""


def read_mixer(fields: Fields, traits: Traits | None, plan: MixerPlan, layer: int) -> Mixer:
    """The mixer of a layer."""
    if plan.reason:
        return OtherMixer(name=plan.kind, reason=plan.reason)
    if plan.kind == "mamba":
        return _mamba(fields)
    if plan.kind in _RECURRENT:
        return _RECURRENT[plan.kind](fields, traits)
    if plan.kind != "attention":
        return OtherMixer(name=plan.kind, reason="no family maps this kind of layer yet")
    if fields.maybe_dim("kv_lora_rank"):
        return _mla(fields, traits, plan)
    if fields.find("compress_ratios") or fields.maybe_dim("o_lora_rank"):
        return _dsv4(fields, layer)
    return _gqa(fields, traits, plan, layer)


def _gqa(fields: Fields, traits: Traits | None, plan: MixerPlan, layer: int) -> GqaAttention:
    own = _own_shape(fields, sliding=plan.sliding)
    q_heads = (
        fields.maybe_dim(*own.q_heads) or fields.layer_dim(layer, *Q_HEADS) or fields.dim(*Q_HEADS)
    )
    own_head_dim = fields.maybe_dim(*own.head_dim)
    head_dim = own_head_dim or _head_dim(fields, q_heads, layer)
    v_names = own.v_head_dim if own_head_dim is not None else ("v_head_dim",)
    rope, undecided = _rope(fields, traits, plan, head_dim)
    if fields.flag("attn_use_rope") is False:
        rope, undecided = None, ""
    ignored = traits is not None and traits.ignores_window
    return GqaAttention(
        q_heads=q_heads,
        kv_heads=fields.maybe_dim(*own.kv_heads) or _kv_heads(fields, q_heads, layer),
        head_dim=head_dim,
        v_head_dim=_v_head_dim(fields, v_names) or head_dim,
        rope=rope,
        rope_undecided=undecided,
        qk_norm=_qk_norm(fields, traits, plan),
        output_gate=_output_gate(fields, traits),
        gate_apart=fields.flag("attn_use_output_gate") is not None,
        window=_window(fields, layer) if plan.sliding and not ignored else None,
        chunk=fields.dim("attention_chunk_size") if plan.chunked else None,
        sinks=_sinks(fields, traits, sliding=plan.sliding),
        soft_cap=fields.find("attn_logit_softcapping") is not None,
        k_is_v=not plan.sliding and bool(fields.flag("attention_k_eq_v")),
        msa=_msa(fields, layer),
        infllm=_infllm(fields),
    )


def _msa(fields: Fields, layer: int) -> MsaSelection | None:
    """`sparse_attention_config` says by layer where it holds.

    Source: sglang python/sglang/srt/models/minimax_m3.py (``sparse_attention_freq``).
    """
    section = fields.inner("sparse_attention_config")
    if section is None or section.flag("use_sparse_attention") is False:
        return None
    layers = section.items("sparse_attention_freq")
    if layers is not None and not (layer < len(layers) and layers[layer]):
        return None
    return MsaSelection(
        index_heads=section.dim("sparse_num_index_heads"),
        index_head_dim=section.dim("sparse_index_dim"),
        topk=section.dim("sparse_topk_blocks"),
        block_size=section.dim("sparse_block_size"),
    )


def _infllm(fields: Fields) -> InfllmSelection | None:
    """`sparse_config` of MiniCPM: the blocks of the window are read beside the chosen ones.

    Source: sglang python/sglang/srt/layers/attention/minicpm/backend.py (``sparse_topk``).
    """
    section = fields.inner("sparse_config")
    if section is None or section.find("kernel_stride") is None:
        return None
    block = section.dim("block_size")
    return InfllmSelection(
        topk=section.dim("topk") + section.dim("window_size") // block,
        block_size=block,
        kernel_size=section.dim("kernel_size"),
        kernel_stride=section.dim("kernel_stride"),
        dense_len=section.dim("dense_len"),
    )


def _window(fields: Fields, layer: int) -> Dim:
    """The window; a list of windows is repeated over the layers (Mistral)."""
    names = ("sliding_window", "sliding_window_size", "attention_window_size", "window_size")
    listed = fields.items(*names)
    place = layer % len(listed) if listed else layer
    return fields.layer_dim(place, *names) or fields.dim(*names)


def _sinks(fields: Fields, traits: Traits | None, *, sliding: bool) -> bool:
    said = fields.flag("add_swa_attention_sink_bias" if sliding else "add_full_attention_sink_bias")
    return said if said is not None else bool(traits and traits.sinks)


def _kv_heads(fields: Fields, q_heads: Dim, layer: int) -> Dim:
    """As many as query heads where the class is known and says no number."""
    block = fields.block(layer)
    section = block.inner("attention") if block is not None else None
    group_size = section.maybe_dim("n_heads_in_group") if section is not None else None
    if group_size is not None:
        return q_heads // group_size
    if fields.flag("multi_query") and not fields.flag("new_decoder_architecture"):
        return Dim(value=1, expression="1 (multi_query)")  # Falcon's num_kv_heads is unused then
    found = fields.layer_dim(layer, *KV_HEADS)
    if found is not None:
        return found
    if fields.class_leaves_open(*KV_HEADS):
        return q_heads
    return fields.dim(*KV_HEADS)


def _v_head_dim(fields: Fields, names: tuple[str, ...]) -> Dim | None:
    found = fields.maybe_dim(*names)
    return None if found is None or found.value == 0 else found


def _head_dim(fields: Fields, q_heads: Dim, layer: int) -> Dim:
    """The explicit size, else the class's own rule hidden/heads where the class is known."""
    found = fields.layer_dim(layer, *HEAD_DIM)
    if found is not None and found.value != 0:
        return found
    # DeepSeek-OCR has 0 in the fields of the latent attention that it doesn't use.
    if found is not None or fields.class_leaves_open(*HEAD_DIM):
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
    said = fields.flag("attn_output_gate", "attention_output_gate", "attn_use_output_gate")
    return said if said is not None else bool(traits and traits.output_gate)


def _rope(
    fields: Fields, traits: Traits | None, plan: MixerPlan, head_dim: Dim
) -> tuple[Rope | None, str]:
    if not plan.rope or (traits is not None and traits.rope == "none"):
        return None, ""
    only_sliding = traits is not None and traits.rope_only_sliding
    if only_sliding and not plan.sliding and fields.find("sliding_window"):
        return None, ""
    style = _style(fields, traits)
    if style is None:
        return None, "nothing read so far says how this class rotates positions"
    rotary_dim = _rotary_dim(fields, plan, head_dim)
    multimodal = _mentions_mrope(fields)
    return Rope(style=style, head_size=head_dim, rotary_dim=rotary_dim, multimodal=multimodal), ""


def _style(fields: Fields, traits: Traits | None) -> Literal["neox", "gptj"] | None:
    """How pairs are laid out; in SGLang `rope_is_neox_style` decides where it is given."""
    said = fields.flag("rope_is_neox_style")
    if said is not None:
        return "neox" if said else "gptj"
    return traits.rope if traits is not None and traits.rope != "none" else None


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
    if section is not None and section.text("rope_type") == "proportional":
        return head_dim  # the rest of the frequencies is zero (sglang .../rope_variant.py:940)
    factor = fields.find("partial_rotary_factor", "rotary_pct", "rope_pct", "rope_ratio_dim")
    if factor is None and section is not None:
        factor = section.find("partial_rotary_factor")
    if factor is None or not isinstance(factor.value, int | float) or factor.value == 1:
        return head_dim
    value = None if head_dim.value is None else whole_part(head_dim.value * factor.value)
    return head_dim.model_copy(
        update={"value": value, "expression": f"{head_dim.expression} · {factor.field}"}
    )


def _mentions_mrope(fields: Fields) -> bool:
    section = fields.inner("rope_parameters") or fields.inner("rope_scaling")
    return section is not None and section.find("mrope_section") is not None


def _mla(fields: Fields, traits: Traits | None, plan: MixerPlan) -> MlaAttention:
    rope_dim = fields.dim("qk_rope_head_dim")
    interleave = fields.flag("rope_interleave")
    style = "neox" if interleave is False else _style(fields, traits)
    rope = undecided = None
    if not fields.flag("mla_use_nope") and plan.rope:
        undecided = "" if style else "nothing read so far says how this class rotates positions"
        if style is not None:
            rope = Rope(style=style, head_size=rope_dim, rotary_dim=rope_dim)
    return MlaAttention(
        heads=fields.dim(*Q_HEADS),
        q_lora_rank=fields.maybe_dim("q_lora_rank"),
        fused_a_proj=traits.fused_a_proj if traits is not None else None,
        kv_lora_rank=fields.dim("kv_lora_rank"),
        qk_nope_head_dim=fields.dim("qk_nope_head_dim"),
        qk_rope_head_dim=rope_dim,
        v_head_dim=fields.dim("v_head_dim"),
        rope=rope,
        rope_undecided=undecided or "",
        indexer=_indexer(fields, plan, rope_dim),
        output_gate=bool(fields.flag("mla_use_output_gate")),
    )


def _dsv4(fields: Fields, layer: int) -> Dsv4Attention:
    """`compress_ratios` has one entry per layer; 0 leaves the window alone.

    Sources: sglang python/sglang/srt/models/deepseek_v4.py (an indexer beside ratio 4 only,
    ``is_neox_style=False``) and python/sglang/srt/layers/attention/dsv4/compressor.py.
    """
    rope_dim = fields.dim("qk_rope_head_dim")
    ratio = fields.layer_dim(layer, "compress_ratios")
    ratio = ratio if ratio is None or ratio.value else None
    indexer = None
    if ratio is not None and ratio.value == _INDEXED_RATIO:
        indexer = Indexer(
            heads=fields.dim("index_n_heads"),
            head_dim=fields.dim("index_head_dim"),
            topk=fields.dim("index_topk"),
            k_norm=None,  # the norm of its compressor stands for it
        )
    return Dsv4Attention(
        heads=fields.dim(*Q_HEADS),
        head_dim=fields.dim(*HEAD_DIM),
        rope=Rope(style="gptj", head_size=rope_dim, rotary_dim=rope_dim),
        window=fields.dim("sliding_window"),
        q_lora_rank=fields.dim("q_lora_rank"),
        o_groups=fields.dim("o_groups"),
        o_lora_rank=fields.dim("o_lora_rank"),
        compress_ratio=ratio,
        indexer=indexer,
    )


_INDEXED_RATIO = 4
"""Compressed so far, tokens are still too many to read all of them."""


def _indexer(fields: Fields, plan: MixerPlan, rope_dim: Dim) -> Indexer | None:
    """Sparse attention is decided by `index_topk`, not by the class having an indexer."""
    if fields.maybe_dim("index_topk") is None or plan.sliding:
        return None
    interleave = bool(fields.flag("indexer_rope_interleave"))
    style = "gptj" if interleave else "neox"
    return Indexer(
        heads=fields.dim("index_n_heads"),
        head_dim=fields.dim("index_head_dim"),
        topk=fields.dim("index_topk"),
        rope=Rope(style=style, head_size=rope_dim, rotary_dim=rope_dim),
        fused_weights_proj=interleave,
        reused=plan.reuses_topk,
        k_norm="rmsnorm" if fields.text("index_k_norm_type") == "rmsnorm" else "layernorm",
    )


def _linear(fields: Fields, traits: Traits | None) -> Mixer:
    """Linear attention in the words of `transformers`, which calls state-space layers so too."""
    if fields.find(*_STATE_SIZE):
        return _mamba(fields)
    if fields.find("linear_num_heads"):
        return _kda(fields, traits)
    if fields.find("linear_num_value_heads") is None:
        return OtherMixer(
            name="linear attention", reason="no family maps this linear attention yet"
        )
    if traits is None:
        return OtherMixer(
            name="gated delta rule",
            reason="nothing read so far says how this class projects its inputs",
        )
    return GdnAttention(
        k_heads=fields.dim("linear_num_key_heads"),
        v_heads=fields.dim("linear_num_value_heads"),
        k_head_dim=fields.dim("linear_key_head_dim"),
        v_head_dim=fields.dim("linear_value_head_dim"),
        conv_kernel=fields.dim("linear_conv_kernel_dim"),
        gate_activation=fields.text("output_gate_type") or "silu",
    )


def _kda(fields: Fields, traits: Traits | None) -> KdaAttention:
    """`linear_attn_config` of Kimi's models, or `transformers`' fields for them."""
    section = fields.inner("linear_attn_config") or fields
    heads = section.dim("num_heads", "linear_num_heads")
    head_dim = section.dim("head_dim", "linear_head_dim", "linear_key_head_dim")
    return KdaAttention(
        k_heads=heads,
        v_heads=heads,
        head_dim=head_dim,
        v_head_dim=(None if section is fields else section.maybe_dim("v_head_dim")) or head_dim,
        conv_kernel=section.dim("short_conv_kernel_size", "linear_conv_kernel_dim"),
        full_rank_gate=bool(section.flag("use_full_rank_gate")),
    )


def _lightning(fields: Fields, traits: Traits | None) -> LightningAttention:
    """Lightning attention; the fields for it alone win over those of the other layers.

    Source: sglang python/sglang/srt/models/minicpm.py (``MiniCPMLightningMixer``).
    """
    own = fields.maybe_dim("lightning_nh")
    heads = own or fields.dim(*Q_HEADS)
    head_dim = fields.maybe_dim("lightning_head_dim") or _head_dim(fields, heads, 0)
    rope, undecided = None, ""
    if traits is None and own is None:
        undecided = "nothing read so far says how this class rotates positions"
    elif fields.flag("lightning_use_rope") is not False:
        rope, undecided = _rope(fields, traits, MixerPlan("lightning"), head_dim)
    qk_norm, norm = fields.flag("qk_norm"), fields.flag("use_output_norm")
    return LightningAttention(
        heads=heads,
        kv_heads=fields.maybe_dim("lightning_nkv") or heads,
        head_dim=head_dim,
        rope=rope,
        rope_undecided=undecided,
        qk_norm="undecided" if qk_norm is None else "per_head" if qk_norm else "none",
        output_norm="undecided" if norm is None else "full" if norm else "none",
        output_gate=bool(fields.flag("use_output_gate")),
    )


def _short_conv(fields: Fields, traits: Traits | None) -> ShortConvMixer:
    """LFM2's convolution works on the hidden size (sglang .../models/lfm2.py)."""
    return ShortConvMixer(
        channels=fields.maybe_dim("conv_dim") or fields.dim(*HIDDEN),
        conv_kernel=fields.dim("conv_L_cache"),
    )


_STATE_SIZE = ("ssm_state_size", "mamba_d_state", "state_size")
_MAMBA_HEADS = ("mamba_num_heads", "mamba_n_heads")
_MAMBA_HEAD_DIM = ("mamba_head_dim", "mamba_d_head")
_MAMBA_GROUPS = ("mamba_n_groups", "mamba_ngroups", "n_groups")


def _mamba(fields: Fields) -> Mixer:
    if fields.find("mamba_dt_rank", "time_step_rank") and not fields.find(*_MAMBA_GROUPS):
        return _mamba1(fields)
    if fields.find("n_mamba_heads", "mamba_headdim"):  # Zamba 2
        heads, head_dim = ("n_mamba_heads",), ("mamba_headdim",)
    elif fields.find(*_MAMBA_HEADS):
        heads, head_dim = _MAMBA_HEADS, _MAMBA_HEAD_DIM
    else:  # Mamba 2 has no attention, so that the plain names are free
        heads, head_dim = ("num_heads",), ("head_dim",)
    return MambaMixer(
        heads=fields.dim(*heads),
        head_dim=_mamba_head_dim(fields, heads, head_dim),
        state_size=fields.dim(*_STATE_SIZE),
        groups=fields.dim(*_MAMBA_GROUPS),
        conv_kernel=fields.dim("conv_kernel", "mamba_d_conv"),
        gated_norm=fields.flag("mamba_rms_norm") is not False,
    )


def _mamba_head_dim(fields: Fields, heads: tuple[str, ...], names: tuple[str, ...]) -> Dim:
    """``auto`` stands for the width over the heads (sglang .../configs/falcon_h1.py:219)."""
    if fields.text(*names) != "auto":
        return fields.dim(*names)
    width = fields.maybe_dim("mamba_d_ssm") or fields.dim("mamba_expand") * fields.dim(*HIDDEN)
    return width // fields.dim(*heads)


def _mamba1(fields: Fields) -> Mamba1Mixer:
    """Mamba-1 expands the hidden size; `dt_rank` may be a word for a sixteenth of it.

    Under the plain names, of a model without attention, `intermediate_size` is the width itself
    (sglang python/sglang/srt/models/falcon_mamba.py); beside attention it is the MLP's.
    """
    hidden = fields.dim(*HIDDEN)
    factor = fields.maybe_dim("mamba_expand", "expand")
    sixteenth = (hidden + 15) // 16
    if fields.text("mamba_dt_rank", "time_step_rank") == "auto":
        rank = sixteenth
    else:
        rank = fields.dim("mamba_dt_rank", "time_step_rank")
    beside_attention = fields.maybe_dim("mamba_expand") is not None
    own = None if beside_attention else fields.maybe_dim("intermediate_size")
    return Mamba1Mixer(
        channels=own or (factor * hidden if factor is not None else fields.dim("mamba_expand")),
        state_size=fields.dim(*_STATE_SIZE),
        dt_rank=rank,
        conv_kernel=fields.dim("conv_kernel", "mamba_d_conv"),
    )


_RECURRENT: dict[str, Callable[[Fields, Traits | None], Mixer]] = {
    "linear": _linear,
    "Kimi delta attention": _kda,
    "lightning attention": _lightning,
    "short convolution": _short_conv,
}
"""By the word in `MixerPlan.kind`."""
