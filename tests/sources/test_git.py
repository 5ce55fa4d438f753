import os
import time
from pathlib import Path

import pytest
from git_repos import Remote

from discover_models.sources.git import Git, GitError, is_revision, read_blobs

DATE = "2026-01-01T00:00:00Z"


@pytest.fixture
def repo(tmp_path: Path) -> Remote:
    repo = Remote(tmp_path / "repo")
    repo.commit(DATE, {"a.txt": "a\n", "b.txt": "bb\n"})
    return repo


def test_outer_git_variables_do_not_redirect(
    tmp_path: Path, repo: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Remote(tmp_path / "other")
    other.commit(DATE, {"x": "x"})
    monkeypatch.setenv("GIT_DIR", str(other.folder / ".git"))
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "alias.ls-files")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "!touch pwned")
    assert Git(repo.folder).text("ls-files") == "a.txt\nb.txt"


def test_no_hook_and_no_monitor_of_a_clone_runs(tmp_path: Path, repo: Remote) -> None:
    marker = tmp_path / "ran"
    hook = repo.folder / ".git/hooks/post-checkout"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {marker}\n")
    hook.chmod(0o755)
    Git(repo.folder).text("config", "core.fsmonitor", str(hook))
    git = Git(repo.folder)
    git.text("checkout", "-q", "--detach", "HEAD")
    git.text("status", "--porcelain")
    assert not marker.exists()


def test_no_filter_named_by_attributes_runs(tmp_path: Path, repo: Remote) -> None:
    repo.commit(DATE, {".gitattributes": "*.bin filter=lfs\n", "t.bin": "pointer\n"})
    marker = tmp_path / "ran"
    git = Git(repo.folder)
    git.text("config", "filter.lfs.smudge", f"touch {marker}")
    git.text("config", "filter.lfs.process", f"touch {marker}")
    (repo.folder / "t.bin").unlink()
    git.text("checkout", "-q", "--", "t.bin")
    assert (repo.folder / "t.bin").read_text() == "pointer\n"
    assert not marker.exists()


@pytest.mark.parametrize("url", ["ext::sh -c touch% pwned", "ssh://example.invalid/x", "git://h/x"])
def test_other_transports_are_refused(repo: Remote, url: str) -> None:
    with pytest.raises(GitError, match="not allowed"):
        Git(repo.folder).text("ls-remote", "--", url)


def test_without_network_no_transport_works(repo: Remote) -> None:
    with pytest.raises(GitError, match="not allowed"):
        Git(repo.folder, network=False).text("ls-remote", "--", repo.url)


def test_a_slow_git_is_ended_with_its_helpers(
    tmp_path: Path, repo: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "bin/git"
    script.parent.mkdir()
    script.write_text("#!/bin/sh\n(sleep 3; touch $0.late) & sleep 30\n")
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{script.parent}:{os.environ['PATH']}")
    start = time.monotonic()
    with pytest.raises(GitError, match="took longer than"):
        Git(repo.folder).bytes("status", timeout=0.3)
    assert time.monotonic() - start < 2
    time.sleep(3 - (time.monotonic() - start) + 0.5)
    assert not (tmp_path / "bin/git.late").exists()


def test_git_not_installed_is_a_sentence(repo: Remote, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(GitError, match="git can't be started"):
        Git(repo.folder).text("status")


def test_blobs_are_read_whole_and_bounded(repo: Remote) -> None:
    git = Git(repo.folder)
    a, b = (git.text("rev-parse", f"HEAD:{name}") for name in ("a.txt", "b.txt"))
    assert read_blobs(git, [b, a, a]) == {a: b"a\n", b: b"bb\n"}
    with pytest.raises(Exception, match="larger than the limit"):
        read_blobs(git, [a, b], limit=2)
    with pytest.raises(GitError, match="missing"):
        read_blobs(git, ["0" * 39 + "1"])


@pytest.mark.parametrize("text", ["main", "v0.5.10", "release/v1", "a" * 40, "feature+x#2"])
def test_revisions(text: str) -> None:
    assert is_revision(text)


@pytest.mark.parametrize(
    "text",
    ["", "--upload-pack=x", "-x", "a..b", "HEAD^", "a:b", "a b", "x~1", "a@{1}", "a/", "a//b",
     "a.lock", "*", "a\n"],
)  # fmt: skip
def test_what_is_no_revision(text: str) -> None:
    assert not is_revision(text)
