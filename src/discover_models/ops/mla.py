"""Multi-head latent attention: absorbed over the paged latent cache, and ragged prefill."""

from collections.abc import Iterator

from discover_models.domain.architecture import Architecture, MlaAttention, Unmapped
from discover_models.domain.dimension import Dim
from discover_models.domain.kernel import Parallelism
from discover_models.ops.base import (
    PAGE_SIZES,
    CodePath,
    Gpus,
    KernelSpec,
    Limit,
    Need,
    attention_tp_name,
    mixers_of,
    split,
)

_ASKED_AS = ("mla", "multi-head latent attention")


def _fa2(axis: str, what: str, multiple: int, documented: int) -> Limit:
    """Before 0.7.2 nothing is refused, and one size alone is said to work."""

    def known_to_work(file: str, text: str, version: str, earlier: Limit | None = None) -> Limit:
        return Limit(
            what=what,
            measure=lambda axes: axes[axis],
            accepts=lambda size: size > 0,
            doubtful=lambda size: size != documented,
            file=file,
            text=text,
            version=version,
            earlier=earlier,
        )

    described = known_to_work(
        "flashinfer/mla/_core.py",
        f"``{axis}`` is {documented} in DeepSeek v2/v3 models.",
        "0.6.7",
    )
    quantised = known_to_work(
        "flashinfer/mla/_batch_mla/_backends/_fa_common.py",
        "if head_dim_ckv != 512 or head_dim_kpe not in (0, 64):",
        "0.7.0",
        described,
    )
    return Limit(
        what=what,
        measure=lambda axes: axes[axis],
        accepts=lambda size: size % multiple == 0,
        file="flashinfer/mla/_batch_mla/_backends/_fa_common.py",
        text="if head_dim_ckv % 128 or head_dim_kpe % 64:",
        version="0.7.2",
        earlier=quantised,
    )


_FA2_LATENT = CodePath(
    name="FA2 MLA",
    limits=(
        _fa2("head_dim_ckv", "latent dimension", 128, 512),
        _fa2("head_dim_kpe", "rotary dimension", 64, 64),
    ),
)
TRTLLM_GEN_PAGE = Limit(
    what="page size",
    measure=lambda axes: axes["page_size"],
    accepts=lambda size: size in (32, 64),
    file="flashinfer/mla/_core.py",
    text="trtllm-gen requires block_size in (32, 64), got {block_size}",
    version="0.7.0",
    earlier=Limit(
        what="page size",
        measure=lambda axes: axes["page_size"],
        accepts=lambda size: size in (32, 64),
        file="flashinfer/mla/_core.py",
        text="Supported block_size are 32 and 64, got {block_size}",
        version="0.6.7",
    ),
)

PAGED_DECODE = KernelSpec(
    key="mla_paged_decode",
    op_type="mla_paged",
    title="multi-head latent attention over a paged latent cache (decode)",
    asked_as=_ASKED_AS,
    apis=(
        "flashinfer.mla.BatchMLAPagedAttentionWrapper",
        "flashinfer.decode.trtllm_batch_decode_with_kv_cache_mla",
        "flashinfer.decode.BatchDecodeMlaWithPagedKVCacheWrapper",
    ),
    omits="sparse_mla_top_k",
    paths=(
        _FA2_LATENT,
        CodePath(
            name="trtllm-gen MLA",
            limits=(TRTLLM_GEN_PAGE,),
            checked=False,
            gpus=Gpus(("SM100", "SM103"), "flashinfer/mla/_core.py", "elif cc[0] != 10:"),
        ),
    ),
)
PAGED_PREFILL = KernelSpec(
    key="mla_paged_prefill_causal",
    op_type="mla_paged",
    title="multi-head latent attention over a paged latent cache (causal prefill)",
    asked_as=_ASKED_AS,
    apis=("flashinfer.mla.BatchMLAPagedAttentionWrapper",),
    paths=(_FA2_LATENT,),
)
RAGGED_PREFILL = KernelSpec(
    key="mla_ragged_prefill_causal",
    op_type="mla_ragged",
    title="multi-head latent attention over ragged K and V (causal prefill)",
    asked_as=_ASKED_AS,
    apis=(
        "flashinfer.prefill.BatchPrefillWithRaggedKVCacheWrapper",
        "flashinfer.prefill.trtllm_ragged_attention_deepseek",
    ),
)


class MlaPagedFamily:
    """``mla_paged_{prefill_causal,decode}_h{heads/tp}_ckv{kv_lora_rank}_kpe{rope}_ps{1,64}``.

    `ckv` is kv_lora_rank alone; the rope part has its own axis. Sparse layers need another kernel.
    """

    op_type = "mla_paged"
    specs = (PAGED_PREFILL, PAGED_DECODE)

    def needs(
        self, architecture: Architecture, parallelism: Parallelism
    ) -> Iterator[Need | Unmapped]:
        for group, mixer in mixers_of(architecture, MlaAttention):
            if mixer.indexer is not None:
                continue
            for spec in self.specs:
                for size in PAGE_SIZES:
                    yield Need(
                        spec=spec,
                        name=spec.key
                        + "_h{num_qo_heads}_ckv{head_dim_ckv}_kpe{head_dim_kpe}_ps{page_size}",
                        axes={
                            **latent_axes(mixer, parallelism),
                            "page_size": Dim(value=size, expression=f"page size {size}"),
                        },
                        used_for="absorbed attention",
                        layers=group.layers,
                        sharded=True,
                    )


class MlaRaggedFamily:
    """``mla_ragged_prefill_causal_h{heads/tp}_qk{nope+rope}_vo{v_head_dim}``.

    Sparse (DSA) models keep it: SGLang prefills short inputs with it
    (sglang: python/sglang/srt/layers/attention/dsa_backend.py, the MHA path).
    """

    op_type = "mla_ragged"
    specs = (RAGGED_PREFILL,)

    def needs(
        self, architecture: Architecture, parallelism: Parallelism
    ) -> Iterator[Need | Unmapped]:
        for group, mixer in mixers_of(architecture, MlaAttention):
            heads = split(mixer.heads, parallelism.attention_tp, attention_tp_name(parallelism))
            notes = ("only short inputs, in SGLang's MHA path",) if mixer.indexer else ()
            yield Need(
                spec=RAGGED_PREFILL,
                name="mla_ragged_prefill_causal_h{num_qo_heads}_qk{qk_dim}_vo{vo_dim}",
                axes={
                    "num_qo_heads": heads,
                    "qk_dim": mixer.qk_nope_head_dim + mixer.qk_rope_head_dim,
                    "vo_dim": mixer.v_head_dim,
                },
                used_for="prefill attention",
                layers=group.layers,
                sharded=True,
                notes=notes,
            )


def latent_axes(mixer: MlaAttention, parallelism: Parallelism) -> dict[str, Dim]:
    """The axes that all kernels over the latent cache share."""
    size, name = parallelism.attention_tp, attention_tp_name(parallelism)
    return {
        "num_qo_heads": split(mixer.heads, size, name),
        "head_dim_ckv": mixer.kv_lora_rank,
        "head_dim_kpe": mixer.qk_rope_head_dim,
    }
