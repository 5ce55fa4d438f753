"""Where something was found, or what was looked for and where."""

from typing import Literal

from discover_models.domain.frozen import Frozen

Repository = Literal[
    "sglang", "flashinfer", "sgl-cookbook", "flashinfer-trace", "flashinfer-bench", "hub"
]


class Evidence(Frozen):
    """One line of a source that supports a statement, or a search that found nothing.

    `found=False` says that `looked_for` is not in what was searched, which `path` names;
    it is never used for "could not look" (that is a `SourceError` and an undecided verdict).
    """

    repository: Repository
    commit: str | None = None
    """Full commit id; None where the source is not a git repository."""
    path: str
    """Path inside the repository, with forward slashes."""
    line: int | None = None
    """1-based; None when the whole file or folder is meant."""
    looked_for: str
    """What the line shows or what was searched, for example ``class X.run @flashinfer_api``."""
    found: bool = True
    note: str = ""
    """A condition under which the line counts, in words."""
