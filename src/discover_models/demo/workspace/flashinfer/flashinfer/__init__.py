"""Synthetic miniature of a kernel library; see the README of the demonstration."""

__version__ = "0.0.1"

from .decode import BatchDecodeWithPagedKVCacheWrapper as BatchDecodeWithPagedKVCacheWrapper
from .norm import fused_add_rmsnorm as fused_add_rmsnorm
from .norm import rmsnorm as rmsnorm
from .prefill import BatchPrefillWithPagedKVCacheWrapper as BatchPrefillWithPagedKVCacheWrapper
from .prefill import (
    BatchPrefillWithRaggedKVCacheWrapper as BatchPrefillWithRaggedKVCacheWrapper,
)
