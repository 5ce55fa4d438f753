"""Attention over the cache, by whichever backend is chosen."""

from torch import nn


class RadixAttention(nn.Module):
    def __init__(self, num_heads, head_dim, scaling, num_kv_heads, layer_id, prefix=""):
        super().__init__()
        self.tp_q_head_num = num_heads
        self.tp_k_head_num = num_kv_heads
        self.head_dim = head_dim
        self.scaling = scaling
        self.layer_id = layer_id

    def forward(self, q, k, v, forward_batch):
        return forward_batch.attn_backend.forward(q, k, v, self, forward_batch)
