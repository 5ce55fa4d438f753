"""Synthetic."""

import flashinfer


def test_a_wrapper_keeps_its_layout():
    wrapper = flashinfer.decode.BatchDecodeWithPagedKVCacheWrapper(None, "HND")
    assert wrapper.kv_layout == "HND"
