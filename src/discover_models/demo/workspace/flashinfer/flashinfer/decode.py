"""Attention of one new token per sequence."""

from .api_logging import flashinfer_api
from .jit import load
from .trace.templates.attention import gqa_paged_decode_trace


class BatchDecodeWithPagedKVCacheWrapper:
    """Decode over a paged KV cache."""

    @flashinfer_api
    def __init__(self, float_workspace_buffer, kv_layout="NHD"):
        self.kv_layout = kv_layout

    def plan(self, *arguments, **options):
        self.arguments = arguments

    @flashinfer_api(trace=gqa_paged_decode_trace)
    def run(self, q, *kv, out=None):
        return load("decode").run(q, *kv)
