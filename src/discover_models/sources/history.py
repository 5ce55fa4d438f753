"""The commit that the present state of a repository is compared with."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from discover_models.domain.frozen import Frozen
from discover_models.sources.git import Git, GitError, changes


class Base(Frozen):
    """What "new" is measured against."""

    commit: str
    date: datetime
    """Committer's date, in UTC."""
    kind: Literal["before", "root", "boundary"]
    """``before``: the last commit before the window. ``root``: the repository's own first commit,
    which lies in the window; nothing in it is new. ``boundary``: a shallow history ends here,
    inside the window; what came before is not known, and nothing in it is called new."""


def commit_date(git: Git, commit: str) -> datetime:
    """The committer's date in UTC."""
    return datetime.fromtimestamp(int(git.text("log", "-1", "--format=%ct", commit)), UTC)


def head_commit(git: Git) -> tuple[str, datetime]:
    """The full id of what is checked out, and its committer's date in UTC."""
    commit, _, seconds = git.text("log", "-1", "--format=%H %ct", "HEAD", "--").partition(" ")
    return commit, datetime.fromtimestamp(int(seconds), UTC)


def find_base(git: Git, head: str, since: datetime) -> Base:
    """The last commit before `since` on the first-parent line of `head`.

    Where history does not reach that far, its oldest commit, with the reason in `kind`.
    """
    seconds = max(1, int(since.timestamp()) - 1)
    # Not --before: that reads a date, and fills in the present time of day where it has none.
    before = git.text("rev-list", "-1", "--first-parent", f"--min-age={seconds}", head)
    if before:
        return Base(commit=before, date=commit_date(git, before), kind="before")
    oldest = git.text("rev-list", "--first-parent", "--max-parents=0", head).split()[-1]
    kind = "boundary" if oldest in shallow_commits(git) else "root"
    return Base(commit=oldest, date=commit_date(git, oldest), kind=kind)


def shallow_commits(git: Git) -> frozenset[str]:
    """The commits at which a shallow history was cut; they look like roots and are none."""
    path = Path(git.text("rev-parse", "--path-format=absolute", "--git-path", "shallow"))
    try:
        return frozenset(path.read_text(encoding="ascii").split())
    except FileNotFoundError:
        return frozenset()


def fetch_old_blobs(git: Git, base: str, head: str, folders: Sequence[str]) -> None:
    """Bring the old sides of all changed files into a partial clone with one request.

    Git would ask for each of them alone.
    """
    old = sorted({c.old for c in changes(git, base, head, folders) if c.old is not None})
    if old and is_partial(git):
        git.bytes(
            "-c", "fetch.negotiationAlgorithm=noop",
            "fetch", "-q", "--no-tags", "--no-write-fetch-head", "--recurse-submodules=no",
            "--filter=blob:none", "--stdin", "origin",
            stdin="\n".join(old).encode() + b"\n",
        )  # fmt: skip


def is_partial(git: Git) -> bool:
    """Whether the clone lacks objects that it fetches from ``origin`` when they are needed."""
    try:
        return git.text("config", "--type=bool", "--get", "remote.origin.promisor") == "true"
    except GitError as error:
        if error.returncode == 1:
            return False
        raise
