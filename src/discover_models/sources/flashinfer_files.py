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
