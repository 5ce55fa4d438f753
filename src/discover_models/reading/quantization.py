"""How a checkpoint's weights are stored, as its configuration says."""

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from fnmatch import translate
from functools import cached_property
from itertools import accumulate
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
            kinds = tuple(self._kinds.get(str(layer), ()))
            return kinds[0] if len(kinds) == 1 else "mixed" if kinds else "bf16"
        if not self.excluded:
            return self.whole
        names = [f"{p}layers.{layer}.{block}.experts" for p in _PREFIXES for block in _BLOCKS]
        return "bf16" if any(self._is_excluded(name) for name in names) else self.whole

    @cached_property
    def _kinds(self) -> dict[str, set[str]]:
        """How the routed experts of a layer are stored, by the layer's number as it is written."""
        kinds: dict[str, set[str]] = {}
        for name, kind in self.by_module:
            for layer in _LAYER_WITH_EXPERTS.findall(name):
                kinds.setdefault(layer, set()).add(kind)
        return kinds

    def _is_excluded(self, name: str) -> bool:
        """Whether the module or one that it lies in is excluded."""
        parents = accumulate(name.split("."), "{}.{}".format)
        return not self._names.isdisjoint(parents) or any(p.match(name) for p in self._patterns)

    @cached_property
    def _names(self) -> frozenset[str]:
        return frozenset(p for p in self.excluded if not p.startswith("re:") and not _has_wild(p))

    @cached_property
    def _patterns(self) -> tuple[re.Pattern[str], ...]:
        """The expressions and globs that can match any expert's name, ready to use."""
        return tuple(each for pattern in self.excluded for each in _compiled(pattern))


_PREFIXES = ("model.", "model.language_model.", "language_model.model.", "backbone.", "")
_BLOCKS = ("mlp", "block_sparse_moe", "feed_forward", "mixer", "moe")
_LAYER_WITH_EXPERTS = re.compile(r"(?<![^.])layers\.(\d+)(?=\..*(?<!shared_)experts\b)")
_IN_LAYER = re.compile(r"(?:[^*?\[]*\.)?layers\.\d+\.([^*?\[]*)")
"""The literal beginning of a glob, after the layer's number."""


def _has_wild(pattern: str) -> bool:
    return any(sign in pattern for sign in "*?[")


def _compiled(pattern: str) -> Iterator[re.Pattern[str]]:
    """An exclusion that is an expression (``re:…``) or a glob; names give nothing here.

    A published pattern that is no valid expression excludes nothing. Long lists of globs name
    other parts of each layer; these are left out.
    """
    if pattern.startswith("re:"):
        with suppress(re.error):
            yield re.compile(pattern[3:])
    elif _has_wild(pattern):
        inside = _IN_LAYER.match(pattern)
        if inside is None or any(f"{block}.experts".startswith(inside[1]) for block in _BLOCKS):
            yield re.compile(f"{translate(pattern)}|{translate(f'{pattern}.*')}")


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
