"""Where FlashInfer's Python files are in a checkout."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from discover_models.sources.contents import files_below

PACKAGES = ("flashinfer", "python/flashinfer")
"""The package is the first of these that is there."""
TEST_FOLDERS = ("tests", "python/tests")
HEADERS = "include"
_NO_LIMITS = ("experimental", "data", "testing")
"""Parts of the package that say nothing of a supported kernel: what FlashInfer calls experimental,
vendored sources, helpers for its tests."""


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
