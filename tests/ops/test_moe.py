"""Experts by routing and data type, and choosing them apart."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discover_models.ops.moe_routing import score_of
from layers import (
    GROUPED,
    QUANTIZATIONS,
    ROUTINGS,
    field,
    group,
    layer,
    model,
    moe,
    names,
    needed,
    reasons,
)

KERNELS = {
    "bf16": "moe_fp8_block_scale_renorm_topk4_e64_h2048_i768",
    "fp8_block": "moe_fp8_block_scale_renorm_topk4_e64_h2048_i768",
    "mxfp8": "moe_mxfp8_block_scale_renorm_topk4_e64_h2048_i768",
    "fp8_per_tensor": "trtllm_fp8_per_tensor_scale_moe_topk4_e64_h2048_i768",
    "nvfp4": "trtllm_fp4_block_scale_moe_topk4_e64_h2048_i768",
    "mxfp4": "moe_fp4_block_scale_renormalize_routing_topk4_e64_h2048_i768_act3",
    "mxint4": "trtllm_mxint4_block_scale_moe_topk4_e64_h2048_i768",
    "int4": "moe_int4_group_scale_topk4_e64_h2048_i768",
}


@pytest.mark.parametrize("stored", QUANTIZATIONS)
def test_each_storage_has_a_kernel(stored: str) -> None:
    assert KERNELS[stored] in layer(None, moe(quantization=stored), "moe")


def test_a_storage_that_nobody_knows_is_said() -> None:
    found = needed(model(group(None, moe(quantization="fp3_strange"))))
    assert not names(found, "moe")
    assert "fp3_strange" in reasons(found)["moe"]


@pytest.mark.parametrize("routing", ROUTINGS)
def test_each_routing_of_flashinfer_has_a_definition(routing: str) -> None:
    found = layer(None, moe(routing=routing), "moe", "moe_routing")
    assert found == {f"moe_fp8_block_scale_{routing}_topk4_e64_h2048_i768"}


def test_groups_stand_in_the_name_of_their_routing_only() -> None:
    ds = layer(None, moe(routing="ds_routing", **GROUPED), "moe")
    assert ds == {"moe_fp8_block_scale_ds_routing_topk4_ng8_kg4_e64_h2048_i768"}
    assert layer(None, moe(**GROUPED), "moe") == {KERNELS["bf16"]}
    fp4 = layer(None, moe(routing="ds_routing", quantization="mxfp4", **GROUPED), "moe")
    assert fp4 == {"moe_fp4_block_scale_ds_routing_topk4_e64_h2048_i768_act3_ng8_kg4"}


@pytest.mark.parametrize("stored", ["bf16", "mxfp4", "nvfp4", "fp8_per_tensor"])
@pytest.mark.parametrize(
    ("routing", "more", "chosen"),
    [
        ("sqrtsoftplus_scores", {"routing_bias": True}, "topk_sqrtsoftplus_bias_e64_k4"),
        ("softmax_scores", GROUPED, "topk_softmax_e64_k4_ng8_kg4"),
        ("sigmoid_scores", {}, "topk_sigmoid_e64_k4"),
        ("hash_routing", {}, "hash_topk_e64_k4_v1000"),
    ],
)
def test_other_routings_run_before_the_routed_kernel(
    stored: str, routing: str, more: dict[str, Any], chosen: str
) -> None:
    experts = {
        "bf16": "trtllm_fp8_block_scale_routed_moe_topk4_e64_h2048",
        "mxfp4": "trtllm_fp4_block_scale_routed_moe_topk4_e64_h2048_act3",
        "nvfp4": "trtllm_fp4_block_scale_routed_moe_topk4_e64_h2048_i768",
        "fp8_per_tensor": "trtllm_fp8_per_tensor_scale_routed_moe_topk4_e64_h2048",
    }
    found = layer(None, moe(routing=routing, quantization=stored, **more), "moe", "moe_routing")
    assert found == {experts[stored], chosen}


def test_an_undecided_routing_is_said() -> None:
    found = needed(model(group(None, moe(routing=None))))
    assert not names(found, "moe", "moe_routing")
    assert "routed to experts" in reasons(found)["moe"]


@given(local=st.integers(1, 64), ep=st.sampled_from([1, 2, 4, 8]))
def test_experts_are_split_over_ep_and_their_width_over_nothing(local: int, ep: int) -> None:
    found = needed(model(group(None, moe(local * ep))), tp=ep, ep=ep)
    kernel = next(k for k in found.kernels if k.op_type == "moe")
    assert kernel.axes["num_local_experts"].value == local
    assert kernel.axes["intermediate_size"].value == 768


def test_latent_experts_work_on_the_latent_width() -> None:
    latent = field("moe_latent_size", 512)
    found = layer(None, moe(latent=latent), "moe", "gemm")
    assert "moe_fp8_block_scale_renorm_topk4_e64_h512_i768" in found
    assert {"gemm_n512_k2048", "gemm_n2048_k512", "gemm_n64_k2048"} <= found
    assert "rmsnorm_h512" in layer(None, moe(latent=latent, latent_norm=True), "rmsnorm")


def test_a_merged_front_is_one_gemm() -> None:
    parts: dict[str, Any] = {
        "latent": field("latent", 512),
        "shared_intermediate": field("shared", 1024),
    }
    found = layer(None, moe(merged_front=True, **parts), "gemm")
    # 2·1024 + 64 experts + 512; shared down; latent up
    assert found == {"gemm_n2624_k2048", "gemm_n2048_k1024", "gemm_n2048_k512"}


def test_a_merged_front_without_a_gate_is_narrower() -> None:
    latent, shared = field("latent", 512), field("shared", 1024)
    front = moe(merged_front=True, latent=latent, shared_intermediate=shared, gated=False)
    # 1024 + 64 experts + 512
    assert "gemm_n1600_k2048" in layer(None, front, "gemm")


@pytest.mark.parametrize("half", GROUPED)
def test_half_of_a_choice_among_groups_is_none(half: str) -> None:
    ds = layer(None, moe(routing="ds_routing", **{half: GROUPED[half]}), "moe")
    assert ds == {"moe_fp8_block_scale_ds_routing_topk4_e64_h2048_i768"}
    apart = layer(None, moe(routing="softmax_scores", **{half: GROUPED[half]}), "moe_routing")
    assert apart == {"topk_softmax_e64_k4"}


@pytest.mark.parametrize(
    ("routing", "score"),
    [("softmax_scores", "softmax"), ("renorm", ""), ("hash_routing", ""), (None, "")],
)
def test_only_a_routing_that_runs_apart_has_a_score(routing: str | None, score: str) -> None:
    assert score_of(routing) == score


def test_what_the_fp4_kernel_has_no_word_for_is_not_named() -> None:
    strange = needed(model(group(None, moe(quantization="mxfp4", activation="relu"))))
    assert "no number for the activation 'relu'" in reasons(strange)["moe"]
    undecided = needed(model(group(None, moe(quantization="mxfp4", routing=None))))
    assert "moe" in reasons(undecided)
    for found in (strange, undecided):
        assert not names(found, "moe")


@pytest.mark.parametrize(
    ("stored", "activation", "member"),
    [
        ("mxfp4", "situ", "Situ"),
        ("nvfp4", "relu2", "Relu2"),
        ("fp8_block", "gelu_pytorch_tanh", "GegluTanh"),
        ("nvfp4", "silu", ""),
        ("mxint4", "situ", ""),  # its kernel takes no activation
    ],
)
def test_an_activation_must_be_one_that_the_kernel_knows(
    stored: str, activation: str, member: str
) -> None:
    found = needed(model(group(None, moe(quantization=stored, activation=activation))))
    (requires,) = {k.requires for k in found.kernels if k.op_type == "moe"}
    assert requires == ((f"flashinfer.fused_moe.ActivationType.{member}",) if member else ())
