"""A machine with all tables filled: the one place that loads every part of the interpreter."""

from discover_models.sources.sglang_models import attributes, builtins, calls, statements
from discover_models.sources.sglang_models.checkout import SglangSource
from discover_models.sources.sglang_models.machine import Machine

PARTS = (attributes, builtins, calls, statements)


def new_machine(source: SglangSource) -> Machine:
    """An interpreter over a checkout."""
    return Machine(source)
