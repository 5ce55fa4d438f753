"""Activations."""

from torch import nn
from torch.nn import functional


class SiluAndMul(nn.Module):
    def forward(self, x):
        half = x.shape[-1] // 2
        return functional.silu(x[..., :half]) * x[..., half:]
