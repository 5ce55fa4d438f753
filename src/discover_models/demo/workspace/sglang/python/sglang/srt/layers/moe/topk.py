"""Choosing experts."""

from torch import nn


class TopK(nn.Module):
    def __init__(self, top_k, renormalize=True):
        super().__init__()
        self.top_k = top_k
        self.renormalize = renormalize
