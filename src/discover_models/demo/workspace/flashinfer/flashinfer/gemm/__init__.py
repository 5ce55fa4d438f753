"""Matrix products."""

from .gemm_base import mm_bf16 as mm_bf16
