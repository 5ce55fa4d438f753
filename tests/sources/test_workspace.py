import multiprocessing
import os
import re
import shutil
import signal
import sys
import threading
import time
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from git_repos import Remote, git

from discover_models.sources.git import Git, GitError, read_blobs
from discover_models.sources.source_spec import SourceName, SourceSpec
from discover_models.sources.workspace import RepoState, Workspace

SINCE = datetime(2026, 3, 1, tzinfo=UTC)
MODEL = "python/sglang/srt/models/{}.py"


@pytest.fixture(autouse=True)
def no_outside_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))


@pytest.fixture
def remote(tmp_path: Path) -> Remote:
    remote = Remote(tmp_path / "remote")
    remote.commit("2026-01-01T00:00:00Z", {MODEL.format("first"): "1\n", "csrc/big.cu": "x\n"})
    remote.commit("2026-02-01T00:00:00Z", {MODEL.format("second"): "2\n"})
    remote.commit("2026-03-02T00:00:00Z", {MODEL.format("third"): "3\n"})
    remote.commit("2026-04-01T00:00:00Z", {MODEL.format("first"): "1 changed\n"})
    return remote


def prepare(
    root: Path,
    remote: Remote,
    *,
    revision: str = "",
    since: datetime | None = SINCE,
    offline: bool = False,
    name: SourceName = "sglang",
) -> RepoState:
    spec = SourceSpec(name=name, url=remote.url, revision=revision)
    return Workspace(root, offline=offline).prepare([spec], since)[name]


def head(remote: Remote, revision: str = "HEAD") -> str:
    return git(remote.folder, "rev-parse", revision)


def test_clone_holds_the_window_and_the_commit_before_it(tmp_path: Path, remote: Remote) -> None:
    state = prepare(tmp_path / "ws", remote)
    assert state.error == ""
    assert state.commit == head(remote)
    assert state.date == datetime(2026, 4, 1, tzinfo=UTC)
    assert state.base is not None
    assert (state.base.commit, state.base.kind) == (head(remote, "HEAD~2"), "before")
    assert state.shallow
    assert git(state.path, "rev-list", "--count", "HEAD") == "3"


def test_clone_fetches_no_more_than_is_read(tmp_path: Path, remote: Remote) -> None:
    git(remote.folder, "tag", "v1")
    git(remote.folder, "branch", "other", "HEAD~1")
    state = prepare(tmp_path / "ws", remote)
    files = {p.relative_to(state.path).as_posix() for p in state.path.rglob("*.*") if p.is_file()}
    assert {f for f in files if not f.startswith(".git/")} == {
        MODEL.format(n) for n in ("first", "second", "third")
    }
    assert git(state.path, "tag") == ""
    assert "other" not in git(state.path, "for-each-ref")
    missing = git(state.path, "rev-list", "--objects", "--all", "--missing=print").splitlines()
    assert any(line.startswith("?") for line in missing), "blobs outside the folders were fetched"


def test_old_sides_are_there_offline(tmp_path: Path, remote: Remote) -> None:
    state = prepare(tmp_path / "ws", remote)
    shutil.rmtree(remote.folder)
    git_there = Git(state.path, network=False)
    assert state.base is not None
    oid = git_there.text("rev-parse", f"{state.base.commit}:{MODEL.format('first')}")
    assert read_blobs(git_there, [oid]) == {oid: b"1\n"}


def test_no_commit_in_the_window(tmp_path: Path, remote: Remote) -> None:
    state = prepare(tmp_path / "ws", remote, since=datetime(2026, 6, 1, tzinfo=UTC))
    assert state.error == ""
    assert state.base is not None
    assert (state.base.commit, state.base.kind) == (state.commit, "before")


def test_first_commit_in_the_window_is_what_is_compared_with(
    tmp_path: Path, remote: Remote
) -> None:
    state = prepare(tmp_path / "ws", remote, since=datetime(2025, 6, 1, tzinfo=UTC))
    assert state.base is not None
    assert (state.base.commit, state.base.kind) == (head(remote, "HEAD~3"), "root")


def test_a_later_run_that_looks_further_back_deepens(tmp_path: Path, remote: Remote) -> None:
    prepare(tmp_path / "ws", remote, since=datetime(2026, 6, 1, tzinfo=UTC))
    state = prepare(tmp_path / "ws", remote, since=datetime(2026, 1, 15, tzinfo=UTC))
    assert state.base is not None
    assert (state.base.commit, state.base.kind) == (head(remote, "HEAD~3"), "before")


def test_boundary_of_a_shallow_clone_is_no_first_commit(tmp_path: Path, remote: Remote) -> None:
    ws = tmp_path / "ws"
    ws.mkdir()
    git(ws, "clone", "-q", "--depth=2", remote.url, "sglang")
    state = prepare(ws, remote, offline=True)
    assert state.base is not None
    assert (state.base.commit, state.base.kind) == (head(remote, "HEAD~1"), "boundary")


def test_the_window_starts_at_its_first_second(tmp_path: Path, remote: Remote) -> None:
    last = remote.commit("2026-05-09T23:59:59Z", {MODEL.format("x"): "x\n"})
    for second in ("00:00:00", "00:00:01"):
        remote.commit(f"2026-05-10T{second}Z", {MODEL.format("x"): second})
    state = prepare(tmp_path / "ws", remote, since=datetime(2026, 5, 10, tzinfo=UTC))
    assert state.base is not None
    assert (state.base.commit, state.base.kind) == (last, "before")


def test_the_window_starts_where_it_is_said_whatever_the_time_zone(
    tmp_path: Path, remote: Remote
) -> None:
    east = timezone(timedelta(hours=9))
    state = prepare(tmp_path / "ws", remote, since=datetime(2026, 4, 1, 10, tzinfo=east))
    assert state.base is not None
    assert state.base.commit == head(remote), "01:00 UTC lies behind the last commit"


def test_commits_whose_dates_are_out_of_order(tmp_path: Path, remote: Remote) -> None:
    remote.commit("2026-01-05T00:00:00Z", {MODEL.format("late"): "written long ago\n"})
    remote.commit("2026-05-01T00:00:00Z", {MODEL.format("new"): "n\n"})
    state = prepare(tmp_path / "ws", remote)
    assert state.error == ""
    assert state.base is not None
    assert state.base.commit == head(remote, "HEAD~1")


def test_same_run_twice_changes_nothing(tmp_path: Path, remote: Remote) -> None:
    first = prepare(tmp_path / "ws", remote)
    assert prepare(tmp_path / "ws", remote) == first


def test_a_refresh_with_nothing_new_asks_the_remote_once(
    tmp_path: Path, remote: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = prepare(tmp_path / "ws", remote)
    asked = tmp_path / "asked"
    script = tmp_path / "bin" / "git"
    script.parent.mkdir()
    # Every service of the remote that git starts is one connection over the network.
    script.write_text(f'#!/bin/sh\nGIT_TRACE={asked} exec {shutil.which("git")} "$@"\n')
    script.chmod(0o755)
    monkeypatch.setenv("PATH", str(script.parent), prepend=os.pathsep)
    assert prepare(tmp_path / "ws", remote) == before
    trace = asked.read_text()
    assert len(re.findall(r"trace: (?:run_command|start_command): .*upload-pack", trace)) == 1


def test_a_new_commit_is_fetched(tmp_path: Path, remote: Remote) -> None:
    prepare(tmp_path / "ws", remote)
    new = remote.commit(
        "2026-05-01T00:00:00Z", {MODEL.format("fourth"): "4\n", MODEL.format("third"): None}
    )
    state = prepare(tmp_path / "ws", remote)
    assert state.commit == new
    assert (state.path / MODEL.format("fourth")).read_text() == "4\n"
    assert not (state.path / MODEL.format("third")).exists()


def test_a_forced_push_is_followed(tmp_path: Path, remote: Remote) -> None:
    prepare(tmp_path / "ws", remote)
    git(remote.folder, "reset", "-q", "--hard", "HEAD~2")
    new = remote.commit("2026-05-01T00:00:00Z", {MODEL.format("other"): "o\n"})
    state = prepare(tmp_path / "ws", remote)
    assert (state.error, state.commit) == ("", new)


@pytest.mark.parametrize("kind", ["branch", "tag", "commit"])
def test_revision(tmp_path: Path, remote: Remote, kind: str) -> None:
    wanted = head(remote, "HEAD~1")
    if kind != "commit":
        git(remote.folder, kind, "release/v1", wanted)
    revision = wanted if kind == "commit" else "release/v1"
    state = prepare(tmp_path / "ws", remote, revision=revision)
    assert (state.error, state.commit) == ("", wanted)


def test_unknown_revision_is_said(tmp_path: Path, remote: Remote) -> None:
    state = prepare(tmp_path / "ws", remote, revision="nowhere")
    assert state.commit is None
    assert "no branch or tag 'nowhere'" in state.error


def test_one_source_failing_does_not_stop_the_others(tmp_path: Path, remote: Remote) -> None:
    gone = SourceSpec(name="flashinfer", url=(tmp_path / "gone").as_uri())
    there = SourceSpec(name="sglang", url=remote.url)
    states = Workspace(tmp_path / "ws").prepare([gone, there], SINCE)
    assert not states["flashinfer"].usable
    assert "gone" in states["flashinfer"].error
    assert states["sglang"].usable
    assert sorted(p.name for p in (tmp_path / "ws").iterdir()) == [
        ".discover-models.lock",
        "sglang",
    ]


def test_empty_repository_is_an_error_of_its_own(tmp_path: Path) -> None:
    state = prepare(tmp_path / "ws", Remote(tmp_path / "empty"))
    assert not state.usable
    assert state.error


def test_remote_gone_keeps_what_is_there(tmp_path: Path, remote: Remote) -> None:
    before = prepare(tmp_path / "ws", remote)
    shutil.move(remote.folder, tmp_path / "elsewhere")
    after = prepare(tmp_path / "ws", remote)
    assert after.commit == before.commit
    assert "ls-remote failed" in after.error


# Somebody's work


def test_uncommitted_work_is_never_touched(tmp_path: Path, remote: Remote) -> None:
    state = prepare(tmp_path / "ws", remote)
    mine = state.path / MODEL.format("first")
    mine.write_text("my work\n")
    remote.commit("2026-05-01T00:00:00Z", {MODEL.format("first"): "theirs\n"})
    after = prepare(tmp_path / "ws", remote)
    assert mine.read_text() == "my work\n"
    assert "uncommitted work" in after.error
    assert "first.py" in after.error
    assert (after.commit, after.dirty) == (state.commit, True)


@pytest.mark.parametrize("staged", [False, True])
def test_new_files_are_work_too(tmp_path: Path, remote: Remote, staged: bool) -> None:
    state = prepare(tmp_path / "ws", remote)
    (state.path / "python/sglang/new.py").write_text("mine\n")
    if staged:
        git(state.path, "add", "python/sglang/new.py")
    after = prepare(tmp_path / "ws", remote)
    assert "uncommitted work" in after.error
    assert (state.path / "python/sglang/new.py").read_text() == "mine\n"


def test_own_commits_keep_a_name(tmp_path: Path, remote: Remote) -> None:
    state = prepare(tmp_path / "ws", remote)
    (state.path / MODEL.format("mine")).write_text("m\n")
    git(state.path, "add", "-A")
    git(state.path, "commit", "-q", "-m", "mine")
    mine = git(state.path, "rev-parse", "HEAD")
    after = prepare(tmp_path / "ws", remote)
    assert (after.error, after.commit) == ("", head(remote))
    assert mine in git(state.path, "for-each-ref", "--format=%(objectname)")


def test_somebody_elses_clone_keeps_its_settings(tmp_path: Path, remote: Remote) -> None:
    ws = tmp_path / "ws"
    ws.mkdir()
    git(ws, "clone", "-q", remote.url, "sglang")
    config = (ws / "sglang/.git/config").read_text()
    new = remote.commit("2026-05-01T00:00:00Z", {"csrc/more.cu": "y\n"})
    state = prepare(ws, remote)
    assert (state.error, state.commit) == ("", new)
    assert (ws / "sglang/.git/config").read_text() == config
    assert (ws / "sglang/csrc/more.cu").exists(), "a full checkout stays full"
    assert not state.shallow
    assert git(ws / "sglang", "rev-parse", "main") == head(remote, "HEAD~1")


def test_files_without_a_repository_are_left_alone(tmp_path: Path, remote: Remote) -> None:
    (tmp_path / "ws/sglang").mkdir(parents=True)
    (tmp_path / "ws/sglang/notes.txt").write_text("mine\n")
    state = prepare(tmp_path / "ws", remote)
    assert "no git repository" in state.error
    assert (tmp_path / "ws/sglang/notes.txt").read_text() == "mine\n"


def test_a_submodule_is_neither_fetched_nor_run(
    tmp_path: Path, remote: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Though the user's own settings ask for submodules everywhere."""
    home = tmp_path / "home"
    home.mkdir()
    (home / ".gitconfig").write_text(
        "[submodule]\n\trecurse = true\n\tactive = .\n[fetch]\n\trecurseSubmodules = yes\n"
    )
    monkeypatch.setenv("HOME", str(home))
    inner = Remote(tmp_path / "inner")
    sha = inner.commit("2026-01-01T00:00:00Z", {"python/x.py": "x\n"})
    place = "python/sglang/inner"

    def add(commit: str) -> str:
        (remote.folder / ".gitmodules").write_text(
            f'[submodule "inner"]\n\tpath = {place}\n\turl = {inner.url}\n'
            f"\tupdate = !touch {tmp_path}/ran\n"
        )
        git(remote.folder, "add", ".gitmodules")
        git(remote.folder, "update-index", "--add", "--cacheinfo", f"160000,{commit},{place}")
        git(remote.folder, "commit", "-q", "-m", "inner")
        return head(remote)

    for commit in (sha, inner.commit("2026-01-02T00:00:00Z", {"python/y.py": "y\n"})):
        wanted = add(commit)
        state = prepare(tmp_path / "ws", remote)
        assert (state.error, state.commit) == ("", wanted)
        assert not list((state.path / place).glob("*"))
        assert not (state.path / ".git/modules").exists()
    assert not (tmp_path / "ran").exists()


# Offline


def test_offline_changes_nothing(tmp_path: Path, remote: Remote) -> None:
    ws = tmp_path / "ws"
    online = prepare(ws, remote)
    remote.commit("2026-05-01T00:00:00Z", {MODEL.format("fourth"): "4\n"})
    (ws / ".discover-models.lock").unlink()
    before = snapshot(ws)
    assert prepare(ws, remote, offline=True) == online
    assert snapshot(ws) == before


def snapshot(folder: Path) -> dict[str, tuple[int, int]]:
    return {
        str(p): (p.lstat().st_size, p.lstat().st_mtime_ns)
        for p in folder.rglob("*")
        if not p.is_dir()
    }


def test_offline_reads_a_local_commit(tmp_path: Path, remote: Remote) -> None:
    state = prepare(tmp_path / "ws", remote)
    git(state.path, "commit", "-q", "--allow-empty", "-m", "mine")
    assert prepare(tmp_path / "ws", remote, offline=True).commit == git(
        state.path, "rev-parse", "HEAD"
    )


def test_offline_never_takes_the_repository_around_the_workspace(
    tmp_path: Path, remote: Remote
) -> None:
    outer = Remote(tmp_path / "project")
    outer.commit("2026-01-01T00:00:00Z", {"tmp/sglang/a.py": "a\n"})
    state = prepare(outer.folder / "tmp", remote, offline=True)
    assert not state.usable
    assert state.error


def test_missing_folder_offline(tmp_path: Path, remote: Remote) -> None:
    (tmp_path / "ws").mkdir()
    state = prepare(tmp_path / "ws", remote, offline=True)
    assert not state.usable
    assert "is not there" in state.error


def test_offline_fetches_no_missing_blob(tmp_path: Path, remote: Remote) -> None:
    state = prepare(tmp_path / "ws", remote)
    oid = git(remote.folder, "rev-parse", "HEAD:csrc/big.cu")
    with pytest.raises(GitError):
        read_blobs(Git(state.path, network=False), [oid])
    assert read_blobs(Git(state.path), [oid]) == {oid: b"x\n"}


# Killed


def die_at(call: int, tmp_path: Path, *, during: str = "") -> Path:
    """A folder with a `git` that kills its caller: before the given call, or in a checkout."""
    folder = tmp_path / "bin"
    folder.mkdir(exist_ok=True)
    count = tmp_path / "count"
    count.write_text("0")
    real = shutil.which("git")
    script = folder / "git"
    script.write_text(
        f"""#!/bin/sh
n=$(($(cat {count}) + 1)); echo $n > {count}
if [ $n = {call} ]; then kill -9 $PPID; exit 1; fi
{during.replace("REAL", str(real))}
exec {real} "$@"
"""
    )
    script.chmod(0o755)
    return folder


def killed_run(ws: Path, remote: Remote, folder: Path) -> bool:
    """Run once with that git in the path; whether the run was killed."""

    def body() -> None:
        os.environ["PATH"] = f"{folder}:{os.environ['PATH']}"
        prepare(ws, remote)

    process = multiprocessing.get_context("fork").Process(target=body)
    process.start()
    process.join(60)
    return process.exitcode == -signal.SIGKILL


def assert_recovers(ws: Path, remote: Remote) -> None:
    state = prepare(ws, remote)
    assert (state.error, state.commit, state.dirty) == ("", head(remote), False)
    assert state.base is not None
    assert state.base.kind == "before"
    files = {p.name for p in (state.path / "python/sglang/srt/models").iterdir()}
    assert files == set(git(remote.folder, "ls-tree", "--name-only", "HEAD:" + MODELS).split())
    assert sorted(p.name for p in ws.iterdir()) == [".discover-models.lock", "sglang"]


MODELS = "python/sglang/srt/models"


def test_a_clone_killed_at_any_call_is_redone(tmp_path: Path, remote: Remote) -> None:
    calls = 0
    while killed_run(tmp_path / f"ws{calls}", remote, die_at(calls + 1, tmp_path)):
        calls += 1
        assert_recovers(tmp_path / f"ws{calls - 1}", remote)
    assert calls > 8


def test_a_refresh_killed_at_any_call_is_continued(tmp_path: Path, remote: Remote) -> None:
    calls = 0
    while True:
        ws = tmp_path / f"ws{calls}"
        prepare(ws, remote)
        remote.commit(
            f"2026-05-{calls // 24 + 1:02}T{calls % 24:02}:00:00Z",
            {MODEL.format("first"): f"{calls}\n", MODEL.format(f"n{calls}"): "n\n"},
        )
        if not killed_run(ws, remote, die_at(calls + 1, tmp_path)):
            break
        assert_recovers(ws, remote)
        calls += 1
    assert calls > 8


# What a checkout killed half-way leaves: the index of before, its lock, one file only begun,
# another not there yet.
HALF_CHECKOUT = """
case " $* " in *" checkout "*)
  cp "$(dirname "$0")/../ws/sglang/.git/index" "$(dirname "$0")/index"
  REAL "$@"
  cd "$(dirname "$0")/../ws/sglang"
  cp "$OLDPWD/$(dirname "$0" | sed "s#^$OLDPWD/##")/index" .git/index 2>/dev/null \\
    || cp "$(dirname "$0")/index" .git/index
  touch .git/index.lock .git/HEAD.lock
  printf 'the beg' > python/sglang/srt/models/first.py
  rm python/sglang/srt/models/fourth.py
  kill -9 $PPID; exit 1;;
esac
"""


def half_refreshed(tmp_path: Path, remote: Remote) -> Path:
    ws = tmp_path / "ws"
    prepare(ws, remote)
    remote.commit(
        "2026-05-01T00:00:00Z",
        {MODEL.format("first"): "the beginning\n", MODEL.format("fourth"): "4\n"},
    )
    assert killed_run(ws, remote, die_at(0, tmp_path, during=HALF_CHECKOUT))
    assert (ws / "sglang/.git/index.lock").exists()
    return ws


def test_a_checkout_killed_half_way_is_finished(tmp_path: Path, remote: Remote) -> None:
    ws = half_refreshed(tmp_path, remote)
    assert not prepare(ws, remote, offline=True).usable, "files of two commits prove nothing"
    assert_recovers(ws, remote)


def test_work_in_a_half_refreshed_clone_is_kept(tmp_path: Path, remote: Remote) -> None:
    ws = half_refreshed(tmp_path, remote)
    mine = ws / "sglang" / MODEL.format("second")
    mine.write_text("my work\n")
    state = prepare(ws, remote)
    assert mine.read_text() == "my work\n"
    assert "uncommitted work" in state.error
    assert "second.py" in state.error
    assert "first.py" not in state.error


def test_a_clone_that_others_left_half_done_is_redone(tmp_path: Path, remote: Remote) -> None:
    broken = tmp_path / "ws/sglang"
    broken.mkdir(parents=True)
    git(broken, "init", "-q")
    assert_recovers(tmp_path / "ws", remote)


def test_a_clone_that_others_left_in_its_checkout_is_finished(
    tmp_path: Path, remote: Remote
) -> None:
    ws = tmp_path / "ws"
    ws.mkdir()
    git(ws, "clone", "-q", remote.url, "sglang")
    (ws / "sglang/.git/index").unlink()
    (ws / "sglang" / MODEL.format("first")).write_text("1 ch")
    (ws / "sglang" / MODEL.format("second")).unlink()
    assert_recovers(ws, remote)


def test_a_linked_worktree_is_somebody_elses_too(tmp_path: Path, remote: Remote) -> None:
    (tmp_path / "ws").mkdir()
    git(tmp_path, "clone", "-q", remote.url, "own")
    git(tmp_path / "own", "worktree", "add", "-q", "--detach", str(tmp_path / "ws/sglang"))
    new = remote.commit("2026-05-01T00:00:00Z", {MODEL.format("fourth"): "4\n"})
    state = prepare(tmp_path / "ws", remote)
    assert (state.error, state.commit) == ("", new)
    (state.path / "mine.txt").write_text("mine\n")
    git(state.path, "add", "mine.txt")
    assert "uncommitted work" in prepare(tmp_path / "ws", remote).error


def test_a_clone_that_lost_its_objects_is_moved_aside(tmp_path: Path, remote: Remote) -> None:
    state = prepare(tmp_path / "ws", remote)
    shutil.rmtree(state.path / ".git/objects")
    (state.path / "mine.txt").write_text("mine\n")
    again = prepare(tmp_path / "ws", remote)
    assert (again.error, again.commit) == ("", head(remote))
    (aside,) = (tmp_path / "ws").glob(".sglang.damaged-*")
    assert (aside / "mine.txt").read_text() == "mine\n"


# Two at once


def test_two_runs_wait_for_each_other(tmp_path: Path, remote: Remote) -> None:
    ws = tmp_path / "ws"
    order: list[str] = []
    heard: list[str] = []

    def second() -> None:
        with Workspace(ws, say=heard.append).locked():
            order.append("second")

    with Workspace(ws).locked():
        thread = threading.Thread(target=second)
        thread.start()
        time.sleep(0.3)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]
    assert heard == ["another run is using this workspace; waiting for it"]


def test_waiting_ends_some_time(tmp_path: Path) -> None:
    with (
        Workspace(tmp_path).locked(),
        pytest.raises(Exception, match="held the workspace"),
        Workspace(tmp_path).locked(timeout=0.1),
    ):
        pass


def test_a_lock_of_a_dead_run_holds_nobody_up(tmp_path: Path, remote: Remote) -> None:
    (tmp_path / "ws").mkdir()
    (tmp_path / "ws/.discover-models.lock").write_text("left behind")
    assert prepare(tmp_path / "ws", remote).error == ""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_git_that_outlives_its_run_keeps_the_lock(tmp_path: Path, remote: Remote) -> None:
    ws = tmp_path / "ws"
    slow = 'case " $* " in *" fetch "*) kill -9 $PPID; sleep 1; exec REAL "$@";; esac'
    assert killed_run(ws, remote, die_at(0, tmp_path, during=slow))
    heard: list[str] = []
    start = time.monotonic()
    spec = SourceSpec(name="sglang", url=remote.url)
    state = Workspace(ws, say=heard.append).prepare([spec], SINCE)["sglang"]
    assert time.monotonic() - start > 0.5
    assert heard[0] == "another run is using this workspace; waiting for it"
    assert (state.error, state.commit) == ("", head(remote))


def test_a_workspace_that_can_not_be_written_is_said(tmp_path: Path, remote: Remote) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Exception, match="can't be used"):
        prepare(tmp_path / "file", remote)
