"""The action from end to end: a scheduled run, GitHub's emulator and a state branch in git."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from action_host import SLUGS, Host, host_in
from emulator.server import FOREVER, Emulator, Fault
from hosts import BOT, REPOSITORY


@pytest.fixture
def host(emulator: Emulator, tmp_path: Path) -> Host:
    return host_in(tmp_path, emulator)


def test_a_first_run_publishes_and_a_second_writes_nothing(host: Host) -> None:
    assert host.run() == 0, host.log
    sent = len(host.emulator.log())
    outputs = host.runner.outputs
    assert outputs["changed"] == "true"
    assert len(json.loads(outputs["issues-opened"])) == 3
    assert len(host.titles()) == 3
    assert host.stored() == [*(f"manifests/{slug}.json" for slug in sorted(SLUGS)), "state.json"]
    record = json.loads((host.runner.workspace / outputs["run-record"]).read_text("utf-8"))
    assert record["published"] is True
    kept = [p for p in record["plan"] if p["kind"] != "kernel-request"]
    assert {p["action"] for p in kept} == {"create"}
    assert record["requests"] == sent

    before = len(host.emulator.writes())
    assert host.run() == 0, host.log
    assert len(host.emulator.writes()) == before
    assert host.runner.outputs["changed"] == "false"
    assert host.runner.outputs["issues-opened"] == "[]"


def test_a_scheduled_run_takes_the_models_of_the_state(host: Host) -> None:
    assert host.run("workflow_dispatch", model_name=SLUGS[0]) == 0, host.log
    host.configure("{}\n")
    assert host.run() == 0, host.log
    assert json.loads(host.runner.outputs["slugs"]) == [SLUGS[0]]


def test_a_dry_run_shows_the_same_plan_and_writes_nothing(host: Host) -> None:
    before = len(host.emulator.writes())
    assert host.run(dry_run="true") == 0, host.log
    assert len(host.emulator.writes()) == before
    assert host.stored() == []
    planned = [line for line in host.log if line.startswith("would create")]
    assert len(planned) == 3
    assert "This is a dry run" in host.runner.summary
    assert not any("state branch" in line for line in host.log)


def test_the_rest_is_held_back(host: Host) -> None:
    assert host.run(max_new_issues="1") == 0, host.log
    record = json.loads(
        (host.runner.workspace / host.runner.outputs["run-record"]).read_text("utf-8")
    )
    held = [p["key"] for p in record["plan"] if p["action"] == "held back"]
    assert record["held_back"] == sorted(held)
    assert [key for key in held if "/" in key] == ["demo-org/demo-moe-16b"]
    assert len(host.titles()) == 2


def test_a_wrong_configuration_stops_the_run_before_anything_is_written(host: Host) -> None:
    host.configure("models: {}\nmodles: {}\n")
    before = len(host.emulator.writes())
    assert host.run() == 1
    errors = [line for line in host.log if line.startswith("::error::")]
    assert errors == ["::error::.github/discover-models.yml, line 2: there is no setting 'modles'."]
    assert len(host.emulator.writes()) == before


def test_incomplete_publishing_is_red(host: Host) -> None:
    fault = Fault(method="POST", path=r"/issues$", status=403, times=FOREVER)
    host.faults = (fault,)
    assert host.run() == 1
    assert [line for line in host.log if line.startswith("::error::")]
    assert host.runner.outputs["changed"] == "false"


def test_a_forbidden_state_branch_is_a_warning(host: Host) -> None:
    hook = host.server / f"{REPOSITORY}.git" / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\nexit 1\n", "utf-8")
    hook.chmod(0o755)
    assert host.run() == 0, host.log
    warnings = [line for line in host.log if line.startswith("::warning::")]
    assert any("artifact" in line for line in warnings)
    assert len(host.titles()) == 3


def test_a_github_that_does_not_answer_stops_the_run(host: Host) -> None:
    host.faults = (Fault(how="hang up", path="/repos", times=FOREVER),)
    host.config = None
    assert host.run() == 1
    assert [line for line in host.log if line.startswith("::error::")]
    assert Emulator.token(BOT) not in "".join(host.log).replace("::add-mask::", "", 1)[30:]


def terminal(host: Host, folder: Path, *more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            *(sys.executable, "-m", "discover_models", "publish"),
            *("--manifests", str(folder), "--repository", REPOSITORY, *more),
        ],
        env={
            "PATH": os.environ["PATH"],
            "GITHUB_TOKEN": Emulator.token(BOT),
            "GITHUB_API_URL": host.emulator.url,
            "GITHUB_SERVER_URL": host.server.as_uri(),
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_manifests_are_published_from_a_terminal(host: Host) -> None:
    host.config = None
    assert host.run("workflow_dispatch", model_name=SLUGS[0], github_token="") == 0, host.log
    folder = host.runner.workspace / host.runner.outputs["folder"] / "manifests"

    planned = terminal(host, folder, "--dry-run")
    assert planned.returncode == 0, planned.stderr
    assert len(planned.stdout.splitlines()) == 2
    assert planned.stdout.startswith("would create: ")
    assert host.emulator.writes() == []
    assert host.stored() == []

    done = terminal(host, folder)
    assert done.returncode == 0, done.stderr
    assert len(host.titles()) == 2
    assert f"manifests/{SLUGS[0]}.json" in host.stored()

    written = len(host.emulator.writes())
    assert terminal(host, folder).returncode == 0
    assert len(host.emulator.writes()) == written


def test_what_a_phase_says_anew_is_published_from_a_terminal(host: Host) -> None:
    host.config = None
    assert host.run("workflow_dispatch", model_name=SLUGS[0]) == 0, host.log
    folder = host.runner.workspace / host.runner.outputs["folder"] / "manifests"
    file = folder / f"{SLUGS[0]}.json"
    for value in ("waiting", "collected"):
        found = json.loads(file.read_text("utf-8"))
        found["kernels"][0]["phase2_status"] = value
        file.write_text(json.dumps(found), "utf-8")
        assert terminal(host, folder).returncode == 0
        bare = host.server / f"{REPOSITORY}.git"
        show = ["git", "-C", str(bare), "show", f"kernel-inventory:manifests/{SLUGS[0]}.json"]
        stored = subprocess.run(show, capture_output=True, text=True, check=True, timeout=30).stdout
        assert json.loads(stored)["kernels"][0]["phase2_status"] == value


def test_a_folder_without_manifests_is_a_wrong_argument(host: Host, tmp_path: Path) -> None:
    done = terminal(host, tmp_path / "run")
    assert done.returncode == 2
    assert "holds no manifest" in done.stderr
