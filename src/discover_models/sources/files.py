"""Reading files of a clone without being led out of it."""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Iterator
from functools import cache
from pathlib import Path, PurePosixPath

from discover_models.errors import SourceError

MAX_BYTES = 4_000_000
"""The largest real file that is read (a FlashInfer header) has some 300 kB."""


def read_text(root: Path, relative: str, *, limit: int = MAX_BYTES) -> str:
    """The UTF-8 text of one file below `root`, without a byte order mark (SGLang has some).

    `SourceError` when the file is absent, leads out of `root` (``..`` or a symbolic link), is no
    regular file, has more than `limit` bytes or is no UTF-8.
    """
    content = read_regular(_inside(root, relative), relative, limit=limit)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SourceError(f"{relative} is no UTF-8 text") from error


def read_inside(root: Path, relative: str, *, limit: int = MAX_BYTES) -> bytes:
    """The bytes of one file below `root`; links are followed as long as they stay below it.

    `SourceError` as for `read_text`. This one is for thousands of files.
    """
    base = os.path.realpath(root)
    path = os.path.realpath(os.path.join(base, relative))
    if not path.startswith(os.path.join(base, "")):
        raise SourceError(f"{relative} leads out of the repository")
    return read_regular(Path(path), relative, limit=limit)


def read_or_nothing(root: Path, relative: str) -> bytes:
    """Likewise, and nothing of what can't be read that way."""
    try:
        return read_inside(root, relative)
    except SourceError:
        return b""


def read_regular(path: Path, name: str, *, limit: int = MAX_BYTES) -> bytes:
    """The bytes of a regular file; `SourceError` for anything else and for more than `limit`.

    `name` is what people know it by. A link as the last part of the path is refused.
    """
    try:
        # Not blocking: opening a named pipe would wait for a writer for ever.
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise SourceError(f"{name} is no regular file")
            content = file.read(limit + 1)
    except OSError as error:
        why = "it is a link" if error.errno == errno.ELOOP else error.strerror
        raise SourceError(f"{name} can't be read: {why}") from error
    if len(content) > limit:
        raise SourceError(f"{name} has more than {limit} bytes")
    return content


def _inside(root: Path, relative: str) -> Path:
    if "\0" in relative or not relative or PurePosixPath(relative).is_absolute():
        raise SourceError(f"{relative!r} is no path inside a repository")
    try:
        base = root.resolve(strict=True)
        path = (base / relative).resolve(strict=True)
    except (OSError, RuntimeError) as error:
        raise SourceError(f"{relative} is not there") from error
    if not path.is_relative_to(base):
        raise SourceError(f"{relative} leads out of the repository")
    return path


def walk(root: Path, pattern: str) -> Iterator[str]:
    """Paths of regular files below `root` that match a pattern, sorted, with forward slashes.

    In the pattern ``*`` matches within one name and ``**/`` any number of folders. Linked folders
    are not entered, and links out of `root` and ``.git`` are left out. A folder that is not
    there has no files; `SourceError` for one that can't be listed.
    """
    expression = _compiled(pattern)
    base = root.resolve()
    start = base.joinpath(*_fixed(pattern))
    if start.resolve().is_relative_to(base):
        yield from (p for p in _files(base, start) if expression.fullmatch(p) and _is_file(base, p))


def _files(base: Path, start: Path) -> Iterator[str]:
    found: list[str] = []
    for folder, folders, names in os.walk(start, followlinks=False, onerror=_unreadable):
        folders[:] = [name for name in folders if name != ".git"]
        here = Path(folder).relative_to(base)
        found.extend((here / name).as_posix() for name in names)
    return iter(sorted(found))


def _unreadable(error: OSError) -> None:
    """A folder that is absent is empty; one that can't be listed is an error."""
    if not isinstance(error, FileNotFoundError | NotADirectoryError):
        raise SourceError(f"a folder can't be read: {error.strerror}") from error


def _is_file(base: Path, relative: str) -> bool:
    try:
        return _inside(base, relative).is_file()
    except SourceError:
        return False


def _fixed(pattern: str) -> list[str]:
    """The leading folders of a pattern that have no wildcard."""
    parts = pattern.split("/")[:-1]
    wild = next((i for i, part in enumerate(parts) if "*" in part), len(parts))
    return parts[:wild]


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    meaning = {"**/": "(?:[^/]+/)*", "**": ".*", "*": "[^/]*"}
    tokens = (m[0] for m in re.finditer(r"\*\*/|\*\*|\*|[^*]+", pattern))
    return re.compile("".join(meaning.get(t) or re.escape(t) for t in tokens), re.DOTALL)
