"""The listing of architectures, against classes that were read by hand in the real checkout."""

import os
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from discover_models.domain.listing import LANGUAGE_ROLES, ArchitectureListing, ListedArchitecture
from discover_models.sources.entry_class import registered_classes
from discover_models.sources.sglang_models.checkout import SglangSource
from discover_models.sources.sglang_models.kernel_classes import NON_KERNELS
from discover_models.sources.sglang_models.listing import list_architectures
from write_architectures import write_up

pytestmark = pytest.mark.real
HERE = Path(__file__).parent
EXPECTED: dict[str, dict[str, Any]] = yaml.safe_load(
    (HERE / "golden/architectures.yaml").read_text(encoding="utf-8")
)
DOCUMENT = HERE.parents[1] / "docs/architectures.md"


@pytest.fixture(scope="module")
def source() -> SglangSource:
    folder = os.environ.get("DISCOVER_MODELS_WORKSPACE")
    if not folder:
        pytest.skip("DISCOVER_MODELS_WORKSPACE is not set")
    return SglangSource(Path(folder) / "sglang")


@pytest.fixture(scope="module")
def listing(source: SglangSource) -> ArchitectureListing:
    return list_architectures(source)


def found(listing: ArchitectureListing, name: str) -> ListedArchitecture:
    return next(a for a in listing.architectures if a.architecture == name)


def families(kinds: tuple[str, ...], wanted: dict[str, str]) -> set[str]:
    """Feed-forward kinds, without the routing where it is left open by hand too."""
    return {"moe:" if "moe:" in wanted and k.startswith("moe:") else k for k in kinds}


@pytest.mark.parametrize("name", EXPECTED)
def test_class_that_was_read_by_hand(listing: ArchitectureListing, name: str) -> None:
    wanted, item = EXPECTED[name], found(listing, name)

    assert f"{item.file}:{item.line}" == f"python/sglang/srt/{wanted['at']}"
    assert item.role == wanted["role"]
    if "attention" in wanted:
        assert set(item.attention) == set(wanted["attention"])
    if "ffn" in wanted:
        kinds = families(item.ffn, wanted["ffn"])
        expected = set(wanted["ffn"])
        assert kinds >= expected if wanted.get("ffn_at_least") else kinds == expected
    for kind in wanted.get("conditional", []):
        assert item.conditions[kind]
    for kind, field in wanted.get("condition_mentions", {}).items():
        assert field in item.conditions[kind]


def test_every_registered_class_is_listed(
    source: SglangSource, listing: ArchitectureListing
) -> None:
    names: set[str] = set()
    for file in (source.root / "python/sglang/srt/models").glob("*.py"):
        names.update(registered_classes(file.read_text(encoding="utf-8-sig")).names)

    assert {a.architecture for a in listing.architectures} == names
    assert listing.warnings == ()


def test_what_mixes_tokens_is_named_or_reported(listing: ArchitectureListing) -> None:
    silent = [a.architecture for a in listing.architectures if not a.attention and not a.unmapped]

    assert silent == []


def test_most_language_models_are_made_of_what_is_known(listing: ArchitectureListing) -> None:
    language = [a for a in listing.architectures if a.role in LANGUAGE_ROLES]
    mapped = [a for a in language if not a.unmapped]

    assert len(language) >= 200
    assert len(mapped) / len(language) >= 0.95


def test_list_of_non_kernels_is_short_and_gives_reasons() -> None:
    assert len(NON_KERNELS) <= 40
    assert all(NON_KERNELS.values())


def test_document_says_what_is_not_mapped(
    source: SglangSource, listing: ArchitectureListing
) -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    version = re.search(r"what SGLang (\S+) gives", text)
    own = (source.root / "python/sglang/_version.py").read_text(encoding="utf-8")
    assert version is not None
    if f"'{version[1]}'" not in own and f'"{version[1]}"' not in own:
        pytest.skip("the checkout is another release than the document's")

    assert write_up(source, listing.architectures, version[1]) == text
