"""Attention with FlashInfer."""

from flashinfer import (
    BatchDecodeWithPagedKVCacheWrapper,
    BatchPrefillWithPagedKVCacheWrapper,
    BatchPrefillWithRaggedKVCacheWrapper,
)


class FlashInferAttnBackend:
    def __init__(self, workspace):
        self.decode_wrapper = BatchDecodeWithPagedKVCacheWrapper(workspace, "NHD")
        self.prefill_wrapper_paged = BatchPrefillWithPagedKVCacheWrapper(workspace, "NHD")
        self.prefill_wrapper_ragged = BatchPrefillWithRaggedKVCacheWrapper(workspace, "NHD")

    def forward_extend(self, q, k, v, cache, ragged):
        if ragged:
            return self.prefill_wrapper_ragged.run(q, k, v)
        return self.prefill_wrapper_paged.run(q, cache)

    def forward_decode(self, q, cache):
        return self.decode_wrapper.run(q, cache)
