"""The linear layers of the decoder, unsharded, fused as SGLang fuses them."""

from collections.abc import Iterator

from discover_models.domain.architecture import (
    Architecture,
    DenseMlp,
    Ffn,
    GdnAttention,
    GqaAttention,
    LayerGroup,
    Linear,
    MambaMixer,
    Mixer,
    MlaAttention,
    Moe,
    Unmapped,
)
from discover_models.domain.dimension import Dim
from discover_models.domain.kernel import Parallelism
from discover_models.ops.base import Dump, KernelSpec, Need

GEMM = KernelSpec(
    key="gemm",
    op_type="gemm",
    title="GEMM of a linear layer",
    apis=("flashinfer.gemm.mm_bf16",),
    dumps=(
        Dump(
            name="gemm_bf16_N{N}_K{K}",
            op_types=("gemm_bf16", "gemm"),
            inputs={"A": ("bfloat16", ("M", "K")), "B": ("bfloat16", ("K", "N"))},
            api="mm_bf16",
        ),
    ),
    always_supported=True,
)


class GemmFamily:
    """``gemm_n{N}_k{K}``: ``C[M, N] = A[M, K] · B[N, K]^T``."""

    op_type = "gemm"
    specs = (GEMM,)

    def needs(
        self, architecture: Architecture, parallelism: Parallelism
    ) -> Iterator[Need | Unmapped]:
        for group in architecture.groups:
            yield from _undecided(group)
            for linear in linears_of(group, architecture.hidden_size):
                yield Need(
                    spec=GEMM,
                    name="gemm_n{N}_k{K}",
                    axes={"N": linear.n, "K": linear.k},
                    used_for=linear.name,
                    layers=group.layers,
                    evidence=linear.evidence,
                )


def _undecided(group: LayerGroup) -> Iterator[Unmapped]:
    """Linear layers of which the fields don't say how they are built or fused."""
    if group.linears is not None:
        return
    if isinstance(group.ffn, DenseMlp | Moe) and group.ffn.gated is None:
        yield Unmapped(
            what="gate and up projections of the MLP",
            reason="nothing read so far says whether the MLP has a gate",
        )
    mixer = group.mixer
    if isinstance(mixer, MlaAttention) and mixer.q_lora_rank and mixer.fused_a_proj is None:
        yield Unmapped(
            what="low-rank projections of q and KV",
            reason="nothing read so far says whether they run as one GEMM",
        )


def linears_of(group: LayerGroup, hidden: Dim) -> Iterator[Linear]:
    """The linear layers of one decoder layer of the group, experts apart."""
    if group.linears is not None:
        yield from group.linears
        return
    if group.mixer is not None:
        yield from _mixer_linears(group.mixer, hidden)
    if group.ffn is not None:
        yield from _ffn_linears(group.ffn, hidden)


def _mixer_linears(mixer: Mixer, hidden: Dim) -> Iterator[Linear]:
    match mixer:
        case GqaAttention():
            yield from _gqa_linears(mixer, hidden)
        case MlaAttention():
            yield from _mla_linears(mixer, hidden)
        case GdnAttention():
            yield from _gdn_linears(mixer, hidden)
        case MambaMixer():
            yield from _mamba_linears(mixer, hidden)
        case _:
            return


def _gqa_linears(mixer: GqaAttention, hidden: Dim) -> Iterator[Linear]:
    q = mixer.q_heads * 2 if mixer.output_gate else mixer.q_heads
    if mixer.shares_kv:
        yield Linear(name="q_proj", n=q * mixer.head_dim, k=hidden)
    elif mixer.v_head_dim == mixer.head_dim:
        n = (q + 2 * mixer.kv_heads) * mixer.head_dim
        yield Linear(name="qkv_proj", n=n, k=hidden)
    else:
        n = (q + mixer.kv_heads) * mixer.head_dim + mixer.kv_heads * mixer.v_head_dim
        yield Linear(name="qkv_proj", n=n, k=hidden)
    yield Linear(name="o_proj", n=hidden, k=mixer.q_heads * mixer.v_head_dim)


def _mla_linears(mixer: MlaAttention, hidden: Dim) -> Iterator[Linear]:
    qk_head_dim = mixer.qk_nope_head_dim + mixer.qk_rope_head_dim
    latent = mixer.kv_lora_rank + mixer.qk_rope_head_dim
    if mixer.q_lora_rank is None:
        yield Linear(name="q_proj", n=mixer.heads * qk_head_dim, k=hidden)
        yield Linear(name="kv_a_proj_with_mqa", n=latent, k=hidden)
    else:
        if mixer.fused_a_proj:
            yield Linear(name="fused_qkv_a_proj_with_mqa", n=mixer.q_lora_rank + latent, k=hidden)
        elif mixer.fused_a_proj is False:
            yield Linear(name="q_a_proj", n=mixer.q_lora_rank, k=hidden)
            yield Linear(name="kv_a_proj_with_mqa", n=latent, k=hidden)
        yield Linear(name="q_b_proj", n=mixer.heads * qk_head_dim, k=mixer.q_lora_rank)
    kv_head_dim = mixer.qk_nope_head_dim + mixer.v_head_dim
    yield Linear(name="kv_b_proj", n=mixer.heads * kv_head_dim, k=mixer.kv_lora_rank)
    yield Linear(name="o_proj", n=hidden, k=mixer.heads * mixer.v_head_dim)
    if mixer.indexer is not None and mixer.q_lora_rank is not None:
        indexer = mixer.indexer
        yield Linear(name="indexer wq_b", n=indexer.heads * indexer.head_dim, k=mixer.q_lora_rank)
        if indexer.fused_weights_proj:
            yield Linear(
                name="indexer wk_weights_proj", n=indexer.head_dim + indexer.heads, k=hidden
            )
        else:
            yield Linear(name="indexer wk", n=indexer.head_dim, k=hidden)
            yield Linear(name="indexer weights_proj", n=indexer.heads, k=hidden)


def _gdn_linears(mixer: GdnAttention, hidden: Dim) -> Iterator[Linear]:
    k_width = mixer.k_heads * mixer.k_head_dim
    v_width = mixer.v_heads * mixer.v_head_dim
    yield Linear(name="in_proj_qkvz", n=2 * k_width + 2 * v_width, k=hidden)
    yield Linear(name="in_proj_ba", n=2 * mixer.v_heads, k=hidden)
    yield Linear(name="out_proj", n=hidden, k=v_width)


def _mamba_linears(mixer: MambaMixer, hidden: Dim) -> Iterator[Linear]:
    inner = mixer.heads * mixer.head_dim
    n = 2 * inner + 2 * (mixer.groups * mixer.state_size) + mixer.heads
    yield Linear(name="in_proj", n=n, k=hidden)
    yield Linear(name="out_proj", n=hidden, k=inner)


def _ffn_linears(ffn: Ffn, hidden: Dim) -> Iterator[Linear]:
    match ffn:
        case DenseMlp():
            yield from _mlp_linears("", ffn.intermediate, hidden, gated=ffn.gated)
        case Moe():
            yield from _moe_linears(ffn, hidden)
        case _:
            return


def _moe_linears(ffn: Moe, hidden: Dim) -> Iterator[Linear]:
    yield Linear(name="router gate", n=ffn.experts, k=hidden)
    if ffn.shared_intermediate is not None:
        yield from _mlp_linears("shared ", ffn.shared_intermediate, hidden, gated=ffn.gated)
    if ffn.shared_gate:
        yield Linear(name="shared_expert_gate", n=Dim(value=1, expression="1"), k=hidden)
    if ffn.latent is not None:
        yield Linear(name="latent down", n=ffn.latent, k=hidden)
        yield Linear(name="latent up", n=hidden, k=ffn.latent)
    if ffn.dense_beside is not None:
        yield from _mlp_linears("", ffn.dense_beside, hidden, gated=ffn.gated)


def _mlp_linears(
    prefix: str, intermediate: Dim, hidden: Dim, *, gated: bool | None
) -> Iterator[Linear]:
    if gated:
        yield Linear(name=f"{prefix}gate_up_proj", n=2 * intermediate, k=hidden)
    elif gated is False:
        yield Linear(name=f"{prefix}up_proj", n=intermediate, k=hidden)
    yield Linear(name=f"{prefix}down_proj", n=hidden, k=intermediate)
