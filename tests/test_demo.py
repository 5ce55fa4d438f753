"""The demonstration's workspace is whole, synthetic, and the same everywhere."""

import ast
import json
import subprocess
from pathlib import Path

import pytest

from discover_models import demo
from discover_models.pipeline import run
from discover_models.settings import ModelRequest, RunOptions


def head(folder: Path) -> str:
    found = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=folder, check=True, capture_output=True, text=True
    )
    return found.stdout.strip()


def test_each_repository_has_one_clean_commit_with_the_same_id_everywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = demo.prepare(tmp_path / "one")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_AUTHOR_NAME", "Somebody")
    two = demo.prepare(tmp_path / "two")
    monkeypatch.delenv("GIT_DIR")
    for name in demo.REPOSITORIES:
        assert head(one / name) == head(two / name)
        status = subprocess.check_output(["git", "status", "--porcelain"], cwd=one / name)
        assert status == b""


def test_every_python_file_parses() -> None:
    files = sorted(demo.ROOT.glob("workspace/**/*.py"))
    assert len(files) > 30
    for file in files:
        ast.parse(file.read_text(encoding="utf-8"), str(file))


def test_every_model_has_a_configuration_and_a_cookbook_entry() -> None:
    cookbook = demo.ROOT / "workspace" / "sgl-cookbook"
    text = "".join(f.read_text(encoding="utf-8") for f in cookbook.glob("data/**/*.yaml"))
    for model in demo.MODELS:
        config = json.loads((demo.CONFIGS / model / "config.json").read_text(encoding="utf-8"))
        assert config["architectures"]
        assert f"model_path: {model}\n" in text


def test_definitions_are_where_their_content_says() -> None:
    for file in demo.ROOT.glob("workspace/flashinfer-trace/definitions/*/*.json"):
        content = json.loads(file.read_text(encoding="utf-8"))
        assert (content["op_type"], content["name"]) == (file.parent.name, file.stem)


def test_it_says_that_it_is_synthetic() -> None:
    assert "synthetic" in demo.NOTICE
    assert "synthetic" in (demo.ROOT / "README.md").read_text(encoding="utf-8")


def test_what_a_stopped_run_has_read_is_kept(tmp_path: Path) -> None:
    options = RunOptions(
        models=tuple(ModelRequest(hf_repo_id=repo_id) for repo_id in demo.MODELS),
        workspace=demo.prepare(tmp_path / "workspace"),
        configs=demo.CONFIGS,
        offline=True,
        cache_dir=tmp_path / "cache",
    )

    def stop(text: str) -> None:
        if text.endswith(demo.MODELS[1]):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(options, stop)
    kept = {path.name.partition("-")[0] for path in (tmp_path / "cache").rglob("*.entry")}
    assert {"flashinfer", "sglang"} <= kept
