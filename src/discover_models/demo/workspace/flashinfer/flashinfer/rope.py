"""Rotary position embedding."""

from .api_logging import flashinfer_api
from .jit import load


@flashinfer_api
def apply_rope_with_cos_sin_cache_inplace(
    positions, query, key, head_size, cos_sin_cache, is_neox=True
):
    """Rotate queries and keys in place by angles from a cache."""
    return load("rope").apply_rope_with_cos_sin_cache_inplace(positions, query, key, head_size, cos_sin_cache, is_neox)
