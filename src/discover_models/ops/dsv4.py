"""DeepSeek-V4's attention: over a window and compressed tokens, K and V one vector."""

from collections.abc import Iterator

from discover_models.domain.architecture import Architecture, Dsv4Attention, LayerGroup, Unmapped
from discover_models.domain.dimension import Dim
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

SPARSE_MLA = KernelSpec(
    key="dsv4_sparse_mla",
    op_type="dsv4",
    title="DeepSeek-V4 attention over a window and compressed tokens",
    apis=("flashinfer.mla.trtllm_batch_decode_sparse_mla_dsv4",),
    paths=(
        CodePath(
            "DeepSeek-V4 sparse MLA",
            (
                Limit(
                    what="head dimension",
                    measure=lambda axes: axes["head_dim"],
                    accepts=lambda size: size == 512,
                    file="flashinfer/mla/_core.py",
                    text="The query and both KV pools use head dim 512.",
                    version="0.7.0",
                    earlier=Limit(
                        what="head dimension",
                        measure=lambda axes: axes["head_dim"],
                        accepts=lambda size: size == 512,
                        file="flashinfer/mla/_core.py",
                        text="Expected query head dim 512, got {head_dim}",
                        version="0.6.12",
                    ),
                ),
            ),
        ),
    ),
)
KV_COMPRESS = KernelSpec(
    key="dsv4_kv_compress",
    op_type="dsv4_compress",
    title="DeepSeek-V4 KV compression: gated pooling, norm, rotation and cache write",
    sought=("kv_compress", "mla_compress", "compressor"),
    read_at="0.7.2",
    sglang=("Compressor", "compress_forward"),
)
GROUPED_OUTPUT = KernelSpec(
    key="batch_deepgemm_fp8_nt_groupwise",
    op_type="gemm_fp8",
    title="batched FP8 GEMM with scales per group (grouped output projection)",
    apis=("flashinfer.gemm.batch_deepgemm_fp8_nt_groupwise",),
)


class Dsv4Family:
    """``dsv4_sparse_mla_h{heads/tp}_d{}_swa{window}[_c{ratio}[_topk{}]]``, ``dsv4_kv_compress_…``.

    The grouped output projection has the name of flashinfer/trace/templates/gemm.py.
    """

    op_type = "dsv4"
    specs = (SPARSE_MLA, KV_COMPRESS, GROUPED_OUTPUT)

    def needs(
        self, architecture: Architecture, parallelism: Parallelism
    ) -> Iterator[Need | Unmapped]:
        for group, mixer in mixers_of(architecture, Dsv4Attention):
            yield _attention(group, mixer, parallelism)
            if mixer.compress_ratio is not None:
                yield _compress(group, mixer.compress_ratio, mixer.head_dim, "KV compression")
                if mixer.indexer is not None:
                    keys = mixer.indexer.head_dim
                    yield _compress(group, mixer.compress_ratio, keys, "indexer's key compression")
            yield Need(
                spec=GROUPED_OUTPUT,
                name="batch_deepgemm_fp8_nt_groupwise_n{N}_k{K}",
                axes={
                    "N": mixer.o_lora_rank,
                    "K": mixer.heads * mixer.head_dim // mixer.o_groups,
                },
                used_for="grouped output projection",
                layers=group.layers,
            )


def _attention(group: LayerGroup, mixer: Dsv4Attention, parallelism: Parallelism) -> Need:
    size, name = parallelism.attention_tp, attention_tp_name(parallelism)
    text = "dsv4_sparse_mla_h{num_qo_heads}_d{head_dim}_swa{window}"
    axes = {
        "num_qo_heads": split(mixer.heads, size, name),
        "head_dim": mixer.head_dim,
        "window": mixer.window,
    }
    if mixer.compress_ratio is not None:
        text += "_c{compress_ratio}"
        axes["compress_ratio"] = mixer.compress_ratio
    if mixer.indexer is not None:
        text += "_topk{topk}"
        axes["topk"] = mixer.indexer.topk
    return Need(
        spec=SPARSE_MLA,
        name=text,
        axes=axes,
        used_for="attention",
        layers=group.layers,
        sharded=True,
        notes=("attention sinks: a learnt logit per head joins the softmax",),
    )


def _compress(group: LayerGroup, ratio: Dim, head_dim: Dim, used_for: str) -> Need:
    return Need(
        spec=KV_COMPRESS,
        name="dsv4_kv_compress_c{compress_ratio}_d{head_dim}",
        axes={"compress_ratio": ratio, "head_dim": head_dim},
        used_for=used_for,
        layers=group.layers,
    )
