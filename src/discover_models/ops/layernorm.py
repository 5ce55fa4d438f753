"""LayerNorm: of the hidden state in older classes, and of the DSA indexer's keys."""

from collections.abc import Iterator
from dataclasses import replace

from discover_models.domain.architecture import Architecture, Indexer, LayerGroup, Norm, Unmapped
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
                for norm in group.norms:
                    if norm.kind == "layernorm":
                        yield _listed(norm, group)
                continue
            if of_hidden:
                yield _need(architecture.hidden_size, "hidden norm", group.layers)
            indexer = _indexer(group)
            if indexer is not None and indexer.k_norm == "layernorm":
                yield _need(indexer.head_dim, "indexer k_norm", group.layers)
        if of_hidden:
            yield _need(architecture.hidden_size, "final norm", None)


def _indexer(group: LayerGroup) -> Indexer | None:
    return group.mixer.indexer if group.mixer is not None and group.mixer.kind == "mla" else None


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
