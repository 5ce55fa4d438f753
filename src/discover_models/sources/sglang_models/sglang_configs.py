"""SGLang's own configuration classes: which one belongs to a model type."""

import re
from collections.abc import Mapping
from typing import cast

from discover_models.sources.sglang_models.calls import build_config
from discover_models.sources.sglang_models.checkout import PACKAGE_ROOT
from discover_models.sources.sglang_models.config_value import (
    PUBLISHED,
    ConfigValue,
    Defaults,
    make_config,
    wrap,
)
from discover_models.sources.sglang_models.leaves import is_config
from discover_models.sources.sglang_models.machine import Arguments, Machine
from discover_models.sources.sglang_models.values import ClassValue, Site, Value

CONFIGS_PACKAGE = "sglang.srt.configs"
_MODEL_TYPE = re.compile(r"^    model_type(?::\s*\w+)?\s*=\s*[\"']([^\"']+)[\"']", re.MULTILINE)


def load_config(machine: Machine, data: Mapping[str, object], provider: Defaults) -> ConfigValue:
    """The configuration object that a model's constructor gets.

    Where SGLang has a class for the `model_type`, its constructor is interpreted on the published
    values, so that its defaults, renamings and properties count; else the values stand as they are.
    """
    cls = config_class(machine, str(data.get("model_type") or ""))
    if cls is None:
        return make_config(data, "", provider)
    kwargs = {k: wrap(v, k, PUBLISHED, provider, nested=False) for k, v in data.items()}
    site = Site(cls.site.path, cls.site.line)
    config = build_config(machine, cls, Arguments([], kwargs, site), "")
    config.defaults = provider(data, "")
    _finish(config, data, provider)
    return config


def _finish(config: ConfigValue, data: Mapping[str, object], provider: Defaults) -> None:
    """Name the sub-configurations by their place; those left as dicts become objects."""
    for name, value in list(config.attrs.items()):
        published = data.get(name)
        inner = cast(dict[str, object], published) if isinstance(published, dict) else {}
        if isinstance(value, ConfigValue):
            value.path = f"{config.path}{name}."
            value.defaults = provider(inner, value.path.rstrip("."))
            _finish(value, inner, provider)
        elif isinstance(value, dict) and inner and name.endswith("_config"):
            config.attrs[name] = wrap(inner, f"{config.path}{name}", PUBLISHED, provider)


def config_class(machine: Machine, model_type: str) -> ClassValue | None:
    """SGLang's configuration class of a model type; None where it has none."""
    for dotted in model_types(machine).get(model_type, ()):
        space = machine.space(dotted)
        for name in space.bindings if space else ():
            value: Value = machine.resolve(space, name) if space else None
            if isinstance(value, ClassValue) and value.module == dotted and is_config(value):
                found = machine.get(value, "model_type")
                if found == model_type:
                    return value
    return None


def model_types(machine: Machine) -> dict[str, list[str]]:
    """Modules of SGLang's configurations by the model types that their text names."""
    if machine.config_modules is None:
        table: dict[str, list[str]] = {}
        folder = machine.source.root / PACKAGE_ROOT / "sglang/srt/configs"
        for file in sorted(folder.glob("*.py")) if folder.is_dir() else []:
            for name in _MODEL_TYPE.findall(file.read_text(encoding="utf-8")):
                table.setdefault(name, []).append(f"{CONFIGS_PACKAGE}.{file.stem}")
        machine.config_modules = table
    return machine.config_modules
