"""A machine with all tables filled: the one place that loads every part of the interpreter."""

from collections.abc import Callable

from discover_models.sources.sglang_models import attributes, builtins, calls, statements
from discover_models.sources.sglang_models.checkout import SglangSource
from discover_models.sources.sglang_models.machine import HELPER_BUDGET, STEP_BUDGET, Machine

PARTS = (attributes, builtins, calls, statements)


def new_machine(
    source: SglangSource,
    step_budget: int = STEP_BUDGET,
    out_of_time: Callable[[], bool] = lambda: False,
    helper_budget: int = HELPER_BUDGET,
) -> Machine:
    """An interpreter over a checkout.

    It ends with a SourceError after `step_budget` expressions, with `OutOfTime` soon after
    `out_of_time` says so. A function that takes more than `helper_budget` is not followed.
    """
    return Machine(source, step_budget, out_of_time, helper_budget=helper_budget)
