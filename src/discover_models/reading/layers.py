"""Which kind of mixer and feed-forward each layer has, from the configuration's layer lists."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from discover_models.domain.dimension import Dim, known
from discover_models.reading.attention import LAYERS, Q_HEADS, MixerPlan
from discover_models.reading.fields import Fields

FfnKind = Literal["dense", "moe", "none", "unknown"]

NO_FAMILY = "no family maps this kind of layer yet"
_MIXER_WORDS = {
    "full_attention": MixerPlan("attention"),
    "attention": MixerPlan("attention"),
    "indexed_attention": MixerPlan("attention"),
    "sliding_attention": MixerPlan("attention", sliding=True),
    "sliding_window": MixerPlan("attention", sliding=True),
    "chunked_attention": MixerPlan("attention", chunked=True),
    "deepseek_sparse_attention": MixerPlan("attention"),
    "linear_attention": MixerPlan("linear"),
    "mamba": MixerPlan("mamba"),
    "mamba2": MixerPlan("mamba"),
    "conv": MixerPlan("short convolution"),
    "lightning-attn": MixerPlan("lightning attention"),
    "lightning_attention": MixerPlan("lightning attention"),
    "minicpm4": MixerPlan("attention"),
}
_PATTERN_LETTERS = {"M": "mamba", "*": "attention", "-": "mlp", "E": "moe"}
"""`hybrid_override_pattern` (sglang python/sglang/srt/configs/nemotron_h.py)."""


@dataclass(frozen=True)
class LayerPlan:
    """What one layer consists of; a layer may have a mixer, a feed-forward, or both."""

    mixer: MixerPlan | None
    ffn: FfnKind


def count_layers(fields: Fields) -> Dim:
    """How many layers there are; where no field says it, the length of a layer list."""
    said = fields.maybe_dim(*LAYERS)
    if said is not None:
        return said
    for name in ("layers_block_type", "layer_types", "hybrid_override_pattern", "block_configs"):
        found = fields.find(name)
        entries = fields.items(name) or (fields.text(name) or "").replace("|", "")
        if found is not None and entries:
            return known(len(entries), f"length of {found.field}", found.source)
    return fields.dim(*LAYERS)


def plan_layers(fields: Fields, count: int) -> tuple[LayerPlan, ...]:
    """One plan per decoder layer.

    Raises:
        ValueError: a layer list is shorter than the number of layers.
    """
    single = _one_part_per_layer(fields, count)
    if single is not None:
        return single
    blocks = _by_blocks(fields, count)
    if blocks is not None:
        return blocks
    mixers = _mixers(fields, count)
    if _attention_free(fields) is not None:
        return tuple(LayerPlan(mixer, "none") for mixer in mixers)
    if _sparse_layers_unknown(fields):
        return tuple(LayerPlan(mixer, "unknown") for mixer in mixers)
    sparse = _sparse_layers(fields, count)
    return tuple(
        LayerPlan(mixer, "moe" if layer in sparse else "dense")
        for layer, mixer in enumerate(mixers)
    )


def _sparse_layers_unknown(fields: Fields) -> bool:
    """Whether the class computes which layers have experts, and no other field says it."""
    if fields.unresolved(*EXPERTS) or (_has_experts(fields) and fields.unresolved(_DENSE)):
        return True
    computed = fields.unresolved("mlp_layer_types") is not None
    return computed and _has_experts(fields) and fields.find(*_SPARSE_RULES) is None


_DENSE = "mlp_only_layers"
_SPARSE_RULES = (
    "first_k_dense_replace",
    "num_dense_layers",
    "n_dense_layers",
    "moe_layer_freq",
    "decoder_sparse_step",
    "moe_layers",
    "moe_layers_enum",
    "num_hash_layers",  # DeepSeek-V4: experts in all layers, the first of them chosen by hash
)


def _by_blocks(fields: Fields, count: int) -> tuple[LayerPlan, ...] | None:
    """`block_configs`: layers may lack a part (sglang .../models/nemotron_nas.py)."""
    blocks = fields.items("block_configs")
    if not blocks:
        return None
    _check_length("block_configs", blocks, count)
    return tuple(_block_plan(fields, layer) for layer in range(count))


def _block_plan(fields: Fields, layer: int) -> LayerPlan:
    block = fields.block(layer)
    attention, ffn = (block.inner(part) if block else None for part in ("attention", "ffn"))
    mixer: MixerPlan | None = MixerPlan("attention")
    if attention is not None and attention.flag("replace_with_linear"):
        mixer = MixerPlan("linear layer in place of attention", reason=NO_FAMILY)
    if attention is not None and attention.flag("no_op"):
        mixer = None
    return LayerPlan(mixer, "none" if ffn is not None and ffn.flag("no_op") else "dense")


def _one_part_per_layer(fields: Fields, count: int) -> tuple[LayerPlan, ...] | None:
    """Nemotron-H's way: each layer is one mixer or one feed-forward."""
    pattern = fields.text("hybrid_override_pattern")
    words: Sequence[object] | None
    if pattern is not None:
        words = [_PATTERN_LETTERS.get(letter, letter) for letter in pattern if letter != "|"]
    else:
        words = fields.items("layers_block_type")
        if words is None or not {"mlp", "moe"} & set(map(str, words)):
            return None
    _check_length("hybrid_override_pattern or layers_block_type", words, count)
    return tuple(_single(str(word)) for word in words[:count])


def _single(word: str) -> LayerPlan:
    if word == "mlp":
        return LayerPlan(None, "dense")
    if word == "moe":
        return LayerPlan(None, "moe")
    return LayerPlan(_MIXER_WORDS.get(word, MixerPlan(word)), "none")


def _mixers(fields: Fields, count: int) -> list[MixerPlan]:
    said = replace(fields, defaults=None)
    for source in (said, fields):  # what the file says wins over what its class would compute
        for read in _READERS:
            plans = read(source, count)
            if plans is not None:
                return _with_own_rules(fields, plans)
    return _with_own_rules(fields, _by_window(fields, count))


def _with_own_rules(fields: Fields, plans: list[MixerPlan]) -> list[MixerPlan]:
    """What other fields say of the layers whose kinds are known."""
    rotated = _with_rope(fields, plans)
    return [
        replace(plan, reuses_topk=True)
        if plan.kind == "attention" and _reuses_topk(fields, layer)
        else plan
        for layer, plan in enumerate(rotated)
    ]


def _reuses_topk(fields: Fields, layer: int) -> bool:
    """Whether a sparse layer has no indexer (sglang python/sglang/srt/configs/model_config.py:488,
    `dsa_layer_skips_topk`)."""
    if fields.maybe_dim("index_topk") is None:
        return False
    listed = fields.items("indexer_types")
    if listed is not None:
        return layer < len(listed) and listed[layer] == "shared"
    factor = fields.maybe_dim("cli_factor")
    if factor is not None and (factor.value or 0) > 1:
        return layer % (factor.value or 1) != 0
    pattern = fields.text("index_topk_pattern")
    if pattern is not None:
        return layer < len(pattern) and pattern[layer] == "S"
    frequency, offset = (
        fields.maybe_dim(f"index_{name}") for name in ("topk_freq", "skip_topk_offset")
    )
    every = frequency.value if frequency is not None else None
    first = offset.value if offset is not None and offset.value else 2
    return max(layer - first + 1, 0) % (every or 1) != 0


def _by_layer_types(fields: Fields, count: int) -> list[MixerPlan] | None:
    words = fields.items("layer_types", "layers_block_type", "mixer_types")
    if not words:
        return None
    _check_length("layer_types", words, count)
    return [_MIXER_WORDS.get(str(word), MixerPlan(str(word))) for word in words[:count]]


def _by_repeated_types(fields: Fields, count: int) -> list[MixerPlan] | None:
    """`block_types` is a pattern that repeats (RecurrentGemma)."""
    words = fields.items("block_types")
    if not words:
        return None
    windowed = fields.maybe_dim("attention_window_size") is not None
    plans = {"attention": MixerPlan("attention", sliding=windowed)}
    cycle = [plans.get(str(word)) or MixerPlan(str(word)) for word in words]
    return [cycle[i % len(cycle)] for i in range(count)]


def _without_attention(fields: Fields, count: int) -> list[MixerPlan] | None:
    """Model types all of whose layers are of a kind that no field names."""
    kind = _attention_free(fields)
    return [kind] * count if kind is not None else None


def _attention_free(fields: Fields) -> MixerPlan | None:
    kind = _ATTENTION_FREE.get(fields.text("model_type") or "")
    raw = fields.find("ssm_cfg") is not None and fields.find(*Q_HEADS) is None
    return kind or (MixerPlan("mamba") if raw else None)


_ATTENTION_FREE = {
    "mamba": MixerPlan("mamba"),
    "falcon_mamba": MixerPlan("mamba"),
    "mamba2": MixerPlan("mamba"),
    "rwkv": MixerPlan("RWKV time and channel mixing", reason=NO_FAMILY),
    "xlstm": MixerPlan("mLSTM block", reason=NO_FAMILY),
}
"""Their layers have no MLP of the usual kind either."""


def _by_an_unknown_rule(fields: Fields, count: int) -> list[MixerPlan] | None:
    """The class computes `layer_types` from fields, but how is not known, and no window says it."""
    computed = fields.unresolved("layer_types", "layers_block_type")
    windowless = fields.flag("use_sliding_window") is False
    if computed is None or windowless or fields.find(*_WINDOW_RULES):
        return None
    reason = f"which layers are of which kind is computed by the configuration class ({computed})"
    return [MixerPlan("token mixer", reason=reason)] * count


_WINDOW_RULES = (
    "sliding_window_pattern",
    "_sliding_window_pattern",
    "max_window_layers",
)


def _by_period(fields: Fields, count: int) -> list[MixerPlan] | None:
    """Jamba: attention in each n-th layer from an offset on, Mamba in the others."""
    period, offset = (fields.maybe_dim(f"attn_layer_{name}") for name in ("period", "offset"))
    if period is None or offset is None or not period.value or offset.value is None:
        return None
    at = offset.value % period.value
    attention, mamba = MixerPlan("attention"), MixerPlan("mamba")
    return [attention if i % period.value == at else mamba for i in range(count)]


def _beside_mamba(fields: Fields, count: int) -> list[MixerPlan] | None:
    """Bamba lists its attention layers; with a field for Mamba's width both run side by side.

    Source: sglang python/sglang/srt/configs/falcon_h1.py (`full_attention_layer_ids` and
    `linear_layer_ids` are all layers).
    """
    if fields.find("mamba_d_state") is None:
        return None
    if fields.find("mamba_d_ssm") is not None or "mamba_d_ssm" in fields.values:
        return [MixerPlan("attention", beside="mamba")] * count
    listed = fields.items("attn_layer_indices")
    if listed is None:
        return None
    return [MixerPlan("attention" if i in listed else "mamba") for i in range(count)]


def _by_hybrid_pattern(fields: Fields, count: int) -> list[MixerPlan] | None:
    """`hybrid_layer_pattern`: 1 is a sliding window (sglang .../models/mimo_v2.py:1015)."""
    numbers = fields.items("hybrid_layer_pattern")
    if not numbers:
        return None
    _check_length("hybrid_layer_pattern", numbers, count)
    return [MixerPlan("attention", sliding=n == 1) for n in numbers[:count]]


def _by_compression(fields: Fields, count: int) -> list[MixerPlan] | None:
    """`compress_ratios`: every layer has the same attention, over other tokens (DeepSeek-V4)."""
    ratios = fields.items("compress_ratios")
    if not ratios:
        return None
    _check_length("compress_ratios", ratios, count)
    return [MixerPlan("attention")] * count


def _by_numbered_types(fields: Fields, count: int) -> list[MixerPlan] | None:
    """`attn_type_list`: 0 is lightning attention, 1 full attention (MiniMax-Text-01)."""
    numbers = fields.items("attn_type_list")
    if not numbers or all(number == 1 for number in numbers):
        return None
    _check_length("attn_type_list", numbers, count)
    lightning = MixerPlan("lightning attention")
    return [MixerPlan("attention") if n == 1 else lightning for n in numbers[:count]]


def _by_listed_layers(fields: Fields, count: int) -> list[MixerPlan] | None:
    """`linear_attn_config` lists the full and the KDA layers, counted from 1."""
    section = fields.inner("linear_attn_config")
    full = section.items("full_attn_layers") if section is not None else None
    if full is None:
        return None
    kda = MixerPlan("Kimi delta attention")
    return [MixerPlan("attention") if i + 1 in full else kda for i in range(count)]


def _by_interval(fields: Fields, count: int) -> list[MixerPlan] | None:
    interval = fields.maybe_dim("full_attention_interval")
    if interval is None or not interval.value:
        return None
    every = interval.value
    return [MixerPlan("attention" if (i + 1) % every == 0 else "linear") for i in range(count)]


def _by_group_size(fields: Fields, count: int) -> list[MixerPlan] | None:
    """`layer_group_size`: the last layer of each group has full attention, the others linear.

    Source: sglang python/sglang/srt/models/bailing_moe_v3.py (`is_linear_layer`); what kind of
    linear attention it is, each class decides by itself.
    """
    size = fields.maybe_dim("layer_group_size")
    if size is None or size.value is None or size.value < 2:
        return None
    linear = MixerPlan("linear attention", reason="no field says which linear attention it is")
    return [MixerPlan("attention") if (i + 1) % size.value == 0 else linear for i in range(count)]


def _by_window(fields: Fields, count: int) -> list[MixerPlan]:
    """Sliding windows where no list names the layers: by period, from a layer on, or all."""
    listed = fields.items("sliding_window")
    if listed:
        windows = [listed[i % len(listed)] for i in range(count)]
        return [MixerPlan("attention", sliding=window is not None) for window in windows]
    window = fields.maybe_dim("sliding_window")
    if window is None or fields.flag("use_sliding_window") is False:
        return [MixerPlan("attention")] * count
    letters = fields.text("sliding_window_pattern")
    if letters:  # Exaone 4: LLLG
        return [
            MixerPlan("attention", sliding=letters[i % len(letters)] == "L") for i in range(count)
        ]
    period = fields.maybe_dim("sliding_window_pattern", "_sliding_window_pattern")
    if period is not None and period.value:
        every = period.value
        return [MixerPlan("attention", sliding=bool((i + 1) % every)) for i in range(count)]
    first = fields.maybe_dim("max_window_layers")
    start = first.value or 0 if first is not None else 0
    return [MixerPlan("attention", sliding=i >= start) for i in range(count)]


_READERS = (
    _by_layer_types,
    _by_repeated_types,
    _by_numbered_types,
    _by_compression,
    _by_listed_layers,
    _by_interval,
    _by_group_size,
    _by_hybrid_pattern,
    _without_attention,
    _by_an_unknown_rule,
    _by_period,
    _beside_mamba,
)


def _with_rope(fields: Fields, plans: list[MixerPlan]) -> list[MixerPlan]:
    """Layers without position embedding: listed (1 keeps it), or every n-th.

    Chunked attention goes with the rotated layers (sglang python/sglang/srt/models/llama4.py).
    """
    listed = fields.items("no_rope_layers") or None
    interval = fields.maybe_dim("no_rope_layer_interval")
    if listed is None and interval is None:
        return plans
    every = interval.value if interval is not None else None
    if listed is not None:
        _check_length("no_rope_layers", listed, len(plans))
    keeps = [
        bool(listed[i]) if listed is not None else not every or bool((i + 1) % every)
        for i in range(len(plans))
    ]
    chunk = fields.maybe_dim("attention_chunk_size") is not None
    return [
        replace(p, chunked=(p.chunked or chunk) and keep, rope=keep) if p.kind == "attention" else p
        for p, keep in zip(plans, keeps, strict=True)
    ]


def _sparse_layers(fields: Fields, count: int) -> set[int]:
    """The layers with experts."""
    if not _has_experts(fields):
        return set()
    said = replace(fields, defaults=None)
    words = (said if said.find(*_SPARSE_RULES) else fields).items("mlp_layer_types")
    if words:
        _check_length("mlp_layer_types", words, count)
        return {i for i in range(count) if words[i] != "dense"}
    listed = fields.items("moe_layers", "moe_layers_enum")
    if listed:
        return {n for n in listed if isinstance(n, int)}
    numbers = fields.text("moe_layers_enum")  # Step 3 has them in one string: 4,5,6
    if numbers:
        listed = {number.strip() for number in numbers.split(",")}
        return {n for n in range(count) if str(n) in listed}
    layers = set(range(count))
    first = fields.maybe_dim("first_k_dense_replace", "num_dense_layers", "n_dense_layers")
    if first is not None and first.value:
        layers = {n for n in layers if n >= first.value}
    layers &= _by_frequency(fields, count) & _by_range(fields, count)
    dense = fields.items(_DENSE) or []
    return layers - {n for n in dense if isinstance(n, int)}


def _has_experts(fields: Fields) -> bool:
    found = fields.maybe_dim(*EXPERTS)
    if found is None and fields.items(*EXPERTS):  # one number for each of several sets
        return True
    off = fields.flag("enable_moe_block") is False or fields.flag("is_moe") is False
    return found is not None and bool(found.value) and not off


EXPERTS = ("num_experts", "n_routed_experts", "num_local_experts", "moe_num_experts",
           "n_experts", "num_routed_experts")  # fmt: skip


def _by_range(fields: Fields, count: int) -> set[int]:
    """Each n-th layer of a range (sglang ../models/ernie4.py:190), or from an offset on (Jamba)."""
    start, end = (fields.maybe_dim(f"moe_layer_{name}_index") for name in ("start", "end"))
    every = fields.maybe_dim("moe_layer_interval")
    first = start.value or 0 if start is not None else 0
    last = end.value if end is not None and end.value != -1 else None
    step = every.value or 1 if every is not None else 1
    wanted = range(first, count if last is None else last + 1, step)
    layers = {n for n in range(count) if n in wanted}
    period, offset = (fields.maybe_dim(f"expert_layer_{name}") for name in ("period", "offset"))
    if period is None or offset is None or not period.value or offset.value is None:
        return layers
    at = offset.value % period.value
    return {i for i in layers if i % period.value == at}


def _by_frequency(fields: Fields, count: int) -> set[int]:
    per_layer = fields.items("moe_layer_freq")
    if per_layer is not None:
        _check_length("moe_layer_freq", per_layer, count)
        return {i for i in range(count) if per_layer[i]}
    frequency = fields.maybe_dim("moe_layer_freq")
    if frequency is not None and frequency.value:
        return {i for i in range(count) if i % frequency.value == 0}
    step = fields.maybe_dim("decoder_sparse_step", "interleave_moe_layer_step")
    if step is not None and step.value:
        return {i for i in range(count) if (i + 1) % step.value == 0}
    return set(range(count))


def _check_length(name: str, items: Sequence[object], count: int) -> None:
    if len(items) < count:
        raise ValueError(f"{name} has {len(items)} entries for {count} layers")
