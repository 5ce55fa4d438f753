"""The oldest and the newest SGLang of the workspace's history: no class is left out of either."""

import os
import subprocess
from pathlib import Path

import pytest

from discover_models.domain.listing import LANGUAGE_ROLES, ArchitectureListing
from discover_models.sources.entry_class import registered_classes
from discover_models.sources.sglang_models.checkout import SglangSource
from discover_models.sources.sglang_models.listing import list_architectures

pytestmark = pytest.mark.real
Release = tuple[SglangSource, ArchitectureListing]


def git(repository: Path, *arguments: str) -> bytes:
    command = ["git", "-C", str(repository), *arguments]
    return subprocess.run(command, check=True, capture_output=True).stdout


@pytest.fixture(scope="module", params=["oldest", "newest"])
def release(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Release:
    workspace = os.environ.get("DISCOVER_MODELS_WORKSPACE")
    if not workspace:
        pytest.skip("DISCOVER_MODELS_WORKSPACE is not set")
    repository = Path(workspace) / "sglang"
    commits = git(repository, "log", "--format=%H").decode().split()
    commit = commits[-1 if request.param == "oldest" else 0]
    folder = tmp_path_factory.mktemp(str(request.param))
    archive = git(repository, "archive", commit, "python/sglang")
    subprocess.run(["tar", "-x", "-C", folder], input=archive, check=True)
    source = SglangSource(folder, commit)
    return source, list_architectures(source)


def test_every_registered_class_is_followed_and_has_a_role(release: Release) -> None:
    source, listing = release
    names: set[str] = set()
    for file in (source.root / "python/sglang/srt/models").glob("*.py"):
        names.update(registered_classes(file.read_text(encoding="utf-8-sig")).names)

    assert {a.architecture for a in listing.architectures} == names
    assert {a.architecture: a.note for a in listing.architectures if a.note} == {}
    assert all(a.role for a in listing.architectures)


def test_what_mixes_tokens_is_named_or_reported(release: Release) -> None:
    _, listing = release
    silent = [a.architecture for a in listing.architectures if not a.attention and not a.unmapped]

    assert silent == []


def test_most_language_models_are_made_of_what_is_known(release: Release) -> None:
    _, listing = release
    language = [a for a in listing.architectures if a.role in LANGUAGE_ROLES]
    mapped = [a for a in language if not a.unmapped]

    assert len(language) >= 100
    assert len(mapped) / len(language) >= 0.93
