"""A decoder as SGLang's class builds it, completed with what only the files of a model say. Pure.

The source says what a class can do, the configuration has the last word on values: the class was
read with these very values, so where two readings differ, both are shown and the layers are taken
as they are built.
"""

from collections.abc import Iterator, Mapping

from discover_models.domain.architecture import (
    Architecture,
    DenseMlp,
    Dsv4Attention,
    Ffn,
    GqaAttention,
    LayerGroup,
    Linear,
    Mixer,
    Moe,
    Norm,
)
from discover_models.domain.dimension import Dim
from discover_models.errors import SourceError
from discover_models.reading.architecture import undecided
from discover_models.reading.quantization import Quantization

_COMPARED: Mapping[str, tuple[str, ...]] = {
    "gqa": ("q_heads", "kv_heads", "head_dim", "v_head_dim"),
    "mla": ("heads", "kv_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim"),
    "dense": ("intermediate",),
    "moe": ("experts", "top_k", "intermediate"),
}


def complete(said: Architecture, built: Architecture, quantization: Quantization) -> Architecture:
    """The layers that SGLang's class builds, with what only the files of the model say.

    Args:
        said: the decoder as the configuration's fields alone describe it.
        built: the decoder as the class builds it from the same configuration.
        quantization: how the checkpoint's experts are stored.

    Raises:
        SourceError: the class builds another number of layers, so it was not the decoder.
    """
    count = built.num_layers.value
    if said.num_layers.value is not None and said.num_layers.value != count:
        raise SourceError(
            f"{built.name} builds {count} layers where the configuration says"
            f" {said.num_layers.value}"
        )
    open_parts = undecided(said.model_type)
    if _beyond_constructors(said):
        note = f"the layers are those of the fields: {built.name} shows in its constructors neither"
        note += " how its residual streams run nor what its attention selects"
        return said.model_copy(update={"notes": (*said.notes, note)})
    parts = (part for group in built.groups for part in _by_limit(group, said))
    completed = [_completed(group, said) for group in parts]
    groups = [part for group in completed for part in _by_storage(group, quantization)]
    return said.model_copy(
        update={
            "hidden_size": said.hidden_size if said.hidden_size.known else built.hidden_size,
            "vocab_size": said.vocab_size if said.vocab_size.known else built.vocab_size,
            "num_layers": said.num_layers if said.num_layers.known else built.num_layers,
            "groups": tuple(groups),
            "gemma_norm": built.gemma_norm,
            "final_norm": built.final_norm,
            "outside": built.outside,
            "notes": (
                *(note for note in said.notes if note != open_parts),
                f"the layers are those that SGLang's {built.name} builds",
                *dict.fromkeys(_differences(said, built)),
            ),
            "unmapped": built.unmapped,
        }
    )


def without_source(said: Architecture, why: SourceError) -> Architecture:
    """What the fields say, with the reason why the class's source does not say more."""
    note = f"SGLang's source of this model was not used: {why}"
    return said.model_copy(update={"notes": (*said.notes, note)})


def _beyond_constructors(said: Architecture) -> bool:
    """Whether the fields describe what runs between the layers that a class constructs."""
    own_attention = any(isinstance(m, Dsv4Attention) for g in said.groups for m in g.mixers)
    return own_attention or said.hyper_streams is not None or said.residual_bank is not None


def _completed(group: LayerGroup, said: Architecture) -> LayerGroup:
    """What the fields say of a group and no constructor shows: functions and selections."""
    by_layer = {layer: other for other in said.groups for layer in other.layers}
    other = by_layer.get(group.layers[0])
    mixer, ffn = group.mixer, group.ffn
    described = other.mixer if other is not None else None
    if isinstance(mixer, GqaAttention) and isinstance(described, GqaAttention):
        mixer = mixer.model_copy(update={"msa": described.msa, "infllm": described.infllm})
    if isinstance(ffn, DenseMlp | Moe):
        functions = next(_functions(other, said), None) or dict[str, object]()
        ffn = ffn.model_copy(update={**functions, **_limit(other)})
    linears = group.linears
    if isinstance(mixer, GqaAttention) and mixer.msa is not None and linears is not None:
        linears = _with_index_branch(linears)
    return group.model_copy(update={"mixer": mixer, "ffn": ffn, "linears": linears})


def _with_index_branch(linears: tuple[Linear, ...]) -> tuple[Linear, ...]:
    """The projections of attention and of its index branch as the one GEMM that runs.

    Source: sglang python/sglang/srt/models/minimax_m3.py (``maybe_build_fused_qkv_index``).
    """
    named = {linear.name.rpartition(".")[2]: linear for linear in linears}
    own, index = named.get("qkv_proj"), named.get("index_qkv_proj")
    if own is None or index is None:
        return linears
    both = own.model_copy(
        update={
            "name": f"{own.name} and index_qkv_proj",
            "n": own.n + index.n,
            "evidence": (*own.evidence, *index.evidence),
        }
    )
    return tuple(both if one is own else one for one in linears if one is not index)


def _limit(same: LayerGroup | None) -> dict[str, object]:
    """Whether the activation of the same layers is clamped, by the fields."""
    ffn = same.ffn if same is not None else None
    return {"activation_limit": ffn.activation_limit} if isinstance(ffn, DenseMlp | Moe) else {}


def _functions(same: LayerGroup | None, said: Architecture) -> Iterator[dict[str, object]]:
    """The activation by the fields, of the same layers first."""
    for group in (*((same,) if same is not None else ()), *said.groups):
        ffn = group.ffn
        if isinstance(ffn, DenseMlp | Moe) and ffn.activation:
            yield {"activation": ffn.activation, "activation_limit": ffn.activation_limit}


def _by_storage(group: LayerGroup, quantization: Quantization) -> Iterator[LayerGroup]:
    """The group, split where its layers store their experts differently."""
    if not isinstance(group.ffn, Moe):
        yield group
        return
    kinds: dict[str, list[int]] = {}
    for layer in group.layers:
        kinds.setdefault(quantization.experts(layer), []).append(layer)
    for kind, layers in kinds.items():
        ffn = group.ffn.model_copy(update={"quantization": kind})
        yield _only(group, layers).model_copy(update={"ffn": ffn})


def _by_limit(group: LayerGroup, said: Architecture) -> Iterator[LayerGroup]:
    """The group, split where the fields clamp the activation in some of its layers alone."""
    limited = {
        layer
        for other in said.groups
        if isinstance(other.ffn, DenseMlp | Moe) and other.ffn.activation_limit
        for layer in other.layers
    }
    for clamped in (False, True):
        layers = [layer for layer in group.layers if (layer in limited) == clamped]
        if layers:
            yield _only(group, layers)


def _only(group: LayerGroup, layers: list[int]) -> LayerGroup:
    """Some layers of a group."""
    norms = None if group.norms is None else tuple(_norms_in(group.norms, layers))
    return group.model_copy(update={"layers": tuple(layers), "norms": norms})


def _norms_in(norms: tuple[Norm, ...], layers: list[int]) -> Iterator[Norm]:
    for norm in norms:
        own = None if norm.layers is None else tuple(n for n in norm.layers if n in layers)
        if own is None or own:
            yield norm.model_copy(update={"layers": own})


def _differences(said: Architecture, built: Architecture) -> Iterator[str]:
    """Sizes that the fields and the class's code don't agree on."""
    by_layer = {layer: group for group in said.groups for layer in group.layers}
    for group in built.groups:
        other = by_layer.get(group.layers[0])
        if other is None:
            continue
        same = ((other.mixer, group.mixer), (other.beside, group.beside), (other.ffn, group.ffn))
        for one, two in same:
            yield from _part_differences(one, two)
    yield from _size_difference("hidden_size", said.hidden_size, built.hidden_size)


def _part_differences(said: Mixer | Ffn | None, built: Mixer | Ffn | None) -> Iterator[str]:
    if said is None or built is None or "other" in (said.kind, built.kind):
        return
    if said.kind != built.kind:
        yield f"the configuration's fields describe {said.kind}, SGLang's class builds {built.kind}"
        return
    for name in _COMPARED.get(said.kind, ()):
        yield from _size_difference(name, getattr(said, name), getattr(built, name))


def _size_difference(name: str, said: Dim, built: Dim) -> Iterator[str]:
    if said.known and built.known and said.value != built.value:
        yield (
            f"{name}: the configuration's fields alone give {said.value} ({said.expression}),"
            f" SGLang's class builds {built.value} ({built.expression})"
        )
