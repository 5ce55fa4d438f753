"""Rotary position embedding."""

from flashinfer.rope import apply_rope_with_cos_sin_cache_inplace
from torch import nn


class RotaryEmbedding(nn.Module):
    def __init__(self, head_size, rotary_dim, max_position, base, is_neox_style):
        super().__init__()
        self.head_size = head_size
        self.rotary_dim = rotary_dim
        self.is_neox_style = is_neox_style

    def forward(self, positions, query, key):
        apply_rope_with_cos_sin_cache_inplace(
            positions=positions,
            query=query,
            key=key,
            head_size=self.head_size,
            cos_sin_cache=self.cos_sin_cache,
            is_neox=self.is_neox_style,
        )
        return query, key


def get_rope(head_size, rotary_dim, max_position, base, is_neox_style=True):
    return RotaryEmbedding(head_size, rotary_dim, max_position, base, is_neox_style)
