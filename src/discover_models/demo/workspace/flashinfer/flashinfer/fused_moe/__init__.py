"""Mixtures of experts."""

from .core import trtllm_fp8_block_scale_moe as trtllm_fp8_block_scale_moe
