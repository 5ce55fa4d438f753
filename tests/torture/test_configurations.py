"""Real configurations with one field replaced by what no configuration should hold."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

from discover_models.domain.kernel import Parallelism
from discover_models.errors import ConfigError
from discover_models.one_model import architecture_of
from discover_models.requirements import requirements
from discover_models.sources.config_defaults import ConfigDefaults
from discover_models.sources.config_file import ConfigFile, read_local

EVERYTHING = "DISCOVER_MODELS_EXAMPLES" in os.environ
CONFIGS = Path(__file__).parents[1] / "configs"
MODELS = sorted(
    f"{file.parent.parent.name}/{file.parent.name}" for file in CONFIGS.glob("*/*/config.json")
)
ODD: tuple[Any, ...] = (
    float("inf"), float("-inf"), float("nan"), 1e308, -1, 0, 0.5, 10**99, "x", "9" * 5000, [],
    [float("inf")], [None, None, None], [[]], {}, {"0": float("inf")}, {"9" * 5000: {}}, None, True,
)  # fmt: skip
SIZES = [Parallelism(tp=1), Parallelism(tp=8, ep=8)]
DEEPEST = 3
"""A field of a field of a field; those below are entries of long lists of modules."""
Place = tuple[str, ...]


def places(part: object, above: Place = ()) -> Iterator[Place]:
    if isinstance(part, dict) and len(above) < DEEPEST:
        for name, inner in cast("dict[str, object]", part).items():
            yield (*above, name)
            yield from places(inner, (*above, name))


def changed(config: dict[str, Any], place: Place, value: object) -> dict[str, Any]:
    copy: dict[str, Any] = json.loads(json.dumps(config))
    inner = copy
    for name in place[:-1]:
        inner = inner[name]
    inner[place[-1]] = value
    return copy


def tried(file: ConfigFile) -> str:
    """The sentence that the configuration is refused with; empty when it is taken."""
    try:
        requirements(architecture_of(file, (ConfigDefaults.load(),)), SIZES)
    except ConfigError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("model", MODELS)
def test_any_field_may_hold_anything(model: str) -> None:
    """`make test` puts one value into each field, `make torture` each into each."""
    file = read_local(CONFIGS, model)
    assert file is not None
    assert file.config is not None
    assert tried(file) == ""
    for number, place in enumerate(places(file.config), MODELS.index(model)):
        for value in ODD if EVERYTHING else ODD[number % len(ODD) :][:1]:
            config = changed(file.config, place, value)
            assert len(tried(file.model_copy(update={"config": config}))) < 2000
