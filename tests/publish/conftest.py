"""The emulator for the tests of publishing, and the check of all that they exchange with it."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
import requests
import requests.adapters

from emulator.contract import problems
from emulator.server import Emulator


def _package() -> Path:
    script = Path(__file__).parents[2] / "scripts" / "get_emulator.py"
    spec = importlib.util.spec_from_file_location("get_emulator", script)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    folder: Path = module.folder()
    return folder


@pytest.fixture(scope="session")
def running_emulator() -> Iterator[Emulator]:
    package = _package()
    if not (package / "dist" / "api.js").exists():
        reason = "the GitHub emulator is not there: run `python scripts/get_emulator.py`"
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    with Emulator(package) as emulator:
        yield emulator


@pytest.fixture
def emulator(running_emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[Emulator]:
    """An empty GitHub; at the end every exchange must have kept to GitHub's description."""
    running_emulator.reset()
    found: list[str] = []
    send = requests.adapters.HTTPAdapter.send

    def checked(self: Any, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> Any:
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
