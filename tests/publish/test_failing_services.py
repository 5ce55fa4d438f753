"""Whole publishing runs over the network with one request to the Hub or git after the other lost.

`make test` takes every request and every fault at least once, `make torture` each with each.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from threading import Lock
from typing import Any

import pytest
from huggingface_hub import constants
from huggingface_hub.utils import close_session

from action_host import CONFIG, REQUESTS, Host, host_in
from discover_models import demo
from discover_models.sources import git as git_source
from discover_models.sources import hub as hub_source
from discover_models.sources.git import Git, GitError
from emulator.server import Emulator
from hosts import KERNELS, REPOSITORY, FakeTime
from hub_server import Fault, HubServer, Repository, running
from sources.git_repos import git

EVERYTHING = "DISCOVER_MODELS_EXAMPLES" in os.environ
HTML = b"<html><body>Bad gateway</body></html>"
FAULTS = {
    "refused": Fault("", how="hang up"),
    "timed out": Fault("", how="hang"),
    "truncated": Fault("", how="truncate"),
    "500": Fault("", 500),
    "502 in HTML": Fault("", 502, body=HTML),
    "403": Fault("", 403),
    "429": Fault("", 429),
    "429 with Retry-After": Fault("", 429, {"Retry-After": "7"}),
    "200 in HTML": Fault("", 200, {"Content-Type": "text/html"}, body=HTML),
    "200 with another thing": Fault("", 200, body=b'{"message": "hello"}'),
    "200 cut JSON": Fault("", 200, body=b'{"id": '),
}
LEFT_BEHIND = ("403", "200 in HTML", "200 with another thing", "200 cut JSON")
"""What a repetition does not mend: the model waits for the next run."""


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    """The demonstration's models on a Hub; waiting for it takes no time."""
    time = FakeTime()
    defaults: dict[str, Any] = hub_source.HubClient.__init__.__kwdefaults__ or {}
    monkeypatch.setitem(defaults, "sleep", time.sleep)
    monkeypatch.setitem(defaults, "clock", lambda: time.now)
    monkeypatch.setattr(hub_source, "TIMEOUT", 0.1)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_TELEMETRY", True)
    with running() as server:
        for name in demo.MODELS:
            config = (demo.CONFIGS / name / "config.json").read_bytes()
            server.repositories[name] = Repository({"config.json": config}, downloads=5)
        yield server
    close_session()


@pytest.fixture
def remotes(tmp_path: Path) -> Path:
    """The demonstration's repositories, to be cloned."""
    folder = tmp_path / "remotes"
    folder.mkdir()
    demo.prepare(folder)
    for name in demo.REPOSITORIES:
        git(folder / name, "config", "uploadpack.allowFilter", "true")
        git(folder / name, "config", "uploadpack.allowAnySHA1InWant", "true")
    return folder


@pytest.fixture
def online(emulator: Emulator, tmp_path: Path, hub: HubServer, remotes: Path) -> Online:
    return Online(emulator, tmp_path, hub, remotes)


class Online:
    """Runs that clone and ask, each from an empty GitHub or from where the last one ended."""

    def __init__(self, emulator: Emulator, folder: Path, hub: HubServer, remotes: Path) -> None:
        self._emulator = emulator
        self._folder = folder
        self._hub = hub
        self._remotes = remotes
        self._number = 0
        self._clones = folder / "clones"

    def fresh(self, *, clones: bool) -> Host:
        """An empty GitHub and, with `clones`, clones as an earlier run left them."""
        self._number += 1
        folder = self._folder / str(self._number)
        folder.mkdir()
        self._emulator.reset()
        host = host_in(folder, self._emulator)
        host.configure("downloads: true\n" + CONFIG)
        host.environment = {"HF_ENDPOINT": self._hub.url}
        shutil.rmtree(host.workspace)
        if clones:
            if not self._clones.exists():
                self.run(host)
                shutil.copytree(host.workspace, self._clones, symlinks=True)
                return self.fresh(clones=True)
            shutil.copytree(self._clones, host.workspace, symlinks=True)
            for name in (".hub-cache", ".read-cache", "kernel-inventory"):
                shutil.rmtree(host.workspace / name, ignore_errors=True)
        return host

    def run(self, host: Host) -> int:
        sources = "\n".join(
            f"{name}={(self._remotes / name).as_uri()}" for name in demo.REPOSITORIES
        )
        return host.run(offline="false", configs="", sources=sources, **REQUESTS)

    def writes_nothing(self, host: Host) -> None:
        """One more run, in the long version only."""
        if EVERYTHING:
            before = len(host.emulator.writes())
            assert self.run(host) == 0, host.log
            assert len(host.emulator.writes()) == before


def final(host: Host) -> tuple[Any, ...]:
    """What a run leaves, in the order of names: a model that came later has a later number."""
    own = sorted((title, state, reason) for _, title, state, reason, _ in host.shown())
    # Whose name a request has depends on which model needed it first.
    asked = sorted(
        (title.rpartition(" for ")[0], state, reason)
        for _, title, state, reason, _ in host.shown(KERNELS)
    )
    verdicts = {
        name: {k: bool(v) if k == "fi_issue_url" else v for k, v in said.items()}
        for name, said in host.verdicts().items()
    }
    return own, asked, verdicts


def pairs(requests: int) -> list[tuple[int, str]]:
    """Which fault at which request."""
    if EVERYTHING:
        return [(number, name) for number in range(requests) for name in FAULTS]
    names = list(FAULTS)
    return [(n % requests, names[n % len(names)]) for n in range(max(requests, len(names)))]


def test_one_fault_at_any_request_to_the_hub_changes_nothing_in_the_end(
    online: Online, hub: HubServer
) -> None:
    host = online.fresh(clones=True)
    hub.requests.clear()
    assert online.run(host) == 0, host.log
    asked, expected = [r.path for r in hub.requests], final(host)
    assert len(asked) == 6  # a commit, a configuration and downloads for each of two models
    print(f"{len(pairs(len(asked)))} runs with a fault")
    for number, name in pairs(len(asked)):
        host = online.fresh(clones=True)
        fault = replace(FAULTS[name], skip=number)
        hub.faults = [fault]
        code = online.run(host)
        hub.faults = []
        assert fault.times == 0, "the fault was not met"
        assert code == 0, (number, name, host.log)
        left = [d["hf_repo_id"] for d in host.record()["deferred"]]
        told = [line for line in host.log if line.startswith("::warning::")]
        assert bool(left) <= (name in LEFT_BEHIND), (number, name, host.log)
        assert all(any(repo.split("/")[1].lower() in line for line in told) for repo in left)
        assert len(host.issues(KERNELS)) <= 2
        assert online.run(host) == 0, host.log
        assert final(host) == expected, (number, name)
        online.writes_nothing(host)


def written(host: Host, online: Online) -> list[str]:
    """Titles of the issues that a run writes."""
    before = len(host.emulator.writes())
    assert online.run(host) == 0, host.log
    writes = host.emulator.writes()[before:]
    assert {w.method for w in writes} <= {"PATCH"}
    titles = {f"/repos/{REPOSITORY}/issues/{i.number}": i.title for i in host.issues()}
    return [titles.get(w.path, w.path) for w in writes]


def test_a_hub_that_is_down_costs_nothing_that_was_there(online: Online, hub: HubServer) -> None:
    host = online.fresh(clones=True)
    assert online.run(host) == 0, host.log
    expected = final(host)
    shutil.rmtree(host.workspace / ".hub-cache")
    hub.faults = [Fault("", 503, times=1_000_000)]
    assert written(host, online) == ["Kernel inventory dashboard"]
    assert "Deferred (2)" in host.dashboard()
    assert [i.state for i in host.issues()] == ["open"] * 3
    assert written(host, online) == []
    hub.faults = []
    assert written(host, online) == ["Kernel inventory dashboard"]
    assert final(host) == expected
    assert "Deferred" not in host.dashboard()

    # From the first run on, nothing can be said of any model.
    host = online.fresh(clones=True)
    hub.faults = [Fault("", 503, times=1_000_000)]
    assert online.run(host) == 0, host.log
    assert host.titles() == ["Kernel inventory dashboard"]
    assert host.issues(KERNELS) == []
    hub.faults = []
    assert online.run(host) == 0, host.log
    assert final(host) == expected


class Cut:
    """Makes one git command in one folder fail, and counts them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._run = git_source.run
        self._lock = Lock()
        self.seen: dict[str, list[str]] = {}
        self.at: tuple[str, int] | None = None
        self.how = ""
        monkeypatch.setattr(git_source, "run", self.run)

    def run(self, command: Git, args: Any, *, stdin: bytes, timeout: float) -> bytes:
        folder = command.folder.name.lstrip(".").partition(".")[0]
        with self._lock:
            calls = self.seen.setdefault(folder, [])
            calls.append(args[0])
            met = self.at == (folder, len(calls) - 1)
        if not met:
            return self._run(command, args, stdin=stdin, timeout=timeout)
        if self.how == "cut after it acted":
            self._run(command, args, stdin=stdin, timeout=timeout)
        if self.how == "timed out":
            raise GitError(f"git {args[0]} took longer than {timeout:.0f} s", returncode=None)
        raise GitError(f"git {args[0]} failed: fatal: {self.how}", returncode=128)

    def restart(self, at: tuple[str, int] | None = None, how: str = "") -> None:
        self.seen, self.at, self.how = {}, at, how


NETWORK = ("fetch", "checkout", "clone", "ls-remote")
HOW = ("could not read from remote repository", "early EOF", "timed out", "cut after it acted")


@pytest.mark.parametrize("clones", [False, True], ids=["clone", "refresh"])
def test_one_fault_at_any_git_command_changes_nothing_in_the_end(
    online: Online, monkeypatch: pytest.MonkeyPatch, clones: bool
) -> None:
    cut = Cut(monkeypatch)
    host = online.fresh(clones=clones)
    cut.restart()
    assert online.run(host) == 0, host.log
    expected = final(host)
    places = [
        (folder, number, command)
        for folder, commands in sorted(cut.seen.items())
        for number, command in enumerate(commands)
        if EVERYTHING or command in NETWORK
    ]
    assert {folder for folder, _, _ in places} == set(demo.REPOSITORIES)
    print(f"{len(places)} git commands")
    for count, (folder, number, command) in enumerate(places):
        for how in HOW if EVERYTHING else (HOW[count % len(HOW)],):
            host = online.fresh(clones=clones)
            cut.restart((folder, number), how)
            code = online.run(host)
            cut.restart()
            where = f"{command} of {folder}, {how}"
            unread = f"**Not refreshed:** {folder} (" in host.dashboard()
            # Nothing can be said without the dataset; a refresh that failed leaves the older one.
            there = host.record()["sources"][folder]["commit"]
            nothing = unread and folder == "flashinfer-trace" and not there
            assert code == (1 if nothing else 0), (where, host.log)
            if unread:
                assert host.issues(KERNELS) == [], where
                assert any(w.startswith("::") and folder in w for w in host.log), (where, host.log)
            else:  # git found another way
                assert final(host) == expected, where
            assert online.run(host) == 0, (where, host.log)
            assert final(host) == expected, where
            online.writes_nothing(host)


def test_repositories_that_were_pushed_by_force_between_two_runs(
    online: Online, remotes: Path
) -> None:
    host = online.fresh(clones=False)
    assert online.run(host) == 0, host.log
    expected, shown = final(host), host.shown()
    for name in demo.REPOSITORIES:
        git(remotes / name, "checkout", "-q", "--orphan", "again")
        git(remotes / name, "commit", "-q", "-m", "Another history", date="2026-02-02T00:00:00Z")
        git(remotes / name, "branch", "-M", "main")
    assert online.run(host) == 0, host.log
    assert not any(f"**Not refreshed:** {name} (" in host.dashboard() for name in demo.REPOSITORIES)
    assert final(host) == expected
    assert [s[:4] for s in host.shown()] == [s[:4] for s in shown]
    assert host.record()["sources"]["sglang"]["commit"] == git(
        remotes / "sglang", "rev-parse", "HEAD"
    )
