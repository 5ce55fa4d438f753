"""Sampling from probabilities. `top_k_sampling_from_probs` is left out on purpose."""

from .api_logging import flashinfer_api
from .jit import load
from .trace.templates.sampling import top_k_top_p_sampling_trace, top_p_sampling_trace


@flashinfer_api(trace=top_p_sampling_trace)
def top_p_sampling_from_probs(probs, top_p, indices=None, deterministic=True):
    """Sample from the smallest set of tokens that holds the probability `top_p`."""
    return load("sampling").top_p_sampling_from_probs(probs, top_p)


@flashinfer_api(trace=top_k_top_p_sampling_trace)
def top_k_top_p_sampling_from_probs(probs, top_k, top_p, indices=None, deterministic=True):
    """Sample from the `top_k` tokens, then as `top_p_sampling_from_probs`."""
    return load("sampling").top_k_top_p_sampling_from_probs(probs, top_k, top_p)
