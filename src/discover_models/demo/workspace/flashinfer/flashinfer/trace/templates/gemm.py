"""Templates of matrix products."""

from ..template import TraceTemplate

mm_bf16_trace = TraceTemplate(
    op_type="gemm",
    name_prefix="gemm_bf16",
    axes=["N", "K"],
)
