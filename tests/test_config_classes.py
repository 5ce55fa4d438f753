"""The page on configuration classes says what the program does today."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from discover_models.sources.config_defaults import ConfigDefaults

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def script() -> ModuleType:
    path = ROOT / "scripts/generate_sample_table.py"
    spec = importlib.util.spec_from_file_location("generate_sample_table", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_the_page_is_in_step_with_the_program(script: ModuleType) -> None:
    """Every class is read without a crash: `make config-classes` writes the page anew."""
    page = (ROOT / "docs/config-classes.md").read_text("utf-8")
    assert page == script.document(ConfigDefaults.load())


def test_what_is_not_mapped_is_explained(script: ModuleType) -> None:
    rows = [script.row(known) for known in script.causal_classes(ConfigDefaults.load())]
    assert len(rows) > 180
    assert all(row.unmapped or row.outcome != "partly" for row in rows)
    assert sum(row.outcome == "mapped" for row in rows) >= 30


@pytest.mark.parametrize(
    "model_type",
    ["gpt2", "bloom", "mpt", "falcon", "phi", "gpt_neox", "opt", "phimoe", "cohere", "starcoder2"],
)
def test_classes_with_layer_norm_get_no_rms_norm(script: ModuleType, model_type: str) -> None:
    known = ConfigDefaults.load().for_model_type(model_type)
    assert known is not None
    names = script.definitions(known)
    assert names
    assert not [name for name in names if "rmsnorm" in name]


@pytest.mark.parametrize(
    ("model_type", "wrong"),
    [
        ("gpt2", "gemm_n6144_k768"),
        ("nemotron", "gemm_n49152_k6144"),
        ("arcee", "gemm_n36864_k2560"),
    ],
)
def test_classes_without_a_gate_get_no_gate(
    script: ModuleType, model_type: str, wrong: str
) -> None:
    known = ConfigDefaults.load().for_model_type(model_type)
    assert known is not None
    assert wrong not in script.definitions(known)
