"""Attention over picked blocks of the KV cache."""

import pytest

from layers import INFLLM, gqa, group, layer, model, msa, names, needed, reasons

OWN = ("msa_sparse", "msa_proxy", "msa_topk")


@pytest.mark.parametrize(("tp", "heads", "index"), [(1, "h64_kv4", 4), (4, "h16_kv1", 1),
                                                    (8, "h8_kv1", 1)])  # fmt: skip
def test_msa_scores_picks_and_attends(tp: int, heads: str, index: int) -> None:
    assert layer(gqa(64, 4, msa=msa()), None, *OWN, tp=tp) == {
        f"msa_sparse_attention_{heads}_d128_topk16",
        f"msa_sparse_decode_attention_{heads}_d128_topk16",
        f"msa_proxy_score_h{index}_kv1_d128",
        f"msa_topk_select_h{index}_topk16",
    }


def test_sparse_layers_need_no_dense_attention() -> None:
    assert not layer(gqa(msa=msa()), None, "gqa_paged", "gqa_ragged")


def test_the_index_projections_run_with_those_of_attention() -> None:
    # (32 + 2·8)·128 and (4 + 1)·128
    assert "gemm_n6784_k2048" in layer(gqa(32, 8, 128, msa=msa()), None, "gemm")


def test_blocks_of_another_size_are_said() -> None:
    found = needed(model(group(gqa(msa=msa(block=64)))))
    assert not names(found, *OWN)
    assert "blocks of 64" in reasons(found)["MSA sparse attention"]


def test_infllm_says_from_which_length_on_blocks_are_picked() -> None:
    found = needed(model(group(gqa(infllm=INFLLM)))).kernels
    notes = {k.spec: k.notes for k in found if k.op_type in ("infllm", "gqa_ragged")}
    assert notes["infllmv2_sparse_attention"] == notes["infllmv2_topk_select"]
    assert notes["infllmv2_topk_select"] == ("inputs longer than 8192 tokens",)
    assert notes["gqa_ragged_prefill_causal"] == ("inputs of up to 8192 tokens",)


def test_infllm_keeps_dense_attention_for_short_inputs() -> None:
    found = layer(gqa(32, 2, infllm=INFLLM), None, "infllm", "gqa_ragged", tp=2)
    assert found == {
        "infllmv2_sparse_attention_h16_kv1_d128_bs64_topk96",
        "infllmv2_topk_select_h16_kv1_d128_ks32_st16_topk96",
        "gqa_ragged_prefill_causal_h16_kv1_d128",
    }
