"""A sweep over the real configurations gives the same manifests for any number of shares."""

import os
from pathlib import Path

import pytest

from discover_models.settings import ModelRequest, RunOptions
from sweep import sweep

WORKSPACE = Path(os.environ.get("DISCOVER_MODELS_WORKSPACE", "/nonexistent"))
pytestmark = pytest.mark.skipif(
    not (WORKSPACE / "hub").is_dir(), reason="DISCOVER_MODELS_WORKSPACE names no real workspace"
)


def test_four_shares_and_one_give_the_same_manifests(tmp_path: Path) -> None:
    hub = WORKSPACE / "hub"
    repositories = sorted(f"{p.parts[-3]}/{p.parts[-2]}" for p in hub.glob("*/*/config.json"))
    options = RunOptions(
        models=tuple(ModelRequest(hf_repo_id=repo_id) for repo_id in repositories),
        workspace=WORKSPACE,
        configs=hub,
        cache_dir=tmp_path / "cache",
        offline=True,
    )
    whole = sweep(options, tmp_path / "whole", 1)
    assert len(whole) > 20
    assert sweep(options, tmp_path / "shared", 4) == whole
