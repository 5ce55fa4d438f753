"""Rotary position embedding from a cached cos/sin table."""

from collections.abc import Iterator

from discover_models.domain.architecture import (
    Architecture,
    Dsv4Attention,
    GqaAttention,
    LayerGroup,
    LightningAttention,
    Mixer,
    MlaAttention,
    Rope,
    Unmapped,
)
from discover_models.domain.kernel import Parallelism
from discover_models.ops.base import CodePath, KernelSpec, Limit, Need

ROPE = KernelSpec(
    key="rope_with_cos_sin_cache",
    op_type="rope",
    title="rotary position embedding from a cos/sin cache",
    apis=(
        "flashinfer.rope.apply_rope_with_cos_sin_cache_inplace",
        "flashinfer.rope.apply_rope_with_cos_sin_cache",
    ),
    paths=(
        CodePath(
            "cached cos/sin kernel",
            (
                Limit(
                    what="head size minus rotary dimension",
                    measure=lambda axes: axes["head_size"] - axes["rotary_dim"],
                    accepts=lambda rest: rest >= 0,
                    file="include/flashinfer/pos_enc.cuh",
                    text="if (head_dim < rotary_dim) {",
                    version="0.7.2",
                ),
            ),
        ),
    ),
)


MROPE = KernelSpec(
    key="mrope_with_cos_sin_cache",
    op_type="rope",
    title="rotary position embedding with three position components (M-RoPE)",
    sought=("mrope", "multimodal_rope"),
    read_at="0.7.2",
    sglang=("MRotaryEmbedding",),
    near=(
        (
            "one position per token",
            "flashinfer.rope.apply_rope_with_cos_sin_cache_inplace",
        ),
    ),
)


class RopeFamily:
    """``rope_with_cos_sin_cache_{neox,gptj}_style_d{head_size}_rd{rotary_dim}``; none for NoPE.

    M-RoPE is a kernel of its own, ``mrope_…``, beside the plain one: text alone needs no more.
    """

    op_type = "rope"
    specs = (ROPE, MROPE)

    def needs(
        self, architecture: Architecture, parallelism: Parallelism
    ) -> Iterator[Need | Unmapped]:
        for group in architecture.groups:
            for mixer in group.mixers:
                yield from _needs(mixer, group)


def _needs(mixer: Mixer, group: LayerGroup) -> Iterator[Need | Unmapped]:
    if not isinstance(mixer, GqaAttention | MlaAttention | Dsv4Attention | LightningAttention):
        return
    if mixer.rope_undecided:
        yield Unmapped(what="rope", reason=mixer.rope_undecided)
    elif mixer.rope is not None:
        yield _need(mixer.rope, group, "rotary embedding")
        if mixer.rope.multimodal and mixer.rope.style is not None:
            yield _multimodal(mixer.rope, group)
    indexer = mixer.indexer if isinstance(mixer, MlaAttention) else None
    if indexer is not None and indexer.rope and not indexer.reused:
        yield _need(indexer.rope, group, "indexer's rotary embedding")


def _need(rope: Rope, group: LayerGroup, used_for: str) -> Need | Unmapped:
    if rope.style is None:
        return Unmapped(
            what="rope",
            reason="nothing read so far says whether pairs are laid out in neox or gptj style",
        )
    return Need(
        spec=ROPE,
        name=f"rope_with_cos_sin_cache_{rope.style}_style_d{{head_size}}_rd{{rotary_dim}}",
        axes={"head_size": rope.head_size, "rotary_dim": rope.rotary_dim},
        used_for=used_for,
        layers=group.layers,
        notes=("M-RoPE: positions have three components",) if rope.multimodal else (),
        evidence=rope.evidence,
    )


def _multimodal(rope: Rope, group: LayerGroup) -> Need:
    return Need(
        spec=MROPE,
        name=f"mrope_with_cos_sin_cache_{rope.style}_style_d{{head_size}}_rd{{rotary_dim}}",
        axes={"head_size": rope.head_size, "rotary_dim": rope.rotary_dim},
        used_for="rotary embedding",
        layers=group.layers,
        evidence=rope.evidence,
    )
