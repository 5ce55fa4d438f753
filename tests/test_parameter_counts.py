"""The table of published parameter counts is complete enough to check against."""

import os
import tomllib
from pathlib import Path
from typing import Any

import pytest

from discover_models.one_model import architecture_of
from discover_models.sources.config_defaults import ConfigDefaults
from discover_models.sources.config_file import read_local
from golden_files import CONFIGS
from parameter_count import draft_layers, parameter_count

TABLE = Path(__file__).parent / "data" / "parameter_counts.toml"
LIBRARY = ConfigDefaults.load()
MODELS: list[dict[str, Any]] = tomllib.loads(TABLE.read_text("utf-8"))["model"]


def test_every_model_is_there_once() -> None:
    names = [m["hf_repo_id"] for m in MODELS]
    assert len(names) == len(set(names))
    assert sum(m.get("digits", 12) >= 3 for m in MODELS) >= 35


@pytest.mark.parametrize("model", MODELS, ids=lambda m: m["hf_repo_id"])
def test_the_quoted_source_states_the_number(model: dict[str, Any]) -> None:
    assert model["source"].startswith("https://")
    assert set(model["includes"]) <= {"vision", "mtp", "mtp_copies", "scales", "lm_head_copy"}
    number = model["parameters"]
    spellings = [str(number)]
    if "digits" in model:
        spellings = [f"{number // 10**9}B", f"{number // 10**9} billion", f"{number / 1e12:.1f}T"]
    assert any(s in model["quote"] for s in spellings)


def ratio(model: dict[str, Any], configs: Path) -> float | None:
    """Counted over published parameters; None where a part of the decoder is not mapped."""
    file = read_local(configs, model["hf_repo_id"])
    assert file is not None
    assert file.config is not None
    architecture = architecture_of(file, (LIBRARY,))
    text = file.config
    for key in filter(None, architecture.text_path.split(".")):
        text = text[key]
    count = parameter_count(architecture, tied=is_tied(file.config, text))
    if count is None:
        return None
    if "mtp" in model["includes"]:
        layers = text.get("num_nextn_predict_layers") or text.get("mtp_num_hidden_layers") or 1
        copies = "mtp_copies" in model["includes"]
        count += draft_layers(architecture, layers, copies=copies)
    return count / model["parameters"]


def is_tied(config: dict[str, Any], text: dict[str, Any]) -> bool:
    """Whether the output layer is the embedding: by the file, else by its class."""
    for holder in (text, config):
        if "tie_word_embeddings" in holder:
            return bool(holder["tie_word_embeddings"])
    known = LIBRARY.for_model_type(text["model_type"])
    default = known.resolve("tie_word_embeddings", text) if known is not None else None
    return default is not None and bool(default.value)


def check(model: dict[str, Any], configs: Path) -> None:
    found = ratio(model, configs)
    confirmed = found is not None and abs(found - 1) < 0.01
    assert confirmed == ("unchecked" not in model), found


@pytest.mark.parametrize(
    "model",
    [m for m in MODELS if (CONFIGS / m["hf_repo_id"]).is_dir()],
    ids=lambda m: m["hf_repo_id"],
)
def test_the_dimensions_give_the_published_count(model: dict[str, Any]) -> None:
    """Within 1 %, or it is said why they can't."""
    check(model, CONFIGS)


@pytest.mark.real
@pytest.mark.parametrize("model", MODELS, ids=lambda m: m["hf_repo_id"])
def test_the_dimensions_give_the_published_count_of_every_real_model(
    model: dict[str, Any],
) -> None:
    workspace = os.environ.get("DISCOVER_MODELS_WORKSPACE")
    if not workspace:
        pytest.skip("DISCOVER_MODELS_WORKSPACE is not set")
    check(model, Path(workspace) / "hub")


def test_enough_models_are_checked() -> None:
    assert sum("unchecked" not in m for m in MODELS) >= 30


@pytest.mark.real
def test_every_configuration_of_the_workspace_has_a_count_or_a_reason() -> None:
    workspace = os.environ.get("DISCOVER_MODELS_WORKSPACE")
    if not workspace:
        pytest.skip("DISCOVER_MODELS_WORKSPACE is not set")
    files = (Path(workspace) / "hub").glob("*/*/config.json")
    found = {f"{f.parent.parent.name}/{f.parent.name}" for f in files}
    unsourced = tomllib.loads(TABLE.read_text("utf-8")).get("unsourced", [])
    assert found - {m["hf_repo_id"] for m in [*MODELS, *unsourced]} == set()
