"""The workflows as their first reader runs them: the action's steps in the built image.

A step's inputs are those of the workflow file, put together with the defaults of action.yml as the
runner does. GitHub is the emulator, the Hub a stand-in, and both are reached from the container.
"""

from __future__ import annotations

import json
import re
import subprocess
from base64 import b64encode
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import yaml

from action.fake_runner import read_outputs
from action.recorded import RECORDED
from discover_models import demo
from emulator.server import FOREVER, Emulator, Fault
from hosts import BOT, REPOSITORY, FakeTime, connect
from hub_server import Repository, running
from image.test_image import (
    IMAGE,
    USER,
    Container,
    config,
    container,
    give_to_the_runners_user,
    owners,
)
from publish.conftest import emulator, running_emulator

__all__ = ["config", "container", "emulator", "running_emulator"]

TOP = Path(__file__).parents[2]
SERVER = "file:///github/workflow/server"
CONFIG = (
    "downloads: true\nmodels:\n  demo-8b: demo-org/Demo-8B\n  demo-moe: demo-org/Demo-MoE-16B\n"
)
DOWNLOADS = {"demo-org/Demo-8B": 1200, "demo-org/Demo-MoE-16B": 34}

pytestmark = pytest.mark.skipif(not IMAGE, reason="DISCOVER_MODELS_IMAGE names no image")


def step(workflow: str, job: str) -> dict[str, Any]:
    """The step of a job that is the action."""
    text = (TOP / ".github" / "workflows" / workflow).read_text("utf-8")
    steps = yaml.safe_load(text)["jobs"][job]["steps"]
    (found,) = (s for s in steps if s.get("uses") in ("./", "$/"))
    return found


def inputs(step: Mapping[str, Any], **given: str) -> dict[str, str]:
    """What the runner hands over, with the workflow's own inputs and the emulator's token."""
    described = yaml.safe_load((TOP / "action.yml").read_text("utf-8"))["inputs"]
    values = {name: str(d.get("default", "")) for name, d in described.items()}
    values |= {name: str(value) for name, value in step.get("with", {}).items()}
    known = {f"inputs.{name}": value for name, value in given.items()}
    known |= {"github.token": Emulator.token(BOT), "secrets.HF_TOKEN": ""}

    def evaluated(text: str) -> str:
        return re.sub(r"\$\{\{ *([\w.]+) *\}\}", lambda m: known.get(m[1], ""), text)

    return {name.replace("-", "_"): evaluated(value) for name, value in values.items()}


@pytest.fixture
def prepared(container: Container, emulator: Emulator) -> Container:
    """A checkout of the runner's user, a repository on GitHub with a configuration, a bare one."""
    sources = container.folder / "workspace" / "elsewhere"
    sources.mkdir()
    demo.prepare(sources)
    give_to_the_runners_user(container.workspace)
    server = container.folder / "workflow" / "server" / f"{REPOSITORY}.git"
    subprocess.run(["git", "init", "-q", "--bare", str(server)], check=True, timeout=30)
    content = json.dumps({"encoding": "base64", "content": b64encode(CONFIG.encode()).decode()})
    path = "/contents/.github/discover-models.yml$"
    answered = Fault(method="GET", path=path, status=200, body=content, times=FOREVER)
    emulator.faults([answered])
    return container


def start(
    container: Container, emulator: Emulator, hub: str, event: str, given: dict[str, str]
) -> subprocess.CompletedProcess[str]:
    for name in ("output", "summary"):
        container.file(name).unlink(missing_ok=True)
    names = demo.REPOSITORIES
    given["sources"] = "\n".join(f"{n}=file:///github/workspace/elsewhere/{n}" for n in names)
    around = {"GITHUB_API_URL": emulator.url, "GITHUB_SERVER_URL": SERVER, "HF_ENDPOINT": hub}
    return container.start(event, **given, **around)


def titles(emulator: Emulator) -> list[str]:
    with closing(connect(emulator, FakeTime())) as github:
        return sorted(issue.title for issue in github.issues())


def bodies(emulator: Emulator) -> dict[str, str]:
    with closing(connect(emulator, FakeTime())) as github:
        return {issue.title: issue.body for issue in github.issues()}


def stored(container: Container) -> list[str]:
    server = container.folder / "workflow" / "server" / f"{REPOSITORY}.git"
    listed = ["git", "-C", str(server), "ls-tree", "-r", "--name-only", "kernel-inventory"]
    return subprocess.run(
        listed, capture_output=True, text=True, check=False, timeout=30
    ).stdout.split()


def test_the_weekly_workflow_first_dry_then_for_good_then_again(
    prepared: Container, emulator: Emulator
) -> None:
    weekly = step("weekly.yml", "inventory")
    by_hand = {"model_name": "", "hf_repo_id": "", "refresh": "true"}
    with running() as hub:
        for name, count in DOWNLOADS.items():
            text = (demo.CONFIGS / name / "config.json").read_bytes()
            hub.repositories[name] = Repository({"config.json": text}, downloads=count)

        def run(event: str, **given: str) -> dict[str, str]:
            done = start(prepared, emulator, hub.url, event, inputs(weekly, **given))
            assert done.returncode == 0, done.stdout + done.stderr
            assert owners(prepared.workspace) == {USER}
            return read_outputs(prepared.file("output"))

        dry = run("workflow_dispatch", **by_hand, dry_run="true")
        assert dry["changed"] == "true"  # it would be
        assert emulator.writes() == []
        assert stored(prepared) == []
        summary = prepared.file("summary").read_text("utf-8")
        assert "This is a dry run" in summary
        assert "demo-8b" in summary

        first = run("workflow_dispatch", **by_hand, dry_run="false")
        assert first["changed"] == "true"
        assert len(json.loads(first["issues-opened"])) == 3
        assert titles(emulator) == [
            "Kernel inventory dashboard",
            "Kernel inventory: demo-org/Demo-8B",
            "Kernel inventory: demo-org/Demo-MoE-16B",
        ]
        board = bodies(emulator)["Kernel inventory dashboard"]
        assert re.search(r"\| (1,200|1,234|34) \|", board), board
        assert "as the Hub said between" in board
        assert stored(prepared) == [
            "manifests/demo-8b.json",
            "manifests/demo-moe.json",
            "state.json",
        ]
        kept = prepared.workspace / first["folder"]
        assert {"manifests", "report.md", "run.json"} <= {path.name for path in kept.iterdir()}
        assert json.loads((prepared.workspace / first["run-record"]).read_text("utf-8"))[
            "published"
        ]

        written = len(emulator.writes())
        again = run("schedule")  # no inputs: each empty one stands for its default
        assert again["changed"] == "false"
        assert len(emulator.writes()) == written


@pytest.mark.parametrize(
    ("job", "event"), [("checklist", "pull_request_target"), ("answer", "issue_comment")]
)
def test_the_workflow_of_pull_requests(
    prepared: Container, emulator: Emulator, job: str, event: str
) -> None:
    emulator.push(REPOSITORY, "main", {"docs/model_coverage.mdx": "## Summary\n"})
    files = {"flashinfer_trace/definitions/rmsnorm/rmsnorm_h3840.json": "{}"}
    emulator.push(REPOSITORY, "onboard", files)
    number = emulator.pull(REPOSITORY, "onboard", "Adds Demo 8B")
    if event == "pull_request_target":
        payload = RECORDED["pull_request opened"]
        payload = payload | {
            "number": number,
            "pull_request": payload["pull_request"] | {"number": number},
        }
    else:
        payload = RECORDED["issue_comment created"]
        said = {"body": "/discover-models demo-8b", "author_association": "MEMBER"}
        issue = payload["issue"] | {"number": number}
        payload = payload | {"issue": issue, "comment": payload["comment"] | said}
    (prepared.folder / "workflow" / "event.json").write_text(json.dumps(payload), "utf-8")
    with running() as hub:
        text = (demo.CONFIGS / demo.MODELS[0] / "config.json").read_bytes()
        hub.repositories[demo.MODELS[0]] = Repository({"config.json": text})
        given = inputs(step("onboarding-pr.yml", job))
        done = start(prepared, emulator, hub.url, event, given)
    assert done.returncode == 0, done.stdout + done.stderr
    (post,) = (w.path for w in emulator.writes() if w.method == "POST" and w.login == BOT)
    assert post == f"/repos/{REPOSITORY}/issues/{number}/comments"
    assert owners(prepared.workspace) == {USER}
