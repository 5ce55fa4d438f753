"""Manifest files and the state branch brought in line, from the command to git."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pytest

import builders
from discover_models import manifests
from discover_models.domain.kernel import ClassifiedKernel
from discover_models.domain.manifest import Manifest, from_inventory
from hosts import REPOSITORY

OLD, NEW = date(2026, 11, 1), date(2026, 11, 20)
BRANCH = "kernel-inventory"


@dataclass
class Host:
    folder: Path

    @property
    def bare(self) -> Path:
        return self.folder / "server" / f"{REPOSITORY}.git"

    def run(
        self, *arguments: str | Path, token: str = "secret"
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "discover_models", "sync", *map(str, arguments)],
            env={
                "PATH": os.environ["PATH"],
                "GITHUB_TOKEN": token,
                "GITHUB_SERVER_URL": (self.folder / "server").as_uri(),
            },
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def sync(self, *files: Path) -> list[str]:
        done = self.run(*files, "--repository", REPOSITORY)
        assert done.returncode == 0, done.stderr
        return [line.partition(": ")[2] for line in done.stdout.splitlines()]

    def git(self, *arguments: str) -> str:
        command = ["git", "-C", str(self.bare), *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout

    def stored(self, slug: str = "alpha") -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.git("show", f"{BRANCH}:manifests/{slug}.json"))
        return found

    def commits(self) -> int:
        return len(self.git("log", "--format=%H", BRANCH).split())


@pytest.fixture
def host(tmp_path: Path) -> Host:
    found = Host(tmp_path)
    command = ["git", "init", "--quiet", "--bare", str(found.bare)]
    subprocess.run(command, check=True, timeout=30)
    return found


def manifest(
    *kernels: ClassifiedKernel, day: date = OLD, repository: str = "o/alpha", **more: Any
) -> Manifest:
    found = builders.inventory(
        *(kernels or (builders.missing("moe_x"),)),
        model_slug=repository.split("/")[1],
        hf_repo_id=repository,
    )
    made = from_inventory(found, day).model_dump(mode="json", exclude_unset=True)
    return Manifest.model_validate({**made, **more})


def with_result(value: str, found: Manifest) -> Manifest:
    """The manifest with what a later phase wrote into its first kernel."""
    data = found.model_dump(mode="json", exclude_unset=True)
    data["kernels"][0]["phase2_status"] = value
    return Manifest.model_validate(data)


def file(folder: Path, name: str, found: Manifest) -> Path:
    path = folder / f"onboard_{name}.json"
    manifests.save(path, found)
    return path


def read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return found


def test_what_people_and_phases_wrote_goes_both_ways_and_then_rests(host: Host, tmp_path: Path):
    mine = file(tmp_path, "mine", with_result("collected", manifest()))
    assert host.sync(mine) == ["brought to the branch"]
    assert host.stored()["kernels"][0]["phase2_status"] == "collected"

    theirs = file(tmp_path, "theirs", manifest(phase4={"pr": 12}))
    assert host.sync(theirs) == ["brought to the branch and from the branch"]
    assert read(theirs)["kernels"][0]["phase2_status"] == "collected"
    assert host.stored()["phase4"] == {"pr": 12}

    assert host.sync(mine) == ["brought from the branch"]
    assert read(mine) == read(theirs) == host.stored()
    before = host.commits()
    assert host.sync(mine, theirs.with_name("onboard_mine.json")) == ["is the same there"]
    assert host.commits() == before


def test_what_a_phase_says_anew_counts(host: Host, tmp_path: Path):
    path = file(tmp_path, "mine", with_result("waiting", manifest()))
    host.sync(path)
    file(tmp_path, "mine", with_result("collected", manifest()))
    assert host.sync(path) == ["brought to the branch"]
    assert host.stored()["kernels"][0]["phase2_status"] == "collected"
    assert read(path)["kernels"][0]["phase2_status"] == "collected"


@pytest.mark.parametrize("newer", ["file", "branch", "neither"])
def test_of_what_we_read_the_later_look_counts(host: Host, tmp_path: Path, newer: str):
    missing, arrived = builders.missing("moe_x"), builders.supported("moe_x", "moe")
    days = {"file": (OLD, NEW), "branch": (NEW, OLD), "neither": (NEW, NEW)}[newer]
    host.sync(file(tmp_path, "first", manifest(missing, day=days[0])))
    path = file(tmp_path, "second", manifest(arrived, day=days[1]))
    host.sync(path)
    wanted = "fi_missing" if newer == "branch" else "fi_supported"
    assert host.stored()["kernels"][0]["fi_status"] == wanted
    assert read(path)["kernels"][0]["fi_status"] == wanted


def test_a_slug_that_another_repository_has_stays_with_it(host: Host, tmp_path: Path):
    host.sync(file(tmp_path, "first", manifest()))
    other = file(tmp_path, "other", manifest(repository="p/alpha"))
    assert host.sync(other) == ["brought to the branch"]
    assert host.stored()["hf_repo_id"] == "o/alpha"
    assert host.stored("p--alpha")["model_slug"] == "p--alpha"
    assert read(other)["model_slug"] == "alpha"
    assert host.sync(other) == ["is the same there"]


def test_files_that_others_keep_on_the_branch_stay(host: Host, tmp_path: Path):
    host.sync(file(tmp_path, "alpha", manifest()))
    host.sync(file(tmp_path, "beta", manifest(repository="o/beta")))
    listed = host.git("ls-tree", "-r", "--name-only", BRANCH).split()
    assert listed == ["manifests/alpha.json", "manifests/beta.json", "state.json"]


def test_a_dry_run_says_the_same_and_writes_nothing(host: Host, tmp_path: Path):
    host.sync(file(tmp_path, "mine", with_result("collected", manifest())))
    path = file(tmp_path, "theirs", manifest(phase4={"pr": 12}))
    before, commits = path.read_bytes(), host.commits()
    done = host.run(path, "--repository", REPOSITORY, "--dry-run", token="")
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"{path}: would be brought to the branch and from the branch\n"
    assert (path.read_bytes(), host.commits()) == (before, commits)


def no_token(host: Host, path: Path) -> subprocess.CompletedProcess[str]:
    return host.run(path, "--repository", REPOSITORY, token="")


def no_manifest(host: Host, path: Path) -> subprocess.CompletedProcess[str]:
    path.write_text("[]", "utf-8")
    return host.run(path, "--repository", REPOSITORY)


def no_file(host: Host, path: Path) -> subprocess.CompletedProcess[str]:
    return host.run(path.with_name("nosuch.json"), "--repository", REPOSITORY)


def the_same_model(host: Host, path: Path) -> subprocess.CompletedProcess[str]:
    other = file(path.parent, "other", manifest())
    return host.run(path, other, "--repository", REPOSITORY)


def a_rule_against_it(host: Host, path: Path) -> subprocess.CompletedProcess[str]:
    hook = host.bare / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\nexit 1\n", "utf-8")
    hook.chmod(0o755)
    return host.run(path, "--repository", REPOSITORY)


@pytest.mark.parametrize(
    ("wrong", "code", "said"),
    [
        (no_token, 2, "GITHUB_TOKEN is not set"),
        (no_manifest, 1, "is not a run manifest"),
        (no_file, 1, "can't be read"),
        (the_same_model, 2, "are both of o/alpha"),
        (a_rule_against_it, 1, "can't be written"),
    ],
)
def test_what_is_wrong_is_one_sentence_and_changes_no_file(
    host: Host,
    tmp_path: Path,
    wrong: Callable[[Host, Path], subprocess.CompletedProcess[str]],
    code: int,
    said: str,
):
    path = file(tmp_path, "mine", manifest())
    done = wrong(host, path)
    assert (done.returncode, said in done.stderr) == (code, True), done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert host.git("branch", "--list", BRANCH) == ""
