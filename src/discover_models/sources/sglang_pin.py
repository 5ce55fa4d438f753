"""Which version of FlashInfer a checkout of SGLang asks for."""

from __future__ import annotations

import re
from pathlib import Path

from discover_models.domain.evidence import Evidence
from discover_models.sources.files import read_or_nothing
from discover_models.sources.sglang_files import PACKAGE

_PINS = (
    ("python/pyproject.toml", r'"flashinfer[_-]python(?:\[\w+\])?\s*==\s*([\w.]+)"'),
    (f"{PACKAGE}/srt/entrypoints/engine.py", r'"flashinfer_python",\s*"([\w.]+)"'),
)
"""Files that say it, the version in the pattern's group."""


def pinned_flashinfer(checkout: Path, commit: str | None) -> Evidence | None:
    """The line that asks for a version, which `note` names; None where none does."""
    for path, pattern in _PINS:
        text = read_or_nothing(checkout, path).decode("utf-8", errors="replace")
        found = re.search(pattern, text)
        if found:
            line = text.count("\n", 0, found.start(1)) + 1
            return Evidence(
                repository="sglang",
                commit=commit,
                path=path,
                line=line,
                looked_for=text.splitlines()[line - 1].strip(),
                note=found.group(1),
            )
    return None
