"""The linear layers of the decoder, unsharded, fused as SGLang fuses them."""

from collections.abc import Iterator

from discover_models.domain.architecture import (
    Architecture,
    DenseMlp,
    Dsv4Attention,
    Ffn,
    GdnAttention,
    GqaAttention,
    KdaAttention,
    LayerGroup,
    LightningAttention,
    Linear,
    Mamba1Mixer,
    MambaMixer,
    Mixer,
    MlaAttention,
    Moe,
    ShortConvMixer,
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
                yield _need(linear, group.layers)
        for linear in architecture.outside:
            yield _need(linear, None)
        yield from _hyper_connections(architecture)


def _need(linear: Linear, layers: tuple[int, ...] | None, notes: tuple[str, ...] = ()) -> Need:
    return Need(
        spec=GEMM,
        name="gemm_n{N}_k{K}",
        axes={"N": linear.n, "K": linear.k},
        used_for=linear.name,
        layers=layers,
        notes=notes,
        evidence=linear.evidence,
    )


def _hyper_connections(architecture: Architecture) -> Iterator[Need]:
    """What mixes the residual streams, twice in a layer, and once into one after the last layer.

    Source: sglang python/sglang/srt/models/deepseek_v4.py (``mix_hc``).
    """
    streams, hidden = architecture.hyper_streams, architecture.hidden_size
    if streams is None:
        return
    mix = Linear(name="hyper-connection mix", n=(streams + 2) * streams, k=streams * hidden)
    notes = ("a bare FP32 weight: SGLang multiplies by it in kernels of its own",)
    last: tuple[int, ...] = ()
    for group in architecture.groups:
        yield _need(mix, group.layers, notes)
        last = max(last, group.layers[-1:])
    yield _need(Linear(name="hyper-connection head", n=streams, k=streams * hidden), last, notes)


def _undecided(group: LayerGroup) -> Iterator[Unmapped]:
    """Linear layers of which the fields don't say how they are built or fused."""
    if group.linears is not None:
        return
    if isinstance(group.ffn, DenseMlp | Moe) and group.ffn.gated is None:
        yield Unmapped(
            what="gate and up projections of the MLP",
            reason="nothing read so far says whether the MLP has a gate",
        )
    for mixer in group.mixers:
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
    for mixer in group.mixers:
        yield from _mixer_linears(mixer, hidden)
    if group.ffn is not None:
        yield from _ffn_linears(group.ffn, hidden)


def _mixer_linears(mixer: Mixer, hidden: Dim) -> Iterator[Linear]:
    match mixer:
        case GqaAttention():
            yield from _gqa_linears(mixer, hidden)
        case MlaAttention():
            yield from _mla_linears(mixer, hidden)
        case Dsv4Attention():
            yield from _dsv4_linears(mixer, hidden)
        case GdnAttention():
            yield from _gdn_linears(mixer, hidden)
        case KdaAttention():
            yield from _kda_linears(mixer, hidden)
        case LightningAttention():
            yield from _lightning_linears(mixer, hidden)
        case MambaMixer():
            yield from _mamba_linears(mixer, hidden)
        case Mamba1Mixer():
            yield from _mamba1_linears(mixer, hidden)
        case ShortConvMixer():
            yield Linear(name="in_proj", n=3 * mixer.channels, k=hidden)
            yield Linear(name="out_proj", n=hidden, k=mixer.channels)
        case _:
            return


def _gqa_linears(mixer: GqaAttention, hidden: Dim) -> Iterator[Linear]:
    doubled = mixer.output_gate and not mixer.gate_apart
    q = mixer.q_heads * 2 if doubled else mixer.q_heads
    if mixer.shares_kv:
        yield Linear(name="q_proj", n=q * mixer.head_dim, k=hidden)
    else:
        if mixer.v_head_dim == mixer.head_dim:
            n = (q + 2 * mixer.kv_heads) * mixer.head_dim
        else:
            n = (q + mixer.kv_heads) * mixer.head_dim + mixer.kv_heads * mixer.v_head_dim
        if mixer.msa is None:
            yield Linear(name="qkv_proj", n=n, k=hidden)
        else:
            n = n + (mixer.msa.index_heads + 1) * mixer.msa.index_head_dim
            yield Linear(name="qkv_proj and index_qkv_proj", n=n, k=hidden)
    yield Linear(name="o_proj", n=hidden, k=mixer.q_heads * mixer.v_head_dim)
    if mixer.output_gate and mixer.gate_apart:
        yield Linear(name="o_gate", n=mixer.q_heads * mixer.v_head_dim, k=hidden)


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
    if mixer.output_gate:
        yield Linear(name="g_proj", n=mixer.heads * mixer.v_head_dim, k=hidden)
    indexer = mixer.indexer
    if indexer is not None and not indexer.reused and mixer.q_lora_rank is not None:
        yield Linear(name="indexer wq_b", n=indexer.heads * indexer.head_dim, k=mixer.q_lora_rank)
        if indexer.fused_weights_proj:
            yield Linear(
                name="indexer wk_weights_proj", n=indexer.head_dim + indexer.heads, k=hidden
            )
        else:
            yield Linear(name="indexer wk", n=indexer.head_dim, k=hidden)
            yield Linear(name="indexer weights_proj", n=indexer.heads, k=hidden)


def _dsv4_linears(mixer: Dsv4Attention, hidden: Dim) -> Iterator[Linear]:
    """The first output projection is grouped, so that it is no GEMM of this kind (ops/dsv4.py)."""
    yield Linear(name="wqkv_a", n=mixer.q_lora_rank + mixer.head_dim, k=hidden)
    yield Linear(name="wq_b", n=mixer.heads * mixer.head_dim, k=mixer.q_lora_rank)
    yield Linear(name="wo_b", n=hidden, k=mixer.o_groups * mixer.o_lora_rank)
    if mixer.compress_ratio is None:
        return
    ratio = mixer.compress_ratio
    yield Linear(name="compressor wkv_gate", n=_compressed(ratio, mixer.head_dim), k=hidden)
    if mixer.indexer is not None:
        indexer = mixer.indexer
        n = _compressed(ratio, indexer.head_dim)
        yield Linear(name="indexer compressor wkv_gate", n=n, k=hidden)
        yield Linear(name="indexer wq_b", n=indexer.heads * indexer.head_dim, k=mixer.q_lora_rank)
        yield Linear(name="indexer weights_proj", n=indexer.heads, k=hidden)


def _compressed(ratio: Dim, width: Dim) -> Dim:
    """Keys and their gates; windows overlap at ratio 4, which doubles both.

    Source: sglang python/sglang/srt/layers/attention/dsv4/compressor.py (``overlap``).
    """
    if not ratio.known:
        return ratio * width
    return 4 * width if ratio.value == 4 else 2 * width


def _kda_linears(mixer: KdaAttention, hidden: Dim) -> Iterator[Linear]:
    """As SGLang merges them without quantisation (models/kimi_k3.py, models/kimi_linear.py)."""
    v_width = mixer.v_heads * mixer.v_head_dim
    qkv = 2 * (mixer.k_heads * mixer.head_dim) + v_width
    if mixer.full_rank_gate:
        yield Linear(name="fused_qkvg_proj", n=qkv + v_width, k=hidden)
        yield Linear(name="f_a_proj and b_proj", n=mixer.head_dim + mixer.v_heads, k=hidden)
        yield Linear(name="f_b_proj", n=mixer.k_heads * mixer.head_dim, k=mixer.head_dim)
    else:
        n = qkv + mixer.v_heads + 2 * mixer.head_dim
        yield Linear(name="fused_qkvbfg_a_proj", n=n, k=hidden)
        yield Linear(name="f_b_proj", n=mixer.k_heads * mixer.head_dim, k=mixer.head_dim)
        yield Linear(name="g_b_proj", n=v_width, k=mixer.head_dim)
    yield Linear(name="o_proj", n=hidden, k=v_width)


def _lightning_linears(mixer: LightningAttention, hidden: Dim) -> Iterator[Linear]:
    if mixer.output_norm == "undecided":
        return  # listed by its family
    n = (mixer.heads + 2 * mixer.kv_heads) * mixer.head_dim
    yield Linear(name="qkv_proj", n=n, k=hidden)
    yield Linear(name="o_proj", n=hidden, k=mixer.heads * mixer.head_dim)
    if mixer.output_gate:
        yield Linear(name="z_proj", n=mixer.heads * mixer.head_dim, k=hidden)


def _mamba1_linears(mixer: Mamba1Mixer, hidden: Dim) -> Iterator[Linear]:
    yield Linear(name="in_proj", n=2 * mixer.channels, k=hidden)
    yield Linear(name="x_proj", n=mixer.dt_rank + 2 * mixer.state_size, k=mixer.channels)
    yield Linear(name="dt_proj", n=mixer.channels, k=mixer.dt_rank)
    yield Linear(name="out_proj", n=hidden, k=mixer.channels)


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
    if ffn.merged_front and ffn.shared_intermediate is not None and ffn.latent is not None:
        up = 2 * ffn.shared_intermediate if ffn.gated else ffn.shared_intermediate
        n = up + ffn.experts + ffn.latent
        yield Linear(name="shared gate_up, router and latent down", n=n, k=hidden)
        yield Linear(name="shared down_proj", n=hidden, k=ffn.shared_intermediate)
    else:
        yield Linear(name="router gate", n=ffn.experts, k=hidden)
        if ffn.shared_intermediate is not None:
            yield from _mlp_linears("shared ", ffn.shared_intermediate, hidden, gated=ffn.gated)
        if ffn.latent is not None:
            yield Linear(name="latent down", n=ffn.latent, k=hidden)
    if ffn.latent is not None:
        yield Linear(name="latent up", n=hidden, k=ffn.latent)
    if ffn.shared_gate:
        yield Linear(name="shared_expert_gate", n=Dim(value=1, expression="1"), k=hidden)
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
