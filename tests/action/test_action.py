"""The entry point as a process, on the demonstration's workspace, in a runner's environment."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from action.fake_runner import FakeRunner
from discover_models import demo

OFFLINE = {"offline": "true", "configs": str(demo.CONFIGS)}
ONE = {**OFFLINE, "model-name": "demo-8b"}


@pytest.fixture
def runner(tmp_path: Path) -> FakeRunner:
    runner = FakeRunner(tmp_path)
    folder = runner.workspace / "tmp"
    folder.mkdir()
    demo.prepare(folder)
    return runner


def test_one_model_by_hand_without_a_token(runner: FakeRunner) -> None:
    done = runner.start("workflow_dispatch", ONE)
    assert done.returncode == 0, done.stderr
    assert "::warning::Nothing is published" in done.stdout
    outputs = runner.outputs
    assert json.loads(outputs["slugs"]) == ["demo-8b"]
    assert outputs["changed"] == "false"
    manifest = json.loads((runner.workspace / outputs["manifests"]).read_text("utf-8"))
    assert manifest["model_slug"] == "demo-8b"
    counts = json.loads(outputs["counts"])
    assert sum(counts.values()) - counts["unmapped"] == len(manifest["kernels"])
    report = (runner.workspace / outputs["report"]).read_text("utf-8")
    assert report in runner.summary
    record = json.loads((runner.workspace / outputs["run-record"]).read_text("utf-8"))
    assert record["job"] == "one model"
    assert record["published"] is False
    assert len(record["sources"]["sglang"]["commit"]) == 40
    assert record["sources"]["sglang"]["url"] == ""
    assert Path(outputs["folder"]) == Path(outputs["report"]).parent


def test_the_summary_is_markdown_with_one_row_per_model(runner: FakeRunner) -> None:
    models = "\n".join(f"  demo-{i}: {repo}" for i, repo in enumerate(demo.MODELS))
    config = runner.workspace / ".github" / "discover-models.yml"
    config.parent.mkdir()
    config.write_text(f"models:\n{models}\n", "utf-8")
    done = runner.start("schedule", OFFLINE)
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(runner.outputs["slugs"]) == ["demo-0", "demo-1"]
    html = MarkdownIt("gfm-like", {"linkify": False}).render(runner.summary)
    first_table = html.partition("</table>")[0]
    assert first_table.count("<tr>") == 3


def test_an_ignored_model_and_its_sizes(runner: FakeRunner) -> None:
    one, two = demo.MODELS
    config = runner.workspace / "bot.yml"
    config.write_text(
        f"models:\n  big: {{repository: {one}, tp: 3}}\n  other: {two}\n"
        f"ignore: [{{pattern: '{two}', reason: too small}}]\n",
        "utf-8",
    )
    done = runner.start("schedule", {**OFFLINE, "config": "bot.yml"})
    assert done.returncode == 0, done.stdout
    assert json.loads(runner.outputs["slugs"]) == ["big"]
    manifest = json.loads((runner.workspace / runner.outputs["manifests"]).read_text("utf-8"))
    assert [p["tp"] for p in manifest["parallelism"]] == [3]


def test_a_checkout_can_not_put_code_into_the_run(runner: FakeRunner) -> None:
    trap = "raise SystemExit('code of the checkout ran')\n"
    for name in ("yaml.py", "sitecustomize.py", "json.py"):
        (runner.workspace / name).write_text(trap, "utf-8")
    (runner.workspace / "discover_models").mkdir()
    (runner.workspace / "discover_models" / "__init__.py").write_text(trap, "utf-8")
    done = runner.start("workflow_dispatch", ONE, PYTHONPATH=str(runner.workspace))
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("event", ["pull_request_target", "issue_comment", "push", "fork"])
def test_events_of_strangers_do_nothing(tmp_path: Path, event: str) -> None:
    runner = FakeRunner(tmp_path)
    done = runner.start(event, {"model-name": "demo-8b", "github-token": "canary-token"})
    assert done.returncode == 0, done.stdout
    assert "::notice::There is nothing to do" in done.stdout
    assert runner.outputs == {"changed": "false"}
    assert list(runner.workspace.iterdir()) == []


WRONG = {
    "input": ({"since": "never"}, "the input since"),
    "no workspace": ({"workspace": "elsewhere", **OFFLINE}, "elsewhere"),
    "no such model": ({**ONE, "model-name": "nothing"}, "nothing"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_an_annotation_and_a_red_job(runner: FakeRunner, case: str) -> None:
    inputs, words = WRONG[case]
    done = runner.start("workflow_dispatch", inputs)
    assert done.returncode == 1
    (error,) = (line for line in done.stdout.splitlines() if line.startswith("::error::"))
    assert words in error
    assert "Traceback" not in done.stdout + done.stderr
    assert "changed" not in runner.outputs


def test_a_wrong_configuration_file_is_one_error_with_its_line(runner: FakeRunner) -> None:
    (runner.workspace / "bot.yml").write_text("ignore: []\n::error::x: 1\n", "utf-8")
    done = runner.start("schedule", {**OFFLINE, "config": "bot.yml"})
    assert done.returncode == 1
    (error,) = (line for line in done.stdout.splitlines() if line.startswith("::error::"))
    assert error.startswith("::error::bot.yml, line 2: ")


def test_a_deferred_model_is_a_warning(runner: FakeRunner, tmp_path: Path) -> None:
    inputs = {"offline": "true", "hf-repo-id": "absent-org/Absent"}
    done = runner.start("workflow_dispatch", inputs)
    assert done.returncode == 0, done.stdout
    assert "::warning::absent: " in done.stdout
    assert runner.outputs["manifests"] == ""
    assert "absent-org/Absent" in runner.summary


def test_a_second_run_changes_no_manifest(runner: FakeRunner) -> None:
    runner.start("workflow_dispatch", ONE)
    path = runner.workspace / runner.outputs["manifests"]
    before = path.stat().st_mtime_ns
    done = runner.start("workflow_dispatch", ONE)
    assert done.returncode == 0
    assert path.stat().st_mtime_ns == before
