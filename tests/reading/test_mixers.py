"""Mixers and experts that the fields alone decide; every number is invented."""

from typing import Any

import pytest

from discover_models.domain.architecture import (
    Architecture,
    DenseMlp,
    Dsv4Attention,
    GqaAttention,
    KdaAttention,
    LightningAttention,
    Mamba1Mixer,
    MambaMixer,
    MlaAttention,
    Moe,
    Norm,
    ShortConvMixer,
)
from discover_models.domain.dimension import Dim
from discover_models.reading.architecture import read_architecture
from discover_models.reading.from_source import complete
from discover_models.reading.quantization import read_quantization
from layers import dense, gqa, group, model

BASE = {"hidden_size": 64, "num_attention_heads": 8, "num_key_value_heads": 2, "head_dim": 16,
        "num_hidden_layers": 4, "vocab_size": 100, "intermediate_size": 128}  # fmt: skip


def read(**fields: Any) -> Architecture:
    return read_architecture({"architectures": ["SomeForCausalLM"], **BASE, **fields})


def at(architecture: Architecture, layer: int) -> Any:
    return next(g for g in architecture.groups if layer in g.layers)


def values(part: Any) -> dict[str, int | None]:
    dims = ((name, getattr(part, name)) for name in type(part).model_fields)
    return {name: dim.value for name, dim in dims if isinstance(dim, Dim)}


def test_kda_by_the_listed_layers() -> None:
    section = {"full_attn_layers": [4], "num_heads": 8, "head_dim": 16,
               "short_conv_kernel_size": 4, "use_full_rank_gate": True}  # fmt: skip
    found = read(linear_attn_config=section, kv_lora_rank=32, qk_nope_head_dim=16,
                 qk_rope_head_dim=8, v_head_dim=16, mla_use_nope=True,
                 mla_use_output_gate=True)  # fmt: skip
    kda = at(found, 0).mixer
    assert isinstance(kda, KdaAttention)
    assert values(kda) == {
        "k_heads": 8, "v_heads": 8, "head_dim": 16, "v_head_dim": 16, "conv_kernel": 4,
    }  # fmt: skip
    assert kda.full_rank_gate
    latent = at(found, 3).mixer
    assert isinstance(latent, MlaAttention)
    assert latent.output_gate
    assert latent.rope is None


def test_lightning_layers_have_fields_of_their_own() -> None:
    found = read(
        mixer_types=["lightning-attn", "minicpm4"] * 2, lightning_nh=4, lightning_nkv=4,
        lightning_head_dim=32, lightning_use_rope=False, qk_norm=True, use_output_norm=True,
        use_output_gate=True, attn_use_rope=False, attn_use_output_gate=True,
        sparse_config={"block_size": 64, "topk": 8, "window_size": 256, "kernel_size": 32,
                       "kernel_stride": 16, "dense_len": 1024},
    )  # fmt: skip
    lightning = at(found, 0).mixer
    assert isinstance(lightning, LightningAttention)
    assert values(lightning) == {"heads": 4, "kv_heads": 4, "head_dim": 32}
    assert (lightning.qk_norm, lightning.output_norm) == ("per_head", "full")
    assert lightning.rope is None
    sparse = at(found, 1).mixer
    assert isinstance(sparse, GqaAttention)
    assert (sparse.output_gate, sparse.gate_apart, sparse.rope) == (True, True, None)
    assert sparse.infllm is not None
    assert sparse.infllm.topk.value == 8 + 256 // 64


def test_lightning_layers_of_a_class_that_nobody_read_leave_parts_open() -> None:
    mixer = at(read(attn_type_list=[0, 1, 0, 1]), 0).mixer
    assert isinstance(mixer, LightningAttention)
    assert values(mixer) == {"heads": 8, "kv_heads": 8, "head_dim": 16}
    assert (mixer.qk_norm, mixer.output_norm) == ("undecided", "undecided")
    assert mixer.rope_undecided


def test_compressed_attention_by_its_ratios() -> None:
    found = read(compress_ratios=[0, 4, 128, 4], o_groups=2, o_lora_rank=8, q_lora_rank=24,
                 qk_rope_head_dim=8, sliding_window=32, index_n_heads=4, index_head_dim=16,
                 index_topk=64, hc_mult=4)  # fmt: skip
    window, picked, whole = (at(found, layer).mixer for layer in (0, 1, 2))
    assert all(isinstance(m, Dsv4Attention) for m in (window, picked, whole))
    assert window.compress_ratio is None
    assert (picked.compress_ratio.value, whole.compress_ratio.value) == (4, 128)
    assert picked.indexer is not None
    assert window.indexer is None
    assert whole.indexer is None
    assert at(found, 1).layers == (1, 3)
    assert found.hyper_streams is not None
    assert found.hyper_streams.value == 4


def test_block_sparse_layers_by_their_frequency() -> None:
    section = {"use_sparse_attention": True, "sparse_attention_freq": [0, 1, 1, 1],
               "sparse_num_index_heads": 4, "sparse_index_dim": 16, "sparse_topk_blocks": 8,
               "sparse_block_size": 128}  # fmt: skip
    found = read(sparse_attention_config=section)
    assert at(found, 0).mixer.msa is None
    assert at(found, 1).layers == (1, 2, 3)
    assert at(found, 1).mixer.msa.topk.value == 8
    off = read(sparse_attention_config={**section, "use_sparse_attention": False})
    assert off.groups[0].layers == (0, 1, 2, 3)


def test_mamba_1_expands_the_hidden_size() -> None:
    section = {"mamba_expand": 2, "mamba_d_state": 16, "mamba_dt_rank": "auto", "mamba_d_conv": 4}
    mixer = at(read(layer_types=["mamba"] * 4, **section), 0).mixer
    assert isinstance(mixer, Mamba1Mixer)
    assert values(mixer) == {"channels": 128, "state_size": 16, "dt_rank": 4, "conv_kernel": 4}


def test_mamba_1_without_attention_says_its_width_itself() -> None:
    section = {"expand": 16, "state_size": 8, "time_step_rank": 4, "conv_kernel": 4}
    mixer = at(read(layer_types=["mamba"] * 4, **section), 0).mixer
    assert isinstance(mixer, Mamba1Mixer)
    assert mixer.channels.value == BASE["intermediate_size"]


@pytest.mark.parametrize(("said", "normed"), [({}, True), ({"mamba_rms_norm": False}, False)])
def test_mamba_2_may_lack_the_gated_norm(said: dict[str, bool], normed: bool) -> None:
    section = {"mamba_num_heads": 8, "mamba_head_dim": 16, "mamba_n_groups": 2,
               "mamba_d_state": 16, "mamba_d_conv": 4}  # fmt: skip
    mixer = at(read(layer_types=["mamba"] * 4, **section, **said), 0).mixer
    assert isinstance(mixer, MambaMixer)
    assert mixer.gated_norm == normed


@pytest.mark.parametrize(
    ("width", "head_dim"),
    [({"mamba_d_ssm": 96}, 12), ({"mamba_d_ssm": None, "mamba_expand": 3}, 24)],
)
def test_attention_beside_mamba_2_with_heads_of_the_width_s_share(
    width: dict[str, Any], head_dim: int
) -> None:
    section = {"mamba_n_heads": 8, "mamba_d_head": "auto", "mamba_n_groups": 2,
               "mamba_d_state": 16, "mamba_d_conv": 4}  # fmt: skip
    (group,) = read(model_type="falcon_h1", **section, **width).groups
    attention, mamba = group.mixers
    assert isinstance(attention, GqaAttention)
    assert attention.rope is not None
    assert values(mamba) == {
        "heads": 8, "head_dim": head_dim, "state_size": 16, "groups": 2, "conv_kernel": 4,
    }  # fmt: skip
    assert group.count == 4


def test_a_width_that_is_not_that_of_the_heads_is_told() -> None:
    section = {"mamba_n_heads": 8, "mamba_d_head": 16, "mamba_n_groups": 2, "mamba_d_state": 16}
    (note,) = [n for n in read(mamba_d_ssm=96, **section).notes if "mamba" in n]
    said = "mamba_d_ssm 96 (config.json) is not mamba_n_heads 8 · mamba_d_head 16"
    assert note == f"refused by SGLang: {said}"
    assert not [n for n in read(mamba_d_ssm=128, **section).notes if "mamba" in n]


def test_short_convolutions() -> None:
    mixer = at(read(layer_types=["conv", "full_attention"] * 2, conv_L_cache=3), 0).mixer
    assert isinstance(mixer, ShortConvMixer)
    assert values(mixer) == {"channels": 64, "conv_kernel": 3}


EXPERTS = {"num_experts": 8, "num_experts_per_tok": 2, "moe_intermediate_size": 32}


def test_the_first_layers_may_choose_experts_by_hash() -> None:
    found = read(**EXPERTS, num_hash_layers=1, scoring_func="sqrtsoftplus", topk_method="noaux_tc")
    first, rest = at(found, 0).ffn, at(found, 1).ffn
    assert isinstance(first, Moe)
    assert isinstance(rest, Moe)
    assert (first.routing, rest.routing) == ("hash_routing", "sqrtsoftplus_scores")
    assert rest.routing_bias


def test_activations_with_and_without_a_limit() -> None:
    plain, limited = (at(read(hidden_act="silu", **more), 0).ffn for more in
                      ({}, {"swiglu_limit": 7.0}))  # fmt: skip
    assert isinstance(plain, DenseMlp)
    assert (plain.activation, plain.activation_limit) == ("silu", False)
    assert (limited.activation, limited.activation_limit) == ("silu", True)


def test_a_bank_of_residuals_by_its_block() -> None:
    found = read(attn_res_block_size=3)
    assert found.residual_bank is not None
    assert found.residual_bank.value == 2  # of 4 layers
    assert not found.adds_residual


def test_gemma_norm_by_its_field() -> None:
    assert read(use_gemma_norm=True).gemma_norm
    assert not read().gemma_norm


@pytest.mark.parametrize(
    ("model_type", "window"), [("starcoder2", None), ("gpt_oss", 512), ("unheard_of", 512)]
)
def test_a_window_that_the_class_ignores_is_none(model_type: str, window: int | None) -> None:
    kinds = ["sliding_attention"] * 4
    found = at(read(model_type=model_type, layer_types=kinds, sliding_window=512), 0).mixer
    assert isinstance(found, GqaAttention)
    assert (found.window.value if found.window else None) == window


def test_a_limit_of_the_activation_for_some_layers() -> None:
    found = read(model_type="llama", swiglu_limits_shared=[0.0, None, 0.0, 16.0])
    limited = {
        g.layers: g.ffn.activation_limit for g in found.groups if isinstance(g.ffn, DenseMlp)
    }
    assert limited == {(0, 1, 2): False, (3,): True}


def test_layers_that_the_source_builds_alike_are_split_by_the_limit() -> None:
    said = read(swiglu_limits_shared=[0.0, None, 0.0, 16.0])
    first = Norm(name="first", kind="rmsnorm", size=said.hidden_size, layers=(0,))
    alike = group(gqa(), dense(), (0, 1, 2, 3)).model_copy(update={"norms": (first,)})
    quantization = read_quantization({}, {}, None)
    groups = complete(said, model(alike), quantization).groups

    limited = {g.layers: g.ffn.activation_limit for g in groups if isinstance(g.ffn, DenseMlp)}
    assert limited == {(0, 1, 2): False, (3,): True}
    assert [g.norms for g in groups] == [(first,), ()]
