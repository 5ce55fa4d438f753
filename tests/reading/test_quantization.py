"""How the experts of each layer are stored, from the ways in which files say it."""

from fnmatch import fnmatchcase
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from discover_models.reading.quantization import read_quantization

FP8 = {"quant_method": "fp8", "weight_block_size": [128, 128]}


def experts(section: dict[str, Any], layer: int = 3, **text: Any) -> str:
    return read_quantization({"quantization_config": section}, text, None).experts(layer)


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        (FP8, "fp8_block"),
        ({"quant_method": "fp8"}, "fp8_per_tensor"),
        ({"quant_method": "fbgemm_fp8"}, "fp8_per_channel"),
        ({"quant_method": "mxfp4"}, "mxfp4"),
        ({"quant_method": "awq", "bits": 4}, "int4"),
        ({"quant_method": "gptq", "bits": 8}, "int8"),
        ({"quant_method": "modelopt", "quant_algo": "NVFP4"}, "nvfp4"),
        ({"quant_method": "modelopt", "quantization": {"quant_algo": "FP8"}}, "fp8_per_tensor"),
        ({"quant_algo": "SOMETHING_NEW"}, "something_new"),
    ],
)
def test_methods(section: dict[str, Any], expected: str) -> None:
    assert experts(section) == expected


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        ({"type": "float", "num_bits": 8, "strategy": "block"}, "fp8_block"),
        ({"type": "float", "num_bits": 8, "strategy": "tensor"}, "fp8_per_tensor"),
        ({"type": "float", "num_bits": 8, "strategy": "channel"}, "fp8_per_channel"),
        ({"type": "int", "num_bits": 4, "group_size": 32}, "mxint4"),
        ({"type": "int", "num_bits": 4, "group_size": 128}, "int4"),
    ],
)
def test_groups_of_compressed_tensors(weights: dict[str, Any], expected: str) -> None:
    groups = {"group_0": {"weights": weights, "targets": ["Linear"]}}
    assert experts({"quant_method": "compressed-tensors", "config_groups": groups}) == expected


def test_the_group_that_names_the_experts_decides() -> None:
    """Shared experts are others, and a class name is weaker than a module's."""
    groups = {
        "group_0": {"format": "mxfp8-quantized", "targets": ["Linear"]},
        "group_1": {"format": "mxfp8-quantized", "targets": ["re:.*shared_experts.*"]},
        "group_2": {"format": "nvfp4-pack-quantized", "targets": ["re:.*mlp.experts.*"]},
    }
    assert experts({"quant_method": "compressed-tensors", "config_groups": groups}) == "nvfp4"


@pytest.mark.parametrize(
    ("excluded", "expected"),
    [
        ("lm_head", "fp8_block"),
        ("model.layers.3.mlp.gate", "fp8_block"),
        ("gate", "fp8_block"),
        ("model.layers.3.mlp.shared_experts", "fp8_block"),
        ("model.layers.30", "fp8_block"),
        ("model.layers.3", "bf16"),
        ("model.layers.3*", "bf16"),
        ("model.layers.3.mlp", "bf16"),
        ("model.layers.3.mlp.experts", "bf16"),
        ("model.layers.*.mlp.experts*", "bf16"),
        ("mlp.experts", "bf16"),
        ("re:.*mlp\\.experts.*", "bf16"),
        ("re:.*shared_experts.*", "fp8_block"),
        ("re:(", "fp8_block"),
        ("model.layers.3.mlp.experts.0.up_proj", "mixed"),
    ],
)
def test_exclusions(excluded: str, expected: str) -> None:
    assert experts({**FP8, "modules_to_not_convert": [excluded]}) == expected


_PART = st.sampled_from(
    ["model", "layers", "3", "30", "mlp", "experts", "0", "up_proj", "self_attn", "gate",
     "shared_experts", "*", "lay*", "layers*", "exp*", "*experts", "m?p", "?", "self*", ""]
)  # fmt: skip


@given(st.lists(st.lists(_PART, min_size=1, max_size=5).map(".".join), max_size=4))
def test_exclusions_mean_what_globs_and_paths_mean(excluded: list[str]) -> None:
    """Held against one question per exclusion and name."""
    names = [f"{prefix}layers.3.{block}.experts" for prefix in ("model.", "") for block in ("mlp",)]

    def covered(name: str) -> bool:
        return any(
            fnmatchcase(name, e) or fnmatchcase(name, f"{e}.*")
            if "*" in e or "?" in e
            else f".{e}." in f".{name}."
            for e in excluded
        )

    expected = "fp8_block"
    if any(map(covered, names)):
        expected = "bf16"
    elif any(covered(f"{name}.0.up_proj") for name in names):
        expected = "mixed"
    found = experts({**FP8, "modules_to_not_convert": excluded})
    # Other spellings of the names are tried as well, so that more may be covered, never less.
    order = ["fp8_block", "mixed", "bf16"]
    assert order.index(found) >= order.index(expected)
    if not any("*" in e or "?" in e for e in excluded):
        assert found == expected


def test_modules_with_kinds_of_their_own() -> None:
    layers = {
        "model.layers.3.mlp.experts.0.w1": {"quant_algo": "NVFP4"},
        "model.layers.3.mlp.shared_experts.w1": {"quant_algo": "MXFP8"},
        "model.layers.4.mlp.experts.0.w1": {"quant_algo": "NVFP4"},
        "model.layers.4.mlp.experts.1.w1": {"quant_algo": "FP8"},
    }
    section = {"quant_algo": "MIXED_PRECISION", "quantized_layers": layers}
    assert [experts(section, layer) for layer in (3, 4, 5)] == ["nvfp4", "mixed", "bf16"]


def test_hf_quant_config_is_read_where_the_configuration_says_nothing() -> None:
    beside = {"quantization": {"quant_algo": "NVFP4", "exclude_modules": ["model.layers.1*"]}}
    found = read_quantization({}, {}, beside)
    assert [found.experts(layer) for layer in (0, 1)] == ["nvfp4", "bf16"]
    assert read_quantization({"quantization_config": FP8}, {}, beside).whole == "fp8_block"
    assert read_quantization({}, {}, None).whole == "bf16"


def test_four_bit_experts_in_an_fp8_checkpoint() -> None:
    assert experts(FP8, expert_dtype="fp4") == "mxfp4"


@pytest.mark.parametrize(
    ("weight", "layers", "kind"),
    [
        ({"dtype": "fp4", "qscheme": "per_group", "group_size": 32}, {}, "mxfp4"),
        ({"dtype": "fp8_e4m3", "qscheme": "per_tensor"}, {}, "fp8_per_tensor"),
        ({"dtype": "fp8_e4m3", "qscheme": "per_channel"}, {}, "fp8_per_channel"),
        ({"dtype": "int4", "qscheme": "per_group", "group_size": 128}, {}, "quark"),
        ({"dtype": "fp4", "qscheme": "per_group", "group_size": 32}, {"*.mlp.*": {}}, "mixed"),
    ],
)
def test_quark(weight: dict[str, object], layers: dict[str, object], kind: str) -> None:
    section = {
        "quant_method": "quark",
        "global_quant_config": {"weight": weight},
        "layer_quant_config": layers,
        "exclude": ["model.layers.3.mlp.experts"],
    }
    found = read_quantization({"quantization_config": section}, {}, None)

    assert found.whole == kind
    assert found.experts(3) == "bf16"
