"""An Actions runner in a folder: its files, its environment, and how it reads outputs."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from discover_models.action_inputs import variable_of

KEPT = ("PATH", "SSL_CERT_FILE", "SYSTEMROOT")


def read_outputs(file: Path) -> dict[str, str]:
    """Outputs by name, as the runner takes them from its file."""
    found: dict[str, str] = {}
    lines = iter(file.read_bytes().decode("utf-8").split("\n"))
    for line in lines:
        name, mark, delimiter = line.partition("<<")
        if mark and "=" not in name:
            value: list[str] = []
            while (part := next(lines)) != delimiter:
                value.append(part)
            found[name] = "\n".join(value)
        elif line:
            name, _, text = line.partition("=")
            found[name] = text
    return found


@dataclass
class FakeRunner:
    """One step of a job; `folder` is empty at the start."""

    folder: Path

    def __post_init__(self) -> None:
        for name in ("home", "workspace", "files"):
            (self.folder / name).mkdir()

    @property
    def workspace(self) -> Path:
        return self.folder / "workspace"

    @property
    def outputs(self) -> dict[str, str]:
        file = self.folder / "files" / "output"
        return read_outputs(file) if file.exists() else {}

    @property
    def summary(self) -> str:
        file = self.folder / "files" / "summary"
        return file.read_text("utf-8") if file.exists() else ""

    def environment(self, event: str, inputs: dict[str, str], **more: str) -> dict[str, str]:
        return {
            "HOME": str(self.folder / "home"),
            "GITHUB_ACTIONS": "true",
            "GITHUB_WORKSPACE": str(self.workspace),
            "GITHUB_REPOSITORY": "octo/bench",
            "GITHUB_EVENT_NAME": event,
            "GITHUB_OUTPUT": str(self.folder / "files" / "output"),
            "GITHUB_STEP_SUMMARY": str(self.folder / "files" / "summary"),
            "GITHUB_RUN_ID": "7",
            **{variable_of(name): value for name, value in inputs.items()},
            **more,
        }

    def start(
        self, event: str, inputs: dict[str, str], **more: str
    ) -> subprocess.CompletedProcess[str]:
        """Run the entry point as the image does, with nothing else in its environment."""
        kept = {name: os.environ[name] for name in KEPT if name in os.environ}
        return subprocess.run(
            [sys.executable, "-I", "-B", "-u", "-m", "discover_models.action"],
            cwd=self.workspace,
            env=kept | self.environment(event, inputs, **more),
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=120,
            check=False,
        )
