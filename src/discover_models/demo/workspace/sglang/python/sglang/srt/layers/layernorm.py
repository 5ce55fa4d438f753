"""Normalisation layers."""

import torch
from sgl_kernel import fused_add_rmsnorm, rmsnorm
from torch import nn


class RMSNorm(nn.Module):
    def __init__(self, hidden_size, eps=1e-6):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(hidden_size))
        self.variance_epsilon = eps

    def forward(self, x, residual=None):
        if residual is not None:
            fused_add_rmsnorm(x, residual, self.weight.data, self.variance_epsilon)
            return x, residual
        return rmsnorm(x, self.weight.data, self.variance_epsilon)
