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
from typing import Any

import pytest

from discover_models import demo
from sources.git_repos import git

MODEL = "demo-org/Demo-MoE-16B"


READ_ONLY = """
set -eu
while [ "$1" != -- ]; do
    mount --bind "$1" "$1"
    mount -o remount,ro,bind "$1"
    shift
done
shift
exec "$@"
"""
"""Shows the folders before ``--`` as mounted read-only to the command behind it."""


def _read_only(*folders: str) -> list[str]:
    """What runs a command so; it needs a mount namespace, which not every system gives."""
    return ["unshare", "--mount", "--map-root-user", "sh", "-c", READ_ONLY, "sh", *folders, "--"]


def _environment(largest: int | None) -> dict[str, str]:
    """Coverage is not measured where it could not write its own file."""
    measured = largest is None
    return {n: value for n, value in os.environ.items() if measured or "COVERAGE" not in n}


def run(
    folder: Path,
    *arguments: str,
    largest: int | None = None,
    offline: bool = True,
    read_only: tuple[str, ...] = (),
) -> subprocess.CompletedProcess[str]:
    """The program on the demonstration's workspace; no file may grow beyond `largest` bytes."""

    def limit() -> None:
        if largest is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))

    return subprocess.run(
        [*(_read_only(*read_only) if read_only else ()),
         sys.executable, "-m", "discover_models", *(["--offline"] if offline else ()),
         "--workspace", "workspace",
         "--configs", str(demo.CONFIGS), "--hf-repo-id", MODEL, *arguments],
        cwd=folder,
        env={**_environment(largest), "XDG_CACHE_HOME": str(folder / "cache")},
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


NAMES = (
    b"--upload-pack=touch stolen", b"-x", b"$(touch stolen)", b"`touch stolen`", b"a\nb", b"a\tb",
    b"\xff\xfe", b"x|y", b"<img src=x>", b"::error::x", b"@octo #1", b"..x", b"{{ 7*7 }}",
    b"x" * 200,
)  # fmt: skip
PLACES = {
    "sglang": ("python/sglang/srt/models", b".py", b"class X:\n    pass\nEntryClass = X\n"),
    "flashinfer": ("flashinfer/norm", b".py", b"def rmsnorm(x): ...\n"),
    "sgl-cookbook": ("data/models/generated/v0.0.1", b".yaml", b"vendor: x\nfamilies: []\n"),
    "flashinfer-trace": ("workloads/rmsnorm", b".jsonl", b"{}\n"),
}


def _add(repository: Path, files: dict[bytes, bytes | Path]) -> None:
    """Commit files, or links, by their names."""
    place = os.fsencode(repository / PLACES[repository.name][0])
    os.makedirs(place, exist_ok=True)
    for name, content in files.items():
        path = os.path.join(place, name)
        if isinstance(content, Path):
            os.symlink(os.fsencode(content), path)
        else:
            with open(path, "wb") as file:
                file.write(content)
    git(repository, "add", "-A")
    git(repository, "commit", "-q", "-m", "Names")


def _verdicts(file: Path) -> dict[str, list[Any]]:
    said = ("phase1_status", "fi_status", "sgl_status", "fi_trace_template")
    kernels = json.loads(file.read_bytes())["kernels"]
    return {k["definition_name"]: [k.get(name) for name in said] for k in kernels}


def _tried(folder: Path, name: str) -> dict[str, list[Any]]:
    done = run(folder, "--manifest-dir", name, "--discover", "--since", "2020-01-01")
    assert "Traceback" not in done.stderr
    assert done.returncode == 0, done.stderr
    assert not list(folder.rglob("stolen"))
    kept = "".join(p.read_text(errors="replace") for p in folder.rglob("cache/*") if p.is_file())
    assert "sesame" not in f"{done.stdout}{done.stderr}{kept}".casefold()
    return _verdicts(folder / name / "demo-moe-16b.json")


@pytest.fixture
def links(folder: Path) -> dict[bytes, Path]:
    """Where links of a clone could lead, by their names."""
    secret = folder / "secret"
    secret.write_text("@flashinfer_api\ndef sesame_rmsnorm(x): ...\nclass Sesame: ...\n")
    return {b"loop": Path("loop"), b"zero": Path("/dev/zero"), b"out": secret}


def test_a_name_of_a_file_is_nothing_but_a_name(folder: Path, links: dict[bytes, Path]) -> None:
    before = _tried(folder, "before")
    for name, (_, suffix, content) in PLACES.items():
        files: dict[bytes, bytes | Path] = {odd + suffix: content for odd in NAMES}
        if name != "sglang":
            files |= {link + suffix: target for link, target in links.items()}
        _add(folder / "workspace" / name, {**files, b"up": Path("../../../..")})
    assert _tried(folder, "after") == before


def test_links_among_the_models_leave_verdicts_undecided(
    folder: Path, links: dict[bytes, Path]
) -> None:
    before = _tried(folder, "before")
    _add(folder / "workspace" / "sglang", {name + b".py": to for name, to in links.items()})
    after = _tried(folder, "after")
    assert after
    for name, verdicts in after.items():
        for old, new in zip(before.get(name, [None] * 4), verdicts, strict=True):
            assert new in (old, None), name


@pytest.fixture
def mounts(folder: Path) -> Path:
    """The folder with all that a run writes to, where folders can be shown as read-only."""
    for name in ("cache", "out"):
        (folder / name).mkdir()
    try:
        able = subprocess.run([*_read_only("out"), "true"], cwd=folder, check=False).returncode == 0
    except FileNotFoundError:
        able = False
    if not able:
        pytest.skip("no mount namespaces on this system")
    return folder


@pytest.mark.parametrize("what", ["workspace", "cache"])
def test_what_need_not_be_written_may_be_read_only(mounts: Path, what: str) -> None:
    done = run(mounts, "--manifest-dir", "out", read_only=(what,))
    assert done.returncode == 0, done.stderr
    assert _verdicts(mounts / "out" / "demo-moe-16b.json")


@pytest.mark.parametrize(
    ("option", "named"), [("--manifest-dir", "out"), ("--output", "out/list.md")]
)
def test_a_read_only_place_for_the_result_is_one_sentence(
    mounts: Path, option: str, named: str
) -> None:
    done = run(mounts, option, named, read_only=("workspace", "cache", "out"))
    assert done.returncode == 1
    assert "can't be written (Read-only file system)" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list((mounts / "out").iterdir())


def test_a_read_only_workspace_can_not_be_brought_up_to_date(mounts: Path) -> None:
    done = run(mounts, "--manifest-dir", "out", offline=False, read_only=("workspace",))
    assert done.returncode == 1
    (said,) = done.stderr.strip().splitlines()
    assert said == "discover-models: the workspace workspace can't be used: Read-only file system"


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
