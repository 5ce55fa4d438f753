"""Whatever a file says, it is read, refused in words, or left unknown."""

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from discover_models.domain.kernel import Parallelism
from discover_models.errors import ConfigError
from discover_models.one_model import architecture_of
from discover_models.reading.architecture import read_architecture
from discover_models.reading.traits import TRAITS
from discover_models.requirements import requirements
from discover_models.sources.config_defaults import ConfigDefaults
from discover_models.sources.config_file import ConfigFile

DIMENSIONS: tuple[str, ...] = (
    "hidden_size", "num_attention_heads", "num_key_value_heads", "head_dim", "intermediate_size",
    "vocab_size", "num_experts", "num_experts_per_tok", "moe_intermediate_size", "kv_lora_rank",
    "q_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim", "index_topk",
    "index_n_heads", "index_head_dim", "linear_num_value_heads", "linear_num_key_heads",
    "linear_key_head_dim", "linear_value_head_dim", "mamba_num_heads", "mamba_head_dim",
    "ssm_state_size", "n_groups", "sliding_window", "swa_head_dim", "n_shared_experts",
)  # fmt: skip
LISTS: tuple[str, ...] = (
    "layer_types", "mlp_layer_types", "layers_block_type", "block_configs", "moe_layer_freq",
    "hybrid_layer_pattern", "hybrid_override_pattern", "attn_type_list", "per_layer_config",
    "quantization_config", "rope_parameters", "rope_scaling", "linear_attn_config", "block_types",
    "no_rope_layers", "mlp_only_layers", "first_k_dense_replace", "full_attention_interval",
    "moe_layers_enum", "sliding_window_pattern", "text_config", "attn_config", "ffn_config",
    "architectures", "model_type", "num_hidden_layers",
)  # fmt: skip
WORDS = st.sampled_from(
    ["full_attention", "sliding_attention", "linear_attention", "mamba", "moe", "mlp", "M-*E",
     "1,2", "proportional", "NVFP4", "re:(", "", *sorted(TRAITS)]
)  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 70) | st.floats(allow_nan=True) | WORDS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(WORDS | st.sampled_from((*DIMENSIONS, *LISTS, "0", "1")), inner)
    ),
    max_leaves=12,
)
SIZES = [Parallelism(tp=1), Parallelism(tp=2, ep=2)]


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.sampled_from((*DIMENSIONS, *LISTS)), JSON))
def test_any_object_is_read_or_refused_in_words(config: dict[str, Any]) -> None:
    file = ConfigFile(hf_repo_id="org/model", revision=None, origin="hub", config=config)
    with suppress(ConfigError):
        requirements(architecture_of(file, (ConfigDefaults.load(),)), SIZES)


ODD: tuple[Any, ...] = (
    [[]], [{}], [None, None], [[1], [1]], [{"a": 1}, {"a": 1}], ["x", 1], [1.5, -1], [True, "1"],
    {}, {"a": []}, {"0": {}}, {"full_attn_layers": [[]]}, "", "x", -1, 1.5, 10**30, True,
)  # fmt: skip


@pytest.mark.parametrize("name", LISTS)
def test_any_field_may_hold_anything(name: str) -> None:
    """One odd field in configurations that are otherwise whole, of every kind of layer."""
    whole: dict[str, Any] = dict.fromkeys(DIMENSIONS, 8) | {"num_hidden_layers": 2}
    for model_type in ("unheard_of", "deepseek_v3", "nemotron_h"):
        for value in ODD:
            config = {"model_type": model_type, **whole, name: value}
            file = ConfigFile(hf_repo_id="org/model", revision=None, origin="hub", config=config)
            with suppress(ConfigError):
                requirements(architecture_of(file, (ConfigDefaults.load(),)), SIZES)


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(sorted(TRAITS)),
    st.dictionaries(st.sampled_from(DIMENSIONS), st.integers(-2, 8) | st.lists(st.integers(0, 3))),
)
def test_absurd_dimensions_are_read_or_refused_in_words(
    model_type: str, dimensions: dict[str, Any]
) -> None:
    config = {"model_type": model_type, "num_hidden_layers": 2, **dimensions}
    file = ConfigFile(hf_repo_id="org/model", revision=None, origin="hub", config=config)
    with suppress(ConfigError):
        needed = requirements(architecture_of(file, (ConfigDefaults.load(),)), SIZES)
        assert all(axis.value > 0 for k in needed.kernels for axis in k.axes.values())


@settings(max_examples=200, deadline=None)
@given(
    st.sampled_from(["unheard_of", *sorted(TRAITS)]),
    st.sets(st.sampled_from(DIMENSIONS)),
    st.integers(1, 4),
)
def test_no_number_comes_from_nowhere(model_type: str, given_names: set[str], layers: int) -> None:
    """Each field has a prime of its own, so that every axis shows which fields it rests on."""
    values: dict[str, int] = dict(zip(DIMENSIONS, PRIMES, strict=True))
    config: dict[str, Any] = {name: values[name] for name in given_names}
    config |= {"model_type": model_type, "num_hidden_layers": layers}
    needed = requirements(read_architecture(config), [Parallelism(tp=1)])
    for kernel in needed.kernels:
        for name, axis in kernel.axes.items():
            said = {origin.field for origin in axis.origins}
            assert said <= config.keys(), (kernel.definition_name, name)
            assert all(o.value == config[o.field] for o in axis.origins)
            constant = name in ("page_size", "activation_type") or axis.expression == "1"
            assert said or constant, (kernel.definition_name, name, axis.expression)


PRIMES = (
    101, 103, 107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167, 173, 179, 181, 191, 193,
    197, 199, 211, 223, 227, 229, 233, 239, 241,
)  # fmt: skip
