"""Where in a configuration the text decoder is described."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from discover_models.errors import ConfigError

TEXT_PATHS = (
    ("text_config",),
    ("thinker_config", "text_config"),
    ("llm_config",),
    ("language_config",),
    ("language_model_config",),
    ("text_model_config",),
    ("llm_backbone_config",),
    ("text_cfg",),
)
_LAYER_FIELDS = (
    "num_hidden_layers", "n_layer", "num_layers", "n_layers", "num_decoder_layers", "layer_types",
    "block_configs", "hidden_size", "n_embd", "d_model", "dim",
)  # fmt: skip


@dataclass(frozen=True)
class Decoder:
    """The object that describes the text decoder."""

    values: Mapping[str, object]
    path: str
    """Keys joined by dots; empty for the top level."""
    model_type: str
    architecture: str
    """The model class that the file names, or ``unknown``."""


def find_decoder(config: Mapping[str, object]) -> Decoder:
    """The text decoder of a configuration.

    Raises:
        ConfigError: nothing in the file describes decoder layers.
    """
    architecture = _first_architecture(config)
    for path in TEXT_PATHS:
        values = _at(config, path)
        if values is not None:
            model_type = _word(values, "model_type")
            return Decoder(values, ".".join(path), model_type, architecture)
    if not any(config.get(field) is not None for field in (*_LAYER_FIELDS, "model_type")):
        raise ConfigError(
            "the configuration has no text decoder: neither layers nor a hidden size, at the top"
            f" or below {', '.join('.'.join(p) for p in TEXT_PATHS)}",
            reason="not_a_language_model",
        )
    return Decoder(config, "", _word(config, "model_type"), architecture)


def _first_architecture(config: Mapping[str, object]) -> str:
    names = config.get("architectures")
    if isinstance(names, list) and names:
        return str(cast("list[object]", names)[0])
    return "unknown"


def _at(config: Mapping[str, object], path: tuple[str, ...]) -> Mapping[str, object] | None:
    here: Mapping[str, object] = config
    for key in path:
        inner = here.get(key)
        if not isinstance(inner, dict):
            return None
        here = cast("dict[str, object]", inner)
    return here or None


def _word(values: Mapping[str, object], key: str) -> str:
    value = values.get(key)
    return value if isinstance(value, str) else ""
