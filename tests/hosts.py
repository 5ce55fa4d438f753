"""The bot's account and repository on the emulator, and time that passes only by sleeping."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from discover_models.publish.github import GitHubIssues
from discover_models.publish.state_value import PublishState, Saved, unite
from discover_models.publish.waiting import Timing
from emulator.server import Emulator

BOT = "github-actions[bot]"
REPOSITORY = "octo/bench"
KERNELS = "octo/kernels"
"""The repository of other people that requests go to; nobody but `octo` may write there."""
REQUESTER = "requester"
"""The account that may open issues there, as anybody may."""


@dataclass
class FakeTime:
    """A clock that sleeping moves."""

    now: float = 1_000_000_000.0
    slept: list[float] = field(default_factory=list[float])

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def timing(self) -> Timing:
        return Timing(clock=lambda: self.now, sleep=self.sleep)

    def utc(self) -> datetime:
        return datetime.fromtimestamp(self.now, UTC)


def connect(
    emulator: Emulator, time: FakeTime, *, token: str = BOT, repository: str = REPOSITORY
) -> GitHubIssues:
    """The real backend, talking to the emulator."""
    return GitHubIssues(repository, Emulator.token(token), time.timing(), api_url=emulator.url)


@dataclass
class MemoryStore:
    """A state that is kept in memory and united as the branch's is."""

    state: PublishState = field(default_factory=PublishState)
    refuses: str = ""
    saves: int = 0

    def load(self) -> PublishState:
        return self.state

    def save(self, state: PublishState) -> Saved:
        return self.change(lambda stored: unite(stored, state))

    def change(self, rule: Callable[[PublishState], PublishState]) -> Saved:
        if self.refuses:
            return Saved(stored=False, reason=self.refuses)
        self.saves += 1
        self.state = rule(self.state)
        return Saved(stored=True)
