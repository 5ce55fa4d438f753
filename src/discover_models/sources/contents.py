"""What the files of a checkout hold, told by ids: nothing that git knows already is read."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from pathlib import Path

from discover_models.errors import SourceError
from discover_models.sources.files import read_inside
from discover_models.sources.git import Git, unchanged_blobs


class Contents:
    """Ids of what files hold on disk at the time of the first question.

    A file that lies there as it is committed has its blob's id; any other (changed, untracked,
    ignored, or in a folder without git) is read.
    """

    def __init__(self, checkout: Path) -> None:
        self.checkout = checkout
        self._keys: dict[Callable[[Path], Iterable[str]], str | None] = {}

    def id_of(self, path: str) -> str | None:
        """The id of one file, by its path in the checkout; None for one that can't be read."""
        known = self._unchanged.get(path)
        if known is not None:
            return known
        try:
            return "sha256:" + hashlib.sha256(read_inside(self.checkout, path)).hexdigest()
        except SourceError:
            return None

    def key(self, paths: Iterable[str]) -> str | None:
        """One id for all the files; None when one of them can't be read."""
        digest = hashlib.sha256()
        for path in paths:
            content = self.id_of(path)
            if content is None:
                return None
            digest.update(f"{path}\0{content}\n".encode("utf-8", "surrogateescape"))
        return digest.hexdigest()

    def key_of_all(self, searched: Callable[[Path], Iterable[str]]) -> str | None:
        """Likewise for the files that a search of the checkout gives, which is done once."""
        if searched not in self._keys:
            self._keys[searched] = self.key(searched(self.checkout))
        return self._keys[searched]

    @cached_property
    def _unchanged(self) -> dict[str, str]:
        try:
            return unchanged_blobs(Git(self.checkout, network=False))
        except SourceError:
            return {}


def files_below(folder: Path, checkout: Path, suffix: str) -> Iterator[str]:
    """Paths in the checkout of all files below a folder with that ending, in a fixed order.

    Linked folders are given as if they were files, which they can't be read as.
    """
    for here, folders, names in os.walk(folder):
        folders.sort()
        place = os.path.relpath(here, checkout)
        links = [f for f in folders if os.path.islink(os.path.join(here, f))]
        for name in sorted([*links, *(n for n in names if n.endswith(suffix))]):
            yield f"{place}/{name}"
