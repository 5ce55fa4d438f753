"""Kimi delta attention: a delta rule with a decay per channel."""

from collections.abc import Callable, Iterator

from discover_models.domain.architecture import Architecture, KdaAttention, LayerGroup, Unmapped
from discover_models.domain.kernel import Parallelism
from discover_models.ops.base import (
    CodePath,
    KernelSpec,
    Limit,
    Need,
    attention_tp_name,
    mixers_of,
    split,
)

_FUSED = "flashinfer/kda_kernels/fused_kda_decode.py"
_PACKED = "flashinfer/kda_decode.py"
_PACKED_SHAPE = "``T=1``, ``H=12``, and ``K=V=128`` on exact SM100a"


def _limit(
    axis: str,
    file: str,
    text: str,
    accepts: Callable[[int], bool],
    earlier: Limit | None = None,
) -> Limit:
    return Limit(
        what={"head_dim": "head dimension", "num_heads": "heads"}[axis],
        measure=lambda axes: axes[axis],
        accepts=accepts,
        file=file,
        text=text,
        version="0.7.2" if earlier else "0.7.0",
        earlier=earlier,
    )


_RECURRENT = (
    CodePath(
        "recurrent kernels",
        (
            _limit(
                "head_dim",
                "flashinfer/trace/templates/kda.py",
                '"head_dim in (64, 128)"',
                lambda size: size in (64, 128),
            ),
        ),
    ),
)
PREFILL = KernelSpec(
    key="recurrent_kda",
    op_type="kda",
    title="Kimi delta attention (prefill)",
    asked_as=("kda", "Kimi delta attention"),
    apis=("flashinfer.kda.recurrent_kda",),
    sglang=("chunk_kda",),
    paths=_RECURRENT,
)
DECODE = KernelSpec(
    key="recurrent_kda_decode",
    op_type="kda",
    title="Kimi delta attention (decode)",
    asked_as=("kda", "Kimi delta attention"),
    apis=("flashinfer.kda_decode.recurrent_kda",),
    sglang=("fused_recurrent_kda",),
    paths=_RECURRENT,
)
_FUSED_HEADS = _limit(
    "num_heads",
    _FUSED,
    "_SUPPORTED_HEADS = (12, 24, 32, 48, 96)",
    lambda heads: heads in (12, 24, 32, 48, 96),
)
FUSED_DECODE = KernelSpec(
    key="fused_kda_decode",
    op_type="kda",
    title="causal convolution, Kimi delta attention and gated norm fused (decode)",
    asked_as=("kda", "Kimi delta attention"),
    apis=("flashinfer.kda_decode.fused_kda_decode",),
    also_by=DECODE.key,
    paths=(
        CodePath(
            "fused decode",
            (
                _limit(
                    "head_dim",
                    _FUSED,
                    "x must have shape [num_rows, 3 * num_heads * 128]",
                    lambda size: size == 128,
                ),
                _limit(
                    "num_heads",
                    _FUSED,
                    "_SUPPORTED_HEADS = (8, 12, 24, 32, 48, 96)",
                    lambda heads: heads in (8, 12, 24, 32, 48, 96),
                    earlier=_FUSED_HEADS,
                ),
            ),
        ),
    ),
)
PACKED_DECODE = KernelSpec(
    key="packed_kda_decode",
    op_type="kda",
    title="Kimi delta attention from a packed row of q, k and v (decode)",
    asked_as=("kda", "Kimi delta attention"),
    apis=("flashinfer.kda_decode.packed_kda_decode",),
    also_by=DECODE.key,
    paths=(
        CodePath(
            "packed decode (SM100, SM103)",
            (
                _limit("head_dim", _PACKED, _PACKED_SHAPE, lambda size: size == 128),
                _limit("num_heads", _PACKED, _PACKED_SHAPE, lambda heads: heads == 12),
            ),
        ),
    ),
)


class KdaFamily:
    """``recurrent_kda[_decode]_q{k_heads/tp}_v{v_heads/tp}_d{d}``, ``{fused,packed}_kda_decode_…``.

    Names are those of flashinfer/trace/templates/kda.py.
    """

    op_type = "kda"
    specs = (PREFILL, DECODE, FUSED_DECODE, PACKED_DECODE)

    def needs(
        self, architecture: Architecture, parallelism: Parallelism
    ) -> Iterator[Need | Unmapped]:
        for group, mixer in mixers_of(architecture, KdaAttention):
            if mixer.head_dim.value != mixer.v_head_dim.value:
                yield Unmapped(
                    what="Kimi delta attention",
                    reason=f"key heads of {mixer.head_dim.value} and value heads of "
                    f"{mixer.v_head_dim.value}: FlashInfer's kernels have one head size for both",
                )
                continue
            yield from _needs(group, mixer, parallelism)


def _needs(group: LayerGroup, mixer: KdaAttention, parallelism: Parallelism) -> Iterator[Need]:
    size, name = parallelism.attention_tp, attention_tp_name(parallelism)
    q, v = split(mixer.k_heads, size, name), split(mixer.v_heads, size, name)
    for spec in (PREFILL, DECODE):
        yield Need(
            spec=spec,
            name=spec.key + "_q{num_q_heads}_v{num_v_heads}_d{head_dim}",
            axes={"num_q_heads": q, "num_v_heads": v, "head_dim": mixer.head_dim},
            used_for="linear attention",
            layers=group.layers,
            sharded=True,
        )
    if mixer.k_heads.value != mixer.v_heads.value:
        return  # the other two have one number of heads
    for spec in (FUSED_DECODE, PACKED_DECODE):
        yield Need(
            spec=spec,
            name=spec.key + "_h{num_heads}_d{head_dim}",
            axes={"num_heads": v, "head_dim": mixer.head_dim},
            used_for="linear attention",
            layers=group.layers,
            sharded=True,
        )
