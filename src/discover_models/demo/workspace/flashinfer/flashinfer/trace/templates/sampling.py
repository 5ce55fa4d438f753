"""Templates of sampling."""

from ..template import TraceTemplate

top_p_sampling_trace = TraceTemplate(
    op_type="sampling",
    name_prefix="top_p_sampling",
    axes=["vocab_size"],
)

top_k_top_p_sampling_trace = TraceTemplate(
    op_type="sampling",
    name_prefix="top_k_top_p_sampling",
    axes=["vocab_size"],
)
