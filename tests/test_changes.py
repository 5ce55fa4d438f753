"""What changed between two runs, in words, and over the time that the state branch remembers."""

import json
import subprocess
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from builders import existing, inventory, missing, required, supported
from discover_models import manifests
from discover_models.changes import News, changes, news
from discover_models.domain.kernel import ClassifiedKernel
from discover_models.domain.manifest import Manifest, from_inventory

Command = Callable[..., int]
NAME = "mla_paged_decode_h8_ckv512_kpe64_ps1"
DAYS = ("2026-10-01", "2026-10-08", "2026-10-15", "2026-10-22")


def manifest(*kernels: ClassifiedKernel, slug: str = "sample", day: str = DAYS[0]) -> Manifest:
    item = inventory(*kernels, model_slug=slug, hf_repo_id=f"org/{slug}")
    return from_inventory(item, date.fromisoformat(day))


def words(old: ClassifiedKernel | None, new: ClassifiedKernel | None) -> list[tuple[str, str]]:
    before = manifest(*([old] if old else []))
    after = manifest(*([new] if new else []))
    return [(c.kind, c.words) for c in changes(before, after)]


UNCALLED = {"sgl_status": "sgl_missing"}


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (None, missing(NAME), ("new", "newly needed")),
        (missing(NAME), None, ("gone", "no longer needed")),
        (missing(NAME), existing(NAME), ("better", "in the dataset now")),
        (existing(NAME), supported(NAME), ("worse", "no longer in the dataset")),
        (
            supported(NAME, **UNCALLED),
            supported(NAME),
            ("better", "SGLang calls it now"),
        ),
        (
            supported(NAME),
            supported(NAME, **UNCALLED),
            ("worse", "SGLang no longer calls it"),
        ),
        (
            supported(NAME, fi_trace_template=False),
            supported(NAME),
            ("better", "FlashInfer has a trace template for it now"),
        ),
        (
            existing(NAME, workloads=False),
            existing(NAME),
            ("better", "the dataset has workloads for it now"),
        ),
    ],
)
def test_each_change_has_its_words(
    old: ClassifiedKernel | None, new: ClassifiedKernel | None, said: tuple[str, str]
) -> None:
    assert words(old, new) == [said]


def test_a_kernel_that_arrives_in_flashinfer_says_so() -> None:
    assert ("better", "FlashInfer has it now") in words(missing(NAME), supported(NAME))


def test_what_is_no_fact_is_no_news() -> None:
    moved = supported(NAME, evidence=(), notes=("a note",))
    assert words(supported(NAME), moved) == []
    assert news(manifest(supported(NAME)), manifest(moved), DAYS[1]) is None


def test_the_first_manifest_lists_nothing_and_a_long_list_is_cut() -> None:
    assert news(None, manifest(missing(NAME)), DAYS[0]) == News(day=DAYS[0], first=True)
    many = [missing(f"moe_e{n}") for n in range(100)]
    found = news(manifest(), manifest(*many), DAYS[1])
    assert found
    assert (len(found.changes), found.more) == (60, 40)


@pytest.fixture
def branch(tmp_path: Path) -> Path:
    """A repository whose state branch saw a kernel come, in four weekly runs."""
    repository = tmp_path / "repository"
    subprocess.run(["git", "init", "-q", "-b", "kernel-inventory", repository], check=True)
    other = required("rmsnorm_h1")
    runs = [
        {"one": [missing(NAME)]},
        {"one": [missing(NAME)], "two": [missing(NAME), existing("", required=other)]},
        {"one": [supported(NAME, **UNCALLED)], "two": [supported(NAME, **UNCALLED)]},
        {"one": [existing(NAME)], "two": [existing("", required=other)]},
    ]
    for day, models in zip(DAYS, runs, strict=True):
        for slug, kernels in models.items():
            path = repository / "manifests" / f"{slug}.json"
            manifests.save(path, manifest(*kernels, slug=slug, day=day))
        when = f"{day}T06:00:00+00:00"
        commit(repository, when)
    return repository


def commit(repository: Path, when: str) -> None:
    git = ("git", "-C", str(repository), "-c", "user.name=bot", "-c", "user.email=bot@localhost")
    subprocess.run([*git, "add", "manifests/*.json"], check=True)
    environment = {"GIT_COMMITTER_DATE": when, "GIT_AUTHOR_DATE": when, "PATH": "/usr/bin:/bin"}
    subprocess.run([*git, "commit", "-qm", "inventory"], check=True, env=environment)


EVENTS = [
    ("2026-10-01", "newly needed: FlashInfer does not have it", ["one"]),
    ("2026-10-08", "newly needed: FlashInfer does not have it", ["two"]),
    ("2026-10-15", "FlashInfer has it now", ["one", "two"]),
    ("2026-10-22", "in the dataset now", ["one"]),
    ("2026-10-22", "no longer needed", ["two"]),
]


@pytest.mark.parametrize("remote", [False, True])
def test_the_history_of_a_definition(
    command: Command, branch: Path, remote: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    place = branch.as_uri() if remote else str(branch)
    assert command("history", NAME, "--repository", place, "--format", "json") == 0
    found = json.loads(capsys.readouterr().out)
    assert [(e["day"], e["words"], e["models"]) for e in found] == EVENTS


def test_a_clone_knows_the_branch_of_its_origin(
    command: Command, branch: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "-q", branch, clone], check=True)
    subprocess.run(["git", "-C", clone, "checkout", "-q", "-b", "main"], check=True)
    subprocess.run(["git", "-C", clone, "branch", "-q", "-D", "kernel-inventory"], check=True)
    assert command("history", NAME, "--repository", str(clone)) == 0
    said = capsys.readouterr().out
    assert "2026-10-15  FlashInfer has it now" in said


def test_a_version_that_nobody_can_read_is_passed_over(
    command: Command, branch: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (branch / "manifests" / "one.json").write_text(f'{{"{NAME}"', "utf-8")
    commit(branch, "2026-10-29T06:00:00+00:00")
    assert command("history", NAME, "--repository", str(branch), "--format", "json") == 0
    assert len(json.loads(capsys.readouterr().out)) == len(EVENTS)


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["nosuch_h1"], "has ever named 'nosuch_h1'\n"),
        ([NAME[:-1]], f"has ever named '{NAME[:-1]}'; the nearest are {NAME}"),
        ([NAME, "--repository", "/"], "/ is no git repository"),
        ([NAME, "--branch", "other"], "has no branch 'other'"),
        ([NAME, "--branch", "--upload-pack=x"], "can't be the name of a branch"),
    ],
)
def test_what_is_not_there_is_a_sentence(
    command: Command, branch: Path, args: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command("history", "--repository", str(branch), *args) == 2
    assert said in capsys.readouterr().err
