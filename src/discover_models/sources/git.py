"""Git, made safe to run on repositories of strangers. Every git process starts in `run`."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from discover_models.errors import SourceError

NETWORK_TIMEOUT = 1800.0
"""Seconds that a fetch or a checkout of a partial clone may take."""
LOCAL_TIMEOUT = 300.0
"""Seconds for everything that needs no network."""

_NEVER_FROM_A_CLONE = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.attributesFile=/dev/null",
    "core.pager=cat",
    "credential.helper=",
    "submodule.recurse=false",
    "fetch.recurseSubmodules=false",
    # LFS would fetch gigabytes of tensors; a filter named by .gitattributes would run a program.
    "filter.lfs.smudge=",
    "filter.lfs.clean=",
    "filter.lfs.process=",
    "filter.lfs.required=false",
)
_PREDICTABLE = (
    "advice.detachedHead=false",
    "core.autocrlf=false",
    "core.quotePath=false",
    # A background process would outlive the workspace's lock.
    "gc.auto=0",
    "maintenance.auto=false",
    "http.lowSpeedLimit=1000",
    "http.lowSpeedTime=60",
)
_PROTOCOLS = ("https", "file")


class GitError(SourceError):
    """A git command failed, timed out or is not there."""

    def __init__(self, message: str, *, returncode: int | None) -> None:
        """`returncode` is None when git did not run to its end."""
        super().__init__(message)
        self.returncode = returncode


@dataclass(frozen=True)
class Git:
    """How git runs in one folder.

    `network=False` refuses every transport, so that a partial clone can't fetch what it lacks.
    `keep_open` are file descriptors that children inherit: a lock held through one of them lives
    as long as the last git process, also when this program is killed.
    """

    folder: Path
    network: bool = True
    keep_open: tuple[int, ...] = ()

    def text(self, *args: str, timeout: float = LOCAL_TIMEOUT) -> str:
        """Standard output as text without the last newline; `GitError` when git fails."""
        return self.bytes(*args, timeout=timeout).decode("utf-8", "replace").rstrip("\n")

    def bytes(self, *args: str, stdin: bytes = b"", timeout: float = LOCAL_TIMEOUT) -> bytes:
        """Standard output; `GitError` when git fails."""
        return run(self, args, stdin=stdin, timeout=timeout)

    def succeeds(self, *args: str) -> bool:
        """Whether the command ends with 0 (1 is "no"); `GitError` for anything else."""
        try:
            self.bytes(*args)
        except GitError as error:
            if error.returncode == 1:
                return False
            raise
        return True


def run(git: Git, args: Sequence[str], *, stdin: bytes, timeout: float) -> bytes:
    """Run git and give what it prints; the one place where a git process starts."""
    command = ["git", *_options(git.network), "-C", str(git.folder), *args]
    environment = _environment(os.environ, git.folder)
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            pass_fds=git.keep_open,
            start_new_session=True,
        )
    except OSError as error:
        raise GitError(f"git can't be started: {error.strerror}", returncode=None) from error
    try:
        out, err = process.communicate(stdin, timeout=timeout)
    except subprocess.TimeoutExpired as error:
        raise GitError(
            f"git {args[0]} took longer than {timeout:.0f} s", returncode=None
        ) from error
    finally:
        _end(process)
    if process.returncode != 0:
        raise GitError(f"git {args[0]} failed: {_last_words(err)}", returncode=process.returncode)
    return out


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill what is left of a process and its helpers (upload-pack, remote-https)."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def _options(network: bool) -> Iterator[str]:
    allowed = _PROTOCOLS if network else ()
    protocols = ["protocol.allow=never"] + [
        f"protocol.{name}.allow={'always' if name in allowed else 'never'}"
        for name in ("https", "file", "http", "git", "ssh", "ext")
    ]
    for setting in (*_NEVER_FROM_A_CLONE, *_PREDICTABLE, *protocols):
        yield from ("-c", setting)


def _environment(outer: Mapping[str, str], folder: Path) -> dict[str, str]:
    """The outer environment without any `GIT_*`, which could redirect git or run programs."""
    kept = {name: value for name, value in outer.items() if not name.startswith("GIT_")}
    return kept | {
        "GIT_TERMINAL_PROMPT": "0",
        # Empty, not unset: git falls back to SSH_ASKPASS when it is unset.
        "GIT_ASKPASS": "",
        "GIT_LFS_SKIP_SMUDGE": "1",
        "GIT_OPTIONAL_LOCKS": "0",
        # A plain folder inside somebody's repository is not that repository.
        "GIT_CEILING_DIRECTORIES": str(folder.resolve().parent),
        "LC_ALL": "C",
    }


def _last_words(err: bytes) -> str:
    """The first complaint, or else the last line, without control characters and not too long."""
    lines = err.decode("utf-8", "replace").splitlines()
    said = [line for line in lines if line.startswith(("fatal:", "error:"))] or lines[-1:]
    clean = "".join(c for c in (said[0] if said else "no reason given") if c.isprintable())
    return clean[:300]


_REVISION = re.compile(r"(?!-)(?!.*\.\.)(?!.*//)[\w./+#-]+(?<![./])", re.ASCII)
_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


def is_revision(text: str) -> bool:
    """Whether `text` can be a branch, a tag or a commit id and nothing that git reads otherwise."""
    return _REVISION.fullmatch(text) is not None and not text.endswith(".lock")


def is_commit_id(text: str) -> bool:
    """Whether `text` is a full commit id."""
    return _COMMIT.fullmatch(text) is not None


@dataclass(frozen=True)
class TreeEntry:
    """A file of a commit."""

    mode: str
    oid: str
    path: str

    @property
    def regular(self) -> bool:
        """A file with content: no symbolic link and no submodule."""
        return self.mode in ("100644", "100755")


@dataclass(frozen=True)
class TreeChange:
    """A file that differs between two commits; an oid is None on the side that lacks it."""

    path: str
    old: str | None
    new: str | None


def list_tree(git: Git, commit: str, folders: Sequence[str]) -> tuple[TreeEntry, ...]:
    """The files of a commit below some folders."""
    out = git.bytes("ls-tree", "-r", "-z", "--full-tree", commit, "--", *folders)
    return tuple(_tree_entry(line) for line in _records(out))


def unchanged_blobs(git: Git) -> dict[str, str]:
    """Ids by path of the tracked files that lie in the working tree as the index has them.

    Git compares size, times and inode, and the content where these leave a doubt. Left out are
    changed, deleted, unmerged, skipped and linked files, and those that git was told to take for
    unchanged.
    """
    out = git.bytes(
        "-c", "core.checkStat=default", "-c", "core.trustCtime=true",
        "ls-files", "-z", "-v", "--stage", "--modified",
    )  # fmt: skip
    blobs: dict[str, str] = {}
    changed: set[str] = set()
    for line in _records(out):
        head, _, path = line.partition("\t")
        tag, mode, oid, _ = head.split(" ")
        if tag == "H" and mode.startswith("100"):
            blobs[path] = oid
        else:
            changed.add(path)
    return {path: oid for path, oid in blobs.items() if path not in changed}


def _tree_entry(line: str) -> TreeEntry:
    head, _, path = line.partition("\t")
    mode, _, oid = head.split(" ")
    return TreeEntry(mode=mode, oid=oid, path=path)


def changes(git: Git, old: str, new: str, folders: Sequence[str]) -> tuple[TreeChange, ...]:
    """Which regular files below some folders differ between two commits; renames are two changes.

    Files that are symbolic links or submodules on one side count as absent there.
    """
    out = git.bytes(
        "diff-tree", "-r", "-z", "--raw", "--no-renames", "--no-abbrev", "--no-ext-diff",
        old, new, "--", *folders,
    )  # fmt: skip
    fields = _records(out)
    return tuple(_change(head, path) for head, path in zip(fields, fields, strict=True))


def _change(head: str, path: str) -> TreeChange:
    old_mode, new_mode, old, new, _ = head.removeprefix(":").split(" ")
    return TreeChange(
        path=path,
        old=old if old_mode.startswith("100") else None,
        new=new if new_mode.startswith("100") else None,
    )


def _records(out: bytes) -> Iterator[str]:
    return (part.decode("utf-8", "surrogateescape") for part in out.split(b"\0") if part)


def read_blobs(git: Git, oids: Iterable[str], *, limit: int = 4_000_000) -> dict[str, bytes]:
    """Contents by object id, in one process.

    An object that the clone lacks and can't fetch is a `GitError`; one larger than `limit` bytes
    is a `SourceError`.
    """
    wanted = sorted(set(oids))
    if not wanted:
        return {}
    sizes = git.bytes("cat-file", "--batch-check", stdin="\n".join(wanted).encode() + b"\n")
    for line in sizes.decode().splitlines():
        oid, kind, *size = line.split(" ")
        if kind != "blob":
            raise GitError(f"object {oid} is {kind}", returncode=None)
        if int(size[0]) > limit:
            raise SourceError(f"a file of {size[0]} bytes is larger than the limit of {limit}")
    out = git.bytes("cat-file", "--batch", stdin="\n".join(wanted).encode() + b"\n")
    return dict(_batch(out, len(wanted)))


def _batch(out: bytes, count: int) -> Iterator[tuple[str, bytes]]:
    """Split the output of `cat-file --batch`."""
    at = 0
    for _ in range(count):
        end = out.index(b"\n", at)
        oid, _, size = out[at:end].decode().split(" ")
        start = end + 1
        at = start + int(size) + 1
        yield oid, out[start : at - 1]
