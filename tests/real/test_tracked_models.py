"""The rule for tracked models on the real coverage document and cookbook."""

import os
from pathlib import Path

import pytest

from discover_models.domain.kernel import Parallelism
from discover_models.domain.model_name import tracked_title
from discover_models.sources.cookbook import parallelism_for, read_cookbook
from discover_models.sources.coverage_doc import read_tracked

REAL = os.environ.get("DISCOVER_MODELS_WORKSPACE")
TABLE = Path(__file__).parent / "golden" / "tracked_models.tsv"

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(REAL is None, reason="DISCOVER_MODELS_WORKSPACE is not set"),
]


def test_exactly_the_pairs_that_were_read_are_taken_as_equal() -> None:
    titles = read_tracked(Path(REAL or "") / "flashinfer-bench/docs/model_coverage.mdx")
    paths = {m.model_path for m in read_cookbook(Path(REAL or "") / "sgl-cookbook").models}
    lines = TABLE.read_text(encoding="utf-8").splitlines()
    accepted = {tuple(line.split("\t")) for line in lines if not line.startswith("#")}
    assert len(titles) == 28
    assert len(paths) == 120
    alone = {(t, p) for t in titles for p in paths if tracked_title(p, [t]) == t}
    together = {(t, p) for p in paths if (t := tracked_title(p, titles))}
    assert together == accepted
    assert alone == accepted, "no row needs another one to be told apart"


def test_the_whole_cookbook_is_read() -> None:
    cookbook = read_cookbook(Path(REAL or "") / "sgl-cookbook")
    configs = [c for m in cookbook.models for c in m.configurations]
    assert cookbook.errors == {}
    assert (len({m.file for m in cookbook.models}), len(configs)) == (33, 538)
    assert not [c for c in configs if c.unread]
    # dp larger than tp, which SGLang refuses, is kept as it is for the report to say.
    assert len([c for c in configs if c.dp_attention and (c.dp or 1) > c.tp]) == 9


@pytest.mark.parametrize(
    ("repo_id", "relation", "sizes"),
    [
        ("Qwen/Qwen3-235B-A22B", "exact", [(8, 1, None, False)]),
        (
            "deepseek-ai/DeepSeek-R1",
            "variant",
            [(8, 1, None, False), (8, 1, 8, True), (8, 8, None, False)],
        ),
        ("MiniMaxAI/MiniMax-M2", "relative", [(4, 1, None, False), (8, 1, None, False)]),
        ("microsoft/phi-4", "none", []),
    ],
)
def test_parallelism_of_real_models(
    repo_id: str, relation: str, sizes: list[tuple[int, int, int | None, bool]]
) -> None:
    cookbook = read_cookbook(Path(REAL or "") / "sgl-cookbook")
    found: tuple[Parallelism, ...]
    found, kind = parallelism_for(repo_id, [c for m in cookbook.models for c in m.configurations])
    assert kind == relation
    assert [(p.tp, p.ep, p.dp, p.dp_attention) for p in found] == sizes
