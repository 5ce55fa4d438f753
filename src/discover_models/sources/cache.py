"""What was read once and need not be read again: files in a folder, trusted only when whole.

An entry is one file: a line with its checksum, a line with what it is of, then JSON. It is written
beside its place and renamed, so that any number of processes may share the folder. One that is
damaged, foreign or of other code is as good as none. Nothing in it is ever executed.
"""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

Value = TypeVar("Value")

KEEP_SECONDS = 30 * 24 * 3600
"""An entry that was not used for so long is dropped."""
KEEP_BYTES = 200_000_000
"""Beyond so many in all, those are dropped that were not used for longest."""
_DAY = 24 * 3600
_MAGIC = b"discover-models cache 1 "
_SUFFIX = ".entry"


class DiskCache:
    """A folder of entries."""

    def __init__(self, folder: Path) -> None:
        """`folder` is made when something is stored."""
        self._folder = folder

    def load(self, name: str, key: str) -> bytes | None:
        """The JSON stored under a name and key by this very code; None where there is none."""
        path = self._path(name, key)
        try:
            if path.is_symlink():
                return None
            head, _, body = path.read_bytes().partition(b"\n")
            if head != _head(body):
                return None
            whose, _, content = body.partition(b"\n")
            if whose != _whose(name, key):
                return None
            _touch(path)
        except OSError:
            return None
        return content

    def store(self, name: str, key: str, content: bytes) -> None:
        """Keep some JSON; a folder that can't be written to is no error, it saves no time."""
        body = _whose(name, key) + b"\n" + content
        with suppress(OSError):
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            _write_whole(self._path(name, key), _head(body) + b"\n" + body)
            self._trim(time.time())

    def _path(self, name: str, key: str) -> Path:
        digest = hashlib.sha256(_whose(name, key)).hexdigest()[:40]
        return self._folder / f"{name}-{digest}{_SUFFIX}"

    def _trim(self, now: float) -> None:
        """Drop what is old, and the least used of what is too much."""
        kept = 0
        for used, size, path in sorted(self._entries(), reverse=True):
            kept += size
            if kept > KEEP_BYTES or now - used > KEEP_SECONDS:
                path.unlink(missing_ok=True)

    def _entries(self) -> list[tuple[float, int, Path]]:
        """When each of our files was last used, its size and path; unfinished ones included."""
        found: list[tuple[float, int, Path]] = []
        for path in self._folder.iterdir():
            if path.suffix in (_SUFFIX, ".tmp") and path.is_file() and not path.is_symlink():
                with suppress(FileNotFoundError):
                    status = path.stat()
                    found.append((status.st_mtime, status.st_size, path))
        return found


def kept(
    cache: DiskCache, name: str, key: str | None, shape: type[Value], make: Callable[[], Value]
) -> Value:
    """A value that follows from what `key` stands for: from the cache, else made and kept.

    A value that JSON can't give back the same is not kept, nor is anything without a key.
    """
    adapter = TypeAdapter(shape)
    content = cache.load(name, key) if key is not None else None
    if content is not None:
        with suppress(ValidationError):
            return adapter.validate_json(content)
    value = make()
    if key is not None:
        written = adapter.dump_json(value, warnings=False)
        if adapter.validate_json(written) == value:
            cache.store(name, key, written)
    return value


def _head(body: bytes) -> bytes:
    return _MAGIC + hashlib.sha256(body).hexdigest().encode()


def _whose(name: str, key: str) -> bytes:
    return f"{name} {_code()} {key}".encode().replace(b"\n", b" ")


@cache
def _code() -> str:
    """Stands for the code that reads sources, its tables and the values that it makes.

    Taken from the code itself, so that no change to it can be forgotten.
    """
    digest = hashlib.sha256(sys.version.encode())
    package = Path(__file__).parents[1]
    for pattern in ("sources/**/*.py", "domain/*.py", "data/*.json"):
        for path in sorted(package.glob(pattern)):
            digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]


def _touch(path: Path) -> None:
    """Note the use, at most once a day."""
    if time.time() - path.stat().st_mtime > _DAY:
        with suppress(OSError):
            os.utime(path)


def _write_whole(path: Path, content: bytes) -> None:
    handle, name = tempfile.mkstemp(prefix=f"{path.stem}-", suffix=".tmp", dir=path.parent)
    temporary = Path(name)
    try:
        with open(handle, "wb") as file:
            file.write(content)
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
