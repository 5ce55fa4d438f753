"""The token mixer of a decoder layer, from its records."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from discover_models.domain.architecture import (
    GdnAttention,
    GqaAttention,
    Indexer,
    KdaAttention,
    LightningAttention,
    Mamba1Mixer,
    MambaMixer,
    Mixer,
    MlaAttention,
    OtherMixer,
    Rope,
    ShortConvMixer,
)
from discover_models.domain.dimension import Dim, known
from discover_models.sources.sglang_models.config_value import ConfigValue
from discover_models.sources.sglang_models.layer_view import (
    LayerView,
    arguments_of,
    is_gated,
    norm_size,
    parent_of,
    plain_value,
    short,
    size_of,
)
from discover_models.sources.sglang_models.model_source import Record
from discover_models.sources.sglang_models.operators import binary, to_int
from discover_models.sources.sglang_models.usage import is_called, is_used
from discover_models.sources.sglang_models.values import (
    Choice,
    ClassValue,
    Instance,
    Opaque,
    Tensor,
    Unknown,
    is_dict,
    raw,
    to_dim,
)

_RECURRENT = re.compile(r"Mamba\w*Mixer|MambaMixer\d?|ShortConv|Conv\w*Mixer")
_GATE_FUNCTION = re.compile("softplus|sigmoid|silu")
_LINEAR = re.compile(r"Lightning|LinearAttention")
"""Holders of an attention layer that the linear attention backend runs: which backend it is, SGLang
decides by the model's configuration class and not in the layer."""


@dataclass(frozen=True)
class Placed:
    """A mixer and the path of what holds it; an empty path is the layer itself."""

    mixer: Mixer
    place: str

    def holds(self, record: Record) -> bool:
        """Whether a layer stands in what holds the mixer."""
        if self.place:
            return record.name.startswith(f"{self.place}.")
        return not parent_of(record.name)

    def runs_gated(self, norm: Record) -> bool:
        """Whether a norm with a gate is the mixer's own, so that the mixer's kernels cover it."""
        if not self.holds(norm):
            return False
        size = norm_size(norm).value
        match self.mixer:
            case GdnAttention() | KdaAttention() as delta:
                return size == delta.v_head_dim.value
            case LightningAttention(output_norm="gated_group") as lightning:
                return size == _times(lightning.heads, lightning.head_dim)
            case mixer:
                return isinstance(mixer, MambaMixer)


def mixers_of(view: LayerView) -> tuple[Placed, ...]:
    """The mixers of the layer: none, one, or two that run beside each other."""
    attention = tuple(_looped(view.of_kind("attention")))
    linear = view.of_kind("linear_attention")
    recurrent = [r for r in view.of_kind("module") if _RECURRENT.search(r.cls)]
    places = list(dict.fromkeys(parent_of(r.name) for r in attention))
    if len(places) > 1 and not linear and not recurrent:
        mixers = [_at(view, attention, place) for place in places]
        if len({_sizes(mixer) for mixer in mixers}) == 1:  # LongCat: two equal ones per layer
            return (Placed(mixers[0], parent_of(places[0])),)
    found = [Placed(_at(view, attention, place), place) for place in places]
    found += [Placed(_linear_attention(view, r), parent_of(r.name)) for r in linear]
    found += [Placed(_recurrent(view, r), r.name) for r in recurrent[:1]]
    beside = (*linear, *recurrent)
    known = not any(isinstance(placed.mixer, OtherMixer) for placed in found)
    if len(found) > 1 and not (known and _run_together(attention, beside)):
        names = ", ".join(sorted({r.cls for r in (*attention, *beside)}))
        return (Placed(OtherMixer(name=names, reason="several mixers in one layer"), ""),)
    return tuple(found)


def _looped(attention: tuple[Record, ...]) -> Iterator[Record]:
    """Equal entries of one list as one, in the list's place: each has a cache for one more loop."""
    lists: dict[str, list[Record]] = {}
    for record in attention:
        listed = short(record.name).isdigit()
        lists.setdefault(parent_of(record.name) if listed else record.name, []).append(record)
    for name, records in lists.items():
        equal = len({arguments_of(record) for record in records}) == 1
        yield from [replace(records[0], name=name)] if equal else records


def _run_together(attention: tuple[Record, ...], beside: tuple[Record, ...]) -> bool:
    """Whether a layer has one attention and one recurrent mixer, and no test picks one of them."""
    alone = len(attention) == len(beside) == 1
    return alone and not any(record.conditions for record in (*attention, *beside))


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
    if holder is not None and holder.cls and _LINEAR.search(holder.name):
        return _lightning(view, record)
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
        output_gate=_gate_of(view, place, to_dim(record.args["num_heads"]) * value) is not None,
    )


def _gate_of(view: LayerView, place: str, width: Dim) -> Record | None:
    """The linear layer of an output gate: as wide as the output, and named for it."""
    for record in view.under(place, "linear"):
        named = re.search(r"(^|_)(g|z|gate)(_|$)", short(record.name))
        if parent_of(record.name) == place and named and size_of(record)[0].value == width.value:
            return record
    return None


def _gate_function(holder: Instance | None) -> str:
    """What attention's own code applies to its gate; sigmoid where it shows no other alone."""
    bases = holder.cls.mro if holder is not None and holder.cls is not None else ()
    members = [m for b in bases if isinstance(b, ClassValue) for m in b.members.values()]
    calls = (n for m in members for n in ast.walk(m) if isinstance(n, ast.Call))
    names = (ast.unparse(call.func).rpartition(".")[2] for call in calls)
    found = {match.group() for match in map(_GATE_FUNCTION.search, names) if match}
    return found.pop() if len(found) == 1 else "sigmoid"


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
        gate_per_head="per_head" in shape,
        gate_activation=_gate_function(holder),
        window=_window(record),
        chunk=_chunk(view, record),
        sinks=any(map(_is_sink, view.under(place, "parameter"))),
        soft_cap=bool(plain_value(raw(args.get("logit_cap", 0.0)))),
        shares_kv="q" in shape,
        k_is_v="k_is_v" in shape,
    )


def _is_sink(parameter: Record) -> bool:
    """Whether a parameter is a learnt logit of each head; a key's vector is of another kind."""
    return "sink" in short(parameter.name) and len(parameter.args["shape"]) == 1


def _projections(
    view: LayerView, place: str, q: Dim, kv: Dim, d: Dim, v: Dim
) -> frozenset[str] | str:
    """How the projections that feed an attention layer are made; a reason where they don't fit."""
    if None in (q.value, kv.value, d.value, v.value):
        return frozenset()
    qn, kn, vn = _times(q, d), _times(kv, d), _times(kv, v)
    linears = [r for r in view.under(place, "linear") if _is_projection(view, place, r)]
    if _selects_blocks(view):  # the index branch stands beside the projections
        linears = [r for r in linears if not short(r.name).startswith("index")]
    total = sum(size_of(r)[0].value or 0 for r in linears if not _is_output(r, _times(q, v)))
    shapes = {
        qn + kn + vn: frozenset[str](),
        2 * qn + kn + vn: frozenset({"gate"}),
        qn + kn + vn + _times(q, v): frozenset({"gate"}),
        qn + kn + vn + (q.value or 0): frozenset({"gate", "per_head"}),
        qn: frozenset({"q"}),
        qn + kn: frozenset({"k_is_v"}),
    }
    sizes = [size_of(r) for r in linears]
    # Step 3 projects q down first, in one GEMM with K and V, and then up.
    low_rank = any(n.value == qn and total == qn + (k.value or 0) + kn + vn for n, k in sizes)
    if total in shapes or low_rank:
        return shapes.get(total, frozenset())
    return f"its projections ({', '.join(short(r.name) for r in linears)}) don't fit"


def _selects_blocks(view: LayerView) -> bool:
    """Whether the configuration has the section that describes an index branch (MSA)."""
    config = view.model.config
    said = [holder.find("sparse_attention_config") for holder in (config.text or config, config)]
    return any(is_dict(section) or isinstance(section, ConfigValue) for section in said)


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
    named = re.match(r"o_|out|wo|dense|c_proj", name) and "gate" not in name
    return size_of(record)[1].value == width and bool(named)


def _qk_norm(
    view: LayerView, place: str, q: Dim, d: Dim
) -> Literal["none", "per_head", "full", "layernorm", "undecided"]:
    norms = [
        r
        for r in view.under(place, "norm")
        if parent_of(r.name) == place
        and re.search("q_|k_|qk|query|key", short(r.name))
        and is_called(view.holder(r), short(r.name))
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


def _lightning(view: LayerView, record: Record) -> Mixer:
    """Linear attention without anything learnt in its recurrence."""
    args, place = record.args, parent_of(record.name)
    heads, head_dim = to_dim(args.get("num_heads")), to_dim(args.get("head_dim"))
    rope, undecided = rope_of(view, place)
    width = heads * head_dim
    norm = next((r for r in _own_norms(view, place) if norm_size(r).value == width.value), None)
    groups = to_dim(norm.args.get("group_size")) if norm is not None else None
    gated = norm is not None and is_gated(norm)
    return LightningAttention(
        heads=heads,
        kv_heads=to_dim(args.get("num_kv_heads", args.get("num_heads"))),
        head_dim=head_dim,
        rope=rope,
        rope_undecided=undecided,
        qk_norm="per_head" if _qk_norm(view, place, heads, head_dim) == "per_head" else "none",
        output_norm="none" if norm is None else "gated_group" if gated else "full",
        norm_groups=width // groups if gated and groups is not None else None,
        output_gate=_gate_of(view, place, width) is not None,
    )


def _own_norms(view: LayerView, place: str) -> Iterator[Record]:
    return (r for r in view.under(place, "norm") if parent_of(r.name) == place)


def _gate_activation(view: LayerView, place: str, otherwise: str) -> str:
    """What the gated norm beside a linear attention multiplies by."""
    norm = next((r for r in _own_norms(view, place) if is_gated(r)), None)
    said = plain_value(norm.args.get("activation")) if norm is not None else None
    return said if isinstance(said, str) else otherwise


def _kda(view: LayerView, record: Record, conv: Dim) -> KdaAttention:
    args, place = record.args, parent_of(record.name)
    return KdaAttention(
        k_heads=to_dim(args.get("num_k_heads")),
        v_heads=to_dim(args.get("num_v_heads")),
        head_dim=to_dim(args.get("head_k_dim")),
        v_head_dim=to_dim(args.get("head_v_dim")),
        conv_kernel=conv,
        gate_activation=_gate_activation(view, place, "sigmoid"),
    )


def _linear_attention(view: LayerView, record: Record) -> Mixer:
    """Gated DeltaNet where the decay is one number per head, KDA where it is one per channel."""
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
    conv = next(iter(view.under(place, "conv1d")), None)
    if width == _times(heads, to_dim(args.get("head_k_dim"))) != heads.value:
        return _kda(view, record, size_of(conv)[1] if conv else to_dim(None))
    if width != heads.value:
        return _other(holder, record, "linear attention whose decay is of an unknown kind")
    return GdnAttention(
        k_heads=to_dim(args.get("num_k_heads")),
        v_heads=heads,
        k_head_dim=to_dim(args.get("head_k_dim")),
        v_head_dim=to_dim(args.get("head_v_dim")),
        conv_kernel=size_of(conv)[1] if conv else to_dim(None),
        gate_activation=_gate_activation(view, place, "silu"),
    )


def _recurrent(view: LayerView, record: Record) -> Mixer:
    holder: Instance = record.instance
    taps = view.number(holder, "conv_kernel")
    out = next((r for r in view.under(record.name, "linear") if "out" in short(r.name)), None)
    if "ShortConv" in record.cls and taps is not None and out is not None:
        return ShortConvMixer(channels=size_of(out)[1], conv_kernel=taps)
    numbers = [
        view.number(holder, name)
        for name in ("num_heads", "head_dim", "ssm_state_size", "n_groups")
    ]
    heads, head_dim, state, groups = numbers
    conv = next(iter(view.under(record.name, "conv1d")), None)
    if heads is None and conv is not None and (scan := _mamba1(view, record, conv)) is not None:
        return scan
    if heads is None or head_dim is None or state is None or groups is None or conv is None:
        return OtherMixer(name=record.cls, reason="no state-space sizes of Mamba-1's or 2's kind")
    return MambaMixer(
        heads=heads,
        head_dim=head_dim,
        state_size=state,
        groups=groups,
        conv_kernel=size_of(conv)[1],
        gated_norm=any(is_gated(r) and _normalises(r) for r in _own_norms(view, record.name)),
    )


def _mamba1(view: LayerView, record: Record, conv: Record) -> Mamba1Mixer | None:
    """Mamba-1, where a matrix decays each channel's states, and the steps come from a low rank."""
    channels, taps = size_of(conv)
    decay = next((r for r in view.under(record.name, "parameter") if is_decay(r, channels)), None)
    steps = [r for r in view.under(record.name, "linear") if re.match("dt_", short(r.name))]
    if decay is None or len(steps) != 1 or size_of(steps[0])[0].value != channels.value:
        return None
    return Mamba1Mixer(
        channels=channels,
        state_size=to_dim(decay.args["shape"][1]),
        dt_rank=size_of(steps[0])[1],
        conv_kernel=taps,
    )


def is_decay(parameter: Record, channels: Dim) -> bool:
    """Whether a parameter is the decay of each channel and state of Mamba-1's scan."""
    shape = parameter.args["shape"]
    named = re.match(r"A(_|$)", short(parameter.name))
    return bool(named) and len(shape) == 2 and to_dim(shape[0]).value == channels.value


def _normalises(norm: Record) -> bool:
    """Whether a gated norm does more than gate: SGLang's class for Mamba takes a switch."""
    return plain_value(norm.args.get("use_rms_norm", True)) is not False


def _other(holder: Instance | None, record: Record, reason: str) -> OtherMixer:
    return OtherMixer(name=holder.name if holder else record.cls, reason=reason)
