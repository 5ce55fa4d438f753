"""Attention over blocks of the KV cache that an index branch picks: MSA and InfLLM-v2."""

from collections.abc import Iterator

from discover_models.domain.architecture import (
    Architecture,
    GqaAttention,
    InfllmSelection,
    LayerGroup,
    MsaSelection,
    Unmapped,
)
from discover_models.domain.dimension import Dim
from discover_models.domain.kernel import Parallelism
from discover_models.ops.base import (
    CodePath,
    KernelSpec,
    Limit,
    Need,
    attention_tp_name,
    mixers_of,
    replicated_split,
    split,
)


def _head_dim(file: str) -> Limit:
    return Limit(
        what="head dimension",
        measure=lambda axes: axes["head_dim"],
        accepts=lambda size: size == 128,
        file=f"flashinfer/msa_ops/{file}",
        text='raise ValueError(f"head_dim must be 128, got {head_dim}")',
        version="0.7.2",
    )


_GROUP = Limit(
    what="group size (query heads per KV head)",
    measure=lambda axes: axes["num_qo_heads"] // axes["num_kv_heads"],
    accepts=lambda size: 1 <= size <= 16,
    file="flashinfer/msa_ops/_blackwell_sm100.py",
    text="the GQA group size must be in [1, 16]",
    version="0.7.2",
)
_TOPK_SM100 = Limit(
    what="blocks per query",
    measure=lambda axes: axes["topk"],
    accepts=lambda topk: topk == 16,
    file="flashinfer/msa_ops/_blackwell_sm100.py",
    text="Blackwell MSA sparse attention requires topk=16",
    version="0.7.2",
    earlier=Limit(
        what="blocks per query",
        measure=lambda axes: axes["topk"],
        accepts=lambda topk: topk in (4, 8, 16, 32),
        file="flashinfer/msa_ops/_blackwell_sm100.py",
        text="Blackwell MSA sparse attention requires topk in {4, 8, 16, 32}",
        version="0.7.0",
    ),
)
PREFILL = KernelSpec(
    key="msa_sparse_attention",
    op_type="msa_sparse",
    title="MSA block-sparse attention (prefill)",
    asked_as=("msa", "MSA block-sparse attention"),
    apis=("flashinfer.msa_ops.msa_sparse_attention",),
    sglang=("minimax_sparse_prefill",),
    paths=(
        CodePath("SM100 prefill", (_head_dim("sparse_prefill.py"), _GROUP, _TOPK_SM100)),
        CodePath("SM120 prefill", (_head_dim("sparse_prefill.py"),)),
    ),
)
DECODE = KernelSpec(
    key="msa_sparse_decode_attention",
    op_type="msa_sparse",
    title="MSA block-sparse attention (decode)",
    asked_as=("msa", "MSA block-sparse attention"),
    apis=("flashinfer.msa_ops.msa_sparse_decode_attention",),
    sglang=("minimax_sparse_decode",),
    paths=(
        CodePath("SM100 decode", (_head_dim("sparse_decode.py"), _GROUP, _TOPK_SM100)),
        CodePath("SM120 decode", (_head_dim("sparse_decode.py"),)),
    ),
)
PROXY_SCORE = KernelSpec(
    key="msa_proxy_score",
    op_type="msa_proxy",
    title="MSA scores of the KV cache's blocks",
    asked_as=("msa", "MSA block-sparse attention"),
    apis=("flashinfer.msa_ops.msa_proxy_score",),
    paths=(CodePath("proxy score", (_head_dim("proxy_score.py"),)),),
)
TOPK_SELECT = KernelSpec(
    key="msa_topk_select",
    op_type="msa_topk",
    title="MSA choice of the best blocks",
    asked_as=("msa", "MSA block-sparse attention"),
    apis=("flashinfer.msa_ops.msa_topk_select",),
    paths=(
        CodePath(
            "top-k selection",
            (
                Limit(
                    what="blocks per query",
                    measure=lambda axes: axes["topk"],
                    accepts=lambda topk: topk == 16,
                    file="flashinfer/msa_ops/sparse_topk_select.py",
                    text='raise ValueError(f"topk must be 16, got {topk}")',
                    version="0.7.2",
                ),
            ),
        ),
    ),
)
INFLLM_ATTENTION = KernelSpec(
    key="infllmv2_sparse_attention",
    op_type="infllm",
    title="InfLLM-v2 block-sparse attention",
    asked_as=("infllmv2", "InfLLM-v2 block-sparse attention"),
    # MSA's kernels need blocks of 128 tokens and another selection.
    sought=("infllm",),
)
INFLLM_SELECT = KernelSpec(
    key="infllmv2_topk_select",
    op_type="infllm",
    title="InfLLM-v2 choice of blocks by compressed keys",
    asked_as=("infllmv2", "InfLLM-v2 block-sparse attention"),
    sought=("infllm",),
)


class MsaFamily:
    """``msa_sparse[_decode]_attention_h{q/tp}_kv{}_d{}_topk{}``, ``msa_proxy_score_…``.

    Names are those of flashinfer/trace/templates/msa.py. The index heads are sharded, and shared
    where there are fewer than GPUs; all of them read one index key per token.
    """

    op_type = "msa_sparse"
    specs = (PREFILL, DECODE, PROXY_SCORE, TOPK_SELECT)

    def needs(
        self, architecture: Architecture, parallelism: Parallelism
    ) -> Iterator[Need | Unmapped]:
        size, name = parallelism.attention_tp, attention_tp_name(parallelism)
        for group, mixer in mixers_of(architecture, GqaAttention):
            if mixer.msa is None:
                continue
            if mixer.msa.block_size.value not in (128, None):
                yield Unmapped(
                    what="MSA sparse attention",
                    reason=f"blocks of {mixer.msa.block_size.value} tokens: the definitions"
                    " are of blocks of 128 (flashinfer/msa_ops/proxy_score.py)",
                )
                continue
            heads = _heads(mixer, parallelism)
            for spec in (PREFILL, DECODE):
                yield Need(
                    spec=spec,
                    name=spec.key + "_h{num_qo_heads}_kv{num_kv_heads}_d{head_dim}_topk{topk}",
                    axes={**heads, "topk": mixer.msa.topk},
                    used_for="sparse attention",
                    layers=group.layers,
                    sharded=True,
                )
            yield from _selection(
                group, mixer.msa, replicated_split(mixer.msa.index_heads, size, name)
            )


def _selection(group: LayerGroup, msa: MsaSelection, index_heads: Dim) -> Iterator[Need]:
    one = Dim(value=1, expression="1 (one index key per token)")
    yield Need(
        spec=PROXY_SCORE,
        name="msa_proxy_score_h{num_qo_heads}_kv{num_kv_heads}_d{head_dim}",
        axes={"num_qo_heads": index_heads, "num_kv_heads": one, "head_dim": msa.index_head_dim},
        used_for="block scores",
        layers=group.layers,
        sharded=True,
    )
    yield Need(
        spec=TOPK_SELECT,
        name="msa_topk_select_h{num_qo_heads}_topk{topk}",
        axes={"num_qo_heads": index_heads, "topk": msa.topk},
        used_for="block choice",
        layers=group.layers,
        sharded=True,
    )


class InfllmFamily:
    """``infllmv2_sparse_attention_h{q/tp}_kv{}_d{}_bs{block}_topk{}``, ``infllmv2_topk_select_…``.

    Short inputs (`dense_len`) run as dense attention, whose definitions stay.
    """

    op_type = "infllm"
    specs = (INFLLM_ATTENTION, INFLLM_SELECT)

    def needs(
        self, architecture: Architecture, parallelism: Parallelism
    ) -> Iterator[Need | Unmapped]:
        for group, mixer in mixers_of(architecture, GqaAttention):
            if mixer.infllm is not None:
                heads = _heads(mixer, parallelism)
                yield from _infllm(group, mixer.infllm, heads)


def _infllm(group: LayerGroup, chosen: InfllmSelection, heads: dict[str, Dim]) -> Iterator[Need]:
    name = "_h{num_qo_heads}_kv{num_kv_heads}_d{head_dim}"
    above = (f"inputs longer than {chosen.dense_len.value} tokens",)
    yield Need(
        spec=INFLLM_ATTENTION,
        name=INFLLM_ATTENTION.key + name + "_bs{block_size}_topk{topk}",
        axes={**heads, "block_size": chosen.block_size, "topk": chosen.topk},
        used_for="sparse attention",
        layers=group.layers,
        sharded=True,
        notes=above,
    )
    yield Need(
        spec=INFLLM_SELECT,
        name=INFLLM_SELECT.key + name + "_ks{kernel_size}_st{kernel_stride}_topk{topk}",
        axes={
            **heads,
            "kernel_size": chosen.kernel_size,
            "kernel_stride": chosen.kernel_stride,
            "topk": chosen.topk,
        },
        used_for="block choice",
        layers=group.layers,
        sharded=True,
        notes=above,
    )


def _heads(mixer: GqaAttention, parallelism: Parallelism) -> dict[str, Dim]:
    size, name = parallelism.attention_tp, attention_tp_name(parallelism)
    return {
        "num_qo_heads": split(mixer.q_heads, size, name),
        "num_kv_heads": replicated_split(mixer.kv_heads, size, name),
        "head_dim": mixer.head_dim,
    }
