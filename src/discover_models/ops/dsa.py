"""DeepSeek sparse attention: the indexer that picks tokens and attention over the picked ones."""

from collections.abc import Iterator

from discover_models.domain.architecture import (
    Architecture,
    Dsv4Attention,
    Indexer,
    LayerGroup,
    MlaAttention,
    Unmapped,
)
from discover_models.domain.dimension import Dim
from discover_models.domain.kernel import Parallelism
from discover_models.ops.base import PAGE_SIZES, CodePath, KernelSpec, Need
from discover_models.ops.mla import TRTLLM_GEN_PAGE, latent_axes

TOPK_INDEXER = KernelSpec(
    key="dsa_topk_indexer",
    op_type="dsa_paged",
    title="DSA indexer: FP8 scores and top-k token selection",
    data_type="fp8",
    # The only API for both is experimental, and of BF16 without pages; its parts are two APIs.
    apis=("flashinfer.dsa_indexer.dsa_indexer_topk",),
    sglang=("Indexer",),
    near=(
        ("FP8 scores over the paged cache", "flashinfer.fp8_paged_mqa_logits"),
        ("the choice of tokens from scores", "flashinfer.top_k_page_table_transform"),
    ),
)
SPARSE_ATTENTION = KernelSpec(
    key="dsa_sparse_attention",
    op_type="dsa_paged",
    title="DSA sparse attention over the selected tokens",
    apis=("flashinfer.decode.trtllm_batch_decode_with_kv_cache_mla",),
    passes="sparse_mla_top_k",
    paths=(
        CodePath(name="trtllm-gen sparse MLA", limits=(TRTLLM_GEN_PAGE,)),
        CodePath(name="BatchMLAPagedAttentionWrapper with page size 1 over the picked tokens"),
    ),
)


class DsaFamily:
    """``dsa_topk_indexer_fp8_h{}_d{}_topk{}_ps64`` and ``dsa_sparse_attention_h{}_…_ps{1,64}``."""

    op_type = "dsa_paged"
    specs = (TOPK_INDEXER, SPARSE_ATTENTION)

    def needs(
        self, architecture: Architecture, parallelism: Parallelism
    ) -> Iterator[Need | Unmapped]:
        for group in architecture.groups:
            for mixer in group.mixers:
                if isinstance(mixer, MlaAttention | Dsv4Attention) and mixer.indexer is not None:
                    if not mixer.indexer.reused:
                        yield _indexer(group, mixer.indexer)
                    if isinstance(mixer, MlaAttention):  # the other's is a family of its own
                        yield from _attention(group, mixer, mixer.indexer.topk, parallelism)


def _attention(
    group: LayerGroup, mixer: MlaAttention, topk: Dim, parallelism: Parallelism
) -> Iterator[Need]:
    for size in PAGE_SIZES:
        yield Need(
            spec=SPARSE_ATTENTION,
            name="dsa_sparse_attention_h{num_qo_heads}_ckv{head_dim_ckv}"
            "_kpe{head_dim_kpe}_topk{topk}_ps{page_size}",
            axes={
                **latent_axes(mixer, parallelism),
                "topk": topk,
                "page_size": _page(size),
            },
            used_for="sparse attention",
            layers=group.layers,
            sharded=True,
        )


def _indexer(group: LayerGroup, indexer: Indexer) -> Need:
    return Need(
        spec=TOPK_INDEXER,
        name="dsa_topk_indexer_fp8_h{num_index_heads}_d{index_head_dim}_topk{topk}_ps{page_size}",
        axes={
            "num_index_heads": indexer.heads,
            "index_head_dim": indexer.head_dim,
            "topk": indexer.topk,
            "page_size": _page(64),
        },
        used_for="indexer",
        layers=group.layers,
    )


def _page(size: int) -> Dim:
    return Dim(value=size, expression=f"page size {size}")
