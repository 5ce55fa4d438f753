"""The command on a workspace of real git repositories."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from audit.miniature import DATASET, DENSE, MOE, TAGS, op_type_of, row, section, summary
from discover_models.audit.run import repositories_of
from discover_models.cli import _guarded, app

TEXT = summary("Plain 1B", "GQA + Dense", "🟡 Partial") + section(
    [row("rmsnorm_h512", "✅"), row("gemm_n3073_k512", "❌")], "1 / 2"
)


def repository(folder: Path, files: dict[str, str]) -> None:
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(content, "utf-8")
    for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "Sample"]):
        identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
        subprocess.run(["git", *identity, *command], cwd=folder, check=True, timeout=60)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    files: dict[str, str] = {}
    for name, workloads in DATASET.items():
        op_type = op_type_of(name)
        content = {"name": name, "op_type": op_type, "axes": {}, "tags": TAGS.get(name, ())}
        files[f"definitions/{op_type}/{name}.json"] = json.dumps(content)
        if workloads:
            files[f"workloads/{op_type}/{name}.jsonl"] = "{}\n"
    repository(tmp_path / "workspace" / "flashinfer-trace", files)
    for repo_id, config in (("acme/Plain-1B", DENSE), ("acme/Mix-2B", MOE)):
        folder = tmp_path / "configs" / repo_id
        folder.mkdir(parents=True)
        (folder / "config.json").write_text(json.dumps(config), "utf-8")
    repository(tmp_path / "bench", {"docs/model_coverage.mdx": TEXT})
    monkeypatch.chdir(tmp_path / "bench")
    return tmp_path


def run(world: Path, *arguments: str) -> int:
    where = ["--workspace", str(world / "workspace"), "--configs", str(world / "configs")]
    command = ["audit", "--offline", *where, *arguments]
    return _guarded(lambda: app(command))


def test_the_text_says_what_is_wrong_and_against_what(
    world: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(world) == 1
    text = capsys.readouterr().out
    assert text.startswith("docs/model_coverage.mdx: 1 mistakes, 0 doubts\n")
    assert "gemm_n3072_k512" in text
    assert "acme/Plain-1B" in text


def test_the_patch_applies_and_then_nothing_is_wrong(
    world: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(world, "--patch", str(world / "fix.patch")) == 1
    subprocess.run(["git", "apply", str(world / "fix.patch")], check=True, timeout=60)
    assert run(world, "--patch", str(world / "fix.patch")) == 0
    assert (world / "fix.patch").read_bytes() == b""
    capsys.readouterr()


def test_json_has_the_whole_report(world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(world, "--format", "json") == 1
    report: dict[str, Any] = json.loads(capsys.readouterr().out)
    (finding,) = report["findings"]
    assert finding["line"] == 14
    assert finding["rule"] == "name"
    assert finding["right"] == "gemm_n3072_k512"
    assert report["models"] == {"Plain 1B": ["acme/Plain-1B"]}


def test_annotations_are_on_their_lines_and_escaped(
    world: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = world / "bench" / "docs" / "100%, a: b.mdx"
    document.write_text(TEXT.replace("Plain 1B", "Plain 1B (50%::error,x)"), "utf-8")
    assert run(world, "--format", "github", "--coverage-doc", str(document)) == 1
    lines = capsys.readouterr().out.splitlines()
    place = "file=docs/100%25%2C a%3A b.mdx,line=14,title=Plain 1B (50%25%3A%3Aerror%2Cx)%3A name"
    assert lines[0].startswith(f"::error {place}::no tp and ep of acme/Plain-1B")
    assert all(line.startswith("::") for line in lines)


def test_doubts_are_warnings_and_what_was_not_checked_a_notice(
    world: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [("MLP", "gemm", "❌"), row("gemm_n768_k512", "✅")]
    (world / "bench" / "docs" / "model_coverage.mdx").write_text(section(rows), "utf-8")
    assert run(world, "--format", "github") == 1
    warning, notice = capsys.readouterr().out.splitlines()
    assert warning.startswith("::warning file=docs/model_coverage.mdx,line=5,")
    assert notice.startswith("::notice file=docs/model_coverage.mdx::not checked: 1 × workload")


def test_a_complete_dataset_can_be_told(world: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = world / "bench" / "docs" / "model_coverage.mdx"
    document.write_text(section([row("gemm_n768_k512", "✅")], "1 / 1"), "utf-8")
    assert run(world) == 0
    assert run(world, "--complete-dataset") == 1
    capsys.readouterr()


@pytest.mark.parametrize(
    "arguments",
    [
        ["--coverage-doc", "missing.mdx"],
        ["--format", "yaml"],
        ["--workspace", "missing"],
        ["--configs", "missing"],
        ["--patch", "missing/fix.patch"],
    ],
)
def test_wrong_use_is_said_in_one_sentence(
    world: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(world, *arguments) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_a_file_without_tables_is_not_called_right(
    world: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document = world / "bench" / "docs" / "model_coverage.mdx"
    document.write_text("# Something else\n", "utf-8")
    assert run(world) == 2
    assert "no table" in capsys.readouterr().err


def test_without_the_dataset_nothing_is_said(
    world: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (world / "workspace" / "flashinfer-trace" / "definitions" / "gemm" / "x.json").write_text("[")
    assert run(world) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "x.json" in captured.err


def test_quantised_and_other_models_are_not_what_a_title_means() -> None:
    local = ("acme/Plain-1B", "acme/Plain-1B-FP8", "acme/Plain-1.5-1B", "acme/Mix-2B-FP8")
    found = repositories_of(("Plain 1B", "Mix 2B", "New 4B"), local, ("acme/Mix-2B", "a/New-4B"))
    assert found == {
        "Plain 1B": ("acme/Plain-1B",),
        "Mix 2B": ("acme/Mix-2B-FP8",),
        "New 4B": ("a/New-4B",),
    }


def test_two_configurations_that_disagree_are_not_chosen_from(
    world: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = world / "configs" / "other" / "Plain-1B-Instruct"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({**DENSE, "vocab_size": 2000}), "utf-8")
    assert run(world) == 0
    text = capsys.readouterr().out
    assert "ambiguous: acme/Plain-1B, other/Plain-1B-Instruct" in text
