"""The dataset's definitions, in real folders."""

import json
from pathlib import Path

import pytest

from discover_models.errors import SourceError
from discover_models.sources.dataset import MAX_BYTES, DatasetIndex

COMMIT = "d" * 40
CONTENT = {
    "name": "norm_h8",
    "op_type": "rmsnorm",
    "tags": ["model:some-model", "fi_api:flashinfer.norm.rmsnorm"],
    "axes": {"h": {"type": "const", "value": 8}, "batch": {"type": "var"}},
    "inputs": {"x": {"dtype": "bfloat16", "shape": ["batch", "h"]}, "eps": {"dtype": "float32"}},
}


def write(checkout: Path, content: object, path: str = "rmsnorm/norm_h8.json") -> Path:
    file = checkout / "definitions" / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content if isinstance(content, str) else json.dumps(content))
    return file


def test_a_definition_is_read_as_far_as_it_matters(tmp_path: Path) -> None:
    write(tmp_path, CONTENT)
    found = DatasetIndex.open(tmp_path, COMMIT).find("norm_h8")
    assert found is not None
    assert (found.op_type, found.axes) == ("rmsnorm", {"h": 8})
    assert found.inputs == {"x": ("bfloat16", ("batch", "h")), "eps": ("float32", None)}
    assert list(found.tagged("fi_api")) == ["flashinfer.norm.rmsnorm"]
    assert found.has_workloads is False


def test_workloads_count_when_their_file_is_there(tmp_path: Path) -> None:
    write(tmp_path, CONTENT)
    (tmp_path / "workloads" / "rmsnorm").mkdir(parents=True)
    (tmp_path / "workloads" / "rmsnorm" / "norm_h8.jsonl").write_text("{}\n")
    index = DatasetIndex.open(tmp_path, COMMIT)
    found = index.find("norm_h8")
    assert found is not None
    assert found.has_workloads is True
    assert [(e.path, e.found, e.commit) for e in index.evidence(found)] == [
        ("definitions/rmsnorm/norm_h8.json", True, COMMIT),
        ("workloads/rmsnorm/norm_h8.jsonl", True, COMMIT),
    ]


def test_models_are_found_by_their_whole_tag(tmp_path: Path) -> None:
    write(tmp_path, CONTENT)
    write(tmp_path, CONTENT | {"name": "b", "tags": ["model:other"]}, "rmsnorm/b.json")
    write(tmp_path, CONTENT | {"name": "a", "tags": ["model:other"]}, "rmsnorm/a.json")
    index = DatasetIndex.open(tmp_path, COMMIT)
    assert [d.name for d in index.tagged(frozenset({"other"}))] == ["a", "b"]
    assert index.tagged(frozenset({"some", "model"})) == ()


def test_absence_says_among_how_many(tmp_path: Path) -> None:
    write(tmp_path, CONTENT)
    searched = DatasetIndex.open(tmp_path, COMMIT).absence("gemm", ("a", "b"))
    assert (searched.path, searched.found) == ("definitions/gemm/", False)
    assert searched.looked_for == "a or b among 1 definitions"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "can't be read as JSON"),
        ("[]", "holds no JSON object"),
        ("[" * 100_000, "can't be read as JSON"),
        ({**CONTENT, "name": "norm_h9"}, "contradicts itself: the file says name 'norm_h9'"),
        ({**CONTENT, "op_type": "gemm"}, "op_type 'gemm'"),
        ({}, "contradicts itself"),
    ],
)
def test_files_that_cannot_be_trusted(tmp_path: Path, content: object, said: str) -> None:
    write(tmp_path, content)
    with pytest.raises(SourceError, match=r"definitions/rmsnorm/norm_h8\.json") as caught:
        DatasetIndex.open(tmp_path, COMMIT)
    assert said in str(caught.value)


def test_not_utf_8_a_link_or_too_large(tmp_path: Path) -> None:
    file = write(tmp_path, CONTENT)
    file.write_bytes(b'{"name": "\xff"}')
    with pytest.raises(SourceError, match="can't be read as JSON"):
        DatasetIndex.open(tmp_path, COMMIT)
    file.write_bytes(b" " * (MAX_BYTES + 1))
    with pytest.raises(SourceError, match="has more than"):
        DatasetIndex.open(tmp_path, COMMIT)
    file.unlink()
    file.symlink_to(tmp_path / "elsewhere.json")
    (tmp_path / "elsewhere.json").write_text(json.dumps(CONTENT))
    with pytest.raises(SourceError, match="is a link"):
        DatasetIndex.open(tmp_path, COMMIT)


def test_a_folder_without_definitions_is_no_empty_dataset(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no definitions"):
        DatasetIndex.open(tmp_path, COMMIT)
    (tmp_path / "definitions" / "gemm").mkdir(parents=True)
    with pytest.raises(SourceError, match="no definitions"):
        DatasetIndex.open(tmp_path, COMMIT)
