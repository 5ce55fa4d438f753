"""The four repositories side by side in one folder."""

from __future__ import annotations

import contextlib
import fcntl
import os
import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from itertools import repeat
from pathlib import Path

from discover_models.domain.frozen import Frozen
from discover_models.errors import SourceError, UsageError
from discover_models.sources.clone import (
    Wanted,
    is_half_moved,
    read_marker,
    uncommitted,
    update,
)
from discover_models.sources.git import Git
from discover_models.sources.history import Base, find_base, head_commit, shallow_commits
from discover_models.sources.source_spec import SourceName, SourceSpec


@dataclass(frozen=True)
class _Layout:
    folders: tuple[str, ...]
    """What is read of the repository, hence checked out."""
    compared: tuple[str, ...] = ()
    """What is compared with an earlier commit."""


MODELS_FOLDER = "python/sglang/srt/models"
PAGES_FOLDER = "docs_new/cookbook/autoregressive"
SNIPPETS_FOLDER = "docs_new/src/snippets"
GENERATED_FOLDER = "data/models/generated"

LAYOUT: dict[SourceName, _Layout] = {
    "sglang": _Layout(
        folders=("python/sglang", "sgl-kernel/python", "docs_new/cookbook", SNIPPETS_FOLDER),
        compared=(MODELS_FOLDER, PAGES_FOLDER),
    ),
    "flashinfer": _Layout(folders=("flashinfer", "python/flashinfer", "include", "tests")),
    "sgl-cookbook": _Layout(folders=("data/models",), compared=(GENERATED_FOLDER,)),
    "flashinfer-trace": _Layout(folders=("definitions", "workloads")),
}


class RepoState(Frozen):
    """One repository of the workspace as a run finds it."""

    name: SourceName
    path: Path
    commit: str | None = None
    """Full id of the commit that is checked out; None when the repository can't be used."""
    date: datetime | None = None
    """Its committer's date, in UTC."""
    error: str = ""
    """Why it can't be used or, where there is a commit, why it was not brought up to date."""
    dirty: bool = False
    """Files differ from the commit: lines in evidence may be off."""
    shallow: bool = False
    """History does not reach the repository's first commit."""
    base: Base | None = None
    """What new things are measured against; None where nothing is compared."""

    @property
    def usable(self) -> bool:
        return self.commit is not None


def _silent(_text: str) -> None:
    """Progress that nobody wants to hear."""


class Workspace:
    """A folder that holds ``sglang/ flashinfer/ sgl-cookbook/ flashinfer-trace/``."""

    def __init__(
        self,
        root: Path,
        *,
        offline: bool = False,
        say: Callable[[str], None] = _silent,
    ) -> None:
        """`offline`: take the folder as it is, without network and without any change.
        `say` gets a line of progress at a time, from several threads."""
        self.root = root
        self.offline = offline
        self._say = say
        self._lock: int | None = None

    def path(self, name: SourceName) -> Path:
        return self.root / name

    def git(self, name: SourceName) -> Git:
        """Git in one repository; it outlives this program only together with the lock."""
        held = () if self._lock is None else (self._lock,)
        return Git(self.path(name), network=not self.offline, keep_open=held)

    @contextlib.contextmanager
    def locked(self, *, timeout: float = 7200.0) -> Generator[None]:
        """Keep other runs out of the folder; they wait up to `timeout` seconds.

        To be held as long as the repositories are read. Offline it only keeps them from being
        refreshed meanwhile: any number of offline runs read side by side.
        """
        if self._lock is not None:
            yield
            return
        self._lock = _open_lock(self.root, self.offline)
        try:
            if self._lock is not None:
                mode = fcntl.LOCK_SH if self.offline else fcntl.LOCK_EX
                _acquire(self._lock, mode, timeout, self._say)
            yield
        finally:
            if self._lock is not None:
                os.close(self._lock)
            self._lock = None

    def prepare(
        self, specs: Sequence[SourceSpec], since: datetime | None
    ) -> dict[SourceName, RepoState]:
        """Clone or refresh the repositories, side by side; offline, just look at them.

        A repository that fails is returned with its error and does not stop the others.
        `SourceError` when the folder itself can't be used, `UsageError` when it is missing
        offline.
        """
        with self.locked(), ThreadPoolExecutor(max_workers=len(LAYOUT)) as pool:
            states = pool.map(self._prepare_one, specs, repeat(since))
            return {state.name: state for state in states}

    def _prepare_one(self, spec: SourceSpec, since: datetime | None) -> RepoState:
        error = "" if self.offline else self._update(spec, since)
        try:
            return self._look(spec.name, since).model_copy(update={"error": error})
        except (SourceError, OSError) as reason:
            return RepoState(
                name=spec.name, path=self.path(spec.name), error=error or _sentence(reason)
            )

    def _update(self, spec: SourceSpec, since: datetime | None) -> str:
        """Why the repository could not be brought up to date; empty when it was."""
        layout = LAYOUT[spec.name]
        wanted = Wanted(
            spec=spec,
            folders=layout.folders,
            compared=layout.compared,
            since=since if layout.compared else None,
        )
        try:
            update(self.git(spec.name), wanted, self._say)
        except (SourceError, OSError) as reason:
            return _sentence(reason)
        return ""

    def _look(self, name: SourceName, since: datetime | None) -> RepoState:
        """The repository as it stands."""
        git = self.git(name)
        if not git.folder.is_dir():
            raise SourceError(f"{git.folder} is not there")
        commit, date = head_commit(git)
        if is_half_moved(git, read_marker(git.folder)):
            raise SourceError(f"{git.folder} is half refreshed; run again without --offline")
        compared = since is not None and LAYOUT[name].compared
        return RepoState(
            name=name,
            path=git.folder,
            commit=commit,
            date=date,
            dirty=bool(uncommitted(git)),
            shallow=bool(shallow_commits(git)),
            base=find_base(git, commit, since) if compared and since else None,
        )


def _sentence(reason: SourceError | OSError) -> str:
    if isinstance(reason, SourceError):
        return str(reason)
    return f"{reason.filename or 'the workspace'}: {reason.strerror or reason}"


def _open_lock(root: Path, offline: bool) -> int | None:
    """The lock file's descriptor; None where there is none and none may be made.

    A lock on an open file, not filelock's: git processes inherit it, so that a git process that
    outlives a killed run keeps the next run waiting.
    """
    path = root / ".discover-models.lock"
    try:
        if not offline:
            root.mkdir(parents=True, exist_ok=True)
            return os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        if not root.is_dir():
            raise UsageError(f"the workspace {root} is not there")
        return os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        if offline:
            return None
        raise SourceError(f"the workspace {root} can't be used: {error.strerror}") from error


def _acquire(lock: int, mode: int, timeout: float, say: Callable[[str], None]) -> None:
    end = time.monotonic() + timeout
    waiting = False
    while True:
        try:
            return fcntl.flock(lock, mode | fcntl.LOCK_NB)
        except BlockingIOError as error:
            if time.monotonic() > end:
                raise SourceError(
                    f"another run has held the workspace for {timeout:.0f} s"
                ) from error
        if not waiting:
            say("another run is using this workspace; waiting for it")
            waiting = True
        time.sleep(0.1)
