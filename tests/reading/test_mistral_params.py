"""`params.json` of repositories that have no `config.json`."""

from typing import Any

import pytest

from discover_models.domain.architecture import Architecture, GqaAttention, MlaAttention, Moe
from discover_models.domain.kernel import Parallelism
from discover_models.errors import ConfigError
from discover_models.one_model import architecture_of
from discover_models.requirements import requirements
from discover_models.sources.config_file import ConfigFile

# Pixtral-Large-Instruct-2411's, without its vision part.
DENSE = {"dim": 12288, "n_layers": 88, "head_dim": 128, "hidden_dim": 28672, "n_heads": 96,
         "n_kv_heads": 8, "rope_theta": 1e9, "norm_eps": 1e-5, "vocab_size": 32768}  # fmt: skip
LATENT = {"dim": 64, "n_layers": 4, "hidden_dim": 128, "n_heads": 4, "n_kv_heads": 4,
          "head_dim": 16, "vocab_size": 100, "q_lora_rank": 24, "kv_lora_rank": 16,
          "qk_rope_head_dim": 8, "qk_nope_head_dim": 8, "v_head_dim": 8}  # fmt: skip
SHARED = {"num_experts": 8, "num_experts_per_tok": 2, "expert_hidden_dim": 32,
          "num_shared_experts": 1, "first_k_dense_replace": 1, "route_every_n": 1,
          "num_expert_groups": 1, "num_expert_groups_per_tok": 1}  # fmt: skip


def read(params: dict[str, Any]) -> Architecture:
    file = ConfigFile(
        hf_repo_id="org/model", revision=None, origin="hub", config=None, params=params
    )
    return architecture_of(file, ())


def test_a_dense_model() -> None:
    needed = requirements(read(DENSE), [Parallelism(tp=8)])
    names = {kernel.definition_name for kernel in needed.kernels}
    assert names >= {
        "rmsnorm_h12288",
        "gemm_n14336_k12288",
        "gemm_n57344_k12288",
        "gemm_n12288_k28672",
        "gqa_paged_decode_h12_kv1_d128_ps64",
        "rope_with_cos_sin_cache_gptj_style_d128_rd128",
        "top_p_sampling_from_probs_v32768",
    }
    assert not needed.unmapped


def test_values_name_the_file_s_own_fields() -> None:
    origin = read(DENSE).hidden_size.origins[0]
    assert (origin.field, origin.value, origin.source) == ("dim", 12288, "params.json")


def test_shared_experts_are_the_deepseek_class_with_renormalised_routing() -> None:
    architecture = read({**LATENT, "moe": SHARED, "quantization": {"qformat_weight": "fp8_e4m3"}})
    dense, sparse = architecture.groups
    assert (dense.layers, sparse.layers) == ((0,), (1, 2, 3))
    assert isinstance(sparse.mixer, MlaAttention)
    assert isinstance(sparse.ffn, Moe)
    moe = sparse.ffn
    assert (moe.experts.value, moe.top_k.value, moe.intermediate.value) == (8, 2, 32)
    assert moe.experts.origins[0].field == "moe.num_experts"
    assert (moe.routing, moe.quantization) == ("renorm", "fp8_per_tensor")


def test_experts_without_shared_ones_have_the_width_of_the_mlp() -> None:
    architecture = read({**DENSE, "moe": {"num_experts": 8, "num_experts_per_tok": 2}})
    (group,) = architecture.groups
    assert isinstance(group.ffn, Moe)
    assert group.ffn.intermediate.value == 28672
    assert isinstance(group.mixer, GqaAttention)
    assert group.mixer.rope_undecided


def test_windows_that_alternate() -> None:
    architecture = read({**DENSE, "sliding_window": [None, 4096]})
    windows = [g.mixer.window for g in architecture.groups if isinstance(g.mixer, GqaAttention)]
    assert [w.value if w else None for w in windows] == [None, 4096]
    assert [g.count for g in architecture.groups] == [44, 44]


@pytest.mark.parametrize("params", [{}, {"dim": 64}, {"model_type": "whatever"}])
def test_other_files_of_that_name_describe_no_decoder(params: dict[str, Any]) -> None:
    with pytest.raises(ConfigError) as error:
        read(params)
    assert error.value.reason == "not_a_language_model"
