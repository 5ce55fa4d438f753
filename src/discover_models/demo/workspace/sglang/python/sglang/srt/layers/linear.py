"""Linear layers, split over GPUs."""

import torch
from torch import nn
from torch.nn import functional


class LinearBase(nn.Module):
    def __init__(self, input_size, output_size, bias=False, prefix=""):
        super().__init__()
        self.input_size = input_size
        self.output_size = output_size
        self.weight = nn.Parameter(torch.empty(output_size, input_size))

    def forward(self, x):
        return functional.linear(x, self.weight)


class ReplicatedLinear(LinearBase):
    """Whole on every GPU."""


class ColumnParallelLinear(LinearBase):
    """Split by outputs."""


class MergedColumnParallelLinear(ColumnParallelLinear):
    """Several projections of one input as one product."""

    def __init__(self, input_size, output_sizes, bias=False, prefix=""):
        super().__init__(input_size, sum(output_sizes), bias, prefix)


class QKVParallelLinear(ColumnParallelLinear):
    """The projections to queries, keys and values as one product."""

    def __init__(
        self, hidden_size, head_size, total_num_heads, total_num_kv_heads, bias=False, prefix=""
    ):
        heads = total_num_heads + 2 * total_num_kv_heads
        super().__init__(hidden_size, heads * head_size, bias, prefix)


class RowParallelLinear(LinearBase):
    """Split by inputs."""
