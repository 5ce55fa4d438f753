"""Whole publishing runs with one source after the other missing, empty, unreadable or outdated.

Nobody may be asked for a kernel on the strength of a source that could not be read as it is today,
nothing that was published may be lost or closed, and people are told.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from action_host import REQUESTS, Host, host_in
from discover_models import demo
from emulator.server import Emulator
from hosts import KERNELS, REPOSITORY
from sources.git_repos import git

DOCUMENT = "docs/model_coverage.mdx"
GOOD_DOCUMENT = "## Summary\n\n| Model | Coverage |\n| --- | --- |\n| Older 1 | 1 / 2 |\n"
Break = Callable[[Path], object]


def emptied(repository: Path) -> None:
    """Everything was removed, and that was committed."""
    git(repository, "rm", "-q", "-r", ".")
    git(repository, "commit", "-q", "-m", "Remove everything")


def damaged(repository: Path) -> None:
    (repository / ".git" / "HEAD").write_text("nonsense", "utf-8")


WAYS: dict[str, Break] = {"missing": shutil.rmtree, "empty": emptied, "damaged": damaged}


def replaced(repository: Path, files: dict[str, str]) -> None:
    """Other files in place of all, as a commit."""
    git(repository, "rm", "-q", "-r", ".")
    for name, text in files.items():
        path = repository / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    git(repository, "add", "-A")
    git(repository, "commit", "-q", "-m", "Another state")


OLD_PACKAGE = {
    "__init__.py": "from . import decode, norm\n",
    "norm.py": "def rmsnorm(input, weight, eps=1e-6):\n    return input\n",
    "decode.py": (
        "class BatchDecodeWithPagedKVCacheWrapper:\n"
        "    def plan(self, indptr): ...\n"
        "    def run(self, q, paged_kv_cache): ...\n"
    ),
}


def flashinfer_0_1_6(repository: Path) -> None:
    files = {f"python/flashinfer/{name}": text for name, text in OLD_PACKAGE.items()}
    project = '[project]\nname = "flashinfer"\nversion = "0.1.6"\n'
    replaced(repository, {**files, "python/pyproject.toml": project})


def flashinfer_0_2(repository: Path) -> None:
    files = {f"flashinfer/{name}": text for name, text in OLD_PACKAGE.items()}
    replaced(repository, {**files, "version.txt": "0.2.0\n"})


def without_lfs(repository: Path) -> None:
    """A clone without Git LFS holds pointers in place of files."""
    for path in repository.glob("definitions/*/*.json"):
        path.write_text(
            "version https://git-lfs.github.com/spec/v1\n"
            f"oid sha256:{'0' * 64}\nsize {path.stat().st_size}\n",
            "utf-8",
        )
    git(repository, "commit", "-q", "-a", "-m", "Pointers")


def bad_yaml(repository: Path) -> None:
    for path in repository.glob("data/models/generated/*/*.yaml"):
        path.write_text("vendor: [\n", "utf-8")
    git(repository, "commit", "-q", "-a", "-m", "Half a file")


CASES: dict[str, tuple[str, Break]] = {
    **{f"{name} {way}": (name, WAYS[way]) for name in demo.REPOSITORIES for way in WAYS},
    "flashinfer 0.1.6": ("flashinfer", flashinfer_0_1_6),
    "flashinfer 0.2": ("flashinfer", flashinfer_0_2),
    "flashinfer-trace without LFS": ("flashinfer-trace", without_lfs),
    "sgl-cookbook half a file": ("sgl-cookbook", bad_yaml),
}


@pytest.fixture
def host(emulator: Emulator, tmp_path: Path) -> Host:
    found = host_in(tmp_path, emulator)
    document = found.runner.workspace / DOCUMENT
    document.parent.mkdir(parents=True)
    document.write_text(GOOD_DOCUMENT, "utf-8")
    return found


@pytest.mark.parametrize("case", CASES)
def test_one_faulty_source_asks_for_nothing_and_loses_nothing(host: Host, case: str) -> None:
    name, broken = CASES[case]
    repository = host.workspace / name
    kept = repository.with_name(f"{name}.kept")
    shutil.copytree(repository, kept, symlinks=True)

    def restored() -> None:
        shutil.rmtree(repository, ignore_errors=True)
        shutil.copytree(kept, repository, symlinks=True)

    # Failing from the first run on.
    broken(repository)
    code = 1 if name == "flashinfer-trace" else 0
    assert host.run(**REQUESTS) == code, host.log
    assert host.issues(KERNELS) == []
    assert f"**Not refreshed:** {name} (" in host.dashboard()
    restored()
    assert host.run(**REQUESTS) == 0, host.log
    assert "Not refreshed" not in host.dashboard()
    wanted, asked, said = host.shown(), host.shown(KERNELS), host.verdicts()
    assert len(asked) == 2
    assert all(url in str(said) for url in (f"{KERNELS}/issues/1", f"{KERNELS}/issues/2"))

    # Failing later: what was there stays, and the dashboard alone says so.
    broken(repository)
    (number,) = (i.number for i in host.issues() if "dashboard" in i.title)
    dashboard = f"/repos/{REPOSITORY}/issues/{number}"
    before = len(host.emulator.writes())
    assert host.run(**REQUESTS) == code, host.log
    assert f"**Not refreshed:** {name} (" in host.dashboard()
    assert any(line.startswith("::") and name in line for line in host.log), host.log
    assert host.shown(KERNELS) == asked
    assert [i.state for i in host.issues()] == ["open"] * len(wanted)
    assert [w.path for w in host.emulator.writes()[before:]] == [dashboard]
    before = len(host.emulator.writes())
    assert host.verdicts() == said
    assert host.record()["published"]
    restored()
    assert host.run(**REQUESTS) == 0, host.log
    assert [w.path for w in host.emulator.writes()[before:]] == [dashboard]
    assert host.shown() == wanted
    assert host.shown(KERNELS) == asked
    assert host.verdicts() == said


@pytest.mark.parametrize("text", [b"", b"# Another page\n", b"\xff\xfe", None])
def test_a_coverage_document_that_can_not_be_read_stops_nothing(
    host: Host, text: bytes | None
) -> None:
    document = host.runner.workspace / DOCUMENT
    document.unlink()
    document.mkdir() if text is None else document.write_bytes(text)
    assert host.run() == 0, host.log
    assert len(host.titles()) == 3
    said = "coverage document" in host.dashboard()
    assert said
    assert any("coverage document" in line for line in host.log)


def only_one_version(repository: Path) -> None:
    generated = repository / "data/models/generated"
    (generated / "v0.0.1").rename(generated / "v0.5.6")
    git(repository, "add", "-A")
    git(repository, "commit", "-q", "-m", "One version alone")


def pointers_for_workloads(repository: Path) -> None:
    for path in repository.glob("workloads/*/*.jsonl"):
        path.write_text(f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\n")
    git(repository, "commit", "-q", "-a", "-m", "Pointers")


def shallow(repository: Path) -> None:
    git(repository, "commit", "-q", "--allow-empty", "-m", "Another commit")
    aside = repository.with_name("deep")
    repository.rename(aside)
    git(aside, "clone", "-q", "--depth=1", aside.as_uri(), str(repository))


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("sgl-cookbook", only_one_version),
        ("flashinfer-trace", pointers_for_workloads),
        *((name, shallow) for name in demo.REPOSITORIES),
    ],
)
def test_what_says_the_same_otherwise_changes_nothing(host: Host, name: str, change: Break) -> None:
    assert host.run(**REQUESTS) == 0, host.log
    wanted, asked, said = host.shown(), host.shown(KERNELS), host.verdicts()
    change(host.workspace / name)
    assert host.run(**REQUESTS) == 0, host.log
    assert "Not refreshed" not in host.dashboard()
    assert [w[:4] for w in host.shown()] == [w[:4] for w in wanted]
    assert host.shown(KERNELS) == asked
    assert host.verdicts() == said
