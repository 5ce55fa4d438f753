"""The emulator for the tests of publishing, and the check of all that they exchange with it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
import requests
import requests.adapters

from emulator.contract import problems
from emulator.server import CANARY, Emulator
from get_emulator import EMULATOR


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
) -> Iterator[Emulator]:
    """An empty GitHub; at the end every exchange must have kept to GitHub's description.

    No token may have got into an address, a body, anything printed or any file.
    """
    running_emulator.reset()
    found: list[str] = []
    send = requests.adapters.HTTPAdapter.send

    def checked(self: Any, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> Any:
        response = send(self, request, *args, **kwargs)
        if CANARY in f"{request.url} {request.body!r}":
            found.append(f"a token is in {request.method} {request.url}")
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
    assert CANARY not in "".join(capfd.readouterr())
    for path in tmp_path.rglob("*"):
        assert not path.is_file() or CANARY.encode() not in path.read_bytes(), path
