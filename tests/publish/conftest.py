"""The emulator for each test, with three checks of all that is exchanged with it.

Every exchange must keep to GitHub's description, no token may get anywhere but into the header of a
request, and there only to the repository that it is for.
"""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import pytest
import requests
import requests.adapters

from emulator.contract import problems
from emulator.server import CANARY, Emulator
from get_emulator import EMULATOR
from hosts import REPOSITORY, REQUESTER

SOON = 0.5
"""Seconds after which a request times out while there are requests that get no answer."""
_RUNNER = "buildah"
"""Stands for the Actions runner, which gives the container its inputs."""
_STARTED: list[str] = []
"""Commands of processes that hold a token; a hook for them can't be taken away again."""


def _watch(event: str, arguments: tuple[Any, ...]) -> None:
    if event != "subprocess.Popen" or arguments[0] == _RUNNER:
        return
    if CANARY in repr(arguments[:2]):
        _STARTED.append(repr(arguments[:2]))


sys.addaudithook(_watch)


@pytest.fixture(scope="session")
def running_emulator() -> Iterator[Emulator]:
    if not EMULATOR.is_there():
        reason = "the GitHub emulator is not there: run `python scripts/get_emulator.py`"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    with Emulator(EMULATOR.folder()) as emulator:
        yield emulator


@pytest.fixture
def emulator(
    running_emulator: Emulator,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> Iterator[Emulator]:
    """An empty GitHub; whatever the test did is searched for what it must not do."""
    running_emulator.reset()
    caplog.set_level(logging.DEBUG)
    _STARTED.clear()
    found: list[str] = []
    send = requests.adapters.HTTPAdapter.send

    def checked(self: Any, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> Any:
        found.extend(misused_token(request))
        if running_emulator.hangs:
            kwargs["timeout"] = SOON
        response = send(self, request, *args, **kwargs)
        if response.headers.get("x-injected") is None:
            found.extend(
                problems(
                    request.method or "",
                    request.url or "",
                    cast("str | None", request.body),
                    response.status_code,
                    response.content,
                )
            )
        return response

    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", checked)
    yield running_emulator
    assert found == []
    assert _STARTED == []
    assert CANARY not in "".join(capfd.readouterr())
    assert [r.getMessage() for r in caplog.get_records("call") if CANARY in r.getMessage()] == []
    assert list(files_with_a_token(tmp_path)) == []


def misused_token(request: requests.PreparedRequest) -> Iterator[str]:
    """Where a token is that it must not be in."""
    if CANARY in f"{request.url} {request.body!r}":
        yield f"a token is in {request.method} {request.url}"
    token = str(request.headers.get("Authorization", ""))
    path = urlsplit(request.url or "").path
    if token.endswith(Emulator.token(REQUESTER)) and path.startswith(f"/repos/{REPOSITORY}"):
        yield f"the token for another repository is in {request.method} {path}"


def files_with_a_token(folder: Path) -> Iterator[Path]:
    """Files, and bare repositories, whose objects git keeps compressed."""
    for path in folder.rglob("*"):
        if path.suffix == ".git" and (path / "objects").is_dir():
            command = ["git", "-C", str(path), "cat-file", "--batch-all-objects", "--batch"]
            done = subprocess.run(command, capture_output=True, check=True, timeout=60)
            if CANARY.encode() in done.stdout:
                yield path
        elif path.is_file() and CANARY.encode() in path.read_bytes():
            yield path
