"""What a text decoder's configuration class assumes, whoever defines the class."""

from collections.abc import Mapping, Sequence
from typing import Any

from discover_models.sources.config_defaults import ClassDefaults, ConfigLookup


def text_defaults(
    config: Mapping[str, Any], path: str, model_type: str, libraries: Sequence[ConfigLookup]
) -> ClassDefaults | None:
    """The defaults of the text decoder's class; None where no library knows it.

    Args:
        config: the whole configuration.
        path: where the text decoder is in it, keys joined by dots; empty for the top.
        model_type: what the text decoder says of itself; may be empty when it is nested.
        libraries: in the order in which they are asked.
    """
    for library in libraries:
        found = _in_library(config, path, model_type, library)
        if found is not None:
            return found
    return None


def _in_library(
    config: Mapping[str, Any], path: str, model_type: str, library: ConfigLookup
) -> ClassDefaults | None:
    """The nested class by way of the outer one, whose defaults for it may differ."""
    if path:
        here: Mapping[str, Any] = config
        found = library.for_model_type(str(config.get("model_type", "")))
        for key in path.split("."):
            here = here[key]
            found = found.sub_config(key, here) if found is not None else None
        if found is not None:
            return found
    return library.for_model_type(model_type) if model_type else None
