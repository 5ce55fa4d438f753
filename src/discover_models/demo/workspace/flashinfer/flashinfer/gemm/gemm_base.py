"""Matrix products of two matrices."""

from ..api_logging import flashinfer_api
from ..jit import load
from ..trace.templates.gemm import mm_bf16_trace


@flashinfer_api(trace=mm_bf16_trace)
def mm_bf16(a, b, bias=None, out=None):
    """The product of `a` and `b` in bfloat16."""
    return load("gemm").mm_bf16(a, b)
