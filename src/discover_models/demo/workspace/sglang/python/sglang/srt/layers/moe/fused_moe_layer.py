"""Mixtures of experts with FlashInfer."""

from flashinfer.fused_moe import trtllm_fp8_block_scale_moe
from torch import nn


class FusedMoE(nn.Module):
    def __init__(self, num_experts, top_k, hidden_size, intermediate_size, layer_id, prefix=""):
        super().__init__()
        self.num_experts = num_experts
        self.top_k = top_k
        self.intermediate_size = intermediate_size

    def forward(self, hidden_states, router_logits):
        return trtllm_fp8_block_scale_moe(
            router_logits,
            None,
            hidden_states,
            self.hidden_states_scale,
            self.w13_weight,
            self.w13_weight_scale,
            self.w2_weight,
            self.w2_weight_scale,
            self.num_experts,
            self.top_k,
            self.intermediate_size,
        )
