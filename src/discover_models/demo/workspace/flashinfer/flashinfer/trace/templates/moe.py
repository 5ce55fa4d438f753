"""Templates of mixtures of experts."""

from ..template import TraceTemplate

fp8_block_scale_renormalize_routing_trace = TraceTemplate(
    op_type="moe",
    name_prefix="moe_fp8_block_scale_renormalize_routing",
    axes=["num_local_experts", "hidden_size", "intermediate_size", "top_k"],
)
