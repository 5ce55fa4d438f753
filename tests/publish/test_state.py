"""The state branch in real git repositories, and how two versions of a state become one."""

from __future__ import annotations

import base64
import json
import os
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

import builders
from discover_models.domain.manifest import Manifest, from_inventory
from discover_models.publish.issues import PublishError
from discover_models.publish.state import StateBranch
from discover_models.publish.state_value import (
    PublishState,
    assign_slugs,
    from_files,
    to_files,
    unite,
    usable_slug,
)
from hosts import FakeTime

NOW = datetime(2026, 11, 23, 6, tzinfo=UTC)
BRANCH = "kernel-inventory"


def git(folder: Path, *args: str) -> str:
    command = ["git", "-C", str(folder), "-c", "user.name=x", "-c", "user.email=x@x", *args]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    folder = tmp_path / "remote.git"
    folder.mkdir()
    git(folder, "init", "--quiet", "--bare", "-b", "main", ".")
    return folder


def store(bare: Path, time: FakeTime | None = None, **fields: Any) -> StateBranch:
    return StateBranch(bare.as_uri(), BRANCH, (time or FakeTime()).timing(), **fields)


def manifest(slug: str = "alpha", **extra: Any) -> Manifest:
    found = builders.inventory(builders.missing("moe_x"), model_slug=slug, hf_repo_id=f"o/{slug}")
    made = from_inventory(found, NOW.date())
    return Manifest.model_validate({**made.model_dump(exclude_unset=True), **extra})


def state(*slugs: str, **fields: Any) -> PublishState:
    values: dict[str, Any] = {
        "repository": "octo/bench",
        "issues": {f"tracking/{slug}": n for n, slug in enumerate(slugs, 1)},
        "slugs": {f"o/{slug}": slug for slug in slugs},
        "last_complete_run": NOW,
        "manifests": {slug: manifest(slug) for slug in slugs},
    }
    return PublishState(**{**values, **fields})


def commits(bare: Path) -> int:
    return int(git(bare, "rev-list", "--count", BRANCH))


def test_without_a_branch_the_state_is_empty(bare: Path):
    assert store(bare).load() == PublishState()


def test_what_was_saved_is_loaded(bare: Path):
    assert store(bare).save(state("alpha", "beta")).stored
    assert store(bare).load() == state("alpha", "beta")
    assert git(bare, "ls-tree", "-r", "--name-only", BRANCH).split() == [
        "manifests/alpha.json",
        "manifests/beta.json",
        "state.json",
    ]
    assert git(bare, "log", "-1", "--format=%an", BRANCH) == "github-actions[bot]"


def test_the_branch_has_no_other_history(bare: Path, tmp_path: Path):
    work = tmp_path / "work"
    git(tmp_path, "clone", "--quiet", str(bare), str(work))
    git(work, "commit", "--quiet", "--allow-empty", "-m", "code")
    git(work, "push", "--quiet", "origin", "HEAD:main")
    store(bare).save(state("alpha"))
    assert git(bare, "rev-list", "--count", BRANCH) == "1"
    assert git(bare, "rev-list", "--count", "main") == "1"


def test_an_equal_state_makes_no_commit(bare: Path):
    store(bare).save(state("alpha"))
    store(bare).save(state("alpha"))
    assert commits(bare) == 1


def test_files_of_others_stay(bare: Path, tmp_path: Path):
    store(bare).save(state("alpha"))
    work = tmp_path / "work"
    git(tmp_path, "clone", "--quiet", "-b", BRANCH, str(bare), str(work))
    (work / "README.md").write_text("Mine\n")
    (work / "manifests" / "link.json").symlink_to("/etc/passwd")
    git(work, "add", "-A")
    git(work, "commit", "--quiet", "-m", "mine")
    git(work, "push", "--quiet")
    store(bare).save(state("alpha", "beta"))
    assert git(bare, "show", f"{BRANCH}:README.md") == "Mine"
    assert set(store(bare).load().manifests) == {"alpha", "beta"}


def test_two_runs_that_save_at_once_lose_nothing(bare: Path, monkeypatch: pytest.MonkeyPatch):
    """The other run pushes between this one's fetch and its push."""
    ours = state("alpha", manifests={"alpha": manifest(phase2_status="ours")})
    theirs = state("beta", manifests={"alpha": manifest(phase4="theirs"), "beta": manifest("beta")})
    time = FakeTime()
    run, raced = subprocess.run, list[bool]()

    def racing(command: Any, **kwargs: Any) -> Any:
        if "push" in command and not raced:
            raced.append(True)
            assert store(bare).save(theirs).stored
        return run(command, **kwargs)

    monkeypatch.setattr(subprocess, "run", racing)
    assert store(bare, time).save(ours).stored
    merged = store(bare).load()
    assert merged.manifests["alpha"].foreign() == {"phase2_status": "ours", "phase4": "theirs"}
    assert set(merged.manifests) == {"alpha", "beta"}
    assert commits(bare) == 2
    assert time.slept == [1.0]


def test_a_branch_that_rules_forbid_is_said_and_not_tried_again(bare: Path):
    hook = bare / "hooks" / "pre-receive"
    hook.write_text("#!/bin/sh\necho 'GH013: Repository rule violations found' >&2\nexit 1\n")
    hook.chmod(0o755)
    time = FakeTime()
    saved = store(bare, time).save(state("alpha"))
    assert (saved.stored, time.slept) == (False, [])
    assert "GH013" in saved.reason


def test_a_repository_that_is_not_there_is_an_error_to_load_and_a_reason_to_save(tmp_path: Path):
    gone = store(tmp_path / "gone.git")
    with pytest.raises(PublishError, match="can't be read"):
        gone.load()
    assert not gone.save(state("alpha")).stored


@pytest.mark.parametrize(
    ("path", "text", "complaint"),
    [
        ("state.json", "{", "can't be used"),
        ("state.json", '{"format": 99}', "newer version"),
        ("manifests/alpha.json", "{}", "can't be used"),
    ],
)
def test_a_state_that_can_not_be_used_is_not_written_over(
    bare: Path, tmp_path: Path, path: str, text: str, complaint: str
):
    store(bare).save(state("alpha"))
    work = tmp_path / "work"
    git(tmp_path, "clone", "--quiet", "-b", BRANCH, str(bare), str(work))
    (work / path).write_text(text)
    git(work, "commit", "--quiet", "-am", "break it")
    git(work, "push", "--quiet")
    with pytest.raises(PublishError, match=complaint):
        store(bare).load()
    saved = store(bare).save(state("alpha", "beta"))
    assert not saved.stored
    assert complaint in saved.reason
    assert commits(bare) == 2


def test_the_users_git_settings_and_hooks_play_no_part(
    bare: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / ".gitconfig").write_text("[core]\n\thooksPath = /nowhere\n[commit]\n\tgpgSign=1\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    monkeypatch.setenv("GIT_INDEX_FILE", "/nowhere/index")
    assert store(bare).save(state("alpha")).stored


def test_the_token_goes_only_through_the_environment_and_only_to_its_host(
    bare: Path, monkeypatch: pytest.MonkeyPatch
):
    seen: list[tuple[list[str], dict[str, str]]] = []

    def watching(command: Any, **kwargs: Any) -> Any:
        seen.append((list(command), kwargs["env"]))
        return subprocess.CompletedProcess(command, 0, b"", b"")

    monkeypatch.setattr(subprocess, "run", watching)
    canary = "ghs_canary0123456789"
    branch = StateBranch("https://github.com/octo/bench", BRANCH, FakeTime().timing(), token=canary)
    branch.load()
    store(bare, token=canary).load()
    encoded = base64.b64encode(f"x-access-token:{canary}".encode()).decode()
    shown = repr(branch) + repr([command for command, _ in seen])
    assert canary not in shown
    assert encoded not in shown
    assert any(encoded in value for _, env in seen for value in env.values())
    keys = {v for _, env in seen for k, v in env.items() if k.startswith("GIT_CONFIG_KEY")}
    assert "http.https://github.com/.extraHeader" in keys
    assert not [v for v in keys if v.startswith("http.file")]


@pytest.mark.parametrize(
    ("url", "branch"),
    [
        ("https://user:secret@github.com/o/r", BRANCH),
        ("ssh://github.com/o/r", BRANCH),
        ("--upload-pack=x", BRANCH),
        ("https://github.com/o/r", "-d"),
        ("https://github.com/o/r", "a..b"),
        ("https://github.com/o/r", "a b"),
        ("https://github.com/o/r", ""),
    ],
)
def test_addresses_and_branches_that_could_do_harm_are_refused(url: str, branch: str):
    with pytest.raises(PublishError) as caught:
        StateBranch(url, branch, FakeTime().timing())
    assert "secret" not in str(caught.value)


def test_files_say_everything_and_nothing_else():
    whole = state("alpha", "beta")
    files = to_files(whole)
    assert from_files({**files, "README.md": b"x", "manifests/x/y.json": b"x"}) == whole
    assert json.loads(files["state.json"])["format"] == 1


def test_of_two_states_the_older_numbers_and_assignments_and_the_later_run_stay():
    later = NOW + timedelta(days=1)
    theirs = state("alpha", issues={"tracking/alpha": 7}, slugs={"o/A": "alpha"})
    ours = state(
        "alpha",
        issues={"tracking/alpha": 9, "dashboard/all": 3},
        slugs={"o/A": "other", "o/B": "b"},
        last_complete_run=later,
    )
    united = unite(theirs, ours)
    assert united.issues == {"tracking/alpha": 7, "dashboard/all": 3}
    assert united.slugs == {"o/A": "alpha", "o/B": "b"}
    assert united.last_complete_run == later
    elsewhere = theirs.model_copy(update={"repository": "octo/fork"})
    assert unite(elsewhere, ours).issues == ours.issues


def test_of_two_models_with_one_slug_the_first_keeps_it():
    other = from_inventory(builders.inventory(model_slug="alpha", hf_repo_id="p/alpha"), NOW.date())
    ours = state("alpha", manifests={"alpha": other}, slugs={"p/alpha": "alpha"})
    united = unite(state("alpha"), ours)
    assert united.manifests["alpha"].hf_repo_id == "o/alpha"
    assert assign_slugs(united, [("p/alpha", "alpha")]) == {"p/alpha": "p--alpha"}


def test_slugs_stay_with_who_had_them_first():
    known = state("alpha", slugs={})
    assert assign_slugs(known, [("O/Alpha", "alpha"), ("q/Alpha", "alpha")]) == {
        "O/Alpha": "alpha",
        "q/Alpha": "q--alpha",
    }
    new = [("b/X", "x"), ("a/X", "x"), ("a/x.", "x")]
    assert assign_slugs(PublishState(), new) == {"a/X": "x", "a/x.": "a--x", "b/X": "b--x"}


@pytest.mark.parametrize("slug", ["", "..", ".git", "-x", "a/b", "a b", "a\n", "ä"])
def test_slugs_that_can_not_be_file_names(slug: str):
    assert not usable_slug(slug)
    assert usable_slug("qwen3-next--80b_a3b.v2")


def test_no_folder_is_left_behind(bare: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    store(bare).save(state("alpha"))
    store(bare).load()
    assert os.listdir(scratch) == []
