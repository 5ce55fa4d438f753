"""Faults at every boundary and input from strangers; `make torture` tries far more of both."""
