"""How many parameters an architecture has, from its linear layers, experts and embeddings.

Norms, biases and other vectors are left out: they are far below the precision that is asked for.
"""

from collections.abc import Iterator

from discover_models.domain.architecture import (
    Architecture,
    DenseMlp,
    Dsv4Attention,
    GdnAttention,
    GqaAttention,
    KdaAttention,
    LayerGroup,
    MambaMixer,
    Mixer,
    Moe,
)
from discover_models.domain.dimension import Dim
from discover_models.ops.gemm import linears_of


def parameter_count(architecture: Architecture, *, tied: bool) -> int | None:
    """Parameters of the text decoder; None where a part of it is not known.

    `tied` says that the output layer shares the embedding's weight.
    """
    embedding = architecture.vocab_size * architecture.hidden_size
    parts = [embedding if tied else 2 * embedding]
    for group in architecture.groups:
        layer = layer_parameters(group, architecture.hidden_size)
        if layer is None:
            return None
        parts.append(group.count * layer)
    return sum(part.value for part in parts if part.value is not None)


def draft_layers(architecture: Architecture, count: int, *, copies: bool) -> int:
    """Parameters of layers for multi-token prediction: like the last layer, and one projection.

    `copies` says that the checkpoint stores embedding and output layer with them once more.
    """
    hidden = architecture.hidden_size
    last = max(architecture.groups, key=lambda group: group.layers[-1])
    layer = layer_parameters(last, hidden)
    assert layer is not None
    embeddings = 2 * architecture.vocab_size * hidden if copies else 0
    return (count * (layer + 2 * hidden * hidden + embeddings)).value or 0


def layer_parameters(group: LayerGroup, hidden: Dim) -> Dim | None:
    """Parameters of one layer of the group; None where a part of it is not known."""
    other = any(part is not None and part.kind == "other" for part in (*group.mixers, group.ffn))
    other = other or (isinstance(group.ffn, DenseMlp | Moe) and group.ffn.gated is None)
    parts = [linear.n * linear.k for linear in linears_of(group, hidden)]
    for mixer in group.mixers:
        parts += _apart_from_linears(mixer, hidden)
    if isinstance(group.ffn, Moe):
        projections = 3 if group.ffn.gated else 2
        width = group.ffn.latent or hidden
        parts.append(projections * (group.ffn.experts * (group.ffn.intermediate * width)))
    if other or not parts or any(part.value is None for part in parts):
        return None
    return sum(parts, start=Dim(value=0, expression="0"))


def _apart_from_linears(mixer: Mixer, hidden: Dim) -> Iterator[Dim]:
    match mixer:
        case GqaAttention(k_is_v=True) as gqa:  # the V part of the GEMM holds K's weight again
            yield Dim(value=0, expression="0") - gqa.kv_heads * gqa.head_dim * hidden
        case GdnAttention() as gdn:
            channels = 2 * (gdn.k_heads * gdn.k_head_dim) + gdn.v_heads * gdn.v_head_dim
            yield channels * gdn.conv_kernel
        case Dsv4Attention() as dsv4:  # the grouped output projection is no GEMM of the list
            yield dsv4.o_lora_rank * (dsv4.heads * dsv4.head_dim)
        case KdaAttention() as kda:
            channels = 2 * (kda.k_heads * kda.head_dim) + kda.v_heads * kda.v_head_dim
            yield channels * kda.conv_kernel
        case MambaMixer() as mamba:
            channels = mamba.heads * mamba.head_dim + 2 * (mamba.groups * mamba.state_size)
            yield channels * mamba.conv_kernel
        case _:
            pass
