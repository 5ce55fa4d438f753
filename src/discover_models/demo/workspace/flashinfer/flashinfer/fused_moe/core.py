"""Routing, both expert layers and the weighted sum in one call."""

from ..api_logging import flashinfer_api
from ..jit import load
from ..trace.templates.moe import fp8_block_scale_renormalize_routing_trace


@flashinfer_api(trace=fp8_block_scale_renormalize_routing_trace)
def trtllm_fp8_block_scale_moe(
    routing_logits,
    routing_bias,
    hidden_states,
    hidden_states_scale,
    gemm1_weights,
    gemm1_weights_scale,
    gemm2_weights,
    gemm2_weights_scale,
    num_experts,
    top_k,
    intermediate_size,
):
    """Experts in FP8 with one scale per block."""
    return load("fused_moe").trtllm_fp8_block_scale_moe(routing_logits, routing_bias, hidden_states, gemm1_weights, gemm2_weights, top_k)
