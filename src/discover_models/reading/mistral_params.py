"""Mistral's own `params.json`, for repositories that have no `config.json`.

Its names, and what SGLang makes of them, are those of sglang
python/sglang/srt/utils/hf_transformers/mistral_utils.py.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, cast

from discover_models.errors import ConfigError
from discover_models.reading.decoder import Decoder
from discover_models.reading.fields import Default, Fields
from discover_models.reading.traits import TRAITS, Traits

FILE = "params.json"
_NAMES = {
    "hidden_size": "dim",
    "num_hidden_layers": "n_layers",
    "num_attention_heads": "n_heads",
    "num_key_value_heads": "n_kv_heads",
    "intermediate_size": "hidden_dim",
    "tie_word_embeddings": "tied_embeddings",
    "n_routed_experts": "moe.num_experts",
    "num_experts_per_tok": "moe.num_experts_per_tok",
    "moe_intermediate_size": "moe.expert_hidden_dim",
    "n_shared_experts": "moe.num_shared_experts",
    "first_k_dense_replace": "moe.first_k_dense_replace",
    "moe_layer_freq": "moe.route_every_n",
    "n_group": "moe.num_expert_groups",
    "topk_group": "moe.num_expert_groups_per_tok",
}
"""The usual name of a field → the file's own, with the object that it stands in."""


@dataclass(frozen=True)
class _MistralNames:
    """The file's own names; it has no class with defaults."""

    def names(self, name: str) -> tuple[str, ...]:
        return (_NAMES[name],) if name in _NAMES else (name,)

    def declares(self, name: str) -> bool:
        del name
        return False

    def resolve(self, name: str, config: Mapping[str, Any]) -> Default | None:
        del name, config
        return None


@dataclass(frozen=True)
class MistralDecoder:
    """The decoder that a `params.json` describes."""

    decoder: Decoder
    fields: Fields
    traits: Traits | None
    quantization_config: Mapping[str, object]
    """In the words of `config.json`; empty for BF16."""


def read_params(params: Mapping[str, object]) -> MistralDecoder:
    """The decoder in a `params.json`.

    Raises:
        ConfigError: the file describes no decoder.
    """
    if params.get("dim") is None or params.get("n_layers") is None:
        raise ConfigError(
            f"{FILE} has no text decoder: neither dim nor n_layers", reason="not_a_language_model"
        )
    moe = params.get("moe")
    experts = cast("dict[str, object]", moe) if isinstance(moe, dict) else {}
    values = {**params, **{f"moe.{key}": value for key, value in experts.items()}}
    model_type, architecture, traits = _class(experts)
    return MistralDecoder(
        decoder=Decoder(values, "", model_type, architecture),
        fields=Fields(values, "", _MistralNames(), FILE),
        traits=traits,
        quantization_config=_quantization(params),
    )


def _class(experts: Mapping[str, object]) -> tuple[str, str, Traits | None]:
    """The class that SGLang loads; experts that are not shared have none for this format."""
    if experts.get("num_shared_experts"):
        # topk_method None and RoutingMethodType.Renormalize (mistral_utils.py:244).
        return "deepseek_v3", "MistralLarge3ForCausalLM", replace(
            TRAITS["deepseek_v3"], routing="renorm", activation="silu"
        )  # fmt: skip
    if experts:
        width = "moe_intermediate_size" if experts.get("expert_hidden_dim") else "intermediate_size"
        return "mixtral", "MixtralForCausalLM", replace(
            TRAITS["mixtral"], rope=None, expert_width=width, activation="silu"
        )  # fmt: skip
    # rope_is_neox_style False (mistral_utils.py:98).
    return (
        "mistral",
        "MistralForCausalLM",
        replace(TRAITS["mistral"], rope="gptj", activation="silu"),
    )


def _quantization(params: Mapping[str, object]) -> Mapping[str, object]:
    section = params.get("quantization")
    if not isinstance(section, dict) or not section:
        return {}
    scheme = cast("dict[str, object]", section).get("qformat_weight")
    method = "fp8" if scheme == "fp8_e4m3" else str(scheme)
    return {"quantization_config": {"quant_method": method}}
