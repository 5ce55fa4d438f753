"""The whole decoder, from configuration fields and what is known of its class."""

from collections.abc import Hashable, Mapping
from typing import Any, Literal, cast

from discover_models.domain.architecture import Architecture, Ffn, LayerGroup, Mixer, Unmapped
from discover_models.domain.dimension import Dim
from discover_models.errors import ConfigError
from discover_models.reading.attention import HIDDEN, MixerPlan, read_mixer
from discover_models.reading.decoder import Decoder, find_decoder
from discover_models.reading.feed_forward import read_ffn
from discover_models.reading.fields import Defaults, Fields
from discover_models.reading.layers import LayerPlan, count_layers, plan_layers
from discover_models.reading.mistral_params import read_params
from discover_models.reading.quantization import Quantization, read_quantization
from discover_models.reading.traits import Traits, traits_of

MAX_LAYERS = 10_000
"""No published model comes near; more is a malformed file."""


def read_architecture(
    config: Mapping[str, object],
    hf_quant_config: Mapping[str, object] | None = None,
    defaults: Defaults | None = None,
) -> Architecture:
    """What a configuration says of its text decoder.

    Args:
        config: the content of ``config.json``.
        hf_quant_config: the content of ``hf_quant_config.json``, where there is one.
        defaults: what the text decoder's configuration class assumes for fields left out.

    Raises:
        ConfigError: there is no text decoder, or its layer lists contradict its layer count.
    """
    decoder = find_decoder(config)
    prefix = f"{decoder.path}." if decoder.path else ""
    fields = Fields(decoder.values, prefix, defaults)
    quantization = read_quantization(config, decoder.values, hf_quant_config)
    traits = traits_of(decoder.model_type, latent=fields.flag("use_mla"))
    return _architecture(decoder, fields, traits, quantization)


def read_mistral_architecture(params: Mapping[str, object]) -> Architecture:
    """Likewise from Mistral's own ``params.json``.

    Raises:
        ConfigError: it describes no decoder.
    """
    read = read_params(params)
    quantization = read_quantization(read.quantization_config, {}, None)
    return _architecture(read.decoder, read.fields, read.traits, quantization)


def _architecture(
    decoder: Decoder, fields: Fields, traits: Traits | None, quantization: Quantization
) -> Architecture:
    num_layers = count_layers(fields)
    groups, unmapped = _groups(fields, traits, quantization, num_layers.value)
    bank = _residual_bank(fields, num_layers)
    return Architecture(
        name=decoder.architecture,
        model_type=decoder.model_type,
        text_path=decoder.path,
        hidden_size=fields.dim(*HIDDEN),
        vocab_size=fields.dim("vocab_size", "padded_vocab_size"),
        num_layers=num_layers,
        groups=groups,
        hidden_norm=_hidden_norm(fields, traits),
        adds_residual=not (traits and traits.plain_norms) and bank is None,
        gemma_norm=_gemma_norm(fields, traits),
        layer_scalar=bool(traits and traits.layer_scalar),
        hyper_streams=fields.maybe_dim("hc_mult"),
        residual_bank=bank,
        sandwich_norms=bool(traits and traits.sandwich),
        quantization=quantization.whole,
        unmapped=unmapped,
        notes=(*_notes(decoder, traits), *_extra_layers(fields), *_contradiction(fields)),
    )


def _gemma_norm(fields: Fields, traits: Traits | None) -> bool:
    said = fields.flag("use_gemma_norm")
    return said if said is not None else bool(traits and traits.gemma_norm)


def _residual_bank(fields: Fields, layers: Dim) -> Dim | None:
    """One residual is kept of every `attn_res_block_size` layers (sglang .../kimi_k3.py)."""
    size = fields.maybe_dim("attn_res_block_size")
    if size is None or not size.value:
        return None
    return (layers + (size.value - 1)) // size


def _groups(
    fields: Fields, traits: Traits | None, quantization: Quantization, count: int | None
) -> tuple[tuple[LayerGroup, ...], tuple[Unmapped, ...]]:
    """Equal layers together, in the order of their first layer."""
    if count is None:
        missing = count_layers(fields).missing
        return (), (
            Unmapped(what="all decoder layers", reason="how many there are is found nowhere",
                     fields=missing),
        )  # fmt: skip
    if not 0 < count <= MAX_LAYERS:
        raise ConfigError(f"the configuration says {count} layers", reason="malformed")
    try:
        plans = plan_layers(fields, count)
    except ValueError as error:
        message = f"the configuration contradicts itself: {error}"
        raise ConfigError(message, reason="malformed") from error
    varies = fields.differ_by_layer(count) or _kinds_differ(fields)
    alike: dict[tuple[LayerPlan, str, int], list[int]] = {}
    for layer, plan in enumerate(plans):
        experts = quantization.experts(layer) if plan.ffn == "moe" else ""
        alike.setdefault((plan, experts, layer if varies else 0), []).append(layer)
    members: dict[Hashable, list[int]] = {}
    first: dict[Hashable, _Parts] = {}
    for (plan, experts, layer), layers in alike.items():
        parts = _parts(fields, traits, plan, experts, layer)
        shape = tuple(part and _shape(part.model_dump()) for part in parts)
        first.setdefault(shape, parts)
        members.setdefault(shape, []).extend(layers)
    return tuple(
        LayerGroup(layers=tuple(sorted(members[shape])), mixer=mixer, beside=beside, ffn=ffn)
        for shape, (mixer, beside, ffn) in first.items()
    ), ()


def _kinds_differ(fields: Fields) -> bool:
    """Whether a list or a limit that is no layer list makes layers of one kind differ."""
    sparse = fields.inner("sparse_attention_config")
    by_layer = sparse is not None and sparse.items("sparse_attention_freq") is not None
    limited = fields.items("swiglu_limits_shared") is not None
    return by_layer or limited or bool(fields.maybe_dim("num_hash_layers"))


def _shape(part: Mapping[str, Any]) -> Hashable:
    """What makes two parts equal: their values, wherever each of them was read."""
    if "expression" in part:
        return part["expression"] if part["value"] is None else part["value"]
    return tuple(
        (name, _shape(cast("dict[str, Any]", value)) if isinstance(value, dict) else value)
        for name, value in part.items()
        if name != "evidence"
    )


_Parts = tuple[Mixer | None, Mixer | None, Ffn | None]
"""The mixer, a second one beside it, and the feed-forward."""


def _parts(
    fields: Fields, traits: Traits | None, plan: LayerPlan, experts: str, layer: int
) -> _Parts:
    here = fields.at_layer(layer)
    second = MixerPlan(plan.mixer.beside) if plan.mixer and plan.mixer.beside else None
    mixer, beside = (
        read_mixer(here, traits, one, layer) if one is not None else None
        for one in (plan.mixer, second)
    )
    return mixer, beside, read_ffn(here, traits, plan.ffn, experts, layer)


def _hidden_norm(
    fields: Fields, traits: Traits | None
) -> Literal["rmsnorm", "layernorm", "undecided"]:
    """From the class where it is known; else only an explicit RMS norm's field decides.

    A field like `layer_norm_epsilon` decides nothing: classes with RMS norm have it too.
    """
    if traits is not None:
        return traits.norm
    kind = (fields.text("norm_type", "normalization_type") or "").lower().replace("_", "")
    if kind:
        return "rmsnorm" if "rmsnorm" in kind else "undecided"
    named = fields.find("rms_norm_eps", "rms_norm_epsilon", "rmsnorm_eps") is not None
    return "rmsnorm" if named or fields.flag("rmsnorm", "rms_norm") else "undecided"


def _extra_layers(fields: Fields) -> tuple[str, ...]:
    """Draft layers for multi-token prediction are no part of the decoder."""
    count = fields.maybe_dim("num_nextn_predict_layers", "mtp_num_hidden_layers", "num_mtp_modules")
    if count is None or not count.value:
        return ()
    return (f"{count.value} multi-token prediction layer(s) are not inventoried here",)


def _contradiction(fields: Fields) -> tuple[str, ...]:
    """Mamba's width beside its heads (sglang python/sglang/srt/configs/falcon_h1.py:222)."""
    width, heads, head_dim = (
        fields.maybe_dim(f"mamba_{n}") for n in ("d_ssm", "n_heads", "d_head")
    )
    if width is None or heads is None or head_dim is None:
        return ()
    if width.value == (heads * head_dim).value:
        return ()
    said = ", ".join(origin.source for origin in width.origins)
    product = f"mamba_n_heads {heads.value} · mamba_d_head {head_dim.value}"
    return (f"refused by SGLang: mamba_d_ssm {width.value} ({said}) is not {product}",)


def _notes(decoder: Decoder, traits: Traits | None) -> tuple[str, ...]:
    notes = [f"the text decoder is below {decoder.path}"] if decoder.path else []
    if traits is None:
        notes.append(undecided(decoder.model_type))
    return tuple(notes)


def undecided(model_type: str) -> str:
    """The note on a type of which nothing is known but its fields."""
    return (
        f"model type {model_type or 'unknown'!r}: what its class decides by itself"
        " (q/k norm, rotary style, routing) is undecided"
    )
