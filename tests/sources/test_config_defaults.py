"""The defaults of configuration classes, on a miniature table and on the one that is shipped."""

import subprocess
import sys
from collections.abc import Mapping

import pytest

from discover_models.sources.config_defaults import UNKNOWN, ConfigDefaults, evaluate

TABLE = {
    "transformers": "9.9.9",
    "model_types": {
        "mini": {"class": "MiniConfig", "tasks": ["multimodal_lm"]},
        "mini_text": {"class": "MiniTextConfig", "tasks": ["causal_lm"]},
        "other_text": {"class": "OtherTextConfig", "tasks": ["causal_lm"]},
    },
    "classes": {
        "MiniConfig": {
            "model_type": "mini",
            "sub_configs": {
                "text_config": {
                    "model_type": "mini_text",
                    "class": "MiniTextConfig",
                    "given": {"hidden_size": 96, "head_dim": 24},
                },
                "any_config": {"model_type": "mini_text"},
            },
        },
        "MiniTextConfig": {
            "model_type": "mini_text",
            "attribute_map": {"n_layers": "num_hidden_layers"},
            "fields": {
                "hidden_size": 64,
                "num_attention_heads": 4,
                "num_hidden_layers": 6,
                "sliding_window": None,
                "use_window": False,
            },
            "legacy": {"pattern": 3},
            "derived": {
                "head_dim": {
                    "from": ["hidden_size", "num_attention_heads"],
                    "formula": {"quotient": ["hidden_size", "num_attention_heads"]},
                    "value": 16,
                },
                "layer_types": {
                    "from": ["num_hidden_layers", "pattern"],
                    "formula": {
                        "every": "pattern",
                        "special": "full",
                        "rest": "slide",
                        "length": "num_hidden_layers",
                    },
                },
                "window": {"from": ["use_window"], "value": None},
                "guarded": {
                    "from": ["num_hidden_layers", "use_window"],
                    "formula": {"same": "num_hidden_layers"},
                    "if": {"use_window": False},
                },
                "mystery": {"from": [], "value": 7},
                "only_layers": {"from": [], "value": []},
            },
        },
        "OtherTextConfig": {"model_type": "other_text", "fields": {"hidden_size": 8}},
    },
}


@pytest.fixture
def defaults() -> ConfigDefaults:
    return ConfigDefaults(TABLE)


def test_a_constant_default_names_its_class_and_version(defaults: ConfigDefaults) -> None:
    text = defaults.for_model_type("mini_text")
    assert text is not None
    found = text.resolve("hidden_size", {})
    assert found is not None
    assert (found.value, found.source) == (64, "default of transformers 9.9.9 MiniTextConfig")
    assert text.get("hidden_size") == 64


def test_none_as_a_default_differs_from_an_unknown_field(defaults: ConfigDefaults) -> None:
    text = defaults.for_model_type("mini_text")
    assert text is not None
    found = text.resolve("sliding_window", {})
    assert found is not None
    assert found.value is None
    assert text.resolve("no_such_field", {}) is None
    assert text.declares("sliding_window")
    assert not text.declares("no_such_field")


@pytest.mark.parametrize(
    ("config", "expected"),
    [({}, 16), ({"hidden_size": 128}, 32), ({"hidden_size": 128, "num_attention_heads": 2}, 64)],
)
def test_a_computed_default_follows_what_the_file_says(
    defaults: ConfigDefaults, config: dict[str, int], expected: int
) -> None:
    text = defaults.for_model_type("mini_text")
    assert text is not None
    found = text.resolve("head_dim", config)
    assert found is not None
    assert found.value == expected
    assert found.rests_on == ("hidden_size", "num_attention_heads")
    assert text.get("head_dim") is None


def test_a_layer_pattern_has_the_published_length_under_any_name(defaults: ConfigDefaults) -> None:
    text = defaults.for_model_type("mini_text")
    assert text is not None
    found = text.resolve("layer_types", {"n_layers": 4})
    assert found is not None
    assert found.value == ["slide", "slide", "full", "slide"]
    found = text.resolve("layer_types", {"n_layers": 4, "pattern": 2})
    assert found is not None
    assert found.value == ["slide", "full", "slide", "full"]


def test_a_value_without_formula_holds_only_while_what_it_rests_on_is_untouched(
    defaults: ConfigDefaults,
) -> None:
    text = defaults.for_model_type("mini_text")
    assert text is not None
    untouched = text.resolve("window", {"use_window": False})
    assert untouched is not None
    assert untouched.value is None
    assert text.resolve("window", {"use_window": True}) is None
    guarded = text.resolve("guarded", {"num_hidden_layers": 9})
    assert guarded is not None
    assert guarded.value == 9
    assert text.resolve("guarded", {"num_hidden_layers": 9, "use_window": True}) is None


def test_a_computed_value_with_no_known_origin_is_not_guessed(defaults: ConfigDefaults) -> None:
    text = defaults.for_model_type("mini_text")
    assert text is not None
    assert text.resolve("mystery", {}) is None
    empty = text.resolve("only_layers", {})
    assert empty is not None
    assert empty.value == []


def test_sub_configurations(defaults: ConfigDefaults) -> None:
    outer = defaults.for_model_type("mini")
    assert outer is not None
    published = outer.sub_config("text_config", {"num_hidden_layers": 2})
    assert published is not None
    assert published.get("hidden_size") == 64
    left_out = outer.sub_config("text_config")
    assert left_out is not None
    assert left_out.get("hidden_size") == 96
    assert left_out.get("head_dim") == 24
    chosen = outer.sub_config("any_config", {"model_type": "other_text"})
    assert chosen is not None
    assert chosen.class_name == "OtherTextConfig"
    assert outer.sub_config("vision_config") is None


def test_unknown_types(defaults: ConfigDefaults) -> None:
    assert defaults.for_model_type("never_heard_of") is None
    assert defaults.tasks("never_heard_of") is None
    assert defaults.tasks("mini") == {"multimodal_lm"}


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        ({"sum": ["a", "b"]}, 8),
        ({"product": ["a", 4]}, 24),
        ({"quotient": ["a", "b"]}, 3),
        ({"quotient": ["a", "zero"]}, UNKNOWN),
        ({"product": ["a", "missing"]}, UNKNOWN),
        ({"product": ["a", "text"]}, UNKNOWN),
        ({"cycle": ["x", "y"], "length": "b"}, ["x", "y"]),
        ({"first": "b", "special": "d", "rest": "s", "length": "a"}, list("ddssss")),
        ({"first": "zero", "special": "d", "rest": "s", "length": "b"}, list("ss")),
        ({"steps": "b", "length": "a"}, [1, 3, 5]),
        ({"steps": "zero", "length": "a"}, UNKNOWN),
        ({"cycle": ["x"], "length": "huge"}, UNKNOWN),
        ({"never": "seen"}, UNKNOWN),
    ],
)
def test_formulas(formula: dict[str, object], expected: object) -> None:
    values = {"a": 6, "b": 2, "zero": 0, "text": "6", "huge": 10**12}
    assert evaluate(formula, values) == expected


def shipped(model_type: str, field: str, config: Mapping[str, object]) -> object:
    found = ConfigDefaults.load().for_model_type(model_type)
    assert found is not None
    default = found.resolve(field, config)
    return UNKNOWN if default is None else default.value


def test_the_shipped_table_knows_what_gemma_3_leaves_out() -> None:
    outer = ConfigDefaults.load().for_model_type("gemma3")
    assert outer is not None
    text = outer.sub_config("text_config", {"hidden_size": 2560})
    assert text is not None
    assert (text.class_name, text.checkpoint) == ("Gemma3TextConfig", "google/gemma-3-4b-it")
    assert [text.get(f) for f in ("vocab_size", "num_attention_heads", "num_key_value_heads")] == [
        262208,
        8,
        4,
    ]
    layers = text.resolve("layer_types", {"num_hidden_layers": 7})
    assert layers is not None
    assert layers.value == ["sliding_attention"] * 5 + ["full_attention", "sliding_attention"]


def test_the_shipped_table_computes_as_the_library_does() -> None:
    heads = {"hidden_size": 8192, "num_attention_heads": 64}
    assert shipped("llama", "head_dim", heads) == 128
    assert shipped("llama", "num_key_value_heads", heads) == 64
    assert shipped("qwen3", "head_dim", heads) == 128
    assert shipped("deepseek_v3", "kv_lora_rank", {}) == 512
    assert shipped("qwen3_next", "layer_types", {"num_hidden_layers": 4}) == [
        *["linear_attention"] * 3,
        "full_attention",
    ]
    assert shipped("dbrx", "hidden_size", {}) == 2048


def test_everything_in_the_shipped_table_resolves_to_its_own_value_or_not_at_all() -> None:
    table = ConfigDefaults.load()
    for name in table.class_names():
        found = table.for_class(name)
        assert found is not None
        for field, entry in found.derived.items():
            default = found.resolve(field, {})
            if default is not None and "value" in entry:
                assert default.value == entry["value"], (name, field)


def test_importing_the_loader_does_not_read_the_table() -> None:
    code = (
        "import discover_models.sources.config_defaults as d;"
        "print(d.ConfigDefaults.load.cache_info().currsize)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "0"
