"""`docs/definition-names.md` has every name scheme of the registry, each with a fitting example."""

import os
import re
from pathlib import Path

import pytest

from discover_models.domain.kernel import Parallelism
from discover_models.ops import FAMILIES
from discover_models.ops.base import Need
from layers import SAMPLES

PAGE = Path(__file__).parents[2] / "docs" / "definition-names.md"
ROW = re.compile(r"^\| `(\S+)` \| (.+) \| (dataset|ours|`\w+\.py`) \| `(\S+)` \|$", re.MULTILINE)
SECTION = re.compile(r"^### (\w+)\n(.*?)(?=^### |\Z)", re.MULTILINE | re.DOTALL)
ROWS = [
    (op_type, *row)
    for op_type, text in SECTION.findall(PAGE.read_text("utf-8"))
    for row in ROW.findall(text)
]


def schemes() -> dict[tuple[str, str], tuple[str, str]]:
    """Kind and scheme → title and key, over the samples."""
    return {
        (need.spec.op_type, need.name): (need.spec.title, need.spec.key)
        for sample in SAMPLES
        for family in FAMILIES
        for need in family.needs(sample, Parallelism())
        if isinstance(need, Need)
    }


def test_the_page_lists_what_the_registry_yields_and_nothing_else() -> None:
    listed = {(op_type, scheme): title for op_type, scheme, title, _, _ in ROWS}
    assert listed == {key: title for key, (title, _) in schemes().items()}
    assert len(ROWS) == len(listed)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[1])
def test_each_example_has_the_shape_of_its_scheme(row: tuple[str, ...]) -> None:
    pattern = re.sub(r"\\\{\w+\\\}", r"\\d+", re.escape(row[1]))
    assert re.fullmatch(pattern, row[4])


@pytest.mark.real
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[1])
def test_each_name_comes_from_where_the_page_says(row: tuple[str, ...]) -> None:
    """Nothing is called ours that the dataset has."""
    workspace = os.environ.get("DISCOVER_MODELS_WORKSPACE")
    if not workspace:
        pytest.skip("DISCOVER_MODELS_WORKSPACE is not set")
    op_type, scheme, _, source, _ = row
    pattern = re.compile(re.sub(r"\\\{\w+\\\}", r"\\d+", re.escape(scheme)))
    definitions = (Path(workspace) / "flashinfer-trace" / "definitions").rglob("*.json")
    assert any(pattern.fullmatch(file.stem) for file in definitions) == (source == "dataset")
    if source.startswith("`"):
        templates = Path(workspace) / "flashinfer/flashinfer/trace/templates"
        text = (templates / source.strip("`")).read_text("utf-8")
        key = schemes()[op_type, scheme][1].removesuffix("_mxfp4")
        assert f'"{key}' in text
