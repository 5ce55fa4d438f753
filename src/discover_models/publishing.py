"""Where both front doors publish: the issues and the state branch of one repository."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from discover_models.bot_config import BotConfig, parse_config
from discover_models.domain.kernel import Deferred, Inventory
from discover_models.domain.manifest import Manifest
from discover_models.errors import UsageError
from discover_models.manifest_folder import read_manifests
from discover_models.publish.github import PUBLIC_API, DryRun, GitHubIssues
from discover_models.publish.issues import Backend, PublishError, RefusedError
from discover_models.publish.requesting import RequestPlace
from discover_models.publish.run import Extras, PublishReport, PublishSettings, publish
from discover_models.publish.state import StateBranch
from discover_models.publish.state_value import (
    PublishState,
    Saved,
    StateStore,
    assign_slugs,
    unite,
)
from discover_models.publish.sync import with_files
from discover_models.publish.waiting import Timing
from discover_models.sources.source_spec import DEFAULT_SOURCES

DRY_RUN = "this is a dry run"


@dataclass(frozen=True)
class Place:
    """A repository on GitHub and how it is reached."""

    repository: str
    """OWNER/NAME."""
    token: str
    timing: Timing
    api_url: str = PUBLIC_API
    server_url: str = "https://github.com"
    dry_run: bool = False

    def __repr__(self) -> str:
        return f"Place({self.repository!r})"  # without the token

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.timing.clock(), UTC)


@dataclass(frozen=True)
class Asking:
    """Where FlashInfer is asked for what it lacks."""

    repository: str
    """OWNER/NAME."""
    token: str = ""
    """Empty: nothing is filed there."""
    max_new: int = 3

    def __repr__(self) -> str:
        return f"Asking({self.repository!r})"  # without the token


@dataclass
class DryStore:
    """A state that is read from another store and kept in memory."""

    real: StateStore
    kept: PublishState | None = None

    def load(self) -> PublishState:
        return self.real.load() if self.kept is None else self.kept

    def save(self, state: PublishState) -> Saved:
        return self.change(lambda stored: unite(stored, state))

    def change(self, rule: Callable[[PublishState], PublishState]) -> Saved:
        self.kept = rule(self.load())
        return Saved(stored=False, reason=DRY_RUN)


class Desk:
    """The issues and the state of one repository, opened once a run."""

    def __init__(self, place: Place, config_file: str = "") -> None:
        """Read the configuration from the default branch.

        Raises:
            PublishError: GitHub or the address can't be used.
            BotConfigError: the configuration is wrong.
        """
        self.place = place
        self._github = GitHubIssues(
            place.repository, place.token, place.timing, api_url=place.api_url
        )
        data = self._github.file(config_file) if config_file else None
        self.config = parse_config(data, config_file) if data is not None else BotConfig()
        branch = StateBranch(
            url=f"{place.server_url}/{place.repository}.git",
            branch=self.config.state_branch,
            timing=place.timing,
            token=place.token,
        )
        self._store: StateStore = DryStore(branch) if place.dry_run else branch
        self._state: PublishState | None = None
        self._others: list[GitHubIssues] = []

    @property
    def requests(self) -> int:
        """Requests sent to GitHub's API so far."""
        return self._github.requests + sum(other.requests for other in self._others)

    @property
    def state(self) -> PublishState:
        """The state as it was when it was first asked for."""
        if self._state is None:
            self._state = self._store.load()
        return self._state

    def settings(
        self,
        *,
        bot_login: str,
        max_new_issues: int,
        refresh: bool,
        origins: Mapping[str, str],
        run_url: str = "",
    ) -> PublishSettings:
        """How to publish, with what the configuration says."""
        return PublishSettings(
            repository=self.place.repository,
            bot_login=bot_login,
            trusted_authors=self.config.trusted_authors,
            max_new_issues=max_new_issues,
            label=self.config.label,
            reopen_closed=self.config.reopen_closed,
            refresh=refresh,
            origins=dict(origins),
            server_url=self.place.server_url,
            state_branch=self.config.state_branch,
            run_url=run_url,
        )

    def publish(
        self,
        inventories: Sequence[Inventory],
        deferred: Sequence[Deferred],
        settings: PublishSettings,
        extras: Extras,
        asking: Asking | None = None,
    ) -> PublishReport:
        """Bring issues and state in line; with `dry_run` only work out what that takes.

        Raises:
            PublishError: the state or the issues can't be read; nothing was written.
        """
        backend: Backend = self._github
        if self.place.dry_run:
            backend = DryRun(self._github, settings.bot_login, self.place.now)
        now = self.place.now()
        place = self._place(asking, settings) if asking is not None else None
        return publish(inventories, deferred, settings, backend, self._store, now, extras, place)

    def _place(self, asking: Asking, settings: PublishSettings) -> RequestPlace:
        """Where FlashInfer is asked; without a token for it, it is read with the own one."""
        config = self.config
        github = GitHubIssues(
            asking.repository,
            asking.token or self.place.token,
            self.place.timing,
            api_url=self.place.api_url,
        )
        self._others.append(github)
        off = config.kernel_requests == "off"
        login = "" if off or not asking.token else _login(github)
        backend: Backend = github
        if self.place.dry_run:
            backend = DryRun(github, login or settings.bot_login, self.place.now)
        return RequestPlace(
            backend=backend,
            repository=asking.repository,
            can_file=bool(asking.token),
            authors=frozenset(filter(None, (login, settings.bot_login, *settings.trusted_authors))),
            mode=config.kernel_requests,
            trace=config.trace_template_requests,
            known=config.known_requests,
            max_new=asking.max_new,
            server_url=self.place.server_url,
        )

    def bring(self, brought: Iterable[Manifest]) -> None:
        """Unite manifests that others wrote with the state, before it is published.

        Raises:
            PublishError: the state can't be read or written.
        """
        files, day = list(brought), self.place.now().date().isoformat()
        saved = self._store.change(
            lambda stored: with_files(stored, files, day, self.place.repository)
        )
        if not saved.stored and not self.place.dry_run:
            raise PublishError(f"The state branch can't be written: {saved.reason}")

    def close(self) -> None:
        for github in (self._github, *self._others):
            github.close()


def _login(github: GitHubIssues) -> str:
    """Whose token it is; empty where that can't be said, which the first use of it explains."""
    try:
        return github.login()
    except (PublishError, RefusedError):
        return ""


def settled(inventories: Sequence[Inventory], state: PublishState) -> tuple[Inventory, ...]:
    """The inventories with the slugs that the state gives their repositories."""
    slugs = assign_slugs(state, ((i.hf_repo_id, i.model_slug) for i in inventories))
    return tuple(i.model_copy(update={"model_slug": slugs[i.hf_repo_id]}) for i in inventories)


def publish_folder(
    folder: Path,
    repository: str,
    environment: Mapping[str, str],
    *,
    dry_run: bool,
    bot_login: str,
    config_file: str,
    max_new_issues: int,
) -> PublishReport:
    """Publish the manifests of a folder from a terminal.

    The token is GITHUB_TOKEN, the addresses are GITHUB_API_URL and GITHUB_SERVER_URL.

    Raises:
        UsageError: the folder holds no usable manifests, or there is no token.
        PublishError: the state or the issues can't be read or brought up to date.
    """
    brought = read_manifests(folder)
    token = environment.get("GITHUB_TOKEN", "")
    if not token:
        raise UsageError("GITHUB_TOKEN is not set: publishing needs a token for the repository")
    place = Place(
        repository=repository,
        token=token,
        timing=Timing(time.time, time.sleep),
        api_url=environment.get("GITHUB_API_URL") or PUBLIC_API,
        server_url=environment.get("GITHUB_SERVER_URL") or "https://github.com",
        dry_run=dry_run,
    )
    desk = Desk(place, config_file)
    try:
        desk.bring(brought)
        origins = {spec.name: spec.url for spec in DEFAULT_SOURCES}
        settings = desk.settings(
            bot_login=bot_login, max_new_issues=max_new_issues, refresh=True, origins=origins
        )
        ignored = desk.config.ignored(m.hf_repo_id for m in desk.state.manifests.values())
        return desk.publish((), (), settings, Extras(ignored=ignored))
    finally:
        desk.close()
