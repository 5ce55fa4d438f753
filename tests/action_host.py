"""The action on the demonstration's models, with GitHub's emulator and a state branch in git."""

from __future__ import annotations

import base64
import json
import re
import subprocess
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from action.fake_runner import FakeRunner
from discover_models import demo
from discover_models.action import run_action
from discover_models.publish.issues import FoundIssue
from emulator.server import FOREVER, Emulator, Fault
from hosts import BOT, KERNELS, REPOSITORY, REQUESTER, FakeTime, connect

CONFIG = "".join(
    ["models:\n", *(f"  {repo.split('/')[1].lower()}: {repo}\n" for repo in demo.MODELS)]
)
REQUESTS = {"kernel_request_repo": KERNELS, "kernel_request_token": Emulator.token(REQUESTER)}
"""Inputs with which kernels are asked for."""
SAID = ("phase1_status", "fi_status", "sgl_status", "fi_trace_template", "fi_issue_url")
SLUGS = [repo.split("/")[1].lower() for repo in demo.MODELS]


@dataclass
class Host:
    """One repository with its runs."""

    emulator: Emulator
    runner: FakeRunner
    server: Path
    time: FakeTime = field(default_factory=lambda: FakeTime(now=1_790_000_000.0))
    log: list[str] = field(default_factory=list[str])
    config: Fault | None = None
    faults: tuple[Fault, ...] = ()
    environment: dict[str, str] = field(default_factory=dict[str, str])
    """More of the runner's."""

    def configure(self, text: str) -> None:
        """Put the configuration on the default branch, where no account here may write."""
        content = base64.encodebytes(text.encode()).decode()
        answer = json.dumps({"type": "file", "encoding": "base64", "content": content})
        path = "/contents/.github/discover-models.yml$"
        self.config = Fault(method="GET", path=path, status=200, body=answer, times=FOREVER)

    def run(self, event: str = "schedule", **inputs: str) -> int:
        """One run of the action; its exit code."""
        self.log.clear()
        self.emulator.faults([*self.faults, *([self.config] if self.config else [])])
        (self.runner.folder / "files" / "output").unlink(missing_ok=True)
        given = {
            "offline": "true",
            "configs": str(demo.CONFIGS),
            "github-token": Emulator.token(BOT),
            **{name.replace("_", "-"): value for name, value in inputs.items()},
        }
        environment = self.runner.environment(
            event,
            given,
            GITHUB_REPOSITORY=REPOSITORY,
            GITHUB_API_URL=self.emulator.url,
            GITHUB_SERVER_URL=self.server.as_uri(),
            **self.environment,
        )
        code = run_action(environment, self.log.append, self.time.timing())
        assert Emulator.leaks(self.log) == []
        return code

    @property
    def workspace(self) -> Path:
        """The repositories that are read."""
        return self.runner.workspace / "tmp"

    def record(self) -> dict[str, Any]:
        """The last run's ``run.json``."""
        file = self.runner.workspace / "tmp" / "kernel-inventory" / "run.json"
        found: dict[str, Any] = json.loads(file.read_text("utf-8"))
        return found

    def titles(self) -> list[str]:
        with closing(connect(self.emulator, self.time)) as github:
            return sorted(issue.title for issue in github.issues())

    def issues(self, repository: str = REPOSITORY) -> list[FoundIssue]:
        """All issues by number."""
        with closing(connect(self.emulator, self.time, repository=repository)) as github:
            return sorted(github.everything(), key=lambda issue: issue.number)

    def shown(self, repository: str = REPOSITORY) -> list[tuple[Any, ...]]:
        """What people see of all issues, apart from when it was written."""
        return [
            (i.number, i.title, i.state, i.state_reason, _undated(i.body))
            for i in self.issues(repository)
        ]

    def dashboard(self) -> str:
        """The dashboard's body."""
        (found,) = (i.body for i in self.issues() if "dashboard" in i.title)
        return found

    def verdicts(self) -> dict[str, dict[str, Any]]:
        """What the manifests on the state branch say of each definition."""
        return {
            f"{slug} {kernel['definition_name']}": {name: kernel.get(name) for name in SAID}
            for slug in SLUGS
            for kernel in self.manifest(slug)["kernels"]
        }

    def stored(self) -> list[str]:
        """The files on the state branch."""
        return self._git("ls-tree", "-r", "--name-only", "kernel-inventory").split()

    def manifest(self, slug: str) -> dict[str, Any]:
        """A manifest on the state branch."""
        text = self._git("show", f"kernel-inventory:manifests/{slug}.json")
        found: dict[str, Any] = json.loads(text)
        return found

    def _git(self, *arguments: str) -> str:
        folder = self.server / f"{REPOSITORY}.git"
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        return done.stdout


def _undated(body: str) -> str:
    return re.sub(r'"written":"[^"]*"', "", body)


def host_in(folder: Path, emulator: Emulator) -> Host:
    """A host whose files are in an empty folder."""
    server = folder / "server"
    bare = server / f"{REPOSITORY}.git"
    subprocess.run(["git", "init", "-q", "--bare", str(bare)], check=True, timeout=30)
    (folder / "run").mkdir()
    found = Host(emulator, FakeRunner(folder / "run"), server)
    found.workspace.mkdir()
    demo.prepare(found.workspace)
    found.configure(CONFIG)
    return found
