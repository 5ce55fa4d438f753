"""The built image, run as the Actions runner runs it but by buildah: `make image-test`.

The runner mounts its folders, sets the working directory and the environment, and appends nothing
to the entry point. The checkout belongs to a user who is not root.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from action.fake_runner import read_outputs
from discover_models import demo
from discover_models.action_inputs import variable_of

IMAGE = os.environ.get("DISCOVER_MODELS_IMAGE", "")
STORE = Path(
    os.environ.get("IMAGE_STORE")
    or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "discover-models/image"
)
USER = 1001
"""The user of GitHub's runners."""

pytestmark = pytest.mark.skipif(not IMAGE, reason="DISCOVER_MODELS_IMAGE names no image")


def buildah(*args: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    store = ["--root", str(STORE / "root"), "--runroot", str(STORE / "run")]
    driver = ["--storage-driver", os.environ.get("IMAGE_DRIVER", "overlay")]
    done = subprocess.run(
        ["buildah", *driver, *store, *args],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert not check or done.returncode == 0, done.stderr
    return done


@pytest.fixture(scope="module")
def config() -> dict[str, Any]:
    shown = buildah("inspect", "--type", "image", IMAGE).stdout
    found: dict[str, Any] = json.loads(shown)["OCIv1"]["config"]
    return found


@dataclass
class Container:
    name: str
    folder: Path
    entry: list[str]

    @property
    def workspace(self) -> Path:
        return self.folder / "workspace"

    def file(self, name: str) -> Path:
        return self.folder / "file_commands" / name

    def run(self, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        mounts = ("home", "workflow", "file_commands", "workspace")
        options = [f"-v={self.folder / name}:/github/{name}" for name in mounts]
        options += [f"-e={name}={value}" for name, value in environment.items()]
        where = ["--isolation", "chroot", "--workingdir", "/github/workspace"]
        return buildah("run", *where, *options, self.name, "--", *command, check=False)

    def start(self, event: str, **inputs: str) -> subprocess.CompletedProcess[str]:
        """Start the action; names in capitals are variables, others are inputs."""
        given = {
            name if name.isupper() else variable_of(name.replace("_", "-")): value
            for name, value in inputs.items()
        }
        return self.run(
            *self.entry,
            HOME="/github/home",
            GITHUB_ACTIONS="true",
            GITHUB_EVENT_NAME=event,
            GITHUB_REPOSITORY="octo/bench",
            GITHUB_WORKSPACE="/github/workspace",
            GITHUB_EVENT_PATH="/github/workflow/event.json",
            GITHUB_OUTPUT="/github/file_commands/output",
            GITHUB_STEP_SUMMARY="/github/file_commands/summary",
            **given,
        )


@pytest.fixture
def container(config: dict[str, Any], tmp_path: Path) -> Iterator[Container]:
    for name in ("home", "workflow", "file_commands", "workspace"):
        (tmp_path / name).mkdir()
    name = buildah("from", "--pull-never", IMAGE).stdout.strip()
    yield Container(name, tmp_path, config["Entrypoint"])
    buildah("rm", name)


def give_to_the_runners_user(folder: Path) -> None:
    for root, folders, files in os.walk(folder):
        for name in (*folders, *files, "."):
            os.chown(Path(root) / name, USER, USER, follow_symlinks=False)


def copy_configs(folder: Path) -> None:
    """The demonstration's configurations, so that the Hub is not asked."""
    for file in demo.CONFIGS.rglob("*.json"):
        target = folder / file.relative_to(demo.CONFIGS)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(file.read_bytes())


def owners(folder: Path) -> set[int]:
    return {path.lstat().st_uid for path in (folder, *folder.rglob("*"))}


def test_one_model_on_a_checkout_of_another_user(container: Container) -> None:
    (container.workspace / "tmp").mkdir()
    demo.prepare(container.workspace / "tmp")
    copy_configs(container.workspace / "configs")
    give_to_the_runners_user(container.workspace)
    done = container.start(
        "workflow_dispatch", model_name="demo-8b", offline="true", configs="configs"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    outputs = read_outputs(container.file("output"))
    assert json.loads(outputs["slugs"]) == ["demo-8b"]
    manifest = json.loads((container.workspace / outputs["manifests"]).read_text("utf-8"))
    assert len(manifest["repo_shas"]) == 4  # git was willing to look at all of them
    assert "demo-8b" in container.file("summary").read_text("utf-8")
    assert owners(container.workspace) == {USER}


def test_clones_belong_to_the_checkouts_owner(container: Container) -> None:
    sources = container.folder / "workspace" / "elsewhere"
    sources.mkdir()
    demo.prepare(sources)
    copy_configs(container.workspace / "configs")
    give_to_the_runners_user(container.workspace)
    listed = "\n".join(
        f"{name}=file:///github/workspace/elsewhere/{name}" for name in demo.REPOSITORIES
    )
    done = container.start(
        "workflow_dispatch",
        hf_repo_id=demo.MODELS[0],
        sources=listed,
        configs="configs",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (container.workspace / "tmp" / "sglang" / ".git").is_dir()
    assert owners(container.workspace) == {USER}


def test_a_wrong_input_and_another_event(container: Container) -> None:
    done = container.start("schedule", max_new_issues="many")
    assert done.returncode == 1
    assert "::error::the input max-new-issues: " in done.stdout
    assert container.start("issue_comment").returncode == 0
    assert list(container.workspace.iterdir()) == []


def test_a_checkout_can_not_put_code_into_the_run(container: Container) -> None:
    for name in ("yaml.py", "discover_models.py", "sitecustomize.py"):
        (container.workspace / name).write_text("raise SystemExit(99)\n", "utf-8")
    assert container.start("push").returncode == 0


def test_there_is_git_and_no_compiler(container: Container) -> None:
    assert container.run("git", "--version").returncode == 0
    for name in ("cc", "gcc", "g++", "make", "ld"):
        assert container.run("sh", "-c", f"command -v {name}").returncode != 0, name


def test_labels_and_entry_point(config: dict[str, Any]) -> None:
    assert config["Entrypoint"][-2:] == ["-m", "discover_models.action"]
    assert config["Entrypoint"][0].startswith("/")
    assert "User" not in config
    for name in ("title", "description", "licenses", "version", "revision"):
        assert config["Labels"][f"org.opencontainers.image.{name}"]
