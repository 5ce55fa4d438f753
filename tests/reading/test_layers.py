"""Which layers are what, from each kind of layer list."""

from typing import Any

import pytest

from discover_models.domain.architecture import (
    Architecture,
    DenseMlp,
    GqaAttention,
    MlaAttention,
    Moe,
)
from discover_models.domain.kernel import Parallelism
from discover_models.errors import ConfigError
from discover_models.reading.architecture import read_architecture
from discover_models.requirements import requirements

BASE: dict[str, Any] = {
    "model_type": "unheard_of",
    "hidden_size": 64,
    "num_hidden_layers": 6,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "intermediate_size": 128,
    "vocab_size": 100,
    "rms_norm_eps": 1e-6,
}
EXPERTS = {"num_experts": 8, "num_experts_per_tok": 2, "moe_intermediate_size": 32}
MAMBA = {"mamba_d_state": 16, "mamba_n_heads": 8, "mamba_d_head": 16, "mamba_n_groups": 1,
         "mamba_d_conv": 4}  # fmt: skip


def read(**fields: Any) -> Architecture:
    return read_architecture({**BASE, **fields})


def mixers(architecture: Architecture) -> str:
    """One letter a layer: f full, s sliding, else the kind's first letter; & between two."""
    letters: dict[int, str] = {}
    for group in architecture.groups:
        words = [
            ("f" if mixer.window is None else "s")
            if isinstance(mixer, GqaAttention)
            else mixer.kind[0]
            for mixer in group.mixers
        ]
        letters |= dict.fromkeys(group.layers, "&".join(words) or "-")
    return "".join(letters[layer] for layer in sorted(letters))


def ffns(architecture: Architecture) -> str:
    """One letter a layer: d dense, m mixture of experts, - none, o other."""
    letters: dict[int, str] = {}
    for group in architecture.groups:
        letters |= dict.fromkeys(group.layers, group.ffn.kind[0] if group.ffn else "-")
    return "".join(letters[layer] for layer in sorted(letters))


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, "ffffff"),
        ({"layer_types": ["full_attention", "sliding_attention"] * 3, "sliding_window": 8},
         "fsfsfs"),
        ({"sliding_window": 8}, "ssssss"),
        ({"sliding_window": 8, "use_sliding_window": False}, "ffffff"),
        ({"sliding_window": 8, "sliding_window_pattern": 3}, "ssfssf"),
        ({"sliding_window": 8, "sliding_window_pattern": "LLG"}, "ssfssf"),
        ({"sliding_window": 8, "max_window_layers": 4}, "ffffss"),
        ({"sliding_window": [None, 8, 8]}, "fssfss"),
        ({"sliding_window": 8, "hybrid_layer_pattern": [0, 1, 1, 1, 1, 0]}, "fssssf"),
        ({"attn_type_list": [0, 1, 0, 1, 0, 1]}, "lflflf"),
        ({"mixer_types": ["lightning-attn", "minicpm4"] * 3}, "lflflf"),
        ({"compress_ratios": [0, 4, 128] * 2, "o_lora_rank": 8}, "dddddd"),
        ({"full_attention_interval": 3, "linear_num_value_heads": 2}, "oofoof"),
        ({"layer_group_size": 3}, "oofoof"),
        ({"layer_group_size": 1}, "ffffff"),
        ({"linear_attn_config": {"full_attn_layers": [2, 6]}}, "kfkkkf"),
        ({"attn_layer_period": 3, "attn_layer_offset": 1, **MAMBA}, "mfmmfm"),
        ({"attn_layer_indices": [0], **MAMBA}, "fmmmmm"),
        ({"mamba_d_ssm": 128, **MAMBA}, "f&m" * 6),
        ({"mamba_d_ssm": None, "attn_layer_indices": None, **MAMBA}, "f&m" * 6),
        ({"block_types": ["recurrent", "attention"], "attention_window_size": 8}, "ososos"),
        ({"layers_block_type": ["mamba", "mlp", "attention"] * 2, **MAMBA}, "m-fm-f"),
        ({"hybrid_override_pattern": "M-*M-*", **MAMBA}, "m-fm-f"),
        ({"layer_types": ["conv", "full_attention"] * 3}, "sfsfsf"),
        ({"model_type": "rwkv"}, "oooooo"),
        ({"block_configs": [{"attention": {"no_op": True}, "ffn": {"ffn_mult": 1.0}},
                            {"attention": {"n_heads_in_group": 4}, "ffn": {"no_op": True}}] * 3},
         "-f-f-f"),
    ],
)  # fmt: skip
def test_token_mixers(fields: dict[str, Any], expected: str) -> None:
    assert mixers(read(**fields)) == expected


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, "dddddd"),
        (EXPERTS, "mmmmmm"),
        ({**EXPERTS, "num_experts": 0}, "dddddd"),
        ({**EXPERTS, "num_experts": None}, "dddddd"),
        ({**EXPERTS, "enable_moe_block": False}, "dddddd"),
        ({**EXPERTS, "first_k_dense_replace": 2}, "ddmmmm"),
        ({**EXPERTS, "num_dense_layers": 1}, "dmmmmm"),
        ({**EXPERTS, "moe_layer_freq": 2}, "mdmdmd"),
        ({**EXPERTS, "moe_layer_freq": [0, 0, 1, 1, 1, 0]}, "ddmmmd"),
        ({**EXPERTS, "decoder_sparse_step": 2}, "dmdmdm"),
        ({**EXPERTS, "mlp_only_layers": [0, 5]}, "dmmmmd"),
        ({**EXPERTS, "interleave_moe_layer_step": 2}, "dmdmdm"),
        ({**EXPERTS, "moe_layers": [1, 2]}, "dmmddd"),
        ({**EXPERTS, "moe_layers_enum": "3,4"}, "dddmmd"),
        ({**EXPERTS, "mlp_layer_types": ["dense"] + ["sparse"] * 5}, "dmmmmm"),
        ({**EXPERTS, "expert_layer_period": 2, "expert_layer_offset": 1}, "dmdmdm"),
        ({**EXPERTS, "moe_layer_start_index": 1, "moe_layer_end_index": 3}, "dmmmdd"),
        ({**EXPERTS, "moe_layer_start_index": 1, "moe_layer_interval": 2}, "dmdmdm"),
        ({**EXPERTS, "zero_expert_num": 4}, "oooooo"),
        ({"hybrid_override_pattern": "M-*ME*", **MAMBA, **EXPERTS}, "-d--m-"),
    ],
)
def test_feed_forward_parts(fields: dict[str, Any], expected: str) -> None:
    assert ffns(read(**fields)) == expected


@pytest.mark.parametrize(
    "fields",
    [
        {"layer_types": ["full_attention"] * 5},
        {"layers_block_type": ["mlp"] * 2},
        {"hybrid_override_pattern": "M*"},
        {"hybrid_layer_pattern": [1]},
        {"attn_type_list": [0, 1]},
        {"no_rope_layers": [1, 0]},
        {"block_configs": [{}]},
        {**EXPERTS, "moe_layer_freq": [0, 1]},
        {**EXPERTS, "mlp_layer_types": ["sparse"]},
    ],
    ids=lambda fields: list(fields)[-1],
)
def test_a_list_that_is_too_short_is_a_clear_error(fields: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"contradicts itself.*for 6 layers") as error:
        read(**fields)
    assert error.value.reason == "malformed"
    assert list(fields)[-1] in str(error.value)


def test_layers_without_rotation_are_listed_or_each_nth() -> None:
    for fields in ({"no_rope_layers": [1, 1, 0] * 2}, {"no_rope_layer_interval": 3}):
        architecture = read_architecture({**BASE, "model_type": "llama", **fields})
        rotated = {
            layer
            for group in architecture.groups
            for layer in group.layers
            if isinstance(group.mixer, GqaAttention) and group.mixer.rope is not None
        }
        assert rotated == {0, 1, 3, 4}


def test_layers_are_counted_by_their_list_where_no_field_says_how_many() -> None:
    config = {key: value for key, value in BASE.items() if key != "num_hidden_layers"}
    architecture = read_architecture({**config, "layers_block_type": ["attention", "mlp"]})
    assert architecture.num_layers.value == 2
    assert architecture.num_layers.expression == "length of layers_block_type"


def attention(architecture: Architecture, layer: int) -> GqaAttention:
    (mixer,) = [g.mixer for g in architecture.groups if layer in g.layers]
    assert isinstance(mixer, GqaAttention)
    return mixer


def test_full_layers_may_have_a_shape_of_their_own() -> None:
    architecture = read(
        layer_types=["sliding_attention", "full_attention"] * 3, sliding_window=8,
        global_head_dim=32, num_global_key_value_heads=1, attention_k_eq_v=True,
    )  # fmt: skip
    sliding, full = attention(architecture, 0), attention(architecture, 1)
    assert (sliding.head_dim.value, sliding.kv_heads.value, sliding.k_is_v) == (16, 2, False)
    assert (full.head_dim.value, full.kv_heads.value, full.k_is_v) == (32, 1, True)


def test_sliding_layers_may_have_a_shape_of_their_own() -> None:
    architecture = read(
        hybrid_layer_pattern=[0, 1] * 3, sliding_window=8, v_head_dim=8, swa_head_dim=24,
        swa_v_head_dim=12, swa_num_key_value_heads=4, swa_num_attention_heads=8,
    )  # fmt: skip
    full, sliding = attention(architecture, 0), attention(architecture, 1)
    assert (full.q_heads.value, full.head_dim.value, full.v_head_dim.value) == (4, 16, 8)
    assert (sliding.q_heads.value, sliding.kv_heads.value) == (8, 4)
    assert (sliding.head_dim.value, sliding.v_head_dim.value) == (24, 12)


@pytest.mark.parametrize("odd", [float("inf"), float("nan"), 1e308])
def test_a_factor_that_gives_no_number_gives_no_width(odd: float) -> None:
    (group,) = read(block_configs=[{"ffn": {"ffn_mult": odd}}] * 6).groups
    assert isinstance(group.ffn, DenseMlp)
    assert group.ffn.intermediate.value is None
    (group,) = read(model_type="llama", partial_rotary_factor=odd).groups
    assert isinstance(group.mixer, GqaAttention)
    assert group.mixer.rope is not None
    assert group.mixer.rope.rotary_dim.value is None


def test_widths_and_groups_of_single_blocks() -> None:
    """2/3 · 2.625 · 64 = 112, rounded up to 256; 4 heads in groups of 4 are one KV head."""
    block = {"attention": {"n_heads_in_group": 4}, "ffn": {"ffn_mult": 2.625}}
    architecture = read(block_configs=[block] * 6)
    (group,) = architecture.groups
    assert group.count == 6
    assert isinstance(group.mixer, GqaAttention)
    assert group.mixer.kv_heads.value == 1
    assert isinstance(group.ffn, DenseMlp)
    assert group.ffn.intermediate.value == 256


def test_a_width_per_layer_is_read_by_layer() -> None:
    architecture = read(intermediate_size=[128, 256] * 3)
    widths = {
        g.layers: g.ffn.intermediate.value
        for g in architecture.groups
        if isinstance(g.ffn, DenseMlp)
    }
    assert widths == {(0, 2, 4): 128, (1, 3, 5): 256}


@pytest.mark.parametrize(
    ("model_type", "expected"),
    [("mixtral", 128), ("gpt_oss", 128), ("minimax_m2", 128), ("llama4_text", 128),
     ("qwen3_moe", 32), ("deepseek_v3", 32)],
)  # fmt: skip
def test_intermediate_size_is_the_expert_width_of_some_classes_only(
    model_type: str, expected: int
) -> None:
    architecture = read(model_type=model_type, **EXPERTS)
    (moe,) = [g.ffn for g in architecture.groups]
    assert isinstance(moe, Moe)
    assert moe.intermediate.value == expected


def test_an_unknown_class_has_no_expert_width_from_intermediate_size() -> None:
    without_width = {k: v for k, v in EXPERTS.items() if k != "moe_intermediate_size"}
    (moe,) = [g.ffn for g in read(**without_width).groups]
    assert isinstance(moe, Moe)
    assert moe.intermediate.value is None


def test_what_no_field_says_of_an_unknown_class_stays_undecided() -> None:
    architecture = read()
    (group,) = architecture.groups
    assert isinstance(group.mixer, GqaAttention)
    assert isinstance(group.ffn, DenseMlp)
    assert (group.mixer.qk_norm, group.mixer.rope, group.ffn.gated) == ("undecided", None, None)
    assert group.mixer.rope_undecided
    assert architecture.hidden_norm == "rmsnorm"


@pytest.mark.parametrize(
    "fields",
    [{"layer_norm_eps": 1e-5}, {"layer_norm_epsilon": 1e-5}, {"norm_eps": 1e-5}, {},
     {"norm_type": "low_precision_layernorm", "rms_norm_eps": 1e-5}],
)  # fmt: skip
def test_only_a_field_of_an_rms_norm_says_rms_norm(fields: dict[str, Any]) -> None:
    config = {k: v for k, v in BASE.items() if k != "rms_norm_eps"}
    assert read_architecture({**config, **fields}).hidden_norm == "undecided"


INDEXED = {
    "kv_lora_rank": 8, "qk_nope_head_dim": 8, "qk_rope_head_dim": 4, "v_head_dim": 8,
    "q_lora_rank": 8, "index_topk": 16, "index_n_heads": 2, "index_head_dim": 8,
}  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, "oooooo"),
        ({"layer_types": ["deepseek_sparse_attention"] * 6}, "oooooo"),
        ({"indexer_types": ["full", "full", "shared", "shared", "full", "shared"]}, "oorror"),
        ({"index_topk_pattern": "FFSSFS"}, "oorror"),
        ({"index_topk_freq": 2}, "oororo"),
        ({"index_topk_freq": 2, "index_skip_topk_offset": 3}, "oooror"),
        ({"index_topk_freq": 2, "index_skip_topk_offset": 3, "index_topk_pattern": None}, "oooror"),
        ({"cli_factor": 3}, "orrorr"),
    ],
)  # fmt: skip
def test_layers_that_reuse_an_indexers_choice(fields: dict[str, Any], expected: str) -> None:
    """`dsa_layer_skips_topk` (sglang python/sglang/srt/configs/model_config.py:488)."""
    letters: dict[int, str] = {}
    for group in read(**INDEXED, **fields).groups:
        assert isinstance(group.mixer, MlaAttention)
        assert group.mixer.indexer is not None
        letters |= dict.fromkeys(group.layers, "r" if group.mixer.indexer.reused else "o")

    assert "".join(letters[layer] for layer in sorted(letters)) == expected


def test_only_layers_with_an_indexer_run_one() -> None:
    architecture = read(**INDEXED, indexer_types=["full", "shared"] * 3)
    kernels = {k.spec: k for k in requirements(architecture, (Parallelism(),)).kernels}

    assert kernels["dsa_topk_indexer"].layers == 3
    assert kernels["dsa_sparse_attention"].layers == 6
    wq = next(k for k in requirements(architecture, (Parallelism(),)).kernels
              if "indexer wq_b" in k.used_for)  # fmt: skip
    assert wq.layers == 3


def test_several_sets_of_experts_are_not_taken_for_a_dense_mlp() -> None:
    fields = {**EXPERTS, "num_experts": [8, 8], "moe_intermediate_size": [32, 16]}

    assert ffns(read(**fields)) == "mmmmmm"


@pytest.mark.parametrize(
    ("fields", "routing"),
    [
        ({"topk_method": "group_limited_greedy", "n_group": 8}, None),
        ({"topk_method": "group_limited_greedy", "n_group": 1}, "default_routing"),
        ({"topk_method": "greedy", "n_group": 1}, "default_routing"),
        ({"scoring_func": "noaux_tc", "n_group": 1}, "ds_routing"),
        ({"scoring_func": "noaux_tc"}, "minimax2_routing"),
    ],
)
def test_routing_of_softmax_scores_in_groups(fields: dict[str, Any], routing: str | None) -> None:
    base = {**EXPERTS, "scoring_func": "softmax", "norm_topk_prob": False}
    ffn = read(**{**base, **fields}).groups[0].ffn

    assert isinstance(ffn, Moe)
    assert ffn.routing == routing


@pytest.mark.parametrize(
    ("fields", "norm"),
    [
        ({"model_type": "cohere", "use_qk_norm": True}, "layernorm"),
        ({"model_type": "cohere"}, "none"),
        ({"model_type": "persimmon", "qk_layernorm": True}, "layernorm"),
    ],
)
def test_layer_norms_of_q_and_k_are_named(fields: dict[str, Any], norm: str) -> None:
    architecture = read(**fields)
    mixer = architecture.groups[0].mixer

    assert isinstance(mixer, GqaAttention)
    assert mixer.qk_norm == norm
    names = {k.definition_name for k in requirements(architecture, (Parallelism(),)).kernels}
    assert ("layernorm_h16" in names) is (norm == "layernorm")


def test_zeroes_of_an_attention_that_is_not_used_are_no_sizes() -> None:
    """DeepSeek-OCR: `use_mla` false, the sizes of latent attention 0, no head dimension."""
    zeroes = {"qk_nope_head_dim": 0, "qk_rope_head_dim": 0, "v_head_dim": 0, "head_dim": 0,
              "kv_lora_rank": None, "use_mla": False}  # fmt: skip
    mixer = read(model_type="deepseek_v2", **zeroes).groups[0].mixer

    assert isinstance(mixer, GqaAttention)
    assert (mixer.head_dim.value, mixer.v_head_dim.value) == (16, 16)
    assert mixer.rope is not None
    assert mixer.rope.style == "neox"
