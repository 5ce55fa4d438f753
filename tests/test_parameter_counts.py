"""The table of published parameter counts is complete enough to check against."""

import os
import tomllib
from pathlib import Path
from typing import Any

import pytest

TABLE = Path(__file__).parent / "data" / "parameter_counts.toml"
MODELS: list[dict[str, Any]] = tomllib.loads(TABLE.read_text("utf-8"))["model"]


def test_every_model_is_there_once() -> None:
    names = [m["hf_repo_id"] for m in MODELS]
    assert len(names) == len(set(names))
    assert sum(m.get("digits", 12) >= 3 for m in MODELS) >= 35


@pytest.mark.parametrize("model", MODELS, ids=lambda m: m["hf_repo_id"])
def test_the_quoted_source_states_the_number(model: dict[str, Any]) -> None:
    assert model["source"].startswith("https://")
    assert set(model["includes"]) <= {"vision", "mtp", "scales", "lm_head_copy"}
    number = model["parameters"]
    spellings = [str(number)]
    if "digits" in model:
        spellings = [f"{number // 10**9}B", f"{number // 10**9} billion", f"{number / 1e12:.1f}T"]
    assert any(s in model["quote"] for s in spellings)


@pytest.mark.real
def test_every_configuration_of_the_workspace_has_a_count_or_a_reason() -> None:
    workspace = os.environ.get("DISCOVER_MODELS_WORKSPACE")
    if not workspace:
        pytest.skip("DISCOVER_MODELS_WORKSPACE is not set")
    files = (Path(workspace) / "hub").glob("*/*/config.json")
    found = {f"{f.parent.parent.name}/{f.parent.name}" for f in files}
    unsourced = tomllib.loads(TABLE.read_text("utf-8")).get("unsourced", [])
    assert found - {m["hf_repo_id"] for m in [*MODELS, *unsourced]} == set()
