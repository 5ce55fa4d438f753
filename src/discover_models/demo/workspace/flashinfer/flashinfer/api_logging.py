"""Marks public functions, and what to record of their calls."""


def flashinfer_api(function=None, *, trace=None):
    def mark(marked):
        marked.trace = trace
        return marked

    return mark if function is None else mark(function)
