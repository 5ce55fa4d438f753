"""Whole inventories on a real workspace, over one set of indexes."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from discover_models.domain.kernel import Inventory
from discover_models.errors import ConfigError
from discover_models.inventory import build_inventory
from discover_models.one_model import architecture_of
from discover_models.render import render_markdown, render_text
from discover_models.settings import RunOptions
from discover_models.slugs import slug_of
from discover_models.sources.config_file import read_local
from discover_models.world import World, open_world, workspace_of
from golden_files import GOLDEN, sizes

REAL = os.environ.get("DISCOVER_MODELS_WORKSPACE")
EXISTING: dict[str, dict[str, Any]] = yaml.safe_load(
    (Path(__file__).parent / "golden" / "existing_definitions.yaml").read_text("utf-8")
)
READ_BY_HAND = ("Qwen/Qwen3-235B-A22B", "deepseek-ai/DeepSeek-V3.2")

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(REAL is None, reason="DISCOVER_MODELS_WORKSPACE is not set"),
]


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    options = RunOptions(workspace=Path(REAL or ""), configs=Path(REAL or "") / "hub", offline=True)
    workspace = workspace_of(options, print)
    with workspace.locked():
        yield open_world(workspace, options)


def inventory(world: World, repo_id: str, tp: list[int], ep: list[int]) -> Inventory:
    assert world.configs is not None
    file = read_local(world.configs, repo_id)
    assert file is not None
    return build_inventory(
        slug=slug_of(repo_id),
        repo_id=repo_id,
        revision=None,
        architecture=architecture_of(file, world.libraries),
        parallelism=sizes(tp, ep),
        sources=world.sources,
        repo_shas=world.repo_shas,
    )


@pytest.mark.parametrize("repo_id", EXISTING)
def test_the_definitions_that_the_dataset_has_are_found(world: World, repo_id: str) -> None:
    wanted = EXISTING[repo_id]
    found = inventory(world, repo_id, wanted["tp"], wanted["ep"])
    existing = {k.matched_name for k in found.kernels if k.phase1_status == "existing"}
    assert set(wanted["existing"]) - existing == set()


@pytest.mark.parametrize("repo_id", READ_BY_HAND)
def test_every_verdict_is_the_one_read_by_hand(world: World, repo_id: str) -> None:
    golden = GOLDEN[repo_id]
    found = inventory(world, repo_id, golden["tp"], golden["ep"])
    verdicts = {
        k.required.definition_name: {
            "phase1_status": k.phase1_status,
            "fi_status": k.fi_status,
            "fi_trace_template": k.fi_trace_template,
            "sgl_status": k.sgl_status,
        }
        for k in found.kernels
    }
    wanted = {row["name"]: {key: row.get(key) for key in _VERDICTS} for row in golden["rows"]}
    further = {row["name"] for row in golden.get("further", ())}  # test_further_kernels.py
    assert {name: v for name, v in verdicts.items() if name not in further} == wanted
    assert further <= set(verdicts)


_VERDICTS = ("phase1_status", "fi_status", "fi_trace_template", "sgl_status")


def test_every_published_configuration_gives_an_inventory(world: World) -> None:
    hub = Path(REAL or "") / "hub"
    ids = [f"{f.parent.parent.name}/{f.parent.name}" for f in sorted(hub.glob("*/*/config.json"))]
    assert len(ids) >= 60
    empty: list[str] = []
    for repo_id in ids:
        try:
            found = inventory(world, repo_id, [1], [1])
        except ConfigError as error:
            pytest.fail(f"{repo_id}: {error}")
        if not found.kernels and not found.unmapped:
            empty.append(repo_id)
        assert render_text([found]).startswith("Model: ")
        assert render_markdown([found], origins={}).startswith("## ")
    assert empty == []
