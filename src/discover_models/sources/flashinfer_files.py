"""Where FlashInfer's Python files are in a checkout."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from discover_models.sources.contents import files_below

PACKAGES = ("flashinfer", "python/flashinfer")
"""The package is the first of these that is there."""
TEST_FOLDERS = ("tests", "python/tests")


def searched_files(checkout: Path) -> Iterator[str]:
    """Every Python file that an answer about FlashInfer can rest on."""
    for folder in (*PACKAGES, *TEST_FOLDERS):
        yield from files_below(checkout / folder, checkout, ".py")
