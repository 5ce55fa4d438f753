"""Where results go: manifests, a report file or standard output; each whole or not at all."""

import os
import re
import sys
import uuid
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from discover_models import manifests
from discover_models.changes import News, news
from discover_models.domain.kernel import Deferred, Inventory
from discover_models.domain.manifest import from_inventory
from discover_models.errors import DiscoverError, ManifestError, UsageError
from discover_models.resolve import manifest_paths
from discover_models.settings import RunOptions, WantedOutput

_PLACEHOLDER = re.compile(r"\{[^{}]*\}")
_PLACEHOLDERS = ("{model_slug}", "{date}")


def check_outputs(options: RunOptions, wanted: WantedOutput, *, several: bool) -> None:
    """Refuse, before any work is done, what can't be written in the end.

    Raises:
        UsageError: a placeholder that is none, one manifest for several models, or a folder
            that is not there.
    """
    unknown = set(_PLACEHOLDER.findall(options.manifest)) - set(_PLACEHOLDERS)
    if unknown:
        raise UsageError(
            f"--manifest {options.manifest}: {', '.join(sorted(unknown))} can't be filled in;"
            f" there are {' and '.join(_PLACEHOLDERS)}"
        )
    if options.manifest and "{model_slug}" not in options.manifest and several:
        raise UsageError(
            f"--manifest {options.manifest} is one file for several models: put {{model_slug}}"
            " into it, or use --manifest-dir"
        )
    folder = options.manifest_dir
    if folder is not None and folder.exists() and not folder.is_dir():
        raise UsageError(f"--manifest-dir: {folder} is no folder")
    if wanted.output is not None and not wanted.output.absolute().parent.is_dir():
        raise UsageError(f"--output: the folder {wanted.output.parent} is not there")
    if wanted.output is not None and wanted.output.is_dir():
        raise UsageError(f"--output: {wanted.output} is a folder")


def write_manifests(
    inventories: Iterable[Inventory], options: RunOptions, now: datetime
) -> tuple[tuple[Inventory, ...], tuple[Deferred, ...], dict[str, News]]:
    """Write each model's manifests.

    The models that have theirs, those that could not, and by slug what changed in a manifest that
    was there before.
    """
    changed: dict[str, News] = {}
    written: list[Inventory] = []
    failed: list[Deferred] = []
    for item in inventories:
        new = from_inventory(item, now.date())
        try:
            for path in manifest_paths(item.model_slug, options, date=now.strftime("%Y%m%d")):
                before = manifests.load(path) if path.exists() else None
                after = manifests.update(
                    path, new, refresh=options.refresh, failed=item.source_errors
                )
                found = news(before, after, after.date) if before else None
                changed |= {item.model_slug: found} if found else {}
        except ManifestError as error:
            failed.append(_unwritten(item, error))
        else:
            written.append(item)
    return tuple(written), tuple(failed), changed


def _unwritten(item: Inventory, error: ManifestError) -> Deferred:
    return Deferred(
        model_slug=item.model_slug,
        hf_repo_id=item.hf_repo_id,
        reason="manifest",
        message=str(error),
    )


def put(text: str, output: Path | None) -> None:
    """The report into a file, which is replaced as a whole, or to standard output.

    Raises:
        DiscoverError: it can't be written.
    """
    try:
        if output is None:
            _print(text)
        else:
            _replace(output, text)
    except OSError as error:
        where = output or "standard output"
        raise DiscoverError(f"{where}: can't be written ({error.strerror or error})") from error


def _print(text: str) -> None:
    """Who reads the output may stop early (``| head``), which is no failure."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        # What is left in the buffer would fail once more when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise


def _replace(output: Path, text: str) -> None:
    target = output.resolve()
    if target.exists() and not target.is_file():  # a device or a pipe, such as /dev/stderr
        target.write_text(text, "utf-8")
        return
    temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex}.tmp")
    try:
        temporary.write_text(text, "utf-8")
        if target.exists():
            temporary.chmod(target.stat().st_mode & 0o7777)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
