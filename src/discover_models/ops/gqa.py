"""Grouped-query attention over a paged and over a ragged KV cache."""

from collections.abc import Iterator, Mapping

from discover_models.domain.architecture import Architecture, GqaAttention, LayerGroup, Unmapped
from discover_models.domain.dimension import Dim
from discover_models.domain.kernel import Parallelism
from discover_models.ops.base import (
    PAGE_SIZES,
    CodePath,
    Dump,
    Gpus,
    KernelSpec,
    Limit,
    Need,
    attention_tp_name,
    mixers_of,
    replicated_split,
    split,
)


def _adds_up(size: int) -> bool:
    """Whether threads with 8 or more columns of BF16 each make up a head of that size.

    A vector of BF16 holds a multiple of 8 (flashinfer include/flashinfer/vec_dtypes.cuh), and a sum
    that is halved again and again reaches all threads only of a power of two.
    """
    columns = max(8, size // 32)
    threads = size // columns
    return columns % 8 == 0 and threads > 0 and threads & (threads - 1) == 0


_ASKED_AS = ("gqa", "grouped-query attention")
_CACHE = ("num_pages", "page_size", "num_kv_heads", "head_dim")
_FA2_HEAD_DIM = Limit(
    what="head dimension",
    measure=lambda axes: axes["head_dim"],
    accepts=lambda size: size >= 64,
    # The copy loops cover whole blocks of 64 columns; FlashInfer tests no other sizes.
    doubtful=lambda size: size % 64 != 0,
    file="include/flashinfer/attention/prefill.cuh",
    text="(NUM_MMA_D_VO < 4) ||",
    version="0.7.2",
)
_CUDA_CORES = CodePath(
    name="CUDA-core decode",
    limits=(
        Limit(
            what="group size (query heads per KV head)",
            measure=lambda axes: axes["num_qo_heads"] // axes["num_kv_heads"],
            listed=r"group_size == (\d+)",
            file="include/flashinfer/utils.cuh",
            text='err_msg << "Unsupported group_size: " << group_size;',
            version="0.7.2",
        ),
        Limit(
            what="head dimension",
            measure=lambda axes: axes["head_dim"],
            accepts=lambda size: size > 0,
            doubtful=lambda size: not _adds_up(size),
            file="include/flashinfer/attention/decode.cuh",
            text="for (uint32_t offset = bdx / 2; offset > 0; offset /= 2) {",
            version="0.7.2",
        ),
    ),
)
_TRTLLM_GEN = CodePath(name="trtllm-gen and cuDNN kernels", checked=False)
_TRTLLM_DECODE = CodePath(
    name="trtllm-gen decode",
    checked=False,
    gpus=Gpus(
        ("SM100", "SM103"),
        "flashinfer/decode.py",
        '"trtllm-gen" if get_compute_capability(query.device)[0] == 10 else "xqa"',
    ),
)

PAGED_DECODE = KernelSpec(
    key="gqa_paged_decode",
    op_type="gqa_paged",
    title="grouped-query attention over a paged KV cache (decode)",
    asked_as=_ASKED_AS,
    apis=(
        "flashinfer.decode.BatchDecodeWithPagedKVCacheWrapper",
        "flashinfer.decode.trtllm_batch_decode_with_kv_cache",
    ),
    paths=(
        _CUDA_CORES,
        CodePath(name="tensor-core decode (use_tensor_cores=True)", limits=(_FA2_HEAD_DIM,)),
        _TRTLLM_DECODE,
        _TRTLLM_GEN,
    ),
)
PAGED_PREFILL = KernelSpec(
    key="gqa_paged_prefill_causal",
    op_type="gqa_paged",
    title="grouped-query attention over a paged KV cache (causal prefill)",
    asked_as=_ASKED_AS,
    apis=(
        "flashinfer.prefill.BatchPrefillWithPagedKVCacheWrapper",
        "flashinfer.prefill.trtllm_batch_context_with_kv_cache",
    ),
    paths=(CodePath(name="FA2 prefill", limits=(_FA2_HEAD_DIM,)), _TRTLLM_GEN),
    dumps=(
        Dump(
            name="gqa_paged_prefill_h{num_qo_heads}_kv{num_kv_heads}_d{head_dim}_ps{page_size}",
            op_types=("gqa_paged",),
            inputs={
                "q": ("bfloat16", ("total_q", "num_qo_heads", "head_dim")),
                "k_cache": ("bfloat16", _CACHE),
                "v_cache": ("bfloat16", _CACHE),
                "qo_indptr": ("int32", ("len_indptr",)),
                "kv_indptr": ("int32", ("len_indptr",)),
                "kv_indices": ("int32", ("num_kv_indices",)),
            },
            api="BatchPrefillWithPagedKVCacheWrapper.run",
        ),
    ),
)
RAGGED_PREFILL = KernelSpec(
    key="gqa_ragged_prefill_causal",
    op_type="gqa_ragged",
    title="grouped-query attention over ragged K and V (causal prefill)",
    asked_as=_ASKED_AS,
    apis=("flashinfer.prefill.BatchPrefillWithRaggedKVCacheWrapper",),
    paths=(CodePath(name="FA2 prefill", limits=(_FA2_HEAD_DIM,)), _TRTLLM_GEN),
    dumps=(
        Dump(
            name="gqa_ragged_h{num_qo_heads}_kv{num_kv_heads}_d{head_dim}",
            op_types=("gqa_ragged",),
            inputs={
                "q": ("bfloat16", ("total_q", "num_qo_heads", "head_dim")),
                "k": ("bfloat16", ("total_kv", "num_kv_heads", "head_dim")),
                "v": ("bfloat16", ("total_kv", "num_kv_heads", "head_dim")),
                "qo_indptr": ("int32", ("len_indptr",)),
                "kv_indptr": ("int32", ("len_indptr",)),
            },
            api="BatchPrefillWithRaggedKVCacheWrapper.run",
        ),
    ),
)
_HEADS = "_h{num_qo_heads}_kv{num_kv_heads}_d{head_dim}"


class GqaPagedFamily:
    """``gqa_paged_{prefill_causal,decode}_h{q/tp}_kv{max(1,kv/tp)}_d{d}_ps{1,64}``."""

    op_type = "gqa_paged"
    specs = (PAGED_PREFILL, PAGED_DECODE)

    def needs(
        self, architecture: Architecture, parallelism: Parallelism
    ) -> Iterator[Need | Unmapped]:
        for group, mixer in mixers_of(architecture, GqaAttention):
            if mixer.msa is not None:
                continue
            for spec in self.specs:
                for size in PAGE_SIZES:
                    page = {"page_size": Dim(value=size, expression=f"page size {size}")}
                    yield _need(spec, "_ps{page_size}", page, group, mixer, parallelism)


class GqaRaggedFamily:
    """``gqa_ragged_prefill_causal_h{q/tp}_kv{max(1,kv/tp)}_d{d}``."""

    op_type = "gqa_ragged"
    specs = (RAGGED_PREFILL,)

    def needs(
        self, architecture: Architecture, parallelism: Parallelism
    ) -> Iterator[Need | Unmapped]:
        for group, mixer in mixers_of(architecture, GqaAttention):
            if mixer.msa is not None:
                continue
            yield _need(RAGGED_PREFILL, "", {}, group, mixer, parallelism)


def _need(
    spec: KernelSpec,
    suffix: str,
    extra: Mapping[str, Dim],
    group: LayerGroup,
    mixer: GqaAttention,
    parallelism: Parallelism,
) -> Need:
    size, name = parallelism.attention_tp, attention_tp_name(parallelism)
    value = mixer.v_head_dim
    heads = _HEADS if value == mixer.head_dim else f"{_HEADS}_vo{{head_dim_vo}}"
    axes = {
        "num_qo_heads": split(mixer.q_heads, size, name),
        "num_kv_heads": replicated_split(mixer.kv_heads, size, name),
        "head_dim": mixer.head_dim,
    }
    if value != mixer.head_dim:
        axes["head_dim_vo"] = value
    return Need(
        spec=spec,
        name=spec.key + heads + suffix,
        axes={**axes, **extra},
        used_for=_restriction(mixer),
        layers=group.layers,
        sharded=True,
        notes=_notes(mixer),
    )


def _restriction(mixer: GqaAttention) -> str:
    if mixer.window is not None:
        return "sliding-window attention"
    return "chunked attention" if mixer.chunk is not None else "attention"


def _notes(mixer: GqaAttention) -> tuple[str, ...]:
    """Parameters that the kernel must take but that don't change its name."""
    notes: list[str] = []
    if mixer.window is not None:
        size = mixer.window.value
        length = "an unknown number of" if size is None else size
        notes.append(f"sliding window of {length} tokens in these layers")
    if mixer.chunk is not None:
        notes.append(f"chunks of {mixer.chunk.value} tokens in these layers")
    if mixer.sinks:
        notes.append("attention sinks: a learnt logit per head joins the softmax")
    if mixer.soft_cap:
        notes.append("logits are soft-capped")
    if mixer.infllm is not None:
        notes.append(f"inputs of up to {mixer.infllm.dense_len.value} tokens")
    return tuple(notes)
