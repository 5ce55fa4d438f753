"""DeepSeek-V4's attention, its compression and its grouped output projection."""

from layers import dsv4, field, group, indexer, layer, model, names, needed, reasons

OWN = ("dsv4", "dsv4_compress", "gemm_fp8", "dsa_paged")


def test_layers_with_the_window_alone() -> None:
    assert layer(dsv4(), None, *OWN, tp=4) == {
        "dsv4_sparse_mla_h16_d512_swa128",
        "batch_deepgemm_fp8_nt_groupwise_n1024_k4096",
    }


def test_compressed_tokens_are_all_read_or_picked_by_an_indexer() -> None:
    every = layer(dsv4(ratio=128), None, *OWN, tp=4) - layer(dsv4(), None, *OWN, tp=4)
    assert every == {"dsv4_sparse_mla_h16_d512_swa128_c128", "dsv4_kv_compress_c128_d512"}
    picked = layer(dsv4(ratio=4, indexer=indexer(512, k_norm=None)), None, *OWN, tp=4)
    assert picked == {
        "dsv4_sparse_mla_h16_d512_swa128_c4_topk512",
        "dsv4_kv_compress_c4_d512",
        "dsv4_kv_compress_c4_d128",
        "dsa_topk_indexer_fp8_h64_d128_topk512_ps64",
        "batch_deepgemm_fp8_nt_groupwise_n1024_k4096",
    }


def test_it_is_no_latent_and_no_grouped_query_attention() -> None:
    found = layer(dsv4(ratio=4, indexer=indexer()), tp=4)
    assert not [name for name in found if name.startswith(("mla_", "gqa_", "dsa_sparse"))]


def test_the_grouped_projection_is_no_plain_gemm() -> None:
    found = layer(dsv4(), None, "gemm")
    assert "gemm_n2048_k8192" in found  # from 8 groups of 1024
    assert "gemm_n8192_k4096" not in found


def test_overlapping_windows_double_the_compressor() -> None:
    assert "gemm_n2048_k2048" in layer(dsv4(ratio=4), None, "gemm")
    assert "gemm_n1024_k2048" in layer(dsv4(ratio=128), None, "gemm")


def test_an_unknown_ratio_is_said_and_not_taken_for_one() -> None:
    found = needed(model(group(dsv4(compress_ratio=field("compress_ratios", None)))))
    assert not names(found, "dsv4", "dsv4_compress")
    assert "gemm (compressor wkv_gate)" in reasons(found)


def test_output_groups_must_split_too() -> None:
    assert needed(model(group(dsv4())), 16).refused
