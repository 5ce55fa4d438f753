"""Whole runs of the action with one request to GitHub, or one git command of the state, lost.

`make test` takes every request to GitHub and every fault at least once, and of git what goes to a
server; `make torture` each with each.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, ClassVar

import pytest

from action_host import REQUESTS, Host, host_in
from discover_models.publish import state
from emulator.faults import FAULTS
from emulator.server import FOREVER, Emulator, Fault
from hosts import KERNELS

EVERYTHING = "DISCOVER_MODELS_EXAMPLES" in os.environ
Fresh = Callable[[], Host]


@pytest.fixture
def fresh(emulator: Emulator, tmp_path: Path) -> Fresh:
    """Makes an empty GitHub with an action that never ran there."""
    folder = tmp_path / "host"  # the same one each time, for bodies hold its address

    def make() -> Host:
        emulator.reset()
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        return host_in(folder, emulator)

    return make


def final(host: Host) -> tuple[Any, ...]:
    """What a run leaves."""
    return host.shown(), host.shown(KERNELS), host.verdicts(), host.stored()


def pairs(places: Sequence[int], ways: Sequence[str]) -> list[tuple[int, str]]:
    """Which way to fail at which place."""
    if EVERYTHING:
        return [(place, way) for place in places for way in ways]
    most = max(len(places), len(ways))
    return [(places[n % len(places)], ways[n % len(ways)]) for n in range(most)]


def writes_nothing(host: Host) -> None:
    """One more run, in the long version only."""
    if EVERYTHING:
        before = len(host.emulator.writes())
        assert host.run(**REQUESTS) == 0, host.log
        assert len(host.emulator.writes()) == before


def test_one_fault_at_any_request_changes_nothing_in_the_end(fresh: Fresh) -> None:
    """The configuration, the issues of both repositories, and whose token it is."""
    host = fresh()
    assert host.run(**REQUESTS) == 0, host.log
    asked, expected = host.emulator.log(), final(host)
    assert {r.method for r in asked} == {"GET", "POST"}
    assert len(asked) > 15
    chosen = pairs(range(len(asked)), list(FAULTS))
    print(f"{len(asked)} requests, {len(FAULTS)} faults, {len(chosen)} runs with one")
    for number, name in chosen:
        host = fresh()
        host.faults = (replace(FAULTS[name], skip=number),)
        where = f"{name} at {asked[number].method} {asked[number].path}"
        assert host.run(**REQUESTS) == 0, (where, host.log)
        host.faults = ()
        assert host.record()["published"], where
        assert final(host) == expected, where
        writes_nothing(host)


def test_github_gone_from_any_request_on_is_said_and_made_good(fresh: Fresh) -> None:
    host = fresh()
    assert host.run(**REQUESTS) == 0, host.log
    asked, expected = len(host.emulator.log()), final(host)
    for number in range(0, asked, 1 if EVERYTHING else 4):
        host = fresh()
        host.faults = (Fault(how="hang up", skip=number, times=FOREVER),)
        code = host.run(**REQUESTS)
        if number < asked - 1:  # the last one only looks for duplicates
            assert code == 1, (number, host.log)
            assert any(line.startswith("::error::") for line in host.log), host.log
        host.faults = ()
        assert host.run(**REQUESTS) == 0, (number, host.log)
        assert final(host) == expected, number


IMPORTANT = ("init", "ls-remote", "fetch", "push")
WAYS = ("could not read from remote repository", "cut after it acted", "timed out")


class Cut:
    """Makes one git command on the state branch fail, and counts them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._run = subprocess.run
        self.seen: list[str] = []
        self.at = -1
        self.how = ""
        monkeypatch.setattr(state.subprocess, "run", self.run)

    def run(self, command: Any, **more: Any) -> Any:
        if command[0] != "git" or "input" not in more:  # not one of the state's
            return self._run(command, **more)
        self.seen.append(command[3])
        if len(self.seen) - 1 != self.at:
            return self._run(command, **more)
        if self.how == "timed out":
            raise subprocess.TimeoutExpired(command, 1)
        done = self._run(command, **more) if self.how == "cut after it acted" else None
        said = b"fatal: " + self.how.encode()
        return subprocess.CompletedProcess(command, 128, done.stdout if done else b"", said)


def test_one_fault_at_any_git_command_of_the_state_changes_nothing_in_the_end(
    fresh: Fresh, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a run that finds a state, changes issues and stores it."""
    cut = Cut(monkeypatch)

    def second(at: int, how: str) -> tuple[Host, int, int]:
        """The host, the exit code and the number of writes."""
        host = fresh()
        assert host.run("workflow_dispatch", model_name="demo-8b") == 0, host.log
        before = len(host.emulator.writes())
        cut.seen, cut.at, cut.how = [], at, how
        code = host.run(**REQUESTS)
        cut.at = -1
        return host, code, len(host.emulator.writes()) - before

    expected = final(second(-1, "")[0])
    commands = list(cut.seen)
    assert {"ls-remote", "fetch", "ls-tree", "commit-tree", "push"} <= set(commands)
    places = [n for n, command in enumerate(commands) if EVERYTHING or command in IMPORTANT]
    chosen = pairs(places, WAYS)
    print(f"{len(commands)} commands, {len(chosen)} runs with a fault")
    for number, way in chosen:
        host, code, writes = second(number, way)
        where = f"{commands[number]}, {way}"
        if commands[number] == "init":  # without a folder to work in nothing is read or stored
            assert any(line.startswith(("::error::", "::warning::")) for line in host.log), where
            assert code == 0 or not writes, (where, host.log)
        else:
            assert (code, final(host)) == (0, expected), (where, host.log)
        if commands[number] == "init" or EVERYTHING:
            assert host.run(**REQUESTS) == 0, (where, host.log)
            assert final(host) == expected, where
        writes_nothing(host)


@pytest.mark.parametrize("largest", [0, 300, 3_000, 30_000])
def test_a_disk_that_is_full_in_a_whole_run_costs_nothing(fresh: Fresh, largest: int) -> None:
    """No file of the run may grow beyond that many bytes, those of git included."""
    host = fresh()
    assert host.run() == 0, host.log
    expected = [s[:4] for s in host.shown()], host.verdicts(), host.stored()

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))

    host = fresh()
    done = subprocess.run(
        [sys.executable, "-I", "-B", "-u", "-m", "discover_models.action"],
        cwd=host.runner.workspace,
        env={"PATH": os.environ["PATH"], **host.surroundings()},
        preexec_fn=limit,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "Traceback" not in done.stdout + done.stderr, done.stdout
    assert Emulator.leaks(f"{done.stdout}{done.stderr}".splitlines()) == []
    assert done.returncode == 1 or "::warning::" in done.stdout
    assert done.returncode == 0 or "::error::" in done.stdout
    assert host.run() == 0, host.log
    assert ([s[:4] for s in host.shown()], host.verdicts(), host.stored()) == expected


class _Elsewhere(BaseHTTPRequestHandler):
    """A host that a redirect leads to."""

    seen: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.seen.append(self.path)
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"[]")

    def log_message(self, format: str, *args: Any) -> None:
        """Keep the tests' output clean."""


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_to_another_host_is_not_followed(fresh: Fresh, status: int) -> None:
    _Elsewhere.seen.clear()
    with HTTPServer(("127.0.0.1", 0), _Elsewhere) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        host = fresh()
        location = f"http://127.0.0.1:{server.server_port}/repos/octo/bench"
        host.faults = (
            Fault(path="/repos/octo/bench$", status=status, headers={"location": location}),
        )
        code = host.run()
        server.shutdown()
        thread.join()
    assert _Elsewhere.seen == []
    assert code == 0, host.log  # asked again, GitHub answers itself
