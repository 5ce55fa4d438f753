"""Delta rules, KDA, lightning attention and what runs beside them."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discover_models.domain.architecture import Mixer
from discover_models.ops import FAMILIES
from layers import field, gdn, group, kda, layer, lightning, model, names, needed, reasons


def test_gated_delta_rule_in_three_stages_with_norm_and_convolution() -> None:
    assert layer(gdn(16, 32), None, "gdn", "gated_rmsnorm", "causal_conv1d", tp=2) == {
        "gdn_prefill_qk8_v16_d128_k_last",
        "gdn_decode_qk8_v16_d128_k_last",
        "gdn_mtp_qk8_v16_d128_k_last",
        "gated_rmsnorm_silu_nh16_h128",
        "causal_conv1d_prefill_c4096_w4",
        "causal_conv1d_decode_c4096_w4",
    }


def test_kda_has_a_kernel_for_each_way_that_flashinfer_offers() -> None:
    assert layer(kda(96), None, "kda", "gated_rmsnorm", "causal_conv1d", tp=8) == {
        "recurrent_kda_q12_v12_d128",
        "recurrent_kda_decode_q12_v12_d128",
        "fused_kda_decode_h12_d128",
        "packed_kda_decode_h12_d128",
        "gated_rmsnorm_sigmoid_nh12_h128",
        "causal_conv1d_prefill_c4608_w4",
        "causal_conv1d_decode_c4608_w4",
    }


def test_kda_with_more_value_heads_has_the_recurrent_kernels_only() -> None:
    found = layer(kda(8, v_heads=field("v_heads", 16)), None, "kda")
    assert found == {"recurrent_kda_q8_v16_d128", "recurrent_kda_decode_q8_v16_d128"}


@pytest.mark.parametrize("mixer", [gdn, kda])
def test_head_sizes_that_differ_are_said(mixer: Callable[..., Mixer]) -> None:
    made = mixer(v_head_dim=field("v_head_dim", 256))
    found = needed(model(group(made)))
    assert not names(found, "gdn", "kda")
    (said,) = reasons(found).items()
    assert said[0] in ("gated delta rule", "Kimi delta attention")
    assert "key heads of 128 and value heads of 256" in said[1]


def test_the_low_rank_gate_of_kda_is_two_projections() -> None:
    full, low = kda(4, full_rank_gate=True), kda(4)
    # hidden 2048; four heads of 128
    assert layer(full, None, "gemm") == {
        "gemm_n2048_k2048", "gemm_n132_k2048", "gemm_n512_k128", "gemm_n2048_k512",
    }  # fmt: skip
    assert layer(low, None, "gemm") == {
        "gemm_n1796_k2048", "gemm_n512_k128", "gemm_n2048_k512",
    }  # fmt: skip


def test_an_unknown_gate_function_is_said() -> None:
    found = needed(model(group(gdn(gate_activation="tanh"))))
    assert not names(found, "gated_rmsnorm")
    assert "'tanh'" in reasons(found)["gated RMS norm of linear attention"]


def test_lightning_attention_and_its_norms() -> None:
    assert layer(lightning(32), None, "lightning", tp=4) == {
        "lightning_attention_prefill_h8_d128",
        "lightning_attention_decode_h8_d128",
    }
    normed = lightning(32, qk_norm="per_head", output_norm="full", output_gate=True)
    assert layer(normed) - layer(lightning(32)) == {
        "rmsnorm_h128", "rmsnorm_h4096", "sigmoid_mul_h4096", "gemm_n4096_k2048",
    }  # fmt: skip
    grouped = lightning(32, output_norm="gated_group", norm_groups=field("g", 4), output_gate=True)
    assert layer(grouped, None, "gated_rmsnorm", "output_gate") == {
        "gated_group_rmsnorm_sigmoid_h4096_ng4"
    }


def test_undecided_parts_of_lightning_attention_are_said() -> None:
    found = needed(model(group(lightning(output_norm="undecided"))))
    assert "norms and projections of lightning attention" in reasons(found)
    assert not names(found, "gemm")
    of_q_and_k = needed(model(group(lightning(qk_norm="undecided"))))
    assert "norms and projections of lightning attention" in reasons(of_q_and_k)
    assert not reasons(needed(model(group(lightning()))))


@given(k=st.integers(1, 64), factor=st.integers(1, 4), tp=st.sampled_from([1, 2, 4]))
def test_channels_and_heads_of_all_gpus_make_the_whole(k: int, factor: int, tp: int) -> None:
    found = needed(model(group(gdn(k * tp, k * tp * factor))), tp)
    axes = {kernel.spec: kernel.axes for kernel in found.kernels}
    assert axes["gdn_decode"]["num_v_heads"].value == k * factor
    assert axes["causal_conv1d_decode"]["channels"].value == (2 * k + k * factor) * 128
    assert axes["gated_rmsnorm_silu"]["num_heads"].value == k * factor


def test_the_prefill_of_gated_delta_rules_takes_one_head_size() -> None:
    specs = [s for f in FAMILIES for s in f.specs if s.key == "gdn_prefill"]
    paths = [path for spec in specs for path in spec.paths]
    accepted = [limit.accepts for path in paths for limit in path.limits if limit.accepts]
    assert accepted
    assert [(accepts(128), accepts(64)) for accepts in accepted] == [(True, False)] * len(accepted)
