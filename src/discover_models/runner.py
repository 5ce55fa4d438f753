"""The protocol of the Actions runner: commands in the log, outputs and the job summary."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

from discover_models.render.escape import plain

Level = Literal["error", "warning", "notice"]
SUMMARY_LIMIT = 1024 * 1024
"""Bytes that GitHub takes for the summary of one step; a longer one is dropped whole."""


class Log:
    """The step's log. What was written by others can't become a command of the runner."""

    def __init__(self, write: Callable[[str], None], hidden: tuple[str, ...] = ()) -> None:
        """`write` gets one line at a time; `hidden` are secrets that no line may hold."""
        self._write = write
        self._hidden = tuple(sorted(filter(None, hidden), key=len, reverse=True))

    def mask(self) -> None:
        """Have the runner hide the secrets in everything that follows."""
        for secret in self._hidden:
            self._write(f"::add-mask::{_data(secret)}")

    def say(self, text: str) -> None:
        """One line of text."""
        self._write(str(plain(self._without_secrets(text))))

    def annotate(self, level: Level, text: str) -> None:
        """A line that GitHub also shows on the run's page."""
        self._write(f"::{level}::{_data(str(plain(self._without_secrets(text))))}")

    def _without_secrets(self, text: str) -> str:
        for secret in self._hidden:
            text = text.replace(secret, "***")
        return text


def _data(text: str) -> str:
    """A command's text as the runner wants it escaped."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def write_outputs(file: Path | None, values: Mapping[str, str]) -> None:
    """Append outputs to the runner's file; no value can end early or start another output."""
    if file is None:
        return
    entries: list[str] = []
    for name, value in values.items():
        delimiter = f"end_{secrets.token_hex(16)}"
        entries.append(f"{name}<<{delimiter}\n{value}\n{delimiter}\n")
    with file.open("a", encoding="utf-8", errors="backslashreplace") as out:
        out.write("".join(entries))


def write_summary(file: Path | None, text: str) -> None:
    """Append to the job summary."""
    if file is None:
        return
    with file.open("a", encoding="utf-8", errors="backslashreplace") as out:
        out.write(text)


def give_back(folder: Path, like: Path) -> None:
    """Have everything in a folder belong to the owner of another one.

    The action runs as root in its container, and the steps after it do not. Without the right to
    do so, or when both owners are the same, nothing happens; links are not followed.
    """
    owner = like.stat()
    if os.name == "nt" or os.geteuid() != 0 or owner.st_uid == 0 or not folder.exists():
        return
    _change(folder, owner.st_uid, owner.st_gid)
    for root, folders, files in os.walk(folder, followlinks=False):
        for name in (*folders, *files):
            _change(Path(root) / name, owner.st_uid, owner.st_gid)


def _change(path: Path, user: int, group: int) -> None:
    if path.lstat().st_uid != user:
        os.chown(path, user, group, follow_symlinks=False)
