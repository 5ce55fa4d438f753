"""The manifest store: read, merge, write whole.

On disk: ``NAME`` is the manifest; ``.NAME.lock`` beside it is locked while it is read, merged and
written; ``.NAME.<random>.tmp`` is a version not yet in place, renamed over ``NAME`` when it is
complete. A process that dies leaves the old or the new manifest, never part of one, and at most a
temporary file that the next writer removes.
"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from pydantic import ValidationError

from discover_models.domain.manifest import Manifest, Open
from discover_models.errors import ManifestError
from discover_models.merge import merge

__all__ = ["dump", "load", "merge", "save", "update"]

DEEPEST = 100
"""Levels of nesting that a manifest may have; real ones have fewer than ten."""
PATIENCE_SECONDS = 60.0
"""How long a writer waits for another one; a write takes milliseconds."""


def load(path: Path) -> Manifest:
    """The manifest in a file; a ManifestError says in one sentence why it can't be used."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ManifestError(f"{path}: can't be read ({error.strerror}).") from error
    return parse(data, str(path))


def parse(data: bytes, name: str) -> Manifest:
    """The manifest in these bytes; `name` is for the error message."""
    value = _json(data, name)
    if not isinstance(value, dict):
        raise ManifestError(f"{name}: is not a run manifest: it holds no JSON object.")
    try:
        manifest = Manifest.model_validate(value)
    except ValidationError as error:
        raise ManifestError(f"{name}: is not a run manifest: {_first_problem(error)}.") from error
    _refuse_duplicates(manifest, name)
    return manifest


def dump(manifest: Manifest) -> bytes:
    """The manifest's file: UTF-8 JSON, known keys in the contract's order, others after them."""
    text = json.dumps(_plain(manifest), indent=2, ensure_ascii=False, allow_nan=False)
    # An unpaired surrogate is legal in JSON only as an escape, and that is what this writes.
    return (text + "\n").encode("utf-8", errors="backslashreplace")


def save(path: Path, manifest: Manifest) -> bool:
    """Write the manifest whole or not at all; False when the file already says exactly this."""
    with _locked(path) as target:
        return _write(target, dump(manifest))


def update(
    path: Path, new: Manifest, *, refresh: bool, failed: Mapping[str, str] | None = None
) -> Manifest:
    """Merge `new` into the file under its lock and return the result.

    A file that already says the same, however it is formatted, is not touched. `failed` names the
    sources that could not be read in this run, with the reason.
    """
    with _locked(path) as target:
        if not target.exists():
            _write(target, dump(new))
            return new
        old = load(target)
        try:
            merged = merge(old, new, refresh=refresh, failed=failed)
        except ManifestError as error:
            raise ManifestError(f"{path}: {error}") from error
        if merged is not old:
            _write(target, dump(merged))
        return merged


@contextmanager
def _locked(path: Path) -> Generator[Path]:
    """The file that `path` stands for (links resolved), while nobody else may write it."""
    from filelock import FileLock, Timeout  # late: it brings asyncio, and reading needs no lock

    target = path.resolve()
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(target.with_name(f".{target.name}.lock"), timeout=PATIENCE_SECONDS):
            yield target
    except Timeout as error:
        raise ManifestError(
            f"{path}: another process has held its lock for {PATIENCE_SECONDS:.0f} seconds."
        ) from error
    except OSError as error:
        raise ManifestError(f"{path}: can't be written ({error.strerror}).") from error


def _write(target: Path, data: bytes) -> bool:
    """Put `data` in place of the file; call it with the lock held."""
    for leftover in target.parent.glob(f".{target.name}.*.tmp"):
        leftover.unlink(missing_ok=True)  # of a writer that died: nobody else holds the lock
    if target.exists() and target.read_bytes() == data:
        return False
    temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex}.tmp")
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        if target.exists():
            temporary.chmod(target.stat().st_mode & 0o7777)
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(target.parent)
    return True


def _sync_folder(folder: Path) -> None:
    """Make the rename durable; Windows can't open folders and needs no such thing."""
    if os.name == "nt":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _json(data: bytes, name: str) -> object:
    try:
        value: object = json.loads(
            data.decode("utf-8-sig"), object_pairs_hook=_object, parse_constant=_no_constant
        )
    except UnicodeDecodeError as error:
        raise ManifestError(f"{name}: is not UTF-8 (byte {error.start}).") from error
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise ManifestError(f"{name}: is not complete JSON ({error.msg}, {where}).") from error
    except RecursionError as error:
        raise ManifestError(f"{name}: is nested deeper than {DEEPEST} levels.") from error
    except ValueError as error:
        raise ManifestError(f"{name}: is not usable JSON ({error}).") from error
    _refuse_unusable(value, name)
    return value


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """A JSON object; a key that comes twice would lose what it said first."""
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {twice[:80]!r} comes twice in one object")
    return found


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not a JSON number")


def _refuse_unusable(value: object, name: str) -> None:
    """Refuse nesting that later steps can't walk and numbers that JSON can't write back."""
    level: list[object] = [value]
    for _ in range(DEEPEST):
        level = [child for parent in level for child in _children(parent)]
        if any(isinstance(v, float) and v in (float("inf"), float("-inf")) for v in level):
            raise ManifestError(f"{name}: is not usable JSON (a number is too large).")
        if not level:
            return
    raise ManifestError(f"{name}: is nested deeper than {DEEPEST} levels.")


def _children(value: object) -> list[object]:
    if isinstance(value, dict):
        return list(cast("dict[str, object]", value).values())
    return cast("list[object]", value) if isinstance(value, list) else []


def _first_problem(error: ValidationError) -> str:
    problems = error.errors(include_url=False, include_context=False)
    first = problems[0]
    where = ".".join(str(part) for part in first["loc"]) or "the whole file"
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return " ".join(f"{where}: {first['msg']}{more}".split())


def _refuse_duplicates(manifest: Manifest, name: str) -> None:
    seen: set[str] = set()
    for kernel in manifest.kernels:
        if kernel.definition_name in seen:
            raise ManifestError(
                f"{name}: is not a run manifest: it lists {kernel.definition_name!r} twice."
            )
        seen.add(kernel.definition_name)


def _plain(value: object) -> Any:
    """What `json` can write; fields that are not set stay out."""
    if isinstance(value, Open):
        return {k: _plain(v) for k, v in (value.known() | value.foreign()).items()}
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in cast("dict[str, object]", value).items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in cast("list[object]", value)]
    return value
