"""Reading SGLang's own configuration classes, on hand-written miniatures."""

from pathlib import Path

import pytest

from discover_models.errors import SourceError
from discover_models.sources import sglang_configs
from discover_models.sources.cache import DiskCache
from discover_models.sources.config_defaults import ClassDefaults, ConfigDefaults, Default
from discover_models.sources.sglang_configs import CONFIGS, SglangConfigs

TRANSFORMERS = ConfigDefaults(
    {
        "transformers": "9.9.9",
        "model_types": {},
        "classes": {
            "LibraryConfig": {
                "model_type": "library",
                "fields": {"hidden_size": 11, "vocab_size": 22},
            }
        },
    }
)

MINI = '''
"""Raises when it is imported."""
from transformers import LibraryConfig
from transformers.configuration_utils import PretrainedConfig
import no_such_module

SIZE = 3

class Helper:
    def __init__(self, hidden_size=1): ...

class MiniTextConfig(PretrainedConfig):
    model_type = "mini_text"
    attribute_map = {"num_layers": "num_hidden_layers"}

    def __init__(
        self,
        hidden_size: int = 4 * 1024,
        num_attention_heads=32,
        num_key_value_heads=None,
        head_dim=None,
        num_experts=None,
        sizes=(2, 2),
        grid=((1, 2), (3, 4)),
        sizes_of_parts=9,
        num_hidden_layers=SIZE,
        window=128,
        use_window=False,
        width=None,
        *,
        rank: int = 64,
        **kwargs,
    ):
        self.hidden_size = hidden_size
        self.num_attention_heads = num_attention_heads
        if num_key_value_heads is None:
            num_key_value_heads = num_attention_heads
        self.num_key_value_heads = num_key_value_heads
        self.head_dim = head_dim if head_dim is not None else hidden_size // num_attention_heads
        self.n_routed_experts = self.num_experts = num_experts
        self.sizes = sizes
        self.num_hidden_layers = num_hidden_layers
        self.rank = rank
        self.window = window if use_window else None
        if width is None:
            width = hidden_size * 4
        self.width = width
        self.pattern = kwargs.pop("pattern", 6)
        super().__init__(**kwargs)

    @property
    def layer_ids(self):
        return [1]

    @property
    def sizes_of_parts(self):
        return 1

class MiniMoeTextConfig(MiniTextConfig):
    model_type = "mini_moe_text"

    def __init__(self, num_experts=8, **kwargs):
        self.num_experts = num_experts
        super().__init__(**kwargs)

class MiniPatchConfig(PretrainedConfig):
    model_type = "patch"

class MiniVisionConfig(PretrainedConfig):
    model_type = "mini"
    sub_configs = {"patch_config": MiniPatchConfig}

    def __init__(self, depth=2, **kwargs):
        self.depth = depth

class MiniConfig(PretrainedConfig):
    model_type = "mini"
    sub_configs = {"text_config": MiniTextConfig, "vision_config": MiniVisionConfig}

    def __init__(self, text_config=None, vision_config=None, **kwargs):
        self.text_config = text_config

class WrapperConfig(PretrainedConfig):
    model_type = "wrapper"

    def __init__(self, text_config=None, **kwargs):
        if text_config is None:
            text_config = LibraryConfig()
        elif isinstance(text_config, dict):
            text_config = LibraryConfig(**text_config)
        self.text_config = text_config

class ChildConfig(LibraryConfig):
    model_type = "child"

    def __init__(self, vocab_size=33, **kwargs):
        super().__init__(vocab_size=vocab_size, **kwargs)
'''

STYLE = """
from dataclasses import dataclass, field
from typing import ClassVar, List
from transformers import PretrainedConfig

@dataclass
class StyleConfig(PretrainedConfig):
    model_type: str = "style"
    width: int = 2048
    ratios: List[int] = field(default_factory=list)
    kind: ClassVar[str] = "x"
    made: object = field(default_factory=object)
"""


@pytest.fixture
def configs(tmp_path: Path) -> SglangConfigs:
    folder = tmp_path / CONFIGS
    folder.mkdir(parents=True)
    (folder / "mini.py").write_text(MINI)
    (folder / "style.py").write_text(STYLE)
    (folder / "broken.py").write_text("class Lost(PretrainedConfig:\n")
    return SglangConfigs(tmp_path, "sglang 0.0.1", TRANSFORMERS)


def read(configs: SglangConfigs, model_type: str) -> ClassDefaults:
    found = configs.for_model_type(model_type)
    assert found is not None
    return found


def value(default: Default | None) -> object:
    assert default is not None
    return default.value


def test_arguments_give_defaults_with_their_place(configs: SglangConfigs) -> None:
    text = read(configs, "mini_text")
    found = text.resolve("hidden_size", {})
    assert found is not None
    assert found.value == 4096
    assert found.source == f"default of sglang 0.0.1 MiniTextConfig ({CONFIGS}/mini.py:12)"
    assert text.get("sizes") == [2, 2]
    assert text.get("grid") == [[1, 2], [3, 4]]
    assert text.get("rank") == 64
    assert text.get("pattern") == 6


def test_a_default_that_is_no_literal_is_unknown(configs: SglangConfigs) -> None:
    text = read(configs, "mini_text")
    assert text.declares("num_hidden_layers")
    assert text.resolve("num_layers", {}) is None


def test_computed_values_follow_the_file(configs: SglangConfigs) -> None:
    text = read(configs, "mini_text")
    config = {"hidden_size": 512, "num_attention_heads": 8}
    assert value(text.resolve("head_dim", config)) == 64
    assert value(text.resolve("num_key_value_heads", config)) == 8
    assert value(text.resolve("width", config)) == 2048


def test_what_a_condition_decides_is_unknown(configs: SglangConfigs) -> None:
    text = read(configs, "mini_text")
    assert text.resolve("window", {}) is None
    assert text.resolve("layer_ids", {}) is None
    assert text.resolve("sizes_of_parts", {}) is None


def test_a_second_name_is_an_alias(configs: SglangConfigs) -> None:
    text = read(configs, "mini_text")
    assert text.own_name("n_routed_experts") == "num_experts"
    assert value(text.resolve("n_routed_experts", {})) is None


def test_inheritance(configs: SglangConfigs) -> None:
    moe = read(configs, "mini_moe_text")
    assert (moe.get("num_experts"), moe.get("hidden_size")) == (8, 4096)
    child = read(configs, "child")
    assert (child.get("vocab_size"), child.get("hidden_size")) == (33, 11)


def test_nested_configurations(configs: SglangConfigs) -> None:
    outer = read(configs, "mini")
    assert outer.class_name == "MiniConfig"
    inner = outer.sub_config("text_config", {})
    assert inner is not None
    assert inner.class_name == "MiniTextConfig"
    wrapped = read(configs, "wrapper").sub_config("text_config", {})
    assert wrapped is not None
    assert wrapped.source == "default of transformers 9.9.9 LibraryConfig"


def test_dataclass_style(configs: SglangConfigs) -> None:
    style = read(configs, "style")
    assert dict(style.fields) == {"width": 2048, "ratios": []}
    assert style.resolve("made", {}) is None


def test_other_classes_are_no_configurations(configs: SglangConfigs) -> None:
    assert configs.for_class("Helper") is None
    assert "Helper" not in configs.class_names()


def test_a_broken_file_is_named_and_hides_nothing_else(configs: SglangConfigs) -> None:
    assert list(configs.unread) == [f"{CONFIGS}/broken.py"]


def test_classes_are_read_once(
    configs: SglangConfigs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = DiskCache(tmp_path / "cache")
    first = SglangConfigs(tmp_path, "sglang 0.0.1", TRANSFORMERS, cache)
    assert first.class_names() == configs.class_names()
    monkeypatch.setattr(sglang_configs, "_Reader", None)
    again = SglangConfigs(tmp_path, "sglang 0.0.1", TRANSFORMERS, cache)
    assert again.class_names() == configs.class_names()
    assert read(again, "mini_text").get("grid") == [[1, 2], [3, 4]]


def test_a_folder_that_is_no_checkout_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="checkout of SGLang"):
        SglangConfigs(tmp_path, "sglang", TRANSFORMERS)
