"""Where the text decoder is found, and what is refused."""

from typing import Any

import pytest

from discover_models.errors import ConfigError
from discover_models.reading.architecture import read_architecture
from discover_models.reading.decoder import TEXT_PATHS, find_decoder

LLAMA = {
    "model_type": "llama",
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "intermediate_size": 128,
    "vocab_size": 100,
}


def nested(path: tuple[str, ...], inner: dict[str, Any]) -> dict[str, Any]:
    for key in reversed(path):
        inner = {key: inner}
    return {"model_type": "outer", "hidden_size": 7, **inner}


@pytest.mark.parametrize("path", TEXT_PATHS, ids=".".join)
def test_the_decoder_is_found_below_each_path_and_remembers_it(path: tuple[str, ...]) -> None:
    architecture = read_architecture(nested(path, LLAMA))
    assert architecture.text_path == ".".join(path)
    assert architecture.hidden_size.value == 64
    assert architecture.hidden_size.origins[0].field == f"{'.'.join(path)}.hidden_size"
    assert architecture.model_type == "llama"


def test_a_flat_file_has_no_path() -> None:
    assert find_decoder(LLAMA).path == ""


@pytest.mark.parametrize("config", [{}, {"foo": 1}, {"text_config": {}}, {"text_config": "llama"}])
def test_a_file_without_a_decoder_is_no_language_model(config: dict[str, Any]) -> None:
    with pytest.raises(ConfigError) as error:
        find_decoder(config)
    assert error.value.reason == "not_a_language_model"


@pytest.mark.parametrize("count", [0, 100_001])
def test_an_impossible_number_of_layers_is_malformed(count: int) -> None:
    with pytest.raises(ConfigError) as error:
        read_architecture({**LLAMA, "num_hidden_layers": count})
    assert error.value.reason == "malformed"
