"""The lists of new models that were made by hand from the real repositories."""

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from discover_models.discovery import discover
from discover_models.sources.coverage_doc import read_tracked
from discover_models.sources.novelties import read_novelties
from discover_models.sources.source_spec import DEFAULT_SOURCES, SourceSpec
from discover_models.sources.workspace import Workspace

REAL = os.environ.get("DISCOVER_MODELS_WORKSPACE")
GOLDEN = Path(__file__).parent / "golden"

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(REAL is None, reason="DISCOVER_MODELS_WORKSPACE is not set"),
]


def golden(since: str) -> set[tuple[str, str, str, str]]:
    lines = (GOLDEN / f"discover_{since}.tsv").read_text(encoding="utf-8").splitlines()
    rows = [line.split("\t") for line in lines if not line.startswith("#")]
    return {(verdict, origin, name, where) for verdict, origin, name, where, _why in rows}


def found(workspace: Workspace, since: str) -> set[tuple[str, str, str, str]]:
    moment = datetime.fromisoformat(since).replace(tzinfo=UTC)
    specs = [
        SourceSpec(name=spec.name, url=(Path(REAL or "") / spec.name).resolve().as_uri())
        for spec in DEFAULT_SOURCES
        if spec.name in ("sglang", "sgl-cookbook")
    ]
    new = read_novelties(workspace, workspace.prepare(specs, moment))
    titles = read_tracked(Path(REAL or "") / "flashinfer-bench/docs/model_coverage.mdx")
    result = discover(
        registrations=new.registrations,
        models=new.models,
        pages=new.pages,
        titles=titles,
        compared=new.compared,
        errors=new.errors,
    )
    assert result.errors == {}
    assert result.tracked == ()
    candidates = {
        ("candidate", c.origin, c.hf_repo_id or c.name, c.evidence[0].path)
        for c in result.candidates
    }
    skipped = {(s.reason, s.origin, s.name, s.evidence[0].path) for s in result.skipped}
    assert len(candidates) + len(skipped) == len(result.candidates) + len(result.skipped)
    return candidates | skipped


@pytest.mark.parametrize("since", ["2026-10-01", "2026-02-10"])
def test_the_workspace_as_it_is(since: str) -> None:
    assert found(Workspace(Path(REAL or ""), offline=True), since) == golden(since)


def test_a_shallow_partial_sparse_clone(tmp_path: Path) -> None:
    """One clone, first for the short window and then deepened for the long one."""
    for since in ("2026-10-01", "2026-02-10"):
        assert found(Workspace(tmp_path), since) == golden(since)
        assert found(Workspace(tmp_path, offline=True), since) == golden(since)
