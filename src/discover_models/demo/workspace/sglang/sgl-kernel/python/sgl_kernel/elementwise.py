"""Norms: FlashInfer's where it is installed, the engine's own otherwise."""

import torch

try:
    import flashinfer.norm as _flashinfer_norm

    _has_flashinfer = True
except ImportError:
    _has_flashinfer = False


def rmsnorm(input, weight, eps=1e-6, out=None):
    if _has_flashinfer:
        return _flashinfer_norm.rmsnorm(input, weight, eps, out)
    return torch.ops.sgl_kernel.rmsnorm.default(input, weight, eps, out)


def fused_add_rmsnorm(input, residual, weight, eps=1e-6):
    if _has_flashinfer:
        _flashinfer_norm.fused_add_rmsnorm(input, residual, weight, eps)
    else:
        torch.ops.sgl_kernel.fused_add_rmsnorm.default(input, residual, weight, eps)
