"""The facts in `TRAITS` stand in SGLang's files, and each model's experts are stored as listed."""

import os
import re
from pathlib import Path

import pytest

from discover_models.domain.architecture import Moe
from discover_models.one_model import architecture_of
from discover_models.reading.traits import TRAITS, Traits
from discover_models.sources.config_defaults import ConfigDefaults
from discover_models.sources.config_file import read_local

pytestmark = pytest.mark.real

QK_NORM = re.compile(r"(?:qk?_norm|q_layernorm|query_layernorm)\b.*=\s*\(?\s*\w*RMSNorm\w*\(")
NORMS = re.compile(r"self\.\w*(?:norm|ln_)\w* = (?:[\w.]+\()?[\w.]*?(\w*Norm)\b")
INHERITED = {
    "mimo.py": ("qwen2.py",),
    "mistral.py": ("llama.py",),
    "ministral3.py": ("llama.py",),
    "qwen3.py": ("qwen2.py",),
    "ernie4.py": ("llama.py",),
    "qwen3_vl.py": ("qwen3.py", "qwen2.py"),
    "qwen3_vl_moe.py": ("qwen3_moe.py",),
    "qwen3_5.py": ("qwen2_moe.py",),
    "qwen3_next.py": ("qwen2_moe.py",),
    "gemma4_causal.py": ("gemma3_causal.py",),
    "deepseek_v4.py": ("deepseek_v2.py",),
    "kimi_k3.py": ("deepseek_v2.py",),
}
"""Files that take parts of their layers from others."""
UNNAMED_GATE = {"dbrx.py"}
"""Files whose experts are written out as tensors of twice the width."""


@pytest.fixture
def workspace() -> Path:
    path = os.environ.get("DISCOVER_MODELS_WORKSPACE")
    if not path:
        pytest.skip("DISCOVER_MODELS_WORKSPACE is not set")
    return Path(path)


def source_of(traits: Traits, workspace: Path) -> str:
    models = workspace / "sglang/python/sglang/srt/models"
    files = (traits.source, *INHERITED.get(traits.source, ()))
    return "\n".join((models / file).read_text("utf-8") for file in files)


@pytest.mark.parametrize("model_type", sorted(TRAITS))
def test_norms(model_type: str, workspace: Path) -> None:
    """Whether the class has RMS norm or LayerNorm, and a q/k norm at all."""
    traits = TRAITS[model_type]
    source = source_of(traits, workspace)
    kinds = set(NORMS.findall(source))
    assert any("RMSNorm" in kind for kind in kinds) == (traits.norm == "rmsnorm"), kinds
    rms = traits.qk_norm in ("per_head", "full")
    assert bool(QK_NORM.search(source)) == rms or model_type in {
        "minicpm",  # its lightning attention has one
        "minicpm_sala",  # likewise
        "deepseek_v4",  # norms that belong to its attention's kind
        "minimax_m2",  # RMSNormTP
        "falcon_h1",  # constructed and never called
    }


@pytest.mark.parametrize("model_type", sorted(TRAITS))
def test_rotation(model_type: str, workspace: Path) -> None:
    """`get_rope` takes neox style unless it is told another one."""
    traits = TRAITS[model_type]
    source = source_of(traits, workspace)
    has_rope = "get_rope(" in source or "get_rope_wrapper(" in source
    assert has_rope == (traits.rope != "none")
    interleaved = re.search(
        r'is_neox_style(?:=|",) *False|is_neox_style = not getattr\(config, "rope_interleave"',
        source,
    )
    if traits.rope == "gptj":
        assert interleaved
    if traits.rope == "neox" and model_type != "llama4_text":
        assert not re.search(r"is_neox_style=False", source) or "rope_is_neox_style" in source


@pytest.mark.parametrize("model_type", sorted(TRAITS))
def test_gates(model_type: str, workspace: Path) -> None:
    """A gate is a merged projection, or experts, whose classes have one unless told otherwise."""
    traits = TRAITS[model_type]
    source = source_of(traits, workspace)
    gate = "MergedColumnParallelLinear(" in source or "FusedMoE(" in source
    gate = gate or "get_moe_impl_class" in source or traits.source in UNNAMED_GATE
    if traits.gated:
        assert gate
    else:
        assert "gate_up_proj = " not in source


@pytest.mark.parametrize("model_type", sorted(TRAITS))
def test_routing(model_type: str, workspace: Path) -> None:
    traits = TRAITS[model_type]
    source = source_of(traits, workspace)
    members = {
        "ds_routing": "RoutingMethodType.DeepSeekV3",
        "llama4_routing": "RoutingMethodType.Llama4",
        "renorm": "renormalize=True",
        "default_routing": "renormalize=False",
    }
    assert traits.routing is None or members[traits.routing] in source


EXPERTS: dict[str, tuple[dict[str, int], str]] = {
    "MiniMaxAI/MiniMax-M2.5": ({"fp8_block": 62}, "weight_block_size [128, 128]"),
    "MiniMaxAI/MiniMax-M3": ({"bf16": 57}, "no quantization_config"),
    "Qwen/Qwen3-235B-A22B-FP8": ({"fp8_block": 94}, "weight_block_size; only gates excluded"),
    "Qwen/Qwen3-30B-A3B-FP8": ({"fp8_block": 48}, "weight_block_size; only gates excluded"),
    "Qwen/Qwen3-235B-A22B": ({"bf16": 94}, "no quantization_config"),
    "deepseek-ai/DeepSeek-R1": ({"fp8_block": 58}, "weight_block_size"),
    "deepseek-ai/DeepSeek-V3": ({"fp8_block": 58}, "weight_block_size"),
    "deepseek-ai/DeepSeek-V3.2": ({"fp8_block": 58}, "weight_block_size"),
    "deepseek-ai/DeepSeek-V4-Flash": ({"mxfp4": 43}, "expert_dtype fp4 beside FP8 blocks"),
    "moonshotai/Kimi-K2-Instruct": ({"fp8_block": 60}, "weight_block_size"),
    "moonshotai/Kimi-K2.5": ({"mxint4": 60}, "config_groups.group_0.weights: int 4, group 32"),
    "moonshotai/Kimi-K3": ({"mxfp4": 92}, "config_groups.group_0.format mxfp4-pack-quantized"),
    "nvidia/DeepSeek-V3.1-NVFP4": ({"nvfp4": 58}, "quant_algo; model.layers.61* is the MTP layer"),
    "nvidia/DeepSeek-V3.2-NVFP4": ({"nvfp4": 58}, "quant_algo; attention excluded"),
    "nvidia/DeepSeek-V4-Flash-NVFP4": ({"nvfp4": 43}, "quantized_layers: layers.N.ffn.experts"),
    "nvidia/GLM-5-NVFP4": ({"nvfp4": 75}, "quant_algo; attention and indexer excluded"),
    "nvidia/Kimi-K2.5-NVFP4": ({"nvfp4": 60}, "quant_algo; self_attn* excluded"),
    "nvidia/MiniMax-M2.5-NVFP4": ({"nvfp4": 62}, "quant_algo; gates and self_attn* excluded"),
    "nvidia/MiniMax-M3-NVFP4": (
        {"nvfp4": 57},
        "quantized_layers: experts.N.w1 NVFP4, shared_experts and attention MXFP8",
    ),
    "nvidia/NVIDIA-Nemotron-3-Nano-30B-A3B-BF16": ({"bf16": 23}, "no quantization_config"),
    "nvidia/NVIDIA-Nemotron-3-Nano-30B-A3B-NVFP4": ({"nvfp4": 23}, "quant_algo; mixers excluded"),
    "nvidia/NVIDIA-Nemotron-3-Super-120B-A12B-FP8": ({"fp8_per_tensor": 40}, "quant_algo FP8"),
    "nvidia/NVIDIA-Nemotron-3-Super-120B-A12B-NVFP4": ({"nvfp4": 40}, "quant_algo NVFP4"),
    "nvidia/Qwen3-235B-A22B-NVFP4": ({"nvfp4": 94}, "quant_algo; gates excluded"),
    "nvidia/Qwen3.6-35B-A3B-NVFP4": (
        {"nvfp4_w4a16": 40},
        "quantized_layers: mlp.experts W4A16_NVFP4, linear_attn and self_attn FP8",
    ),
    "openai/gpt-oss-120b": ({"mxfp4": 36}, "quant_method mxfp4; attention and router excluded"),
    "zai-org/GLM-4.6": ({"bf16": 89}, "no quantization_config"),
    "zai-org/GLM-5": ({"bf16": 75}, "no quantization_config"),
    "zai-org/GLM-5-FP8": ({"fp8_block": 75}, "weight_block_size; norms and indexer excluded"),
    "zai-org/GLM-5.1-FP8": ({"fp8_block": 75}, "weight_block_size; norms and indexer excluded"),
}
"""Read by eye: layers with experts by how these are stored, and the field that says it."""


@pytest.mark.timeout(20)
@pytest.mark.parametrize("repo_id", sorted(EXPERTS))
def test_how_experts_are_stored(repo_id: str, workspace: Path) -> None:
    """Within seconds also for the file that names 22,000 modules."""
    file = read_local(workspace / "hub", repo_id)
    assert file is not None
    found: dict[str, int] = {}
    for group in architecture_of(file, (ConfigDefaults.load(),)).groups:
        if isinstance(group.ffn, Moe):
            kind = group.ffn.quantization
            found[kind] = found.get(kind, 0) + group.count
    assert found == EXPERTS[repo_id][0]
