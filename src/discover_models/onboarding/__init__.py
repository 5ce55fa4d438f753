"""Onboarding pull requests: what a change claims, and what is right of it. Pure but for `run`."""
