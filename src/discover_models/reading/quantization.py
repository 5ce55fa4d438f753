"""How a checkpoint's weights are stored, as its configuration says."""

import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import translate
from functools import lru_cache
from itertools import combinations
from typing import cast

_ALGORITHMS = {
    "NVFP4": "nvfp4",
    "NVFP4_AWQ": "nvfp4",
    "W4A16_NVFP4": "nvfp4_w4a16",
    "FP8": "fp8_per_tensor",
    "FP8_PER_CHANNEL_PER_TOKEN": "fp8_per_channel",
    "FP8_BLOCK_SCALES": "fp8_block",
    "FP8_PB_WO": "fp8_block",
    "MXFP8": "mxfp8",
    "MXFP4": "mxfp4",
    "W4A8_AWQ": "int4",
    "W4A16_AWQ": "int4",
    "INT4_AWQ": "int4",
    "INT8_SQ": "int8",
}
"""ModelOpt's `quant_algo` (sglang python/sglang/srt/layers/quantization/modelopt_quant.py)."""


@dataclass(frozen=True)
class Quantization:
    """The data type of the experts, layer by layer where it is mixed."""

    whole: str
    """``bf16``, ``fp8_block``, …; ``mixed`` where it depends on the layer."""
    by_layer: Mapping[int, frozenset[str]] | None = None
    """Data types of each layer's experts, for checkpoints that name them module by module."""
    excluded: tuple[str, ...] = ()
    """Patterns of modules that stay BF16."""

    def experts(self, layer: int) -> str:
        """How the routed experts of a layer are stored."""
        if self.by_layer is not None:
            kinds = self.by_layer.get(layer, frozenset[str]())
            return next(iter(kinds)) if len(kinds) == 1 else "mixed" if kinds else "bf16"
        if not any(_compiled(self.excluded)):
            return self.whole
        names = _names(layer)
        if any(_covers(self.excluded, name) for name in names):
            return "bf16"
        if any(_covers(self.excluded, f"{name}.0.up_proj") for name in names):
            return "mixed"
        return self.whole


_PREFIXES = ("model.", "model.language_model.", "language_model.model.", "backbone.", "")
_BLOCKS = ("mlp", "block_sparse_moe", "feed_forward", "mixer", "moe", "ffn")
_NAME_PARTS = {"model", "language_model", "backbone", "layers", *_BLOCKS, "experts", "up_proj"}
"""All that the names of routed experts are made of, but for numbers."""
_WILD = re.compile(r"[*?]")
_EXPERTS = re.compile(r"(?:^|\.)layers\.(\d{1,6})\..*(?<!shared_)experts\b")


@lru_cache(maxsize=256)
def _names(layer: int) -> tuple[str, ...]:
    """The names that the routed experts of a layer may have."""
    blocks = (f"layers.{layer}.{block}.experts" for block in _BLOCKS)
    return tuple(f"{prefix}{block}" for block in blocks for prefix in _PREFIXES)


def _experts_by_layer(modules: Mapping[str, object]) -> Mapping[int, frozenset[str]]:
    """How each layer's experts are stored; real files name 20,000 modules."""
    found: dict[int, set[str]] = {}
    for name, value in modules.items():
        match = _EXPERTS.search(name) if "experts" in name else None
        if match is not None:
            found.setdefault(int(match[1]), set()).add(_module_kind(value))
    return {layer: frozenset(kinds) for layer, kinds in found.items()}


def _covers(excluded: tuple[str, ...], name: str) -> bool:
    """Whether an exclusion covers a module: an expression (``re:…``), a glob, or a part of a path.

    A path covers what lies on it and below it.
    """
    patterns, paths = _compiled(excluded)
    if any(pattern.match(name) for pattern in patterns):
        return True
    if not paths:
        return False
    parts = name.split(".")
    runs = (".".join(parts[i:j]) for i, j in combinations(range(len(parts) + 1), 2))
    return any(run in paths for run in runs)


@lru_cache(maxsize=4)
def _compiled(excluded: tuple[str, ...]) -> tuple[tuple[re.Pattern[str], ...], frozenset[str]]:
    """The exclusions as expressions, and the plain paths, as far as they can be of an expert.

    Real files have hundreds, nearly all of them of other modules. A published expression that
    is not valid excludes nothing.
    """
    patterns: list[re.Pattern[str]] = []
    globs: list[str] = []
    paths: set[str] = set()
    for pattern in excluded:
        if pattern.startswith("re:"):
            with suppress(re.error):
                patterns.append(re.compile(pattern[3:]))
        elif "[" not in pattern and not all(map(_may_be_of_expert, pattern.split("."))):
            continue
        elif _WILD.search(pattern):
            globs += (translate(pattern), translate(f"{pattern}.*"))
        else:
            paths.add(pattern)
    if globs:
        patterns.append(re.compile("|".join(globs)))
    return tuple(patterns), frozenset(paths)


def _may_be_of_expert(part: str) -> bool:
    """Whether what stands between two dots of a path or glob can be in a routed expert's name."""
    beginning, *wild = _WILD.split(part, maxsplit=1)
    if not beginning or beginning.isdecimal():
        return True
    return any(name.startswith(beginning) if wild else name == beginning for name in _NAME_PARTS)


def read_quantization(
    config: Mapping[str, object],
    text: Mapping[str, object],
    hf_quant_config: Mapping[str, object] | None,
) -> Quantization:
    """The quantisation that ``config.json`` and ``hf_quant_config.json`` describe."""
    for holder in (text, config):
        section = holder.get("quantization_config")
        if isinstance(section, dict) and section:
            return _section(cast("dict[str, object]", section), text)
    if hf_quant_config is not None:
        section = hf_quant_config.get("quantization")
        if isinstance(section, dict):
            return _modelopt(cast("dict[str, object]", section))
    return Quantization("bf16")


def _section(section: Mapping[str, object], text: Mapping[str, object]) -> Quantization:
    nested = section.get("quantization")
    if isinstance(nested, dict):  # hf_quant_config.json copied whole
        return _section(cast("dict[str, object]", nested), text)
    method = str(section.get("quant_method", "")).lower()
    excluded = _words(section, "modules_to_not_convert", "ignore", "exclude_modules",
                      "ignored_layers", "exclude")  # fmt: skip
    if "quant_algo" in section or method.startswith("modelopt"):
        return _modelopt(section)
    if text.get("expert_dtype") == "fp4":
        return Quantization("mxfp4", excluded=excluded)
    if method == "fp8":
        blocks = section.get("weight_block_size")
        return Quantization("fp8_block" if blocks else "fp8_per_tensor", excluded=excluded)
    if method == "quark":
        return Quantization(_quark(section), excluded=excluded)
    if method == "fbgemm_fp8":
        return Quantization("fp8_per_channel", excluded=excluded)
    if method in ("compressed-tensors", "compressed_tensors"):
        return Quantization(_compressed_tensors(section), excluded=excluded)
    if method in ("awq", "gptq", "gptq_marlin", "awq_marlin", "auto-round", "auto_round"):
        return Quantization(f"int{section.get('bits') or 4}", excluded=excluded)
    return Quantization(method or "unknown", excluded=excluded)


def _quark(section: Mapping[str, object]) -> str:
    """AMD Quark: the weights' element type and the shape of their scales."""
    whole = _inner(section, "global_quant_config")
    if _inner(section, "layer_quant_config"):
        return "mixed"
    weight = _inner(whole, "weight")
    kind, scales = str(weight.get("dtype")), weight.get("qscheme")
    if kind == "fp4" and (scales, weight.get("group_size")) == ("per_group", 32):
        return "mxfp4"
    if kind == "fp8_e4m3":
        return {"per_tensor": "fp8_per_tensor"}.get(str(scales), f"fp8_{scales}")
    return "quark"


def _inner(section: Mapping[str, object], key: str) -> Mapping[str, object]:
    value = section.get(key)
    return cast("dict[str, object]", value) if isinstance(value, dict) else {}


def _modelopt(section: Mapping[str, object]) -> Quantization:
    excluded = _words(section, "exclude_modules", "ignore")
    algorithm = str(section.get("quant_algo") or "")
    layers = section.get("quantized_layers")
    if isinstance(layers, dict) and layers:
        by_layer = _experts_by_layer(cast("dict[str, object]", layers))
        return Quantization("mixed", by_layer, excluded)
    known = _ALGORITHMS.get(algorithm.upper())
    return Quantization(known or algorithm.lower() or "unknown", excluded=excluded)


def _module_kind(value: object) -> str:
    algorithm = cast("dict[str, object]", value).get("quant_algo") if isinstance(
        value, dict
    ) else value  # fmt: skip
    return _kind_of(str(algorithm))


@lru_cache(maxsize=32)
def _kind_of(algorithm: str) -> str:
    return _ALGORITHMS.get(algorithm.upper(), algorithm.lower())


def _compressed_tensors(section: Mapping[str, object]) -> str:
    groups = section.get("config_groups")
    if not isinstance(groups, dict):
        return "compressed-tensors"
    named = list(cast("dict[str, object]", groups).values())
    kinds = {_group_kind(section, group) for group in _groups_of_experts(named)}
    return kinds.pop() if len(kinds) == 1 else "mixed"


def _groups_of_experts(groups: list[object]) -> Iterable[object]:
    """The groups whose targets name the experts; those that name only a class otherwise."""
    naming = [group for group in groups if any("expert" in target for target in _targets(group))]
    general = [group for group in groups if "Linear" in _targets(group)]
    return naming or general or groups


def _targets(group: object) -> tuple[str, ...]:
    values = cast("dict[str, object]", group) if isinstance(group, dict) else {}
    return tuple(target for target in _words(values, "targets") if "shared_expert" not in target)


def _group_kind(section: Mapping[str, object], group: object) -> str:
    values = cast("dict[str, object]", group) if isinstance(group, dict) else {}
    layout = str(values.get("format") or section.get("format") or "")
    if layout.startswith(("nvfp4", "mxfp4", "mxfp8")):
        return layout.split("-")[0]
    weights = values.get("weights")
    details = cast("dict[str, object]", weights) if isinstance(weights, dict) else {}
    bits, kind, strategy = (details.get(key) for key in ("num_bits", "type", "strategy"))
    if kind == "float" and bits == 8:
        return {"block": "fp8_block", "tensor": "fp8_per_tensor"}.get(
            str(strategy), f"fp8_per_{strategy}"
        )
    group = details.get("group_size")
    return "mxint4" if (kind, bits, group) == ("int", 4, 32) else f"{kind}{bits}"


def _words(section: Mapping[str, object], *keys: str) -> tuple[str, ...]:
    for key in keys:
        value = section.get(key)
        if isinstance(value, list):
            return tuple(str(item) for item in cast("list[object]", value))
    return ()
