"""One clone of the workspace: made, brought up to date, recovered after a crash.

On disk, beside what git keeps::

    WORKSPACE/sglang/                          the clone; complete, because it is renamed into place
    WORKSPACE/sglang/.git/discover-models.json the marker: we made this clone, and its last state
    WORKSPACE/.sglang.new-XXXX/                a clone in the making; left behind only by a crash
    WORKSPACE/.sglang.damaged-XXXX/            a clone that git can't read any more, moved aside

A clone without the marker is somebody else's: it is brought up to date too, but its settings, its
sparseness and its depth stay as they are. Nobody's uncommitted work is ever touched.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError

from discover_models.domain.frozen import Frozen
from discover_models.errors import SourceError
from discover_models.sources.git import (
    NETWORK_TIMEOUT,
    Git,
    GitError,
    is_commit_id,
    list_tree,
    read_blobs,
)
from discover_models.sources.history import fetch_old_blobs, find_base, shallow_commits
from discover_models.sources.source_spec import SourceSpec

_FETCHED = "refs/discover-models/head"
_KEPT = "refs/discover-models/kept"
_DEEPENING = (1, 100, 10_000)


@dataclass(frozen=True)
class Wanted:
    """What a clone should hold."""

    spec: SourceSpec
    folders: tuple[str, ...]
    """What is checked out."""
    compared: tuple[str, ...]
    """Folders whose files at the base commit are read; empty where history is not needed."""
    since: datetime | None
    """History reaches back to the last commit before this; None for the newest commit alone."""


class Marker(Frozen):
    """The state of a clone that we made."""

    url: str
    commit: str
    folders: tuple[str, ...]
    busy: bool = False
    """A refresh began and did not end."""
    moving_to: str = ""
    """The commit whose checkout began and did not end."""


def marker_path(folder: Path) -> Path:
    """Where the marker of a clone stands."""
    return folder / ".git" / "discover-models.json"


def read_marker(folder: Path) -> Marker | None:
    """The marker of a clone, or None for a clone that is not ours."""
    try:
        return Marker.model_validate_json(marker_path(folder).read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (ValidationError, OSError) as error:
        raise SourceError(f"{marker_path(folder)} can't be read; remove the clone") from error


def _write_marker(folder: Path, marker: Marker) -> None:
    """Write the marker whole or not at all."""
    path = marker_path(folder)
    new = path.with_suffix(".new")
    with new.open("w", encoding="utf-8") as file:
        json.dump(marker.model_dump(mode="json"), file)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)


def update(git: Git, wanted: Wanted, say: Callable[[str], None]) -> None:
    """Make `git.folder` a clone as wanted; `SourceError` says why it is none."""
    _sweep(git.folder)
    if _is_dead(git, say):
        _create(git, wanted, say)
    else:
        _refresh(git, wanted, say)


def _sweep(folder: Path) -> None:
    """Remove what a crashed run left beside the clone."""
    for left in folder.parent.glob(f".{folder.name}.new-*"):
        shutil.rmtree(left)


def _is_dead(git: Git, say: Callable[[str], None]) -> bool:
    """Whether there is no clone; a dead one is taken out of the way first."""
    folder = git.folder
    if not os.path.lexists(folder):
        return True
    if not folder.is_dir():
        raise SourceError(f"{folder} is in the way and no folder")
    names = {p.name for p in folder.iterdir()}
    if ".git" not in names and names:
        raise SourceError(f"{folder} holds files but is no git repository; move it away")
    if not names:
        folder.rmdir()
        return True
    _clear_locks(folder)
    if _is_readable(git):
        return False
    if names == {".git"}:
        say(f"{folder.name}: an earlier clone did not get far; starting again")
        _move_aside(folder, "new")
        _sweep(folder)
    else:
        say(f"{folder.name}: git can't read the clone; moved aside")
        _move_aside(folder, "damaged")
    return True


def _is_readable(git: Git) -> bool:
    try:
        git.text("rev-parse", "--verify", "-q", "HEAD^{commit}")
        git.bytes("ls-tree", "-z", "HEAD")
    except GitError:
        return False
    return True


def _move_aside(folder: Path, kind: str) -> None:
    aside = Path(tempfile.mkdtemp(prefix=f".{folder.name}.{kind}-", dir=folder.parent))
    folder.rename(aside)


def _clear_locks(folder: Path) -> None:
    """Remove git's own lock files and half packs of a refresh of ours that was killed.

    The workspace's lock is inherited by every git process, so none of ours is alive.
    """
    marker = read_marker(folder)
    if marker is None or not marker.busy:
        return
    inside = folder / ".git"
    left = [*inside.glob("*.lock"), *inside.glob("info/*.lock"), *inside.rglob("refs/**/*.lock")]
    for path in (*left, *inside.glob("objects/pack/tmp_*")):
        path.unlink(missing_ok=True)


def _create(git: Git, wanted: Wanted, say: Callable[[str], None]) -> None:
    """Clone into a folder beside, then rename it into place."""
    folder = git.folder
    spec = wanted.spec
    say(f"{folder.name}: cloning {spec.url}")
    new = Path(tempfile.mkdtemp(prefix=f".{folder.name}.new-", dir=folder.parent))
    try:
        made = Git(new, network=git.network, keep_open=git.keep_open)
        made.bytes("init", "-q", "--template=", ".")
        made.bytes("remote", "add", "origin", spec.url)
        made.bytes("config", "remote.origin.tagOpt", "--no-tags")
        made.bytes("sparse-checkout", "set", "--cone", *wanted.folders)
        commit = _fetch(made, wanted, "origin", partial=True, shallow=True)
        _checkout(made, commit, force=False)
        _fetch_compared(made, wanted, commit)
        _write_marker(new, Marker(url=spec.url, commit=commit, folders=wanted.folders))
        new.rename(folder)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _refresh(git: Git, wanted: Wanted, say: Callable[[str], None]) -> None:
    marker = read_marker(git.folder)
    interrupted = _refuse_uncommitted(git, marker)
    say(f"{git.folder.name}: refreshing from {wanted.spec.url}")
    if marker is None:
        commit = _fetch(
            git, wanted, wanted.spec.url, partial=False, shallow=bool(shallow_commits(git))
        )
        _move(git, commit, known=(), force=interrupted)
        _fetch_compared(git, wanted, commit)
    else:
        _refresh_ours(git, wanted, marker, interrupted)


def _refresh_ours(git: Git, wanted: Wanted, marker: Marker, interrupted: bool) -> None:
    """Every step is safe to repeat; the marker says from which one a killed run goes on."""
    if not interrupted and _is_current(git, wanted, marker):
        git.succeeds("update-index", "-q", "--refresh")
        _fetch_compared(git, wanted, marker.commit)
        return
    busy = marker.model_copy(update={"busy": True})
    _write_marker(git.folder, busy)
    git.bytes("remote", "set-url", "origin", wanted.spec.url)
    commit = _fetch(git, wanted, "origin", partial=True, shallow=True)
    _write_marker(git.folder, busy.model_copy(update={"moving_to": commit}))
    if marker.folders != wanted.folders:
        git.bytes("sparse-checkout", "set", "--cone", *wanted.folders, timeout=NETWORK_TIMEOUT)
    _move(git, commit, known=(marker.commit, marker.moving_to), force=interrupted)
    # After a copy, as from a cache, git would read every file again at each question.
    git.succeeds("update-index", "-q", "--refresh")
    _fetch_compared(git, wanted, commit)
    _write_marker(git.folder, Marker(url=wanted.spec.url, commit=commit, folders=wanted.folders))


def _is_current(git: Git, wanted: Wanted, marker: Marker) -> bool:
    """Whether the clone holds all that a fetch could bring, which one question tells."""
    spec = wanted.spec
    if marker.busy or (marker.url, marker.folders) != (spec.url, wanted.folders):
        return False
    if git.text("rev-parse", "HEAD") != marker.commit:
        return False
    if wanted.since and find_base(git, marker.commit, wanted.since).kind == "boundary":
        return False
    if is_commit_id(spec.revision):
        return spec.revision == marker.commit
    return next(iter(_remote_refs(git, spec).values()), None) == marker.commit


def _move(git: Git, commit: str, known: tuple[str, ...], *, force: bool) -> None:
    """Check a commit out; a commit that somebody made on a detached HEAD keeps a name."""
    head = git.text("rev-parse", "HEAD")
    if head == commit and not force:
        return
    if head not in known and not git.succeeds("symbolic-ref", "-q", "HEAD"):
        git.bytes("update-ref", f"{_KEPT}/{head}", head)
    _checkout(git, commit, force=force)


def _checkout(git: Git, commit: str, *, force: bool) -> None:
    options = ("--force",) if force else ()
    git.bytes(
        "checkout", "-q", "--no-recurse-submodules", *options, "--detach", commit, "--",
        timeout=NETWORK_TIMEOUT,
    )  # fmt: skip


def _fetch_compared(git: Git, wanted: Wanted, commit: str) -> None:
    if wanted.since is not None and wanted.compared:
        base = find_base(git, commit, wanted.since)
        fetch_old_blobs(git, base.commit, commit, wanted.compared)


# What is fetched


def _fetch(git: Git, wanted: Wanted, remote: str, *, partial: bool, shallow: bool) -> str:
    """Fetch the wanted commit with as much history as `since` asks for; its full id."""
    fetch = _Fetch(git, remote, _remote_name(git, wanted.spec), partial)
    if not shallow:
        return fetch()
    if wanted.since is None:
        return fetch("--depth=1")
    moment = f"{wanted.since.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    try:
        commit = fetch(f"--shallow-since={moment}")
    except GitError:
        # A repository without a commit in the window makes git fail; its newest commit is then
        # the last one before the window.
        commit = fetch("--depth=1")
    return _reach_base(git, fetch, commit, wanted.since)


def _reach_base(git: Git, fetch: _Fetch, commit: str, since: datetime) -> str:
    """Deepen until the last commit before `since` is there to compare with."""
    for step in _DEEPENING:
        if find_base(git, commit, since).kind != "boundary":
            break
        commit = fetch(f"--deepen={step}")
    return commit


_PEELED = "^{}"
"""Follows a tag's name where git lists the commit that an annotated one stands for."""


@dataclass(frozen=True)
class _Fetch:
    git: Git
    remote: str
    name: str
    partial: bool

    def __call__(self, *depth: str) -> str:
        """Fetch one ref with the given depth; the full commit id."""
        filters = ("--filter=blob:none",) if self.partial else ()
        self.git.bytes(
            "fetch", "-q", "--no-tags", "--no-recurse-submodules", "--no-write-fetch-head",
            "--no-auto-maintenance", *filters, *depth,
            "--", self.remote, f"+{self.name}:{_FETCHED}",
            timeout=NETWORK_TIMEOUT,
        )  # fmt: skip
        return self.git.text("rev-parse", "--verify", f"{_FETCHED}^{{commit}}")


def _remote_refs(git: Git, spec: SourceSpec) -> dict[str, str]:
    """The remote's refs that a revision, or none, may mean, and their ids; what counts first."""
    names = ["HEAD"]
    if spec.revision:
        tag = f"refs/tags/{spec.revision}"
        names = [f"refs/heads/{spec.revision}", f"{tag}{_PEELED}", tag]
    out = git.text("ls-remote", "--", spec.url, *names, timeout=NETWORK_TIMEOUT)
    there = {name: oid for oid, _, name in (line.partition("\t") for line in out.splitlines())}
    return {name: there[name] for name in names if name in there}


def _remote_name(git: Git, spec: SourceSpec) -> str:
    """What to ask the remote for: its HEAD, a branch, a tag, or a commit id."""
    if not spec.revision:
        return "HEAD"
    if is_commit_id(spec.revision):
        return spec.revision
    found = next(iter(_remote_refs(git, spec)), None)
    if found is None:
        raise SourceError(f"{spec.url} has no branch or tag {spec.revision!r}")
    return found.removesuffix(_PEELED)


# Whose work is in the folder


def uncommitted(git: Git) -> tuple[str, ...]:
    """Paths that differ from HEAD or are not tracked (ignored ones aside)."""
    out = git.bytes(
        "status", "--porcelain=v1", "-z", "--no-renames", "--untracked-files=all",
        "--ignore-submodules=all",
    )  # fmt: skip
    entries = out.decode("utf-8", "surrogateescape").split("\0")
    return tuple(dict.fromkeys(entry[3:] for entry in entries if entry))


def is_half_moved(git: Git, marker: Marker | None) -> bool:
    """Whether a checkout of ours was interrupted, so that the files are of two commits."""
    return marker is not None and bool(marker.moving_to) and bool(uncommitted(git))


def _refuse_uncommitted(git: Git, marker: Marker | None) -> bool:
    """`SourceError` when somebody's work is there; else whether a checkout was interrupted.

    An interrupted checkout looks like uncommitted work too. It is told apart by content: every
    file that differs must be whole from one of the two commits, or the beginning of a file of
    the newer one.
    """
    differing = uncommitted(git)
    if not differing:
        return False
    commits = [git.text("rev-parse", "HEAD")]
    if marker is not None and marker.moving_to:
        commits.append(marker.moving_to)
    elif Path(git.text("rev-parse", "--path-format=absolute", "--git-path", "index")).exists():
        raise _someones(git.folder, differing)
    foreign = tuple(_not_from(git, commits, differing))
    if foreign:
        raise _someones(git.folder, foreign)
    return True


def _someones(folder: Path, paths: tuple[str, ...]) -> SourceError:
    shown = ", ".join(repr(p)[1:-1] for p in paths[:3]) + (" …" if len(paths) > 3 else "")
    return SourceError(
        f"{folder} has uncommitted work ({shown}) and is left as it is; commit it, move it away, "
        "or run with --offline"
    )


def _not_from(git: Git, commits: list[str], paths: tuple[str, ...]) -> Iterator[str]:
    """The paths whose content on disk stems from none of the commits."""
    wanted = set(paths)
    oids = {
        (commit, entry.path): entry.oid
        for commit in commits
        for entry in list_tree(git, commit, [])
        if entry.path in wanted and entry.mode != "160000"
    }
    present = [p for p in paths if os.path.lexists(git.folder / p)]
    blobs = read_blobs(git, (oid for (_, path), oid in oids.items() if path in present))
    for path in present:
        content = _content(git.folder / path)
        sources = [blobs[oids[c, path]] for c in commits if (c, path) in oids]
        whole = content is not None and content in sources
        begun = content is not None and any(s.startswith(content) for s in sources[-1:])
        if not whole and not begun:
            yield path


def _content(path: Path) -> bytes | None:
    with contextlib.suppress(OSError):
        return os.readlink(path).encode() if path.is_symlink() else path.read_bytes()
    return None
