"""How a checkpoint's weights are stored, as its configuration says."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
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
    by_module: tuple[tuple[str, str], ...] = ()
    """Module name → data type, for mixed checkpoints."""
    excluded: tuple[str, ...] = ()
    """Patterns of modules that stay BF16."""

    def experts(self, layer: int) -> str:
        """How the routed experts of a layer are stored."""
        if self.by_module:
            return self._mixed(layer)
        names = [f"{prefix}layers.{layer}.{block}.experts" for prefix in _PREFIXES for block in
                 ("mlp", "block_sparse_moe", "feed_forward", "mixer", "moe")]  # fmt: skip
        if any(_matches(pattern, names) for pattern in self.excluded):
            return "bf16"
        return self.whole

    def _mixed(self, layer: int) -> str:
        inside = re.compile(rf"(^|\.)layers\.{layer}\..*(?<!shared_)experts\b")
        kinds = {kind for name, kind in self.by_module if inside.search(name)}
        return kinds.pop() if len(kinds) == 1 else "mixed" if kinds else "bf16"


_PREFIXES = ("model.", "model.language_model.", "language_model.model.", "backbone.", "")


def _matches(pattern: str, names: Sequence[str]) -> bool:
    """Whether an exclusion covers one of the modules; patterns are globs, ``re:…`` or names."""
    if pattern.startswith("re:"):
        return any(_search(pattern[3:], name) for name in names)
    return any(
        fnmatchcase(name, pattern) or fnmatchcase(name, f"{pattern}.*") or name == pattern
        for name in names
    )


def _search(pattern: str, name: str) -> bool:
    """A published pattern that is no valid expression excludes nothing."""
    try:
        return re.match(pattern, name) is not None
    except re.error:
        return False


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
    method = str(section.get("quant_method", "")).lower()
    excluded = _words(section, "modules_to_not_convert", "ignore", "exclude_modules",
                      "ignored_layers")  # fmt: skip
    if "quant_algo" in section or method.startswith("modelopt"):
        return _modelopt(section)
    if text.get("expert_dtype") == "fp4":
        return Quantization("mxfp4", excluded=excluded)
    if method == "fp8":
        blocks = section.get("weight_block_size")
        return Quantization("fp8_block" if blocks else "fp8_per_tensor", excluded=excluded)
    if method in ("compressed-tensors", "compressed_tensors"):
        return Quantization(_compressed_tensors(section), excluded=excluded)
    if method in ("awq", "gptq", "gptq_marlin", "awq_marlin", "auto-round", "auto_round"):
        return Quantization(f"int{section.get('bits') or 4}", excluded=excluded)
    return Quantization(method or "unknown", excluded=excluded)


def _modelopt(section: Mapping[str, object]) -> Quantization:
    excluded = _words(section, "exclude_modules", "ignore")
    algorithm = str(section.get("quant_algo") or "")
    layers = section.get("quantized_layers")
    if isinstance(layers, dict) and layers:
        named = cast("dict[str, object]", layers)
        return Quantization(
            "mixed", tuple((name, _module_kind(value)) for name, value in named.items()), excluded
        )
    known = _ALGORITHMS.get(algorithm.upper())
    return Quantization(known or algorithm.lower() or "unknown", excluded=excluded)


def _module_kind(value: object) -> str:
    algorithm = cast("dict[str, object]", value).get("quant_algo") if isinstance(
        value, dict
    ) else value  # fmt: skip
    return _ALGORITHMS.get(str(algorithm).upper(), str(algorithm).lower())


def _compressed_tensors(section: Mapping[str, object]) -> str:
    groups = section.get("config_groups")
    if not isinstance(groups, dict):
        return "compressed-tensors"
    kinds = {_group_kind(section, group) for group in cast("dict[str, object]", groups).values()}
    return kinds.pop() if len(kinds) == 1 else "mixed"


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
