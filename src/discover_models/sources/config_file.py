"""The configuration files of one model, as published: read, checked, and never executed."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, cast

from discover_models.domain.frozen import Frozen
from discover_models.errors import ConfigError, UsageError
from discover_models.sources.config_defaults import ConfigDefaults, Json

LARGEST_FILE = 16 * 1024 * 1024
"""In bytes. The largest real one (a list of every quantised layer) has 3 MB."""

LONGEST_NUMBER = 100
"""Digits; some tokenizers write 10**30 for "no limit"."""

DEEPEST = 100
"""Levels of nesting; real files have about 6."""

_REPO_PART = r"[A-Za-z0-9_][A-Za-z0-9._-]{0,95}"
_REPO_ID = re.compile(f"{_REPO_PART}/{_REPO_PART}")


class ConfigFile(Frozen):
    """What a model's repository says of its architecture."""

    hf_repo_id: str
    revision: str | None
    """Full commit id; None for a local folder."""
    origin: Literal["local folder", "hub"]
    config: dict[str, Any] | None
    """``config.json``; None in repositories that have only ``params.json``."""
    quant: dict[str, Any] | None = None
    """``hf_quant_config.json``, where there is one."""
    params: dict[str, Any] | None = None
    """``params.json`` of Mistral's own format, where there is one."""


def check_repo_id(repo_id: str) -> str:
    """The id itself when it is ``ORG/MODEL`` as the Hub allows it; else a `UsageError`."""
    forbidden = ".." in repo_id or "--" in repo_id or repo_id.endswith((".git", ".", "-"))
    if forbidden or not _REPO_ID.fullmatch(repo_id):
        raise UsageError(f"{repo_id!r} is not a Hub repository id of the form ORG/MODEL.")
    return repo_id


def read_local(configs: Path, repo_id: str) -> ConfigFile | None:
    """The files in ``configs/ORG/MODEL``; None when no configuration is there.

    Raises `ConfigError` (``malformed``, ``unreadable``) for files that are there but can't be used.
    """
    folder = configs / check_repo_id(repo_id)
    config, params = (read_json(folder / name) for name in ("config.json", "params.json"))
    if config is None and params is None:
        return None
    return ConfigFile(
        hf_repo_id=repo_id,
        revision=None,
        origin="local folder",
        config=config,
        quant=read_json(folder / "hf_quant_config.json"),
        params=params,
    )


def read_json(file: Path) -> dict[str, Json] | None:
    """The object in a JSON file; None when there is no such file.

    Raises `ConfigError`: ``malformed`` for what is no JSON object of sane size and depth,
    ``unreadable`` when the system refuses to read it.
    """
    try:
        if not file.exists():
            return None
        with file.open("rb") as stream:
            content = stream.read(LARGEST_FILE + 1)
    except OSError as error:
        raise ConfigError(f"{file} can't be read: {error}", reason="unreadable") from error
    return parse_json(content, str(file))


def parse_json(content: bytes, name: str) -> dict[str, Json]:
    """The object in `content`; a `ConfigError` (``malformed``) when it is none. `name` is told.

    NaN and infinite numbers are accepted as Python's own reader and the Hub's files have them.
    """
    if len(content) > LARGEST_FILE:
        raise _malformed(name, f"it is larger than {LARGEST_FILE // 2**20} MB")
    try:
        value: Json = json.loads(content.decode("utf-8-sig"), parse_int=_whole_number)
    except UnicodeDecodeError as error:
        raise _malformed(name, f"it is not UTF-8 (byte {error.start})") from error
    except RecursionError as error:
        raise _malformed(name, "it is nested too deeply") from error
    except ValueError as error:
        raise _malformed(name, f"it is not JSON ({error})") from error
    if not isinstance(value, dict):
        raise _malformed(name, "it holds no JSON object")
    openings = content.count(b"{") + content.count(b"[")
    if openings > DEEPEST and _is_deeper(value, DEEPEST):
        raise _malformed(name, "it is nested too deeply")
    return cast("dict[str, Json]", value)


def _whole_number(digits: str) -> int:
    """Python refuses to write a product of such numbers as text, long after they were read."""
    if len(digits) > LONGEST_NUMBER:
        raise ValueError(f"a number has {len(digits)} digits")
    return int(digits)


def check_language_model(config: Mapping[str, Json], defaults: ConfigDefaults) -> None:
    """Refuse what is certainly no generative language model.

    Raises `ConfigError` (``not_a_language_model``) with the kind of model. A class that the table
    of `transformers` does not know is never refused for that.
    """
    kind = _other_kind(config, defaults)
    if kind:
        raise ConfigError(
            f"The configuration is {kind}, not a generative language model.",
            reason="not_a_language_model",
        )


def _other_kind(config: Mapping[str, Json], defaults: ConfigDefaults) -> str | None:
    if "_class_name" in config or "_diffusers_version" in config:
        return "a part of a diffusion pipeline"
    architectures = config.get("architectures")
    if "ForCausalLM" in str(architectures) or "LMHead" in str(architectures):
        return None
    model_type = config.get("model_type")
    if not isinstance(model_type, str):
        known = architectures or any(_says_layers(part) for part in (config, *_parts(config)))
        return None if known else "without any field of a decoder"
    tasks = defaults.tasks(model_type)
    return None if tasks is None else _kind_of_tasks(tasks, config)


def _kind_of_tasks(tasks: frozenset[str], config: Mapping[str, Json]) -> str | None:
    """What a model type is that `transformers` knows; None for text generating ones."""
    if tasks & {"multimodal_lm", "decoder"}:
        return None
    if "speech" in tasks:
        return f"that of a speech model ({config['model_type']})"
    if "masked_lm" in tasks and "seq2seq_lm" not in tasks and not config.get("is_decoder"):
        return f"that of an encoder ({config['model_type']})"
    if not tasks:
        return f"that of a vision, audio or other model ({config['model_type']})"
    return None


def _parts(config: Mapping[str, Json]) -> list[Mapping[str, Json]]:
    return [cast("Mapping[str, Json]", v) for v in config.values() if isinstance(v, dict)]


def _says_layers(config: Mapping[str, Json]) -> bool:
    return any("layer" in key or "hidden" in key or key == "dim" for key in config)


def _is_deeper(value: Json, levels: int) -> bool:
    """Whether containers are nested more than `levels` deep; without recursion."""
    layer: list[Json] = [value]
    for _ in range(levels):
        layer = [inner for outer in layer for inner in _containers(outer)]
        if not layer:
            return False
    return True


def _containers(value: Json) -> list[Json]:
    """The objects and lists directly inside one."""
    if isinstance(value, dict):
        value = list(cast("dict[str, Json]", value).values())
    return [v for v in cast("list[Json]", value) if isinstance(v, dict | list)]


def _malformed(name: str, why: str) -> ConfigError:
    return ConfigError(f"{name} can't be used: {why}.", reason="malformed")
