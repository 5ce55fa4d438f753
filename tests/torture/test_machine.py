"""A machine that fails: full disks, and repositories that are not what they should be."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from discover_models import demo

MODEL = "demo-org/Demo-MoE-16B"


def run(
    folder: Path, *arguments: str, largest: int | None = None
) -> subprocess.CompletedProcess[str]:
    """The program on the demonstration's workspace; no file may grow beyond `largest` bytes."""

    def limit() -> None:
        if largest is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))

    return subprocess.run(
        [sys.executable, "-m", "discover_models", "--offline", "--workspace", "workspace",
         "--configs", str(demo.CONFIGS), "--hf-repo-id", MODEL, *arguments],
        cwd=folder,
        env={**os.environ, "XDG_CACHE_HOME": str(folder / "cache")},
        preexec_fn=limit,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "workspace").mkdir()
    demo.prepare(tmp_path / "workspace")
    return tmp_path


@pytest.mark.parametrize("largest", [0, 1, 100, 1_000, 5_000, 20_000])
def test_a_disk_that_is_full_leaves_no_half_file(folder: Path, largest: int) -> None:
    done = run(folder, "--manifest-dir", "out", largest=largest)
    assert "Traceback" not in done.stderr
    assert done.returncode in (0, 1)
    files = list((folder / "out").glob("*"))
    assert done.returncode == 0 or done.stderr.strip()
    for path in files:
        if path.suffix != ".lock":
            assert path.name == "demo-moe-16b.json"
            assert json.loads(path.read_bytes())["kernels"]
    again = run(folder, "--manifest-dir", "out")
    assert again.returncode == 0, again.stderr
    assert json.loads((folder / "out" / "demo-moe-16b.json").read_bytes())["kernels"]


def test_a_full_device_as_output_is_one_sentence(folder: Path) -> None:
    done = run(folder, "--output", "/dev/full")
    assert done.returncode == 1
    assert "No space left" in done.stderr
    assert "Traceback" not in done.stderr


def _emptied(repository: Path) -> None:
    for path in repository.iterdir():
        if path.name != ".git":
            shutil.rmtree(path) if path.is_dir() else path.unlink()


WAYS: dict[str, Callable[[Path], object]] = {
    "missing": shutil.rmtree,
    "empty": _emptied,
    "no repository": lambda path: shutil.rmtree(path / ".git"),
    "a file": lambda path: (shutil.rmtree(path), path.write_text("x")),
}
UNDECIDED = {
    "flashinfer": ("fi_status", "fi_trace_template"),
    "sglang": ("sgl_status",),
}
"""What can't be said of a new kernel without the repository."""


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", demo.REPOSITORIES)
def test_without_a_repository_nothing_is_said_that_rests_on_it(
    folder: Path, name: str, way: str
) -> None:
    WAYS[way](folder / "workspace" / name)
    done = run(folder, "--manifest-dir", "out")
    assert "Traceback" not in done.stderr
    if name == "flashinfer-trace":
        assert done.returncode == 1
        assert "flashinfer-trace" in done.stderr or "dataset" in done.stderr
        assert not list(folder.glob("out/*.json"))
        return
    assert done.returncode == 0, done.stderr
    manifest = json.loads((folder / "out" / "demo-moe-16b.json").read_bytes())
    new = [kernel for kernel in manifest["kernels"] if kernel["phase1_status"] == "new"]
    assert new
    for kernel in new:
        for field in UNDECIDED.get(name, ()):
            if kernel["op_type"] != "gemm":
                assert kernel.get(field, "n/a") == "n/a", kernel
    if name == "flashinfer":
        assert "fi_missing" not in json.dumps(manifest)
