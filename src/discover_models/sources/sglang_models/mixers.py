"""The token mixer of a decoder layer, from its records."""

from __future__ import annotations

import ast
import re
from typing import Literal

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
from discover_models.domain.dimension import Dim, known
from discover_models.sources.sglang_models.layer_view import (
    LayerView,
    norm_size,
    parent_of,
    plain_value,
    short,
    size_of,
)
from discover_models.sources.sglang_models.model_source import Record
from discover_models.sources.sglang_models.operators import binary, to_int
from discover_models.sources.sglang_models.usage import is_used
from discover_models.sources.sglang_models.values import (
    Choice,
    Instance,
    Opaque,
    Tensor,
    Unknown,
    is_dict,
    raw,
    to_dim,
)

_RECURRENT = re.compile(r"Mamba\w*Mixer|MambaMixer\d?|ShortConv|Conv\w*Mixer")


def mixer_of(view: LayerView) -> tuple[Mixer | None, str]:
    """The mixer and the path of what holds it; None where the layer has none."""
    attention = view.of_kind("attention")
    linear = view.of_kind("linear_attention")
    recurrent = [r for r in view.of_kind("module") if _RECURRENT.search(r.cls)]
    places = list(dict.fromkeys(parent_of(r.name) for r in attention))
    if len(places) > 1 and not linear and not recurrent:
        mixers = [_at(view, attention, place) for place in places]
        if len({_sizes(mixer) for mixer in mixers}) == 1:  # LongCat: two equal ones per layer
            return mixers[0], parent_of(places[0])
    if len(places) + len(linear) + bool(recurrent) > 1:
        names = ", ".join(sorted({r.cls for r in (*attention, *linear, *recurrent)}))
        return OtherMixer(name=names, reason="several mixers in one layer"), ""
    if attention:
        return _at(view, attention, places[0]), places[0]
    if linear:
        return _linear_attention(view, linear[0]), parent_of(linear[0].name)
    if recurrent:
        return _recurrent(view, recurrent[0]), recurrent[0].name
    return None, ""


def _sizes(mixer: Mixer) -> str:
    """What makes two mixers equal, wherever they were constructed."""
    beside = {"rope": {"evidence"}, "indexer": {"rope": {"evidence"}}}
    return mixer.model_dump_json(exclude=beside)


def _at(view: LayerView, attention: tuple[Record, ...], place: str) -> Mixer:
    """The mixer of the attention layers at one place."""
    here = [r for r in attention if parent_of(r.name) == place]
    return _attention(view, here[0], len(here))


# --- softmax attention ------------------------------------------------------------------------


def _attention(view: LayerView, record: Record, count: int) -> Mixer:
    holder = view.holder(record)
    latent = view.number(holder, "kv_lora_rank")
    if latent is not None:
        return _mla(view, record, holder, latent)
    if count > 1:
        return _other(holder, record, "it has several attention layers")
    return _gqa(view, record, holder)


def _mla(view: LayerView, record: Record, holder: Instance | None, latent: Dim) -> Mixer:
    rope_dim = view.number(holder, "qk_rope_head_dim")
    nope = view.number(holder, "qk_nope_head_dim")
    value = view.number(holder, "v_head_dim")
    if rope_dim is None or nope is None or value is None:
        return _other(holder, record, "the sizes of its latent attention are not all known")
    place = parent_of(record.name)
    rope, undecided = rope_of(view, place)
    return MlaAttention(
        heads=view.number(holder, "num_heads") or to_dim(record.args["num_heads"]),
        q_lora_rank=view.number(holder, "q_lora_rank"),
        kv_lora_rank=latent,
        qk_nope_head_dim=nope,
        qk_rope_head_dim=rope_dim,
        v_head_dim=value,
        rope=rope,
        rope_undecided=undecided,
        indexer=_indexer(view, place, holder),
    )


def _indexer(view: LayerView, place: str, holder: Instance | None) -> Indexer | None:
    """The layer's own indexer, or that of another layer whose choice it reuses."""
    found = _own_indexer(view, place)
    if found is not None or holder is None or holder.attrs.get("use_dsa") is not True:
        return found
    others = (_own_indexer(LayerView(view.model, layer), place) for layer in view.model.layers)
    first = next((indexer for indexer in others if indexer is not None), None)
    return first and first.model_copy(update={"reused": True})


def _own_indexer(view: LayerView, place: str) -> Indexer | None:
    for record in view.under(place, "module"):
        parts = [view.number(record.instance, n) for n in ("n_heads", "head_dim", "index_topk")]
        heads, head_dim, topk = parts
        if heads is not None and head_dim is not None and topk is not None:
            return Indexer(
                heads=heads,
                head_dim=head_dim,
                topk=topk,
                rope=rope_of(view, record.name)[0],
                fused_weights_proj=_one_gemm_for(view, record.name, head_dim + heads),
            )
    return None


def _one_gemm_for(view: LayerView, place: str, width: Dim) -> bool:
    """Whether one linear layer at a place is as wide as two parts together."""
    return any(
        size_of(r)[0].value == width.value for r in view.under(place, "linear") if width.known
    )


def _gqa(view: LayerView, record: Record, holder: Instance | None) -> Mixer:
    args = record.args
    q, kv, d = (to_dim(args.get(n)) for n in ("num_heads", "num_kv_heads", "head_dim"))
    given = args.get("v_head_dim", -1)
    v = d if raw(given) == -1 else to_dim(given)
    place = parent_of(record.name)
    shape = _projections(view, place, q, kv, d, v)
    if isinstance(shape, str):
        return _other(holder, record, shape)
    rope, undecided = rope_of(view, place)
    return GqaAttention(
        q_heads=q,
        kv_heads=kv,
        head_dim=d,
        v_head_dim=v,
        rope=rope,
        rope_undecided=undecided,
        qk_norm=_qk_norm(view, place, q, d),
        output_gate="gate" in shape,
        window=_window(record),
        chunk=_chunk(view, record),
        sinks=any("sink" in short(r.name) for r in view.under(place, "parameter")),
        soft_cap=bool(plain_value(raw(args.get("logit_cap", 0.0)))),
        shares_kv="q" in shape,
        k_is_v="k_is_v" in shape,
    )


def _projections(
    view: LayerView, place: str, q: Dim, kv: Dim, d: Dim, v: Dim
) -> frozenset[str] | str:
    """How the projections that feed an attention layer are made; a reason where they don't fit."""
    if None in (q.value, kv.value, d.value, v.value):
        return frozenset()
    qn, kn, vn = _times(q, d), _times(kv, d), _times(kv, v)
    linears = [r for r in view.under(place, "linear") if _is_projection(view, place, r)]
    total = sum(size_of(r)[0].value or 0 for r in linears if not _is_output(r, _times(q, v)))
    shapes = {
        qn + kn + vn: frozenset[str](),
        2 * qn + kn + vn: frozenset({"gate"}),
        qn + kn + vn + _times(q, v): frozenset({"gate"}),
        qn + kn + vn + (q.value or 0): frozenset({"gate"}),
        qn: frozenset({"q"}),
        qn + kn: frozenset({"k_is_v"}),
    }
    sizes = [size_of(r) for r in linears]
    # Step 3 projects q down first, in one GEMM with K and V, and then up.
    low_rank = any(n.value == qn and total == qn + (k.value or 0) + kn + vn for n, k in sizes)
    if total in shapes or low_rank:
        return shapes.get(total, frozenset())
    return f"its projections ({', '.join(short(r.name) for r in linears)}) don't fit"


def _times(a: Dim, b: Dim) -> int:
    return (a.value or 0) * (b.value or 0)


def _is_projection(view: LayerView, place: str, record: Record) -> bool:
    """Whether a linear layer belongs to the attention itself when both stand in the layer."""
    if place:
        return True
    holders = {parent_of(record.name)}
    return holders == {""}


def _is_output(record: Record, width: int) -> bool:
    name = short(record.name)
    return size_of(record)[1].value == width and bool(re.match(r"o_|out|wo|dense|c_proj", name))


def _qk_norm(
    view: LayerView, place: str, q: Dim, d: Dim
) -> Literal["none", "per_head", "full", "layernorm", "undecided"]:
    norms = [
        r
        for r in view.under(place, "norm")
        if parent_of(r.name) == place and re.search("q_|k_|qk|query|key", short(r.name))
    ]
    sizes = {norm_size(r).value for r in norms}
    if not sizes:
        return "none"
    if any(re.search(r"(?<!RMS)LayerNorm", r.cls) for r in norms):
        return "layernorm"
    if d.value in sizes:
        return "per_head"
    return "full" if _times(q, d) in sizes else "undecided"


def _window(record: Record) -> Dim | None:
    """The configuration's window; SGLang passes it on less one where its own is exclusive."""
    value = record.args.get("sliding_window_size", -1)
    dim = to_dim(value)
    if isinstance(value, (Choice, Unknown, Opaque)):
        return dim
    if value is None or isinstance(value, bool) or (dim.value is not None and dim.value <= 0):
        return None
    origin = dim.origins[0] if len(dim.origins) == 1 else None
    if origin is not None and isinstance(origin.value, int) and not isinstance(origin.value, bool):
        return known(origin.value, origin.field, origin.source)
    return dim if dim.known else None


def _chunk(view: LayerView, record: Record) -> Dim | None:
    """Chunked attention is asked for by `use_irope`; the configuration has the length."""
    if record.args.get("use_irope") is not True:
        return None
    config = view.model.config
    for holder in (config.text or config, config):
        value = holder.find("attention_chunk_size")
        if isinstance(value, Dim):
            return value
    return None


def rope_of(view: LayerView, place: str) -> tuple[Rope | None, str]:
    """The rotary embedding that stands beside an attention layer, or why that is not decided."""
    records = [r for r in view.under(place, "rope") if parent_of(r.name) == place]
    holder = view.at(place)
    records = [r for r in records if holder is None or is_used(holder.instance, short(r.name))]
    if not records:
        return None, ""
    if len(records) > 1 or records[0].conditions:
        return None, "several rotary embeddings: " + "; ".join(
            str(c) for r in records for c in r.conditions
        )
    args = records[0].args
    neox = args.get("is_neox_style", True)
    style = ("neox" if neox else "gptj") if isinstance(neox, bool) else None
    rotary = args.get("rotary_dim")
    factor = args.get("partial_rotary_factor", 1.0)
    # The proportional kind keeps all dimensions and zeroes the rest of the frequencies
    # (sglang python/sglang/srt/layers/rotary_embedding/rope_variant.py:940).
    partial = _rope_type(args.get("rope_scaling")) != "proportional"
    if partial and isinstance(raw(factor), float) and raw(factor) < 1.0:
        rotary = to_int(binary(ast.Mult(), rotary, factor))
    return Rope(
        style=style,
        head_size=to_dim(args.get("head_size")),
        rotary_dim=to_dim(rotary),
        multimodal=_has_sections(args.get("rope_scaling")),
        evidence=(view.model.evidence(records[0]),),
    ), ""


def _rope_type(scaling: object) -> object:
    return scaling.get("rope_type") if is_dict(scaling) else None


def _has_sections(scaling: object) -> bool:
    if isinstance(scaling, Choice):
        return any(_has_sections(option) for _, option in scaling.options)
    return is_dict(scaling) and "mrope_section" in scaling


# --- recurrent mixers -------------------------------------------------------------------------


def _linear_attention(view: LayerView, record: Record) -> Mixer:
    """Gated DeltaNet where the decay is one number per head; other kinds are not mapped yet."""
    args = record.args
    decay = args.get("dt_bias")
    heads = to_dim(args.get("num_v_heads"))
    place = parent_of(record.name)
    holder = view.holder(record)
    if not isinstance(decay, Tensor):
        return _other(holder, record, "linear attention without a learnt decay bias")
    width = to_dim(decay.shape[0]).value if decay.shape else None
    if heads.value is None or width is None:
        return _other(holder, record, "the sizes of its linear attention are not known")
    if width != heads.value:
        return _other(holder, record, "linear attention with a decay per channel (KDA)")
    conv = next(iter(view.under(place, "conv1d")), None)
    return GdnAttention(
        k_heads=to_dim(args.get("num_k_heads")),
        v_heads=heads,
        k_head_dim=to_dim(args.get("head_k_dim")),
        v_head_dim=to_dim(args.get("head_v_dim")),
        conv_kernel=size_of(conv)[1] if conv else to_dim(None),
    )


def _recurrent(view: LayerView, record: Record) -> Mixer:
    holder: Instance = record.instance
    numbers = [
        view.number(holder, name)
        for name in ("num_heads", "head_dim", "ssm_state_size", "n_groups")
    ]
    heads, head_dim, state, groups = numbers
    conv = next(iter(view.under(record.name, "conv1d")), None)
    if heads is None or head_dim is None or state is None or groups is None or conv is None:
        return OtherMixer(name=record.cls, reason="no state-space sizes of Mamba-2's kind")
    return MambaMixer(
        heads=heads,
        head_dim=head_dim,
        state_size=state,
        groups=groups,
        conv_kernel=size_of(conv)[1],
    )


def _other(holder: Instance | None, record: Record, reason: str) -> OtherMixer:
    return OtherMixer(name=holder.name if holder else record.cls, reason=reason)
