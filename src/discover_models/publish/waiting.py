"""When to ask a web service again, and when to give up."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from discover_models.publish.issues import PublishError

_T = TypeVar("_T")

ATTEMPTS = 6
SECONDARY_SECONDS = 60.0
"""GitHub asks for at least a minute after a secondary limit without `Retry-After`."""


@dataclass(frozen=True)
class Timing:
    """Time as the program sees it; all in seconds."""

    clock: Callable[[], float]
    """Seconds since 1970, UTC."""
    sleep: Callable[[float], None]
    pace: float = 1.0
    """Least time between two writes; GitHub asks for one second."""
    patience: float = 900.0
    """How long one run waits in all before it leaves the rest to the next run."""


class LostError(Exception):
    """The answer was lost or can't be read; whether the request was carried out is unknown."""


class TurnedAwayError(Exception):
    """The request was not carried out; it may be sent again after `seconds`."""

    def __init__(self, seconds: float, why: str, *, doubling: bool = False) -> None:
        """`doubling`: nobody said how long, so each time wait twice as long."""
        super().__init__(why)
        self.seconds = seconds
        self.doubling = doubling


def told_to_wait(
    status: int, headers: Mapping[str, str], message: str, now: float
) -> TurnedAwayError | None:
    """The limit that an error answer speaks of; None when it is another kind of error.

    `headers` have lower-case names. Sources: GitHub's "Rate limits for the REST API" and "Best
    practices for using the REST API": obey `retry-after`; with `x-ratelimit-remaining` at 0 wait
    until `x-ratelimit-reset`; otherwise wait a minute.
    """
    if status not in (403, 429):
        return None
    after = headers.get("retry-after", "")
    if after.strip().isdigit():
        return TurnedAwayError(float(after), "it asked to wait")
    if headers.get("x-ratelimit-remaining") == "0":
        reset = headers.get("x-ratelimit-reset", "")
        seconds = float(reset) - now if reset.isdigit() else SECONDARY_SECONDS
        return TurnedAwayError(max(seconds, 0.0) + 1.0, "the hourly limit is used up")
    if status == 429 or "rate limit" in message.casefold():
        return TurnedAwayError(SECONDARY_SECONDS, "too many requests", doubling=True)
    return None


class Patience:
    """Repeats requests, paces writes and keeps count of the time spent waiting."""

    def __init__(self, timing: Timing) -> None:
        self._timing = timing
        self._left = timing.patience
        self._last_write: float | None = None

    def now(self) -> float:
        return self._timing.clock()

    def pace(self) -> None:
        """Wait until another write is due; call it right before each write."""
        pace = self._timing.pace
        if self._last_write is not None:
            since = self.now() - self._last_write
            if 0 <= since < pace:
                self._timing.sleep(pace - since)
            elif since < 0:  # the clock was set back
                self._timing.sleep(pace)
        self._last_write = self.now()

    def until_done(
        self, what: str, act: Callable[[], _T], look: Callable[[], _T | None] = lambda: None
    ) -> _T:
        """The result of `act`, or of `look` where that finds that it was done already.

        `look` is asked before every attempt, so nothing that cannot be done twice is.
        """
        problem = ""
        for attempt in range(ATTEMPTS):
            found = look()
            if found is not None:
                return found
            try:
                return act()
            except TurnedAwayError as turned_away:
                problem = str(turned_away)
                factor = 2.0**attempt if turned_away.doubling else 1.0
                self._wait(turned_away.seconds * factor, what, problem)
            except LostError as lost:
                problem = str(lost)
                self._wait(2.0**attempt, what, problem)
        raise PublishError(f"GitHub: {what} failed {ATTEMPTS} times ({problem}).")

    def _wait(self, seconds: float, what: str, why: str) -> None:
        if seconds > self._left:
            raise PublishError(
                f"GitHub: {what} would need {seconds:.0f} more seconds of waiting ({why}); "
                "the next run goes on from here."
            )
        self._left -= seconds
        self._timing.sleep(seconds)
