"""Configuration classes and published configurations of a real workspace."""

import os
from pathlib import Path

import pytest

from discover_models.sources.config_defaults import ConfigDefaults
from discover_models.sources.config_file import check_language_model, read_local
from discover_models.sources.sglang_configs import SglangConfigs

pytestmark = pytest.mark.real


@pytest.fixture
def workspace() -> Path:
    path = os.environ.get("DISCOVER_MODELS_WORKSPACE")
    if not path:
        pytest.skip("DISCOVER_MODELS_WORKSPACE is not set")
    return Path(path)


def test_sglang_s_own_classes_are_read(workspace: Path) -> None:
    configs = SglangConfigs(workspace / "sglang", "sglang", ConfigDefaults.load())
    assert not configs.unread
    assert len(configs.class_names()) > 100
    next_80b = configs.for_class("Qwen3NextConfig")
    assert next_80b is not None
    assert (next_80b.get("num_experts"), next_80b.get("linear_num_value_heads")) == (512, 32)
    outer = configs.for_model_type("kimi_k25")
    assert outer is not None
    text = outer.sub_config("text_config", {})
    assert text is not None
    assert text.class_name == "DeepseekV3Config"
    assert text.get("kv_lora_rank") == 512
    linear = configs.for_model_type("kimi_linear")
    assert linear is not None
    head_dim = linear.resolve("head_dim", {"hidden_size": 2304, "num_attention_heads": 32})
    assert head_dim is not None
    assert head_dim.value == 72


def test_every_published_configuration_is_read_and_none_is_refused(workspace: Path) -> None:
    files = sorted((workspace / "hub").glob("*/*/config.json"))
    assert len(files) >= 60
    for file in files:
        found = read_local(workspace / "hub", f"{file.parent.parent.name}/{file.parent.name}")
        assert found is not None
        assert found.config is not None
        check_language_model(found.config, ConfigDefaults.load())
