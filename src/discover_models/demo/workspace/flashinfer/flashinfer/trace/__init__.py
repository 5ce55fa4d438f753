"""Recording of calls."""
