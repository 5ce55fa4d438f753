"""The state on a branch of its own, read and written with git.

The branch shares no history with the others. A save adds one commit, and only when a file differs;
files that others put on the branch stay. When somebody else pushed first, what they stored is
fetched, united with ours and pushed again. A token goes to git through its environment, never
through arguments or addresses.
"""

from __future__ import annotations

import base64
import os
import re
import subprocess
import tempfile
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from discover_models.publish.issues import PublishError
from discover_models.publish.state_value import (
    PublishState,
    Saved,
    from_files,
    to_files,
    unite,
)
from discover_models.publish.waiting import Timing

_T = TypeVar("_T")

ATTEMPTS = 5
GIT_TIMEOUT = 300.0
"""Seconds that one git command may take."""
MESSAGE = "Update the kernel inventory"
BOT_NAME = "github-actions[bot]"
BOT_EMAIL = "41898282+github-actions[bot]@users.noreply.github.com"
"""The address that GitHub shows as its Actions bot."""

_FORBIDDEN = re.compile(
    r"hook declined|protected branch|GH0\d\d|rule violations|not allowed|permission|denied|403",
    re.IGNORECASE,
)
_BRANCH = re.compile(r"(?!-)(?!.*(\.\.|//|@\{|\.lock$|/$|\.$))[A-Za-z0-9._/-]+")
_SETTINGS = {
    "core.hooksPath": "/dev/null",
    "core.fsmonitor": "false",
    "core.attributesFile": "/dev/null",
    "core.autocrlf": "false",
    "credential.helper": "",
    "commit.gpgSign": "false",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "http.followRedirects": "false",
    "protocol.allow": "never",
    "protocol.https.allow": "always",
    "protocol.file.allow": "always",
}


class _GitError(Exception):
    """A git command failed; the text is what git said."""


@contextmanager
def _scratch() -> Generator[str]:
    """A folder that is gone afterwards; `PublishError` when there can be none."""
    try:
        scratch = tempfile.TemporaryDirectory(prefix="state-")
    except OSError as error:
        raise PublishError(f"There is no folder to work in: {error.strerror}.") from None
    with scratch as folder:
        yield folder


@dataclass(frozen=True)
class StateBranch:
    """A `StateStore` on a branch of a git repository; each call works in a folder of its own."""

    url: str
    """``https://`` or ``file://``, without credentials."""
    branch: str
    timing: Timing
    token: str = ""

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in ("https", "file") or "@" in parts.netloc:
            raise PublishError("The state's repository needs an https address without user name.")
        if not _BRANCH.fullmatch(self.branch):
            raise PublishError(f"{self.branch!r} can't be the name of the state branch.")

    def __repr__(self) -> str:
        return f"StateBranch({self.url!r}, {self.branch!r})"

    def load(self) -> PublishState:
        with _scratch() as folder:
            clone = self._clone(folder)
            try:
                return self._patiently(lambda: clone.read(clone.fetch()))
            except _GitError as error:
                raise PublishError(f"The state branch can't be read: {error}") from None

    def save(self, state: PublishState) -> Saved:
        return self.change(lambda stored: unite(stored, state))

    def change(self, rule: Callable[[PublishState], PublishState]) -> Saved:
        try:
            with _scratch() as folder:
                clone = self._clone(folder)
                self._patiently(lambda: self._store(clone, rule))
        except (_GitError, PublishError) as error:
            return Saved(stored=False, reason=str(error))
        return Saved(stored=True)

    def _store(self, clone: _Clone, rule: Callable[[PublishState], PublishState]) -> None:
        tip = clone.fetch()
        commit = clone.commit(rule(clone.read(tip)), tip, self.timing.clock())
        if commit != tip:
            clone.push(commit)

    def _patiently(self, act: Callable[[], _T]) -> _T:
        """What `act` gives, tried again while git fails; the last failure where it always does."""
        problem = _GitError()
        for attempt in range(ATTEMPTS):
            try:
                return act()
            except _GitError as error:
                problem = error
                if _FORBIDDEN.search(str(error)):
                    break
            self.timing.sleep(2.0**attempt)
        raise problem

    def _clone(self, folder: str) -> _Clone:
        clone = _Clone(Path(folder), self.url, self.branch, self._environment(folder))
        try:
            clone.git("init", "--quiet", "--bare", ".")
        except _GitError as error:
            raise PublishError(f"git can't be used: {error}") from None
        return clone

    def _environment(self, folder: str) -> dict[str, str]:
        """git's environment: nothing of the user's settings, and the token for one host only."""
        settings = dict(_SETTINGS)
        if self.token and self.url.startswith("https://"):
            secret = base64.b64encode(f"x-access-token:{self.token}".encode()).decode()
            host = "/".join(self.url.split("/")[:3])
            settings[f"http.{host}/.extraHeader"] = f"Authorization: Basic {secret}"
        outer = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
        pairs = enumerate(settings.items())
        return {
            **outer,
            "HOME": folder,
            "LC_ALL": "C",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_ASKPASS": "",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_COUNT": str(len(settings)),
            **{
                name: text
                for n, (key, value) in pairs
                for name, text in ((f"GIT_CONFIG_KEY_{n}", key), (f"GIT_CONFIG_VALUE_{n}", value))
            },
        }


@dataclass(frozen=True)
class _Clone:
    """A bare repository that holds the branch's last commit and nothing else."""

    folder: Path
    url: str
    branch: str
    environment: Mapping[str, str]

    def __repr__(self) -> str:
        return f"_Clone({self.branch!r})"  # the environment may hold a token

    def fetch(self) -> str | None:
        """The commit that the branch is at, fetched; None when there is no such branch."""
        reference = f"refs/heads/{self.branch}"
        if not self.git("ls-remote", "--heads", self.url, reference).strip():
            return None
        self.git(
            "fetch", "--quiet", "--depth=1", "--no-tags", self.url, f"+{reference}:refs/state/tip"
        )
        return self.git("rev-parse", "refs/state/tip").decode().strip()

    def read(self, commit: str | None) -> PublishState:
        """The state in a commit; an empty one without a commit."""
        if commit is None:
            return PublishState()
        entries = [e for e in self.git("ls-tree", "-r", "-z", commit).split(b"\0") if e]
        files: dict[str, bytes] = {}
        for entry in entries:
            head, _, path = entry.partition(b"\t")
            mode, _, oid = head.decode().split(" ")
            if mode in ("100644", "100755") and path.endswith(b".json"):
                name = path.decode("utf-8", errors="replace")
                files[name] = self.git("cat-file", "blob", oid)
        return from_files(files)

    def commit(self, state: PublishState, parent: str | None, seconds: float) -> str | None:
        """A commit of the state on top of `parent`; `parent` itself when no file differs."""
        self.git("read-tree", *([parent] if parent else ["--empty"]))
        lines: list[str] = []
        for path, data in sorted(to_files(state).items()):
            oid = self.git("hash-object", "-w", "--stdin", stdin=data).decode().strip()
            lines.append(f"100644 {oid}\t{path}\n")
        self.git("update-index", "--index-info", stdin="".join(lines).encode())
        tree = self.git("write-tree").decode().strip()
        if parent and self.git("rev-parse", f"{parent}^{{tree}}").decode().strip() == tree:
            return parent
        parents = ["-p", parent] if parent else []
        when = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
        identity = {
            f"GIT_{role}_{name}": value
            for role in ("AUTHOR", "COMMITTER")
            for name, value in (("NAME", BOT_NAME), ("EMAIL", BOT_EMAIL), ("DATE", when))
        }
        made = self.git("commit-tree", tree, *parents, "-m", MESSAGE, extra=identity)
        return made.decode().strip()

    def push(self, commit: str | None) -> None:
        self.git("push", "--quiet", self.url, f"{commit}:refs/heads/{self.branch}")

    def git(self, *args: str, stdin: bytes = b"", extra: Mapping[str, str] | None = None) -> bytes:
        command: Sequence[str] = ("git", "-C", str(self.folder), *args)
        try:
            done = subprocess.run(
                command,
                input=stdin,
                capture_output=True,
                timeout=GIT_TIMEOUT,
                env={**self.environment, **(extra or {})},
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise _GitError(f"git {args[0]}: {type(error).__name__}") from None
        if done.returncode != 0:
            said = " ".join(done.stderr.decode("utf-8", errors="replace").split())
            raise _GitError(f"git {args[0]}: {said[-400:]}")
        return done.stdout
