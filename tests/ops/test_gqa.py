"""Grouped-query attention: heads over GPUs, pages, and what is only a parameter."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discover_models.domain.kernel import Parallelism
from discover_models.ops import SPECS
from discover_models.requirements import requirements
from layers import field, gqa, group, layer, model, names, needed

OPS = ("gqa_paged", "gqa_ragged")


def test_one_set_per_shape_with_pages_of_1_and_64() -> None:
    assert layer(gqa(32, 8, 128), None, *OPS) == {
        "gqa_paged_prefill_causal_h32_kv8_d128_ps1",
        "gqa_paged_prefill_causal_h32_kv8_d128_ps64",
        "gqa_paged_decode_h32_kv8_d128_ps1",
        "gqa_paged_decode_h32_kv8_d128_ps64",
        "gqa_ragged_prefill_causal_h32_kv8_d128",
    }


@pytest.mark.parametrize(
    ("tp", "shape"), [(2, "h16_kv4"), (8, "h4_kv1"), (16, "h2_kv1"), (32, "h1_kv1")]
)
def test_kv_heads_are_replicated_once_there_are_too_few(tp: int, shape: str) -> None:
    assert f"gqa_paged_decode_{shape}_d128_ps64" in layer(gqa(32, 8), tp=tp)


@pytest.mark.parametrize("tp", [3, 5, 64])
def test_heads_that_can_not_be_split_give_a_refusal_and_no_definition(tp: int) -> None:
    found = needed(model(group(gqa(32, 8))), tp)
    assert len(found.refused) == 1
    assert not names(found, *OPS)


@given(groups=st.integers(1, 16), kv=st.integers(1, 8), tp=st.sampled_from([1, 2, 4, 8]))
def test_every_gpu_has_query_heads_for_each_of_its_kv_heads(groups: int, kv: int, tp: int) -> None:
    for kernel in needed(model(group(gqa(groups * kv, kv))), tp).kernels:
        if kernel.op_type in OPS:
            q, own = (kernel.axes[f"num_{n}_heads"].value for n in ("qo", "kv"))
            assert q * tp == groups * kv
            assert own == max(1, kv // tp)


def test_value_heads_of_another_size_stand_in_the_name() -> None:
    found = layer(gqa(v_head_dim=field("v_head_dim", 96)), None, "gqa_ragged")
    assert found == {"gqa_ragged_prefill_causal_h32_kv8_d128_vo96"}


def test_windows_chunks_sinks_and_caps_are_parameters_of_the_same_kernel() -> None:
    plain = layer(gqa())
    changed = gqa(window=field("window", 4096), chunk=field("chunk", 8), sinks=True, soft_cap=True)
    assert layer(changed) == plain
    kernel = next(k for k in needed(model(group(changed))).kernels if k.op_type == "gqa_ragged")
    for word in ("window of 4096", "chunks of 8", "sinks", "soft-capped"):
        assert any(word in note for note in kernel.notes), word


def test_a_window_of_unknown_size_is_said_to_be_one() -> None:
    found = needed(model(group(gqa(window=field("sliding_window", None)))))
    notes = {note for k in found.kernels if k.op_type in OPS for note in k.notes}
    assert notes == {"sliding window of an unknown number of tokens in these layers"}


@pytest.mark.parametrize(
    ("dp", "heads"),
    [(None, "q_heads / tp 8"), (1, "q_heads / tp 8"), (2, "q_heads / (tp 8 / dp 2)")],
)
def test_attention_heads_are_split_over_tp_by_dp(dp: int | None, heads: str) -> None:
    sizes = Parallelism(tp=8, dp=dp, dp_attention=True)
    (kernel,) = (
        k for k in requirements(model(group(gqa())), [sizes]).kernels if k.op_type == "gqa_ragged"
    )
    assert kernel.axes["num_qo_heads"].expression == heads


def test_the_decode_on_cuda_cores_sums_over_halves() -> None:
    """A thread has max(8, size / 32) columns, which must be a multiple of 8."""
    (limit,) = (limit for limit in SPECS["gqa_paged_decode"].paths[0].limits if limit.doubtful)
    assert limit.doubtful
    sizes = (1, 4, 8, 16, 32, 48, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 512, 576, 1024)
    assert [size for size in sizes if not limit.doubtful(size)] == [
        8, 16, 32, 64, 128, 256, 512, 1024,
    ]  # fmt: skip


def test_a_layer_with_another_layer_s_keys_projects_queries_alone() -> None:
    shared = layer(gqa(32, 8, 128, shares_kv=True), None, "gemm")
    assert shared == {"gemm_n4096_k2048", "gemm_n2048_k4096"}
