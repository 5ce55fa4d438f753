"""The FlashInfer index on a real checkout, its newest commit and its older releases."""

import io
import os
import subprocess
import tarfile
import time
from pathlib import Path

import pytest

from discover_models.ops import SPECS
from discover_models.ops.base import Limit
from discover_models.sources.flashinfer import FlashInferIndex

WORKSPACE = os.environ.get("DISCOVER_MODELS_WORKSPACE")

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not WORKSPACE, reason="DISCOVER_MODELS_WORKSPACE is not set"),
]

EVERYWHERE = (
    "norm.rmsnorm",
    "norm.fused_add_rmsnorm",
    "decode.BatchDecodeWithPagedKVCacheWrapper",
    "prefill.BatchPrefillWithPagedKVCacheWrapper",
    "BatchPrefillWithPagedKVCacheWrapper",
    "prefill.BatchPrefillWithRaggedKVCacheWrapper",
    "mla.BatchMLAPagedAttentionWrapper",
    "decode.trtllm_batch_decode_with_kv_cache_mla",
    "gdn_prefill.chunk_gated_delta_rule",
    "chunk_gated_delta_rule",
    "gdn_decode.gated_delta_rule_decode_pretranspose",
    "gdn_decode.gated_delta_rule_mtp",
    "mamba.selective_state_update",
    "fused_moe.trtllm_fp8_block_scale_moe",
    "fused_moe.trtllm_fp4_block_scale_moe",
    "fused_moe.trtllm_fp4_block_scale_routed_moe",
    "fused_moe.trtllm_fp8_per_tensor_scale_moe",
    "rope.apply_rope_with_cos_sin_cache_inplace",
    "sampling.top_k_sampling_from_probs",
    "sampling.top_p_sampling_from_probs",
    "sampling.top_k_top_p_sampling_from_probs",
    "gemm.mm_bf16",
)


def checkout() -> Path:
    return Path(WORKSPACE or "") / "flashinfer"


def git(*args: str) -> bytes:
    command = ["git", "-C", str(checkout()), *args]
    return subprocess.run(command, check=True, capture_output=True).stdout


@pytest.fixture(scope="module")
def newest() -> FlashInferIndex:
    return FlashInferIndex.open(checkout(), git("rev-parse", "HEAD").decode().strip())


@pytest.fixture(scope="module")
def releases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, FlashInferIndex]:
    """Every commit of the checkout, unpacked, by the version that it states."""
    found: dict[str, FlashInferIndex] = {}
    for commit in git("rev-list", "HEAD").decode().split():
        folder = tmp_path_factory.mktemp(commit[:7])
        with tarfile.open(fileobj=io.BytesIO(git("archive", commit, "flashinfer"))) as archive:
            archive.extractall(folder, filter="data")
        index = FlashInferIndex.open(folder, commit)
        found[index.version or commit] = index
    return found


@pytest.mark.parametrize("name", EVERYWHERE)
def test_an_api_of_the_dataset_is_there_in_every_release(
    releases: dict[str, FlashInferIndex], name: str
) -> None:
    for version, index in releases.items():
        found = index.find(f"flashinfer.{name}")
        traced = version != "0.6.7"  # The release that has no templates at all.
        assert (found.found, found.trace_template) == (True, traced), version


@pytest.mark.parametrize("name", EVERYWHERE)
def test_every_line_of_evidence_shows_what_it_says(newest: FlashInferIndex, name: str) -> None:
    for evidence in newest.find(f"flashinfer.{name}").evidence:
        assert evidence.line is not None
        text = (checkout() / evidence.path).read_text().splitlines()[evidence.line - 1]
        kind, _, rest = evidence.looked_for.partition(" ")
        wanted = f"{kind} {rest.rpartition('.')[2]}" if kind in ("def", "class") else kind
        assert wanted.split("(")[0] in text


@pytest.mark.parametrize(
    "name",
    [
        "gdn.gated_delta_rule_decode",
        "norm.rmsnorm_gated_nowhere",
        "mla._core.BatchMLAPagedAttentionWrapper",
        "dsa_indexer.dsa_indexer_topk",
        "dsa_indexer.dsa_indexer_topk_workspace_size",
    ],
)
def test_what_moved_is_private_or_experimental_is_absent_in_every_release(
    releases: dict[str, FlashInferIndex], name: str
) -> None:
    for version, index in releases.items():
        assert not index.find(f"flashinfer.{name}").found, version


def test_the_indexer_is_there_but_experimental(newest: FlashInferIndex) -> None:
    evidence = newest.find("flashinfer.dsa_indexer.dsa_indexer_topk").evidence

    assert any("@flashinfer_experimental_api" in e.looked_for for e in evidence)


@pytest.mark.parametrize(
    ("routing", "covered"),
    [
        ("ds_routing", True),
        ("renorm", True),
        ("llama4_routing", True),
        ("default_routing", True),
        ("minimax2_routing", False),
        ("sigmoid_renorm_routing", False),
    ],
)
def test_which_routings_have_a_template(
    releases: dict[str, FlashInferIndex], routing: str, covered: bool
) -> None:
    for version, index in releases.items():
        api = "flashinfer.fused_moe.trtllm_fp8_block_scale_moe"
        found = index.find(api, template_hint=routing)
        assert found.trace_template is (covered and version != "0.6.7"), version


def test_a_lazily_given_api_is_found(newest: FlashInferIndex) -> None:
    found = newest.find("flashinfer.fused_moe.prims_ts_fp8_block_scale_moe")

    assert found.evidence[0].path == "flashinfer/fused_moe/backends/prims_ts/fp8_op.py"


def test_a_limit_of_a_header_is_cited(newest: FlashInferIndex) -> None:
    cited = newest.cites("include/flashinfer/utils.cuh", "Unsupported group_size")

    assert cited is not None
    assert cited.found


LIMITS = {
    # Read by hand: which line states the first limit of a kernel's path, release by release.
    ("mla_paged_decode", "FA2 MLA"): {
        "0.6.7": "flashinfer/mla.py:497",
        "0.6.12": "flashinfer/mla/_core.py:930",
        "0.7.0": "flashinfer/mla/_batch_mla/_backends/_fa_common.py:103",
        "0.7.2.post1": "flashinfer/mla/_batch_mla/_backends/_fa_common.py:183",
    },
    ("mla_paged_decode", "trtllm-gen MLA"): {
        "0.6.7": "flashinfer/mla.py:728",
        "0.6.12": "flashinfer/mla/_core.py:1237",
        "0.7.0": "flashinfer/mla/_core.py:3872",
        "0.7.2.post1": "flashinfer/mla/_core.py:4411",
    },
    ("dsv4_sparse_mla", "DeepSeek-V4 sparse MLA"): {
        "0.6.7": "",
        "0.6.12": "flashinfer/mla/_core.py:349",
        "0.7.0": "flashinfer/mla/_core.py:1870",
        "0.7.2.post1": "flashinfer/mla/_core.py:1929",
    },
    ("ssd_combined", "SSD kernel (SM100)"): {
        "0.6.7": "flashinfer/mamba/ssd_combined.py:264",
        "0.6.12": "flashinfer/mamba/ssd_combined.py:264",
        "0.7.0": "flashinfer/trace/templates/mamba.py:349",
        "0.7.2.post1": "flashinfer/trace/templates/mamba.py:349",
    },
}


@pytest.mark.parametrize(("spec", "name"), LIMITS)
def test_a_limit_is_found_wherever_a_release_states_it(
    releases: dict[str, FlashInferIndex], spec: str, name: str
) -> None:
    (path,) = (p for p in SPECS[spec].paths if p.name == name)
    found: dict[str, str] = {}
    for version, index in releases.items():
        limit: Limit | None = path.limits[0]
        found[version] = ""
        while limit is not None and not found[version]:
            cited = index.cites(limit.file, limit.text)
            if cited is not None and cited.found:
                found[version] = f"{cited.path}:{cited.line}"
            limit = limit.earlier
    assert found == LIMITS[spec, name]


def test_looking_everything_up_is_quick() -> None:
    start = time.process_time()
    index = FlashInferIndex.open(checkout(), None)
    for name in EVERYWHERE:
        index.find(f"flashinfer.{name}")

    assert time.process_time() - start < 10
