"""Choosing the next token. Top-p alone is done in PyTorch here, on purpose."""

from torch import nn

from sglang.utils import LazyImport

top_k_top_p_sampling_from_probs = LazyImport(
    "flashinfer.sampling", "top_k_top_p_sampling_from_probs"
)


class Sampler(nn.Module):
    def forward(self, probs, info):
        return top_k_top_p_sampling_from_probs(probs, info.top_ks, info.top_ps)
