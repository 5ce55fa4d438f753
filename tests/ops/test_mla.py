"""Multi-head latent attention and its sparse form."""

import pytest

from layers import group, indexer, layer, mla, model, names, needed, reasons, rope

PAGED = ("mla_paged", "mla_ragged")


def test_the_latent_axis_is_the_rank_alone() -> None:
    assert layer(mla(), None, *PAGED, tp=8) == {
        "mla_paged_prefill_causal_h16_ckv512_kpe64_ps1",
        "mla_paged_prefill_causal_h16_ckv512_kpe64_ps64",
        "mla_paged_decode_h16_ckv512_kpe64_ps1",
        "mla_paged_decode_h16_ckv512_kpe64_ps64",
        "mla_ragged_prefill_causal_h16_qk192_vo128",
    }


def test_sparse_layers_need_the_indexer_and_no_dense_paged_attention() -> None:
    sparse = mla(indexer=indexer(rope=rope(64)))
    assert layer(sparse, None, *PAGED, "dsa_paged", "layernorm", tp=8) == {
        "mla_ragged_prefill_causal_h16_qk192_vo128",
        "dsa_topk_indexer_fp8_h64_d128_topk2048_ps64",
        "dsa_sparse_attention_h16_ckv512_kpe64_topk2048_ps1",
        "dsa_sparse_attention_h16_ckv512_kpe64_topk2048_ps64",
        "layernorm_h128",
    }


def test_the_indexer_s_keys_may_have_an_rms_norm() -> None:
    rms = mla(indexer=indexer(k_norm="rmsnorm"))
    assert "rmsnorm_h128" in layer(rms, None, "rmsnorm")
    assert not layer(rms, None, "layernorm")


def test_a_gate_on_the_output_is_a_linear_layer_and_a_multiplication() -> None:
    more = layer(mla(output_gate=True)) - layer(mla())
    # 128 heads of 128 over the hidden size 2048
    assert more == {"gemm_n16384_k2048", "sigmoid_mul_h16384"}


def test_without_a_low_rank_q_there_is_one_projection_for_it() -> None:
    found = layer(mla(q_lora_rank=None), None, "gemm", "rmsnorm")
    assert "gemm_n24576_k2048" in found  # 128 · (128 + 64)
    assert "rmsnorm_h1536" not in found


def test_projections_that_a_class_keeps_apart_are_two_kernels() -> None:
    apart = layer(mla(fused_a_proj=False), None, "gemm")
    fused = layer(mla(fused_a_proj=True), None, "gemm")
    # 1536 for q, 512 + 64 for the latent
    assert apart - fused == {"gemm_n1536_k2048", "gemm_n576_k2048"}
    assert fused - apart == {"gemm_n2112_k2048"}


def test_projections_of_which_nothing_is_known_are_said() -> None:
    found = needed(model(group(mla(fused_a_proj=None))))
    assert "low-rank projections of q and KV" in reasons(found)
    assert not names(found, "gemm") & {"gemm_n1536_k2048", "gemm_n576_k2048", "gemm_n2112_k2048"}
    for decided in (mla(fused_a_proj=True), mla(fused_a_proj=False), mla(q_lora_rank=None)):
        assert not reasons(needed(model(group(decided))))


@pytest.mark.parametrize("sparse", [True, False])
def test_ragged_prefill_is_for_short_inputs_in_sparse_layers_alone(sparse: bool) -> None:
    found = needed(model(group(mla(indexer=indexer() if sparse else None))))
    (kernel,) = (k for k in found.kernels if k.op_type == "mla_ragged")
    assert any("short inputs" in note for note in kernel.notes) == sparse
