"""Synthetic miniature of the engine's own kernels."""

from sgl_kernel.elementwise import fused_add_rmsnorm as fused_add_rmsnorm
from sgl_kernel.elementwise import rmsnorm as rmsnorm
