"""Which release of FlashInfer has an API, from a real history."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from discover_models.sources.flashinfer_releases import Releases

VERSIONS = [("0.6.0", "norm"), ("0.6.1", "norm"), ("0.7.0", "norm rope"), ("0.7.2.post1", "rope")]


def git(folder: Path, *arguments: str) -> None:
    identity = ("-c", "user.name=n", "-c", "user.email=e@localhost")
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True, capture_output=True)


def history(folder: Path, versions: Sequence[tuple[str, str]], *, tags: bool) -> Releases:
    git(folder, "init", "-q")
    (folder / "flashinfer").mkdir()
    for version, names in versions:
        code = "".join(f"def {name}():\n    pass\n" for name in names.split())
        (folder / "flashinfer/code.py").write_text(code)
        (folder / "version.txt").write_text(f"{version}\n")
        git(folder, "add", "-A")
        git(folder, "commit", "-qm", version)
        if tags:
            git(folder, "tag", f"v{version}")
    return Releases(folder)


@pytest.mark.parametrize("tags", [True, False])
def test_the_first_release_is_named_where_the_one_before_is_known(
    tmp_path: Path, tags: bool
) -> None:
    releases = history(tmp_path, VERSIONS, tags=tags)

    assert releases.since("flashinfer.rope") == "0.7.0"
    assert releases.since("flashinfer.nowhere") == ""


def test_what_the_oldest_release_has_already_may_be_older(tmp_path: Path) -> None:
    releases = history(tmp_path, VERSIONS[:3], tags=False)

    assert releases.since("flashinfer.norm") == ""


def test_a_version_that_is_none_costs_nothing(tmp_path: Path) -> None:
    releases = history(tmp_path, [*VERSIONS, ("9" * 5000, "rope")], tags=False)

    assert releases.since("flashinfer.rope") == "0.7.0"


def test_a_post_release_stands_for_its_version(tmp_path: Path) -> None:
    releases = history(tmp_path, VERSIONS, tags=False)

    assert releases.defines("0.7.2", "flashinfer.rope") is True
    assert releases.defines("0.7.2", "flashinfer.norm") is False
    assert releases.defines("0.7.1", "flashinfer.norm") is None
