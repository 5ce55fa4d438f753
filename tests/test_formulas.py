"""Every definition of plain models, computed a second time from numbers read by eye.

The numbers are the published configurations'; the names are written out here the way the dataset
writes them, without the program's own formulas.
"""

from dataclasses import dataclass

import pytest

from golden_files import required


@dataclass(frozen=True)
class Dense:
    """A dense decoder with grouped-query attention."""

    tp: int
    hidden: int
    heads: int
    kv: int
    d: int
    intermediate: int
    vocab: int
    qk_norm: bool = False
    gemma: bool = False

    def names(self) -> set[str]:
        h, q, kv, d, i, v = (
            self.hidden, self.heads, self.kv, self.d, self.intermediate, self.vocab
        )  # fmt: skip
        heads = f"h{q // self.tp}_kv{max(1, kv // self.tp)}_d{d}"
        return {
            f"rmsnorm_h{h}",
            f"fused_add_rmsnorm_h{h}",
            *({f"rmsnorm_h{d}"} if self.qk_norm else ()),
            f"gemm_n{q * d + 2 * kv * d}_k{h}",
            f"gemm_n{h}_k{q * d}",
            f"gemm_n{2 * i}_k{h}",
            f"gemm_n{h}_k{i}",
            f"{'gelu_tanh' if self.gemma else 'silu'}_and_mul_h{2 * i}",
            *(
                (f"gemma_rmsnorm_h{h}", f"gemma_fused_add_rmsnorm_h{h}", f"gemma_rmsnorm_h{d}")
                if self.gemma
                else ()
            ),
            *(
                f"gqa_paged_{s}_{heads}_ps{p}"
                for s in ("decode", "prefill_causal")
                for p in (1, 64)
            ),
            f"gqa_ragged_prefill_causal_{heads}",
            f"rope_with_cos_sin_cache_neox_style_d{d}_rd{d}",
            *(f"{kind}_sampling_from_probs_v{v}" for kind in ("top_k", "top_p", "top_k_top_p")),
        }


DENSE = {
    "meta-llama/Meta-Llama-3.1-405B": Dense(1, 16384, 128, 8, 128, 53248, 128256),
    "meta-llama/Meta-Llama-3.1-70B": Dense(4, 8192, 64, 8, 128, 28672, 128256),
    "meta-llama/Meta-Llama-3.1-8B": Dense(1, 4096, 32, 8, 128, 14336, 128256),
    "meta-llama/Llama-3.2-3B": Dense(1, 3072, 24, 8, 128, 8192, 128256),
    "microsoft/phi-4": Dense(1, 5120, 40, 10, 128, 17920, 100352),
    "Qwen/Qwen2.5-72B": Dense(1, 8192, 64, 8, 128, 29568, 152064),
    "Qwen/Qwen2.5-7B": Dense(1, 3584, 28, 4, 128, 18944, 152064),
    "Qwen/Qwen3-14B": Dense(2, 5120, 40, 8, 128, 17408, 151936, qk_norm=True),
    "Qwen/Qwen3-32B": Dense(4, 5120, 64, 8, 128, 25600, 151936, qk_norm=True),
    "Qwen/Qwen3-8B": Dense(1, 4096, 32, 8, 128, 12288, 151936, qk_norm=True),
    "google/gemma-3-27b-it": Dense(1, 5376, 32, 16, 128, 21504, 262208, True, gemma=True),
}


@pytest.mark.parametrize("model", sorted(DENSE))
def test_dense_models(model: str) -> None:
    found = required(model, [DENSE[model].tp], [1])
    assert {kernel.definition_name for kernel in found.kernels} == DENSE[model].names()
    assert not found.unmapped
    assert not found.refused


def test_a_mixture_of_experts_without_dense_layers() -> None:
    """Qwen3-30B-A3B: 32 query and 4 KV heads of 128, hidden 2048, 128 experts of 768, top 8."""
    found = required("Qwen/Qwen3-30B-A3B", [1], [1])
    plain = Dense(1, 2048, 32, 4, 128, 6144, 151936, qk_norm=True).names()
    unused_dense = {"gemm_n12288_k2048", "gemm_n2048_k6144", "silu_and_mul_h12288"}
    experts = {"gemm_n128_k2048", "moe_fp8_block_scale_renorm_topk8_e128_h2048_i768"}
    assert {k.definition_name for k in found.kernels} == (plain - unused_dense) | experts


@pytest.mark.parametrize("model", ["deepseek-ai/DeepSeek-V3", "deepseek-ai/DeepSeek-R1"])
def test_deepseek_v3_and_r1(model: str) -> None:
    """61 MLA layers of 128 heads, 3 of them dense; hidden 7168, q 1536, kv 512+64, experts 2048."""
    found = required(model, [8], [8])
    q, kv, heads = 1536, 512, 128
    assert {k.definition_name for k in found.kernels} == {
        "rmsnorm_h7168", "fused_add_rmsnorm_h7168", f"rmsnorm_h{q}", f"rmsnorm_h{kv}",
        f"gemm_n{q + kv + 64}_k7168",
        f"gemm_n{heads * (128 + 64)}_k{q}",
        f"gemm_n{heads * (128 + 128)}_k{kv}",
        f"gemm_n7168_k{heads * 128}",
        "gemm_n36864_k7168", "gemm_n7168_k18432",
        "gemm_n256_k7168",
        "gemm_n4096_k7168", "gemm_n7168_k2048",
        "silu_and_mul_h36864", "silu_and_mul_h4096",
        *(f"mla_paged_{s}_h16_ckv512_kpe64_ps{p}"
          for s in ("decode", "prefill_causal") for p in (1, 64)),
        "mla_ragged_prefill_causal_h16_qk192_vo128",
        "moe_fp8_block_scale_ds_routing_topk8_ng8_kg4_e32_h7168_i2048",
        "rope_with_cos_sin_cache_gptj_style_d64_rd64",
        *(f"{k}_sampling_from_probs_v129280" for k in ("top_k", "top_p", "top_k_top_p")),
    }  # fmt: skip
