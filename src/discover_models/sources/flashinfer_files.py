"""Where FlashInfer's Python files are in a checkout."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from discover_models.errors import SourceError
from discover_models.sources.contents import files_below
from discover_models.sources.files import read_text

PACKAGES = ("flashinfer", "python/flashinfer")
"""The package is the first of these that is there."""
TEST_FOLDERS = ("tests", "python/tests")
HEADERS = "include"
_NO_LIMITS = ("experimental", "data", "testing")
"""Parts of the package that say nothing of a supported kernel: what FlashInfer calls experimental,
vendored sources, helpers for its tests."""


_MARK = "@flashinfer_api"


def marks_its_api(checkout: Path) -> bool:
    """Whether the package marks the functions that it offers, as FlashInfer does since 2025.

    One that does not says little of what FlashInfer has today.
    """
    for folder in PACKAGES:
        for file in files_below(checkout / folder, checkout, ".py"):
            with suppress(SourceError):
                if _MARK in read_text(checkout, file):
                    return True
    return False


def searched_files(checkout: Path) -> Iterator[str]:
    """Every Python file that an answer about FlashInfer can rest on."""
    for folder in (*PACKAGES, *TEST_FOLDERS):
        yield from files_below(checkout / folder, checkout, ".py")


def limit_files(checkout: Path, path: str) -> Iterator[str]:
    """The files that a line of `path` may have moved to: those of its kind."""
    suffix = Path(path).suffix
    if suffix != ".py":
        yield from files_below(checkout / HEADERS, checkout, suffix)
        return
    for package in PACKAGES:
        for each in files_below(checkout / package, checkout, suffix):
            inside = Path(each).relative_to(package)
            if inside.parts[0] not in _NO_LIMITS and (checkout / each).is_file():
                yield each


def header_files(checkout: Path) -> Iterator[str]:
    """Every header that a limit can be read in."""
    for suffix in (".cuh", ".h", ".hpp"):
        yield from files_below(checkout / HEADERS, checkout, suffix)
