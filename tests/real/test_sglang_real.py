"""SGLang's uses of FlashInfer in real releases; every answer was read in the source by hand."""

import os
import subprocess
from pathlib import Path

import pytest

from discover_models.domain.depth import Question
from discover_models.domain.evidence import Evidence
from discover_models.errors import SourceError
from discover_models.sources.sglang import SglangIndex

pytestmark = pytest.mark.real

BACKENDS = "python/sglang/srt/layers/attention"
MOE = "python/sglang/srt/layers/moe"
NORM = "python/sglang/srt/layers/layernorm.py"
GDN = f"{BACKENDS}/linear/kernels/gdn_flashinfer.py"
KDA = f"{BACKENDS}/linear/kernels/kda_flashinfer.py"
KDA_PREFILL = f"{BACKENDS}/linear/kernels/kda_flashinfer_prefill.py"
TRTLLM = f"{MOE}/moe_runner/flashinfer_trtllm.py"
WRAPPED = f"{MOE}/flashinfer_trtllm_moe.py"
CUTLASS = f"{MOE}/moe_runner/flashinfer_cutlass.py"
SSU = "python/sglang/kernels/ops/mamba/triton_ops/ssu_dispatch.py"
SAMPLER = "python/sglang/srt/layers/sampler.py"
FORWARD = "sgl-kernel/python/sgl_kernel/elementwise.py"

USED = {
    "norm.layernorm": [(NORM, 64), (NORM, 83)],
    # Not layernorm.py:820 and 925, which are in forward_musa and forward_xpu.
    "norm.rmsnorm": [(NORM, 106), (NORM, 631), (FORWARD, 120)],
    "norm.fused_add_rmsnorm": [(NORM, 103), (NORM, 628), (FORWARD, 160)],
    "norm.gemma_rmsnorm": [(NORM, 105), (NORM, 1147), (FORWARD, 201)],
    "norm.gemma_fused_add_rmsnorm": [(NORM, 104), (NORM, 1143), (FORWARD, 241)],
    "prefill.BatchPrefillWithPagedKVCacheWrapper": [
        (f"{BACKENDS}/flashinfer_backend.py", 79),
        (f"{BACKENDS}/flashinfer_backend.py", 535),
    ],
    "prefill.BatchPrefillWithRaggedKVCacheWrapper": [
        (f"{BACKENDS}/flashinfer_backend.py", 523),
        (f"{BACKENDS}/flashinfer_mla_backend.py", 289),
        (f"{BACKENDS}/llada2_cfg_flashinfer_backend.py", 46),
    ],
    "decode.BatchDecodeWithPagedKVCacheWrapper": [
        (f"{BACKENDS}/flashinfer_backend.py", 78),
        (f"{BACKENDS}/flashinfer_backend.py", 549),
    ],
    "decode.trtllm_batch_decode_with_kv_cache_mla": [
        (f"{BACKENDS}/trtllm_mla_backend.py", 81),
        (f"{BACKENDS}/trtllm_mla_backend.py", 1041),
        (f"{BACKENDS}/dsa_backend.py", 3820),
        (f"{BACKENDS}/dsa_backend.py", 4005),
    ],
    "mla.trtllm_batch_decode_with_kv_cache_mla": [
        ("python/sglang/kernels/ops/attention/flash_mla_sm120.py", 732),
        ("python/sglang/kernels/ops/attention/flash_mla_sm120.py", 735),
    ],
    "mla.BatchMLAPagedAttentionWrapper": [
        (f"{BACKENDS}/flashinfer_mla_backend.py", 72),
        (f"{BACKENDS}/flashinfer_mla_backend.py", 305),
    ],
    "fused_moe.trtllm_fp4_block_scale_moe": [(TRTLLM, 1207), (TRTLLM, 1268), (TRTLLM, 1648)],
    "fused_moe.trtllm_fp4_block_scale_routed_moe": [(TRTLLM, 1220), (TRTLLM, 1593)],
    "fused_moe.trtllm_fp8_block_scale_moe": [(WRAPPED, 74), (WRAPPED, 118), (TRTLLM, 1085)],
    "fused_moe.trtllm_fp8_per_tensor_scale_moe": [(WRAPPED, 290), (WRAPPED, 325)],
    "fused_moe.trtllm_bf16_moe": [(TRTLLM, 1707), (TRTLLM, 1793)],
    "fused_moe.cutlass_fused_moe": [(CUTLASS, 162), (CUTLASS, 371), (CUTLASS, 585)],
    "gdn_prefill.chunk_gated_delta_rule": [(GDN, 143), (GDN, 566)],
    "gdn_decode.gated_delta_rule_decode_pretranspose": [(GDN, 137), (GDN, 445), (GDN, 462)],
    "gdn_decode.gated_delta_rule_mtp": [(GDN, 138), (GDN, 701)],
    "kda_decode.recurrent_kda": [(KDA, 44), (KDA, 222), (KDA, 355)],
    "kda.recurrent_kda": [(KDA_PREFILL, 80), (KDA_PREFILL, 121)],
    "mamba.selective_state_update": [(SSU, 120), (SSU, 162)],
    "sampling.top_k_top_p_sampling_from_probs": [(SAMPLER, 50), (SAMPLER, 435)],
}
"""0.5.23: lines that import, call or forward to each API."""

NOT_USED = [
    "rope.apply_rope_with_cos_sin_cache_inplace",  # SGLang's own kernel of that name
    "sampling.top_k_sampling_from_probs",
    "sampling.top_p_sampling_from_probs",
    "gdn.chunk_gated_delta_rule",
    "gdn.gated_delta_rule_decode",
    "gdn_decode.gated_delta_rule_decode",  # only the K-last one is used
    "gemm.mm_bf16",  # named in a docstring
    "kda.chunk_kda",
    "msa.msa_sparse_attention",
    "activation.silu_and_mul",  # from sgl_kernel, which runs its own operator
    "activation.gelu_and_mul",
    "activation.gelu_tanh_and_mul",
]


@pytest.fixture(name="release", scope="session")
def _release(tmp_path_factory: pytest.TempPathFactory) -> "Releases":
    workspace = os.environ.get("DISCOVER_MODELS_WORKSPACE")
    if not workspace:
        pytest.skip("DISCOVER_MODELS_WORKSPACE is not set")
    return Releases(Path(workspace, "sglang"), tmp_path_factory.mktemp("releases"))


class Releases:
    """Releases of SGLang, taken out of the workspace's history once each."""

    def __init__(self, repository: Path, folder: Path) -> None:
        self._repository = repository
        self._folder = folder
        self._opened: dict[str, tuple[Path, SglangIndex]] = {}

    def index(self, version: str) -> SglangIndex:
        return self._open(version)[1]

    def checkout(self, version: str) -> Path:
        return self._open(version)[0]

    def _open(self, version: str) -> tuple[Path, SglangIndex]:
        if version not in self._opened:
            commit = self._commit(version)
            folder = self._folder / version
            folder.mkdir()
            archive = self._git("archive", commit)
            subprocess.run(["tar", "-x", "-C", folder], input=archive, check=True)
            self._opened[version] = (folder, SglangIndex.open(folder, commit))
        return self._opened[version]

    def _commit(self, version: str) -> str:
        for line in self._git("log", "--format=%H %s").decode().splitlines():
            commit, _, subject = line.partition(" ")
            if subject.split()[-1:] == [version]:
                return commit
        pytest.skip(f"SGLang {version} is not in the workspace's history")

    def _git(self, *arguments: str) -> bytes:
        command = ["git", "-C", str(self._repository), *arguments]
        return subprocess.run(command, check=True, capture_output=True).stdout


# Ways, read by hand in 0.5.23: how, option, GPUs, and the line that decides.
_BASE = "arg_groups/model_override_base.py"
_TRTLLM = "layers/moe/moe_runner/flashinfer_trtllm.py"
DECODE = "decode.BatchDecodeWithPagedKVCacheWrapper"
DEPTHS = {
    # qwen3_5.py:29-47 gives SM100 triton or trtllm_mha by the strategy of the Mamba cache, which is
    # "auto" (fields/exec_.py:512-519) until another pass settles it: neither is certain there.
    "Qwen3.5: open on SM100, elsewhere for all": (
        Question(
            apis=((f"flashinfer.{DECODE}",),),
            latent=False,
            model="Qwen3_5MoeForConditionalGeneration",
        ),
        {("default", "--attention-backend flashinfer", (), f"{_BASE}:333")},
        {
            ("triton", (), f"{_BASE}:334"),  # where there is no FlashInfer
            ("fa3", ("SM90",), f"{_BASE}:311"),
        },
    ),
    "DeepSeek-V3.2: what is set for HYV4 in the same function is not for it": (
        Question(
            apis=(("flashinfer.fused_moe.trtllm_fp4_block_scale_routed_moe",),),
            model="DeepseekV32ForCausalLM",
        ),
        {
            ("flag", "--moe-runner-backend flashinfer_trtllm", (), f"{_TRTLLM}:1820"),
            ("flag", "--moe-runner-backend flashinfer_trtllm_routed", (), f"{_TRTLLM}:1844"),
        },
        set[tuple[str, tuple[str, ...], str]](),
    ),
}


@pytest.mark.parametrize(("question", "ways", "served"), DEPTHS.values(), ids=list(DEPTHS))
def test_ways_that_were_read_by_hand(
    release: Releases,
    question: Question,
    ways: set[tuple[str, str, tuple[str, ...], str]],
    served: set[tuple[str, tuple[str, ...], str]],
) -> None:
    found = release.index("0.5.23").depth(question)
    lines = {(r.how, r.flag, r.gpus, _short(e)) for r in found.reach for e in r.evidence}
    assert ways <= lines
    assert not any("marlin" in r.flag or "humming" in r.flag for r in found.reach)
    assert {(p.name, p.gpus, _short(e)) for p in found.served_by for e in p.evidence} == served


def _short(evidence: Evidence) -> str:
    return f"{evidence.path.removeprefix('python/sglang/srt/')}:{evidence.line}"


def test_a_method_for_xpu_does_not_leave_hash_routing_undecided(release: Releases) -> None:
    index = release.index("0.5.23")  # layers/moe/hash_topk.py:202 is in _forward_xpu
    assert not index.calls("flashinfer.fused_moe.hash_topk").used
    found = index.depth(Question(apis=(("flashinfer.fused_moe.hash_topk",),)))
    assert "sglang.kernels.ops.moe.dsv4.hash_topk" in {p.function for p in found.served_by}


@pytest.mark.parametrize(("api", "lines"), USED.items(), ids=list(USED))
def test_used(release: Releases, api: str, lines: list[tuple[str, int]]) -> None:
    lookup = release.index("0.5.23").calls(f"flashinfer.{api}")
    assert lookup.used
    assert set(lines) <= {(e.path, e.line) for e in lookup.evidence}


@pytest.mark.parametrize("api", NOT_USED)
def test_not_used(release: Releases, api: str) -> None:
    lookup = release.index("0.5.23").calls(f"flashinfer.{api}")
    assert not lookup.used


@pytest.mark.parametrize("version", ["0.5.10", "0.5.16", "0.5.23"])
def test_evidence_quotes_the_checkout(release: Releases, version: str) -> None:
    checkout = release.checkout(version)
    index = release.index(version)
    assert index.version == version
    apis = ["norm.layernorm", "mla.BatchMLAPagedAttentionWrapper", "fused_moe.cutlass_fused_moe"]
    for api in apis:
        evidence = index.calls(f"flashinfer.{api}").evidence
        assert evidence
        for line in evidence:
            assert line.line
            text = (checkout / line.path).read_text().splitlines()[line.line - 1]
            assert text.strip() == line.looked_for


def test_the_condition_of_the_forwarding_wrapper(release: Releases) -> None:
    (note,) = release.index("0.5.23").calls("flashinfer.norm.rmsnorm").notes
    assert "_has_flashinfer and input.dtype in _FLASHINFER_NORM_SUPPORTED_DTYPES" in note


def test_what_serves_activations_instead(release: Releases) -> None:
    (note,) = release.index("0.5.23").calls("flashinfer.activation.silu_and_mul").notes
    assert note.startswith("SGLang uses sgl_kernel.silu_and_mul, which")


@pytest.mark.parametrize("version", ["0.5.10", "0.5.16"])
@pytest.mark.parametrize("api", ["norm.rmsnorm", "norm.fused_add_rmsnorm", "norm.gemma_rmsnorm"])
def test_undecided_without_the_kernel_package(release: Releases, version: str, api: str) -> None:
    with pytest.raises(SourceError, match="not in the checkout"):
        release.index(version).calls(f"flashinfer.{api}")


OLDER = {
    ("0.5.10", "mamba.selective_state_update"): True,
    ("0.5.10", "sampling.top_k_top_p_sampling_from_probs"): True,
    ("0.5.10", "gdn_decode.gated_delta_rule_mtp"): True,
    ("0.5.10", "fused_moe.trtllm_fp4_block_scale_routed_moe"): False,
    ("0.5.10", "kda_decode.recurrent_kda"): False,
    ("0.5.10", "rope.apply_rope_with_cos_sin_cache_inplace"): False,  # only its tests do
    ("0.5.16", "fused_moe.trtllm_fp4_block_scale_routed_moe"): True,
    ("0.5.16", "kda_decode.recurrent_kda"): True,
    ("0.5.16", "kda.recurrent_kda"): False,
}


@pytest.mark.parametrize(("version", "api"), list(OLDER))
def test_older_releases(release: Releases, version: str, api: str) -> None:
    assert release.index(version).calls(f"flashinfer.{api}").used is OLDER[version, api]


def test_linear_layer(release: Releases) -> None:
    lines = {
        (e.path.rpartition("/")[2], e.line) for e in release.index("0.5.23").linear_layer().evidence
    }
    assert {("linear.py", 227), ("linear.py", 395), ("unquant.py", 537)} <= lines
