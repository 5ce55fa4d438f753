"""Which of SGLang's Python files are looked at: its package and its kernel package, no tests."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

PACKAGE = "python/sglang"
KERNEL = "sgl_kernel"
_NOT_SERVING = frozenset({"test", "tests", "benchmark", "benchmarks", "multimodal_gen"})
_TEST_FILES = ("bench_", "test_")


def kernel_root(checkout: Path) -> Path | None:
    """The kernel package, which lies beside SGLang's in a folder of its own; None without it."""
    places = sorted(checkout.glob(f"*/python/{KERNEL}/__init__.py"))
    places += checkout.glob(f"python/{KERNEL}/__init__.py")
    return places[0].parent if places else None


def python_files(checkout: Path, root: Path) -> Iterator[str]:
    """Paths in the checkout of the files below a package's folder that count."""
    top = os.fspath(root)
    for folder, folders, files in os.walk(top):
        language = f"{folder[len(top) + 1 :]}/".startswith("srt/")
        folders[:] = sorted(
            f
            for f in folders
            if f not in _NOT_SERVING
            and not f.startswith("bench_")
            and (language or folder == top or f != "diffusion")
        )
        place = os.path.relpath(folder, checkout)
        for file in sorted(files):
            if file.endswith(".py") and not file.startswith(_TEST_FILES):
                yield f"{place}/{file}"


def searched_files(checkout: Path) -> Iterator[str]:
    """Every file that an answer about SGLang can rest on."""
    yield from python_files(checkout, checkout / PACKAGE)
    kernel = kernel_root(checkout)
    if kernel is not None:
        yield from python_files(checkout, kernel)
