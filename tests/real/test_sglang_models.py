"""Models of the real SGLang checkout, against sizes that were read from its source by hand."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from discover_models.domain.architecture import (
    Architecture,
    GdnAttention,
    GqaAttention,
    MambaMixer,
    MlaAttention,
    Moe,
)
from discover_models.requirements import requirements
from discover_models.sources.sglang_models.checkout import SglangSource
from discover_models.sources.sglang_models.interpreter import new_machine
from discover_models.sources.sglang_models.model_source import read_model
from discover_models.sources.sglang_models.registry import registered
from discover_models.sources.sglang_models.to_architecture import to_architecture
from golden_files import GOLDEN, config, rows, sizes

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def workspace() -> Path:
    folder = os.environ.get("DISCOVER_MODELS_WORKSPACE")
    if not folder:
        pytest.skip("DISCOVER_MODELS_WORKSPACE is not set")
    return Path(folder)


@pytest.fixture(scope="module")
def source(workspace: Path) -> SglangSource:
    return SglangSource(workspace / "sglang")


def read(workspace: Path, source: SglangSource, repo: str) -> Architecture:
    text = (workspace / "hub" / repo / "config.json").read_text(encoding="utf-8")
    config: dict[str, Any] = json.loads(text)
    return to_architecture(read_model(source, config))


def gemms(found: Architecture) -> dict[tuple[int | None, int | None], int]:
    """How many layers run each GEMM."""
    counts: dict[tuple[int | None, int | None], int] = {}
    for group in found.groups:
        for n, k in {(x.n.value, x.k.value) for x in group.linears or ()}:
            counts[(n, k)] = counts.get((n, k), 0) + group.count
    return counts


def test_every_registered_architecture(source: SglangSource) -> None:
    """Counted in release 0.5.23 by hand; later releases have more."""
    entries = registered(new_machine(source))

    assert len(entries) >= 290
    assert len({e.path for e in entries}) >= 225


@pytest.mark.parametrize(
    ("repo", "wanted"),
    [
        (
            "meta-llama/Meta-Llama-3.1-8B",
            {(6144, 4096): 32, (4096, 4096): 32, (28672, 4096): 32, (4096, 14336): 32},
        ),
        ("Qwen/Qwen3-235B-A22B", {(9216, 4096): 94, (4096, 8192): 94, (128, 4096): 94}),
        (
            "deepseek-ai/DeepSeek-V3.2",
            {
                (2112, 7168): 61,
                (24576, 1536): 61,
                (32768, 512): 61,
                (7168, 16384): 61,
                (8192, 1536): 61,
                (128, 7168): 61,
                (64, 7168): 61,
                (36864, 7168): 3,
                (7168, 18432): 3,
                (256, 7168): 58,
                (4096, 7168): 58,
                (7168, 2048): 58,
            },
        ),
        (
            "Qwen/Qwen3-Next-80B-A3B-Instruct",
            {
                (12288, 2048): 36,
                (64, 2048): 36,
                (9216, 2048): 12,
                (2048, 4096): 48,
                (512, 2048): 48,
                (1024, 2048): 48,
                (2048, 512): 48,
                (1, 2048): 48,
            },
        ),
    ],
)
def test_gemms(
    workspace: Path,
    source: SglangSource,
    repo: str,
    wanted: dict[tuple[int, int], int],
) -> None:
    assert gemms(read(workspace, source, repo)) == wanted


def test_sparse_latent_attention_with_grouped_sigmoid_routing(
    workspace: Path, source: SglangSource
) -> None:
    found = read(workspace, source, "deepseek-ai/DeepSeek-V3.2")

    mixer, moe = found.groups[1].mixer, found.groups[1].ffn
    assert isinstance(mixer, MlaAttention)
    assert mixer.indexer is not None
    assert (mixer.indexer.heads.value, mixer.indexer.topk.value) == (64, 2048)
    assert mixer.rope is not None
    assert mixer.rope.style == "gptj"
    assert isinstance(moe, Moe)
    assert moe.routing == "ds_routing"
    assert moe.n_group is not None
    assert moe.n_group.value == 8


def test_dense_latent_attention_has_no_indexer(workspace: Path, source: SglangSource) -> None:
    mixer = read(workspace, source, "deepseek-ai/DeepSeek-V3").groups[0].mixer

    assert isinstance(mixer, MlaAttention)
    assert mixer.indexer is None


def test_linear_and_gated_full_attention(workspace: Path, source: SglangSource) -> None:
    found = read(workspace, source, "Qwen/Qwen3.5-35B-A3B")

    linear, full = (group.mixer for group in found.groups)
    assert isinstance(linear, GdnAttention)
    assert (linear.k_heads.value, linear.v_heads.value) == (16, 32)
    assert isinstance(full, GqaAttention)
    assert full.output_gate
    assert [group.count for group in found.groups] == [30, 10]


def test_one_mixer_per_layer(workspace: Path, source: SglangSource) -> None:
    found = read(workspace, source, "nvidia/Nemotron-H-8B-Base-8K")

    mamba, mlp, attention = found.groups
    assert isinstance(mamba.mixer, MambaMixer)
    assert (mamba.mixer.heads.value, mamba.mixer.state_size.value) == (128, 128)
    assert mamba.ffn is None
    assert mlp.mixer is None
    assert isinstance(attention.mixer, GqaAttention)
    assert attention.mixer.rope is None
    assert [g.count for g in found.groups] == [24, 24, 4]


@pytest.mark.parametrize("repo", ["Falcon-H1-34B-Instruct", "Falcon-H1-0.5B-Instruct"])
def test_attention_beside_mamba(source: SglangSource, repo: str) -> None:
    """The class and the fields alone, read apart, must give what was read by hand."""
    golden = GOLDEN[f"tiiuae/{repo}"]
    built = to_architecture(read_model(source, config(golden["model"])))
    found = requirements(built, sizes(golden["tp"], golden["ep"]))
    expected = {name: row.get("layers") for name, row in rows(golden).items()}
    assert {k.definition_name: k.layers for k in found.kernels} == expected
    assert found.unmapped == ()


def test_window_and_sinks_on_every_second_layer(workspace: Path, source: SglangSource) -> None:
    found = read(workspace, source, "openai/gpt-oss-120b")

    mixers = [g.mixer for g in found.groups if isinstance(g.mixer, GqaAttention)]
    assert [m.window.value if m.window else None for m in mixers] == [128, None]
    assert all(m.sinks for m in mixers)
