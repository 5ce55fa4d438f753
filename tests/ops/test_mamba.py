"""State-space mixers and short convolutions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from layers import group, layer, mamba, mamba1, model, needed, short_conv

OWN = ("mamba_ssu", "mamba_ssd_combined", "gated_rmsnorm", "causal_conv1d")


def test_mamba_2_decodes_scans_convolves_and_norms() -> None:
    assert layer(mamba(128, 8), None, *OWN, tp=4) == {
        "mamba_ssu_decode_h32_d64_s128_ng2",
        "ssd_combined_varlen_d_vector_final_h32_d64_g2_s128",
        "gated_group_rmsnorm_silu_h8192_ng8",
        "causal_conv1d_prefill_c2560_w4",
        "causal_conv1d_decode_c2560_w4",
    }


def test_a_mixer_without_the_gated_norm() -> None:
    assert not layer(mamba(gated_norm=False), None, "gated_rmsnorm")


@given(groups=st.sampled_from([1, 2, 4, 8]), tp=st.sampled_from([1, 2, 4, 8]))
def test_one_group_is_replicated_and_several_are_split(groups: int, tp: int) -> None:
    found = {k.spec: k.axes for k in needed(model(group(mamba(128, groups))), tp).kernels}
    assert ("mamba_ssu_decode" in found) == (groups % tp == 0 or groups == 1)
    if "mamba_ssu_decode" not in found:
        return
    assert found["mamba_ssu_decode"]["ngroups"].value == max(1, groups // tp)
    assert found["ssd_combined"]["ngroups"].value == max(1, groups // tp)
    channels = 8192 // tp + 2 * max(1, groups // tp) * 128
    assert found["causal_conv1d_decode"]["channels"].value == channels


def test_mamba_1_has_a_scan_of_its_own() -> None:
    assert layer(mamba1(8192), None, "mamba1", "mamba_ssu", "causal_conv1d", tp=2) == {
        "mamba1_selective_scan_prefill_d4096_s16",
        "mamba1_selective_scan_decode_d4096_s16",
        "causal_conv1d_prefill_c4096_w4",
        "causal_conv1d_decode_c4096_w4",
    }


def test_a_scan_is_of_its_layers() -> None:
    found = needed(model(group(mamba1(), None, (0, 1)), group(mamba(), None, (2, 3, 4))))
    layers = {k.spec: k.layers for k in found.kernels}
    assert layers["mamba1_selective_scan_decode"] == 2
    assert layers["mamba_ssu_decode"] == 3


@pytest.mark.parametrize(("tp", "channels"), [(1, 2048), (4, 512)])
def test_a_short_convolution(tp: int, channels: int) -> None:
    found = layer(short_conv(2048), tp=tp)
    assert {f"causal_conv1d_{s}_c{channels}_w3" for s in ("prefill", "decode")} <= found
    assert {"gemm_n6144_k2048", "gemm_n2048_k2048"} <= found
