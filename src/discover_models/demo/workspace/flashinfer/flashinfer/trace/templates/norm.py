"""Templates of the norms."""

from ..template import TraceTemplate

rmsnorm_trace = TraceTemplate(
    op_type="rmsnorm",
    name_prefix="rmsnorm",
    axes=["hidden_size"],
)

fused_add_rmsnorm_trace = TraceTemplate(
    op_type="rmsnorm",
    name_prefix="fused_add_rmsnorm",
    axes=["hidden_size"],
)
