"""Synthetic."""

import flashinfer


def test_rmsnorm_is_public():
    assert callable(flashinfer.norm.rmsnorm)
