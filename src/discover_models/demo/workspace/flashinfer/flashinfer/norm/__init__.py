"""Normalisation."""

from ..api_logging import flashinfer_api
from ..jit import load
from ..trace.templates.norm import fused_add_rmsnorm_trace, rmsnorm_trace


@flashinfer_api(trace=rmsnorm_trace)
def rmsnorm(input, weight, eps=1e-6, out=None, enable_pdl=None):
    """Scale each row to a root mean square of one, then by the weight."""
    return load("norm").rmsnorm(input, weight, eps)


@flashinfer_api(trace=fused_add_rmsnorm_trace)
def fused_add_rmsnorm(input, residual, weight, eps=1e-6, enable_pdl=None):
    """Add the input to the residual and normalise the sum, both in place."""
    return load("norm").fused_add_rmsnorm(input, residual, weight, eps)
