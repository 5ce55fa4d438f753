"""The versions of the manifests that the state branch has kept, oldest first."""

from __future__ import annotations

import tempfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from discover_models.errors import SourceError, UsageError
from discover_models.sources.git import NETWORK_TIMEOUT, Git, GitError, is_revision, read_blobs

_ABSENT = "0" * 40


@dataclass(frozen=True)
class Version:
    """One manifest as one commit of the branch left it."""

    day: str
    """ISO day of the commit, in UTC."""
    commit: str
    path: str
    """``manifests/{slug}.json``."""
    data: bytes | None
    """The file; None where the commit removed it."""


def versions(place: str, branch: str) -> tuple[Version, ...]:
    """Every version of every manifest, in the order of the commits.

    `place` is a folder with a clone of the repository, where the branch may be a local one or one
    of ``origin``, or an ``https://`` or ``file://`` address.

    Raises:
        UsageError: there is no such repository or branch.
        SourceError: it can't be read.
    """
    if not is_revision(branch):
        raise UsageError(f"{branch!r} can't be the name of a branch")
    with _opened(place, branch) as (git, reference):
        changed = list(_changed(git, reference))
        wanted = {oid for *_, oid in changed if oid != _ABSENT}
        blobs = read_blobs(git, wanted)
    return tuple(Version(day, commit, path, blobs.get(oid)) for day, commit, path, oid in changed)


@contextmanager
def _opened(place: str, branch: str) -> Generator[tuple[Git, str]]:
    if urlsplit(place).scheme in ("https", "file"):
        with tempfile.TemporaryDirectory(prefix="history-") as folder:
            git = Git(Path(folder))
            git.text("init", "--quiet", "--bare", ".")
            wanted = f"+refs/heads/{branch}:refs/heads/{branch}"
            try:
                git.text(
                    "fetch", "--quiet", "--no-tags", "--", place, wanted, timeout=NETWORK_TIMEOUT
                )
            except GitError as error:
                raise SourceError(f"the branch {branch!r} can't be fetched: {error}") from error
            yield git, f"refs/heads/{branch}"
        return
    folder = Path(place)
    if not folder.is_dir():
        raise UsageError(f"{place}: there is no such folder, and it is no https:// address")
    git = Git(folder, network=False)
    try:
        git.text("rev-parse", "--git-dir")
    except GitError as error:
        raise UsageError(f"{place} is no git repository that can be read") from error
    for reference in (f"refs/heads/{branch}", f"refs/remotes/origin/{branch}"):
        if git.succeeds("rev-parse", "--quiet", "--verify", f"{reference}^{{commit}}"):
            yield git, reference
            return
    raise UsageError(f"{place} has no branch {branch!r}; fetch it, or name another repository")


def _changed(git: Git, reference: str) -> Iterator[tuple[str, str, str, str]]:
    """Day, commit, path and blob of each manifest that a commit changed."""
    log = git.bytes(
        "log", "-z", "--reverse", "--first-parent", "-m", "--format=%x01%H %ct",
        "--raw", "--no-abbrev", "--no-renames", "--no-ext-diff", reference, "--", "manifests/",
    )  # fmt: skip
    day = commit = head = ""
    for field in log.decode("utf-8", "replace").split("\0"):
        text = field.lstrip("\n")
        if text.startswith("\x01"):
            commit, _, seconds = text[1:].partition(" ")
            day = datetime.fromtimestamp(int(seconds), UTC).date().isoformat()
        elif text.startswith(":"):
            head = text
        elif head:
            if text.endswith(".json"):
                yield day, commit, text, head.split(" ")[3]
            head = ""
