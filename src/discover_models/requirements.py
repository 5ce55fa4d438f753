"""From an architecture and its serving configurations to the definitions it needs. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from discover_models.domain.architecture import (
    Architecture,
    Dsv4Attention,
    GdnAttention,
    GqaAttention,
    KdaAttention,
    LayerGroup,
    LightningAttention,
    Mamba1Mixer,
    MambaMixer,
    Mixer,
    MlaAttention,
    Moe,
    ShortConvMixer,
    Unmapped,
)
from discover_models.domain.dimension import Dim
from discover_models.domain.kernel import Axis, Parallelism, RequiredKernel
from discover_models.ops import FAMILIES
from discover_models.ops.base import Need


@dataclass(frozen=True)
class Requirements:
    """What a model needs."""

    kernels: tuple[RequiredKernel, ...]
    unmapped: tuple[Unmapped, ...]
    refused: tuple[str, ...]
    """Serving configurations that SGLang refuses, each with the reason."""


def requirements(architecture: Architecture, parallelism: Iterable[Parallelism]) -> Requirements:
    """All definitions over all serving configurations, in the families' order."""
    collected: dict[str, RequiredKernel] = {}
    layers: dict[str, set[int]] = {}
    unmapped = dict.fromkeys(architecture.unmapped)
    unmapped |= dict.fromkeys(_mixers_and_ffns_without_family(architecture))
    refused: list[str] = []
    for sizes in parallelism:
        reason = refusal(architecture, sizes)
        if reason:
            refused.append(f"{describe(sizes)} ({sizes.source}): {reason}")
        # What no size changes is needed all the same.
        for item in _needs(architecture, Parallelism() if reason else sizes):
            if isinstance(item, Unmapped):
                unmapped[item] = None
                continue
            if reason and item.sharded:
                continue
            kernel = _required(item, sizes)
            layers.setdefault(kernel.definition_name, set()).update(item.layers or ())
            earlier = collected.get(kernel.definition_name)
            merged = kernel if earlier is None else _merge(earlier, kernel)
            collected[kernel.definition_name] = merged
    kernels = tuple(
        kernel.model_copy(update={"layers": len(layers[name]) or None})
        for name, kernel in collected.items()
    )
    return Requirements(kernels=kernels, unmapped=tuple(unmapped), refused=tuple(refused))


def describe(sizes: Parallelism) -> str:
    """The sizes in words: ``tp 8, ep 8, dp 8 (DP attention)``."""
    parts = [f"tp {sizes.tp}"]
    if sizes.ep > 1:
        parts.append(f"ep {sizes.ep}")
    if sizes.dp_attention:
        parts.append(f"dp {sizes.dp} (DP attention)")
    return ", ".join(parts)


def refusal(architecture: Architecture, sizes: Parallelism) -> str:
    """Why SGLang refuses these sizes for the model; empty where it takes them.

    Sources: sglang python/sglang/srt/arg_groups/parallel_hook.py (tp, dp and ep) and the asserts
    on head counts in the attention layers, for example python/sglang/srt/models/llama.py.
    """
    dp = (sizes.dp or 1) if sizes.dp_attention else 1
    if dp > sizes.tp:
        return f"dp {dp} is larger than tp {sizes.tp}"
    if sizes.tp % dp:
        return f"tp {sizes.tp} is not divisible by dp {dp}"
    if sizes.tp % sizes.ep:
        return f"ep {sizes.ep} does not divide tp {sizes.tp}"
    reasons = (_indivisible(group, sizes) for group in architecture.groups)
    return next(filter(None, reasons), "")


def _indivisible(group: LayerGroup, sizes: Parallelism) -> str:
    for name, dim, replicated in split_dims(group):
        size = sizes.ep if name == "experts" else sizes.attention_tp
        fits = dim.value is None or dim.value % size == 0
        if not fits and replicated and dim.value is not None:
            fits = size % dim.value == 0
        if not fits:
            return f"{dim.value} {name} can't be split over {size}"
    return ""


def split_dims(group: LayerGroup) -> Iterator[tuple[str, Dim, bool]]:
    """What is split over GPUs: name, size, and whether it is replicated when too small."""
    for mixer in group.mixers:
        yield from _mixer_dims(mixer)
    if isinstance(group.ffn, Moe):
        yield "experts", group.ffn.experts, False


def _mixer_dims(mixer: Mixer) -> Iterator[tuple[str, Dim, bool]]:
    match mixer:
        case GqaAttention() as gqa:
            yield "query heads", gqa.q_heads, False
            yield "KV heads", gqa.kv_heads, True
            if gqa.msa is not None:
                yield "index heads", gqa.msa.index_heads, True
        case MlaAttention() as mla:
            yield "heads", mla.heads, False
        case Dsv4Attention() as dsv4:
            yield "heads", dsv4.heads, False
            yield "groups of the output projection", dsv4.o_groups, False
        case GdnAttention() | KdaAttention() as delta:
            yield "key heads", delta.k_heads, False
            yield "value heads", delta.v_heads, False
        case LightningAttention() as lightning:
            yield "linear-attention heads", lightning.heads, False
        case MambaMixer() as mamba:
            yield "Mamba heads", mamba.heads, False
            yield "Mamba groups", mamba.groups, mamba.groups.value == 1
        case Mamba1Mixer() | ShortConvMixer() as channels:
            yield "channels", channels.channels, False
        case _:
            pass


def _needs(architecture: Architecture, sizes: Parallelism) -> Iterator[Need | Unmapped]:
    for family in FAMILIES:
        for item in family.needs(architecture, sizes):
            if isinstance(item, Need):
                yield _unknown(item) or item
            else:
                yield item


def _unknown(need: Need) -> Unmapped | None:
    """What stands for a need of which an axis is unknown or 0."""
    missing = tuple(dict.fromkeys(f for dim in need.axes.values() for f in dim.missing))
    if all(dim.value for dim in need.axes.values()):
        return None
    empty = [dim.expression for dim in need.axes.values() if not dim.value]
    found_nowhere = "found nowhere: " + ", ".join(missing)
    return Unmapped(
        what=f"{need.spec.key} ({need.used_for})",
        reason=found_nowhere if missing else f"no dimension: {', '.join(empty)}",
        fields=missing,
        evidence=need.evidence,
    )


def _mixers_and_ffns_without_family(architecture: Architecture) -> Iterator[Unmapped]:
    for group in architecture.groups:
        for part in group.parts:
            if part.kind == "other":
                yield Unmapped(
                    what=f"{part.name} (layers {_ranges(group.layers)})",
                    reason=part.reason,
                    evidence=part.evidence,
                )


def _ranges(layers: tuple[int, ...]) -> str:
    """Layer indexes for people: ``0-2, 5``."""
    parts: list[list[int]] = []
    for layer in layers:
        if parts and layer == parts[-1][-1] + 1:
            parts[-1][-1:] = [parts[-1][-1], layer] if len(parts[-1]) == 1 else [layer]
        else:
            parts.append([layer])
    return ", ".join("-".join(map(str, part)) for part in parts)


def _required(need: Need, sizes: Parallelism) -> RequiredKernel:
    axes = {
        name: Axis(value=dim.value, expression=dim.expression, origins=dim.origins)
        for name, dim in need.axes.items()
        if dim.value is not None
    }
    return RequiredKernel(
        definition_name=need.name.format(**{name: axis.value for name, axis in axes.items()}),
        op_type=need.spec.op_type,
        spec=need.spec.key,
        axes=axes,
        parallelism=(sizes,) if need.sharded else (),
        used_for=(need.used_for,),
        variant=need.variant,
        requires=need.requires,
        notes=need.notes,
        evidence=need.evidence,
    )


def _merge(one: RequiredKernel, other: RequiredKernel) -> RequiredKernel:
    """Two reasons for one definition; the first one's expressions stay."""
    return one.model_copy(
        update={
            field: tuple(dict.fromkeys((*getattr(one, field), *getattr(other, field))))
            for field in ("parallelism", "used_for", "requires", "notes", "evidence")
        }
    )
