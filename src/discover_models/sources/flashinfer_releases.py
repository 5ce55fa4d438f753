"""Which releases of FlashInfer define an API, from the history that a clone has itself."""

from __future__ import annotations

import re
from functools import cached_property
from pathlib import Path

from discover_models.errors import SourceError
from discover_models.sources.flashinfer_files import PACKAGES
from discover_models.sources.git import Git, GitError

_RELEASE = re.compile(r"v?(\d+(?:\.\d+)+(?:\.post\d+)?)")
_STATED = {
    "version.txt": r"^(\S+)",
    "flashinfer/_build_meta.py": r'__version__ = "([^"]+)"',
}
"""Files that state a version, the version in the pattern's group."""
_COMMITS = 60
"""How many changes of those files are looked at."""


class Releases:
    """Releases by version; nothing is fetched, so a partial clone often has no answer."""

    def __init__(self, checkout: Path) -> None:
        self._git = Git(checkout, network=False)

    def defines(self, version: str, api: str) -> bool | None:
        """Whether that release defines the last part of the API's name; None where that is open.

        A post-release changes how a version is packaged and nothing in it, so it stands for one
        that the clone does not have.
        """
        posts = sorted((v for v in self._refs if v.startswith(f"{version}.post")), key=_order)
        ref = next((self._refs[v] for v in (version, *posts) if v in self._refs), None)
        return self._defines(ref, api) if ref else None

    def since(self, api: str) -> str:
        """The first release that has the API; empty where the oldest that is known has it too, or
        the newest does not."""
        versions = sorted(self._refs, key=_order)
        without, having = -1, len(versions)
        while having - without > 1:
            middle = (without + having) // 2
            found = self._defines(self._refs[versions[middle]], api)
            if found is None:
                return ""
            without, having = (without, middle) if found else (middle, having)
        return versions[having] if 0 < having < len(versions) else ""

    def unreleased(self, api: str) -> bool | None:
        """Whether the newest release that the clone knows lacks the API."""
        newest = max(self._tags, key=_order, default=None)
        found = self._defines(self._tags[newest], api) if newest else None
        return None if found is None else not found

    def _defines(self, ref: str, api: str) -> bool | None:
        name = re.escape(api.rpartition(".")[2])
        try:
            return self._git.succeeds(
                "grep", "-qE", rf"^(async )?(def|class) {name}\b", ref, "--", *PACKAGES
            )
        except SourceError:
            return None

    @cached_property
    def _tags(self) -> dict[str, str]:
        try:
            names = self._git.text("tag", "--list", "v*").split()
        except SourceError:
            return {}
        found = ((name, _RELEASE.fullmatch(name)) for name in names)
        return {match[1]: name for name, match in found if match}

    @cached_property
    def _refs(self) -> dict[str, str]:
        """Something of git's by version."""
        return {**self._stated, **self._tags}

    @cached_property
    def _stated(self) -> dict[str, str]:
        """The last commit that states each version; they stand in where there are no tags."""
        found: dict[str, str] = {}
        try:
            log = self._git.text("log", f"-{_COMMITS}", "--format=%H", "--", *_STATED)
        except SourceError:
            return {}
        for commit in log.split():
            for file, pattern in _STATED.items():
                version = self._version(commit, file, pattern)
                if version:
                    found.setdefault(version, commit)
        return found

    def _version(self, commit: str, file: str, pattern: str) -> str:
        try:
            text = self._git.text("show", f"{commit}:{file}")
        except GitError:
            return ""
        match = re.search(pattern, text)
        return match.group(1) if match else ""


def _order(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d{1,9}", version))
