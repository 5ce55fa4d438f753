"""Attention of many new tokens per sequence."""

from .api_logging import flashinfer_api
from .jit import load
from .trace.templates.attention import gqa_paged_prefill_trace


class BatchPrefillWithPagedKVCacheWrapper:
    """Prefill over a paged KV cache."""

    @flashinfer_api
    def __init__(self, float_workspace_buffer, kv_layout="NHD"):
        self.kv_layout = kv_layout

    def plan(self, *arguments, **options):
        self.arguments = arguments

    @flashinfer_api(trace=gqa_paged_prefill_trace)
    def run(self, q, *kv, out=None):
        return load("prefill").run(q, *kv)


class BatchPrefillWithRaggedKVCacheWrapper:
    """Prefill over new keys and values only; it has no trace template here."""

    @flashinfer_api
    def __init__(self, float_workspace_buffer, kv_layout="NHD"):
        self.kv_layout = kv_layout

    def plan(self, *arguments, **options):
        self.arguments = arguments

    @flashinfer_api
    def run(self, q, *kv, out=None):
        return load("prefill").run(q, *kv)
