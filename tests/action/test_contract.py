"""action.yml, the settings, the pages and the workflows say the same."""

from __future__ import annotations

import importlib.util
import itertools
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from discover_models.action_inputs import ActionSettings, input_names, variable_of
from discover_models.action_job import CHECKED_ACTIONS, MAY_COMMAND

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
EXCEPTIONS = {
    ("ci.yml", "self-repository"),
    ("onboarding-pr.yml", "dangerous-triggers"),
    ("weekly.yml", "self-repository"),
    ("weekly.yml", "secrets-outside-env"),
}
PIN = re.compile(r"uses: (?P<action>[\w.-]+/[\w./-]+)@(?P<commit>[0-9a-f]{40}) # (?P<tag>v[\d.]+)$")


def load(file: Path) -> dict[Any, Any]:
    value: dict[Any, Any] = yaml.safe_load(file.read_text("utf-8"))
    return value


ACTION = load(ROOT / "action.yml")


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_input_is_a_setting_with_the_same_default() -> None:
    assert tuple(ACTION["inputs"]) == input_names()
    given = {name: str(item["default"]) for name, item in ACTION["inputs"].items()}
    assert given.pop("github-token") == "${{ github.token }}"
    environment = {variable_of(name): value for name, value in given.items()}
    assert ActionSettings.from_environment(environment) == ActionSettings()
    for name, item in ACTION["inputs"].items():
        assert item["required"] is False, name
        assert item["description"].count(". ") >= 1, f"{name} does not say when to set it"


def test_the_pages_tables_are_those_of_action_yml() -> None:
    docs = script("write_action_docs")
    command = "run `uv run python scripts/write_action_docs.py`"
    page = docs.PAGE.read_text("utf-8")
    assert page == docs.page_text(page), command
    assert docs.SCHEMA.read_text("utf-8") == docs.schema_text(), command


def test_the_example_configuration_is_right() -> None:
    from discover_models.bot_config import parse_config

    page = (ROOT / "docs" / "action.md").read_text("utf-8")
    (example,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    assert parse_config(example.encode(), "example").models


def test_the_weekly_workflow_can_file_kernel_requests() -> None:
    jobs = load(ROOT / ".github/workflows/weekly.yml")["jobs"]
    (step,) = (s for s in jobs["inventory"]["steps"] if s.get("uses") == "./")
    assert step["with"]["kernel-request-token"] == "${{ secrets.KERNEL_REQUEST_TOKEN }}"


def test_workflows_start_without_permissions() -> None:
    for file in WORKFLOWS:
        workflow = load(file)
        assert workflow["permissions"] == {}, file.name
        assert "concurrency" in workflow, file.name
        for name, job in workflow["jobs"].items():
            assert "write-all" not in str(job["permissions"]), name
            assert "timeout-minutes" in job, name


def test_no_expression_reaches_a_shell_and_no_checkout_keeps_the_token() -> None:
    for file in WORKFLOWS:
        for job in load(file)["jobs"].values():
            for step in job["steps"]:
                assert "${{" not in step.get("run", ""), f"{file.name}: {step}"
                if step.get("uses", "").startswith("actions/checkout@"):
                    assert step["with"]["persist-credentials"] is False


def test_every_action_is_pinned_to_the_commit_that_the_list_of_pins_names() -> None:
    pins = (ROOT / "docs" / "pins.md").read_text("utf-8")
    for file in WORKFLOWS:
        uses = [line for line in file.read_text("utf-8").splitlines() if "uses: " in line]
        assert uses
        for line in uses:
            if "uses: ./" in line or "uses: $/" in line:
                continue
            pin = PIN.search(line)
            assert pin, f"{file.name}: {line}"
            assert f"| {pin['action']} | {pin['tag']} | `{pin['commit']}` |" in pins


def test_the_images_base_is_the_one_in_the_list_of_pins() -> None:
    dockerfile = (ROOT / "Dockerfile").read_text("utf-8")
    (base,) = re.findall(r"^FROM (\S+:\S+)@(\S+) AS base$", dockerfile, re.MULTILINE)
    assert f"| `{base[0]}` | `{base[1]}` |" in (ROOT / "docs" / "pins.md").read_text("utf-8")
    assert re.findall(r"^FROM (\S+)", dockerfile, re.MULTILINE)[1:] == ["base", "base"]
    assert 'ENTRYPOINT ["/opt/discover-models/bin/python", "-I",' in dockerfile


def test_every_exception_of_zizmor_is_known_and_has_its_reason_above() -> None:
    found: set[tuple[str, str]] = set()
    for file in WORKFLOWS:
        lines = file.read_text("utf-8").splitlines()
        for above, line in itertools.pairwise(lines):
            for rule in re.findall(r"zizmor: ignore\[([\w-]+)\]", line):
                assert above.strip().startswith("# "), f"{file.name}: {line}"
                found.add((file.name, rule))
    assert found == EXCEPTIONS


STRANGERS = load(ROOT / ".github" / "workflows" / "onboarding-pr.yml")


def test_nothing_but_the_action_runs_where_strangers_start_a_workflow() -> None:
    # YAML 1.1 reads the key `on` as true.
    assert set(STRANGERS[True]) == {"pull_request_target", "issue_comment"}
    for name, job in STRANGERS["jobs"].items():
        (step,) = job["steps"]
        assert set(step) == {"name", "uses"}, name
        assert step["uses"] == "$/", name
        assert set(job) == {"name", "if", "runs-on", "timeout-minutes", "permissions", "steps"}
        assert job["permissions"].pop("contents") == "read"
        assert set(job["permissions"]) <= {"issues", "pull-requests"}
    for other in WORKFLOWS:
        text = other.read_text("utf-8")
        assert other.name == "onboarding-pr.yml" or "pull_request_target" not in text


def test_no_secret_is_handed_to_what_strangers_start() -> None:
    text = (ROOT / ".github" / "workflows" / "onboarding-pr.yml").read_text("utf-8")
    assert "secrets." not in text
    assert "github.token" not in text
    expressions = set(re.findall(r"\$\{\{(.*?)\}\}", text))
    assert expressions == {" github.event.comment.id || github.event.pull_request.number "}


def test_the_workflow_lets_the_same_people_command_as_the_action() -> None:
    condition = STRANGERS["jobs"]["answer"]["if"]
    (listed,) = re.findall(r"fromJSON\('(\[.*?\])'\)", condition)
    assert set(yaml.safe_load(listed)) == MAY_COMMAND
    assert "startsWith(github.event.comment.body, '/discover-models')" in condition
    listened = set(STRANGERS[True]["pull_request_target"]["types"])
    assert listened == CHECKED_ACTIONS


def test_the_weekly_inputs_are_handed_on() -> None:
    weekly = load(ROOT / ".github" / "workflows" / "weekly.yml")
    # YAML 1.1 reads the key `on` as true.
    inputs = weekly[True]["workflow_dispatch"]["inputs"]
    assert set(inputs) == {"model_name", "hf_repo_id", "refresh", "dry_run"}
    (step,) = (s for s in weekly["jobs"]["inventory"]["steps"] if s.get("uses") == "./")
    for name in inputs:
        assert step["with"][name.replace("_", "-")] == f"${{{{ inputs.{name} }}}}"


DIGEST = "sha256:" + "0f" * 32
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]


def test_a_release_names_the_image_by_its_digest() -> None:
    pin = script("pin_image")
    text = pin.pinned((ROOT / "action.yml").read_text("utf-8"), "ghcr.io/octo/models", DIGEST)
    assert yaml.safe_load(text)["runs"] == {
        "using": "docker",
        "image": f"docker://ghcr.io/octo/models@{DIGEST}",
    }
    for image, digest in (("ghcr.io/octo/models:v1", DIGEST), ("ghcr.io/octo/models", "latest")):
        with pytest.raises(ValueError, match=r"no (image|digest)"):
            pin.pinned(text, image, digest)
    with pytest.raises(ValueError, match="does not build"):
        pin.pinned(text, "ghcr.io/octo/models", DIGEST)


@pytest.mark.skipif(sys.platform == "win32", reason="a bash script")
@pytest.mark.parametrize(
    ("version", "code"), [(VERSION, 0), ("999.9.9", 1), (f"{VERSION}\nx=y", 1), ("$(id)", 1)]
)
def test_a_release_has_the_version_of_the_package(version: str, code: int, tmp_path: Path) -> None:
    output = tmp_path / "output"
    done = subprocess.run(
        [str(ROOT / "scripts" / "name_release.sh")],
        env={
            "PATH": "/usr/bin:/bin",
            "VERSION": version,
            "GITHUB_REPOSITORY": "Octo/Models",
            "GITHUB_OUTPUT": str(output),
        },
        capture_output=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == code, done.stdout
    if code == 0:
        assert output.read_text("utf-8").splitlines() == [
            f"version={VERSION}",
            f"tag=v{VERSION}",
            "image=ghcr.io/octo/models",
        ]
    else:
        assert not output.exists()
