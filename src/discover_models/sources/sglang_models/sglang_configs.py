"""SGLang's own configuration classes: which one belongs to a model type."""

import re
from collections.abc import Mapping
from typing import cast

from discover_models.domain.dimension import Dim
from discover_models.sources.files import read_or_nothing
from discover_models.sources.sglang_models.calls import build_config
from discover_models.sources.sglang_models.checkout import PACKAGE_ROOT
from discover_models.sources.sglang_models.config_value import (
    PUBLISHED,
    ConfigValue,
    Defaults,
    is_sub_config,
    make_config,
    wrap,
)
from discover_models.sources.sglang_models.leaves import is_config
from discover_models.sources.sglang_models.machine import Arguments, Machine
from discover_models.sources.sglang_models.values import (
    ABSENT,
    ClassValue,
    Site,
    Value,
    is_dict,
)

LAUNCHED: Mapping[str, Value] = {"encoder_only": False, "language_only": False}
"""What SGLang's launcher writes into every configuration unless it splits encoder and decoder."""
CONFIGS_PACKAGE = "sglang.srt.configs"
_REGISTRIES = (
    "sglang.srt.utils.hf_transformers.common",
    "sglang.srt.utils.hf_transformers_utils",
)
_MODEL_TYPE = re.compile(r"^    model_type(?::\s*\w+)?\s*=\s*[\"']([^\"']+)[\"']", re.MULTILINE)


def load_config(machine: Machine, data: Mapping[str, object], provider: Defaults) -> ConfigValue:
    """The configuration object that a model's constructor gets.

    Where SGLang has a class for the `model_type`, its constructor is interpreted on the published
    values, so that its defaults, renamings and properties count; else the values stand as they are.
    """
    cls = config_class(machine, str(data.get("model_type") or ""))
    config = make_config(data, "", provider) if cls is None else _own(machine, cls, data, provider)
    prepare(config)
    return config


def _own(
    machine: Machine, cls: ClassValue, data: Mapping[str, object], provider: Defaults
) -> ConfigValue:
    kwargs = {k: wrap(v, k, PUBLISHED, provider, nested=False) for k, v in data.items()}
    site = Site(cls.site.path, cls.site.line)
    config = build_config(machine, cls, Arguments([], kwargs, site), "")
    config.defaults = provider(data, "")
    _finish(config, data, provider)
    return config


def prepare(config: ConfigValue) -> None:
    """What SGLang's launcher writes into a configuration before it constructs the model.

    From `configs/model_config.py` (encoder switches, `_derive_model_shapes`) and
    `utils/hf_transformers` (`get_hf_text_config`, the copying up of text values, Gemma 4's shapes).
    """
    config.attrs = {"language_model_only": False, **config.attrs, **LAUNCHED}
    text = text_config(config)
    if text is not config:
        config.text = text
    _split_global_heads(text)
    _derive_heads(text)
    _standard_rope(text)


def text_config(config: ConfigValue) -> ConfigValue:
    """The text decoder's configuration in the order in which SGLang looks for it."""
    for name in ("thinker_config", "llm_config", "language_config", "text_config"):
        found = config.find(name)
        if isinstance(found, ConfigValue):
            return text_config(found) if name == "thinker_config" else found
    return config


def _split_global_heads(text: ConfigValue) -> None:
    """Gemma 4 publishes the sliding shape first; SGLang's base fields are those of full layers."""
    wide, narrow = text.find("global_head_dim"), text.find("head_dim")
    if not isinstance(wide, Dim) or wide.value is None:
        return
    kv = text.find("num_key_value_heads")
    full_kv = text.find("num_global_key_value_heads")
    text.attrs |= {"swa_head_dim": narrow, "swa_v_head_dim": narrow, "head_dim": wide}
    text.attrs["swa_num_key_value_heads"] = kv
    if isinstance(full_kv, Dim) and full_kv.value is not None:
        text.attrs["num_key_value_heads"] = full_kv
    if text.find("v_head_dim") is ABSENT:
        text.attrs["v_head_dim"] = wide


def _derive_heads(text: ConfigValue) -> None:
    """Head sizes that a file leaves out follow from the hidden size, as in SGLang."""
    hidden, heads = text.find("hidden_size"), text.find("num_attention_heads")
    if text.find("head_dim") in (ABSENT, None):
        if not (isinstance(hidden, Dim) and isinstance(heads, Dim) and heads.value):
            return
        text.attrs["head_dim"] = hidden // heads
    for name, source in (
        ("v_head_dim", "head_dim"),
        ("swa_head_dim", "head_dim"),
        ("swa_v_head_dim", "swa_head_dim"),
    ):
        if text.find(name) in (ABSENT, None):
            text.attrs[name] = text.find(source)


def _standard_rope(text: ConfigValue) -> None:
    """`rope_parameters`, which transformers 5 makes of the two fields that files had before.

    What a class of transformers computes for it does not hold for SGLang's own class.
    """
    own = text.cls is not None
    present = text.attrs.get("rope_parameters") if own else text.find("rope_parameters")
    if present not in (ABSENT, None):
        return
    theta, scaling = text.find("rope_theta"), text.find("rope_scaling")
    if theta in (ABSENT, None) or not (scaling in (ABSENT, None) or is_dict(scaling)):
        return
    given = cast("dict[str, Value]", scaling) if is_dict(scaling) else {}
    kind = given.get("rope_type", given.get("type", "default"))
    text.attrs["rope_parameters"] = {**given, "rope_theta": theta, "rope_type": kind}


def _finish(config: ConfigValue, data: Mapping[str, object], provider: Defaults) -> None:
    """Name the sub-configurations by their place; those left as dicts become objects."""
    for name, value in list(config.attrs.items()):
        published = data.get(name)
        inner = cast(dict[str, object], published) if is_dict(published) else {}
        if isinstance(value, ConfigValue):
            value.path = f"{config.path}{name}."
            value.defaults = provider(inner, value.path.rstrip("."))
            _finish(value, inner, provider)
        elif is_dict(value) and is_sub_config(name, inner):
            config.attrs[name] = wrap(inner, f"{config.path}{name}", PUBLISHED, provider)


def config_class(machine: Machine, model_type: str) -> ClassValue | None:
    """SGLang's configuration class of a model type; None where it has none."""
    found: list[ClassValue] = []
    for dotted in model_types(machine).get(model_type, ()):
        space = machine.space(dotted)
        for name in space.bindings if space else ():
            value: Value = machine.resolve(space, name) if space else None
            own = isinstance(value, ClassValue) and value.module == dotted and is_config(value)
            if own and machine.get(value, "model_type") == model_type:
                found.append(value)
    parts = {name for cls in found for name in _part_names(machine, cls)}
    whole = [cls for cls in found if cls.name not in parts]
    chosen = [cls for cls in whole if cls.name in _registered_names(machine)]
    return next(iter(chosen or whole or found), None)


def _part_names(machine: Machine, cls: ClassValue) -> list[str]:
    """The classes that a configuration class makes its sub-configurations of."""
    parts = machine.get(cls, "sub_configs")
    values = list(cast(dict[str, Value], parts).values()) if is_dict(parts) else []
    return [part.name for part in values if isinstance(part, ClassValue)]


def _registered_names(machine: Machine) -> frozenset[str]:
    """The classes that SGLang's loader imports for its own registry of configurations."""
    for dotted in _REGISTRIES:
        space = machine.space(dotted)
        if space is not None:
            return frozenset(space.bindings)
    return frozenset()


def model_types(machine: Machine) -> dict[str, list[str]]:
    """Modules of SGLang's configurations by the model types that their text names."""
    if machine.config_modules is None:
        table: dict[str, list[str]] = {}
        folder = machine.source.root / PACKAGE_ROOT / "sglang/srt/configs"
        for file in sorted(folder.glob("*.py")) if folder.is_dir() else []:
            path = file.relative_to(machine.source.root).as_posix()
            text = read_or_nothing(machine.source.root, path).decode("utf-8", "replace")
            for name in _MODEL_TYPE.findall(text):
                table.setdefault(name, []).append(f"{CONFIGS_PACKAGE}.{file.stem}")
        machine.config_modules = table
    return machine.config_modules
