"""LayerNorm: of the hidden state in older classes, and of the DSA indexer's keys."""

from collections.abc import Iterator
from dataclasses import replace

from discover_models.domain.architecture import (
    Architecture,
    GqaAttention,
    Indexer,
    LayerGroup,
    Mixer,
    MlaAttention,
    Norm,
    Unmapped,
)
from discover_models.domain.dimension import Dim
from discover_models.domain.kernel import Parallelism
from discover_models.ops.base import KernelSpec, Need

LAYERNORM = KernelSpec(
    key="layernorm",
    op_type="layernorm",
    title="LayerNorm",
    apis=("flashinfer.norm.layernorm",),
)


class LayerNormFamily:
    """``layernorm_h{size}`` (flashinfer/trace/templates/norm.py)."""

    op_type = "layernorm"
    specs = (LAYERNORM,)

    def needs(
        self, architecture: Architecture, parallelism: Parallelism
    ) -> Iterator[Need | Unmapped]:
        of_hidden = architecture.hidden_norm == "layernorm"
        for group in architecture.groups:
            if group.norms is not None:
                listed = (norm for norm in group.norms if norm.kind == "layernorm")
                yield from (_listed(norm, group) for norm in listed)
                continue
            if of_hidden:
                yield _need(architecture.hidden_size, "hidden norm", group.layers)
            for mixer in group.mixers:
                yield from _inside(mixer, group)
        last = architecture.final_norm
        if last is not None and last.kind == "layernorm":
            yield replace(_need(last.size, last.name, None), evidence=last.evidence)
        elif last is None and of_hidden:
            yield _need(architecture.hidden_size, "final norm", None)


def _inside(mixer: Mixer, group: LayerGroup) -> Iterator[Need]:
    """The norms inside attention."""
    match mixer:
        case MlaAttention(indexer=Indexer(k_norm="layernorm", reused=False) as indexer):
            yield _need(indexer.head_dim, "indexer k_norm", group.layers)
        case GqaAttention(qk_norm="layernorm") as gqa:
            yield _need(gqa.head_dim, "q_norm and k_norm", group.layers)
        case _:
            return


def _listed(norm: Norm, group: LayerGroup) -> Need:
    layers = group.layers if norm.layers is None else norm.layers
    return replace(_need(norm.size, norm.name, layers), evidence=norm.evidence)


def _need(size: Dim, used_for: str, layers: tuple[int, ...] | None) -> Need:
    return Need(
        spec=LAYERNORM,
        name="layernorm_h{hidden_size}",
        axes={"hidden_size": size},
        used_for=used_for,
        layers=layers,
    )
