"""The verdicts, over real indexes on hand-written miniature checkouts."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from discover_models.classify import Sources, classify, support, tagged_only
from discover_models.domain.kernel import Axis, ClassifiedKernel, Lack, RequiredKernel
from discover_models.errors import SourceError
from discover_models.ops import SPECS
from discover_models.sources.dataset import DatasetIndex
from discover_models.sources.flashinfer import FlashInferIndex
from discover_models.sources.sglang import SglangIndex

TRACED = """\
from flashinfer.api_logging import flashinfer_api
from flashinfer.templates import some_trace

@flashinfer_api(trace=some_trace)
def {name}(x): ...
"""
PLAIN = """\
from flashinfer.api_logging import flashinfer_api

@flashinfer_api
def {name}(x): ...
"""
BASICS = {
    "flashinfer/flashinfer/__init__.py": "",
    "flashinfer/flashinfer/api_logging.py": "def flashinfer_api(func=None, *, trace=None): ...\n",
    "flashinfer/flashinfer/templates.py": "some_trace = object()\n",
    "sglang/python/sglang/__init__.py": "",
    "flashinfer-trace/definitions/other/other.json": json.dumps(
        {"name": "other", "op_type": "other", "axes": {}, "inputs": {}}
    ),
}
SAMPLING = "flashinfer/flashinfer/sampling.py"
USE = "sglang/python/sglang/srt/layers/use.py"
Judge = Callable[..., ClassifiedKernel]


def need(spec: str, name: str, **axes: int) -> RequiredKernel:
    return RequiredKernel(
        definition_name=name,
        op_type=SPECS[spec].op_type,
        spec=spec,
        axes={axis: Axis(value=value, expression=axis) for axis, value in axes.items()},
    )


TOP_P = need("top_p_sampling_from_probs", "top_p_sampling_from_probs_v1000", vocab_size=1000)
TOP_P_CALL = """\
from flashinfer.sampling import top_p_sampling_from_probs

def sample(p):
    return top_p_sampling_from_probs(p)
"""


def write(folder: Path, files: Mapping[str, str]) -> None:
    """Write files below three checkouts."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def opened(folder: Path) -> Sources:
    """The indexes of those checkouts, at sample commits."""
    return Sources(
        dataset=DatasetIndex.open(folder / "flashinfer-trace", "d" * 40),
        flashinfer=FlashInferIndex.open(folder / "flashinfer", "f" * 40),
        sglang=SglangIndex.open(folder / "sglang", "a" * 40),
    )


@pytest.fixture
def judge(tmp_path: Path) -> Judge:
    """Writes files below three checkouts and gives the verdicts on a kernel."""

    def call(
        kernel: RequiredKernel, files: dict[str, str] | None = None, model: str = ""
    ) -> ClassifiedKernel:
        write(tmp_path, BASICS | (files or {}))
        return classify(kernel, opened(tmp_path), model)

    return call


def definition(name: str, op_type: str, **content: Any) -> dict[str, str]:
    path = f"flashinfer-trace/definitions/{op_type}/{name}.json"
    return {path: json.dumps({"name": name, "op_type": op_type, **content})}


def verdicts(kernel: ClassifiedKernel) -> tuple[str, str | None, bool | None, str | None]:
    return (kernel.phase1_status, kernel.fi_status, kernel.fi_trace_template, kernel.sgl_status)


# Existing ------------------------------------------------------------------------------------


@pytest.mark.parametrize("workloads", [True, False])
def test_existing_by_name(judge: Judge, workloads: bool) -> None:
    name = TOP_P.definition_name
    files = definition(name, "sampling", axes={"vocab_size": {"type": "const", "value": 1000}})
    if workloads:
        files[f"flashinfer-trace/workloads/sampling/{name}.jsonl"] = "{}\n"
    found = judge(TOP_P, files)
    assert verdicts(found) == ("existing", None, None, None)
    assert (found.matched_name, found.workloads, found.notes) == (name, workloads, ())
    assert found.evidence[0].path == f"definitions/sampling/{name}.json"
    assert [e.found for e in found.evidence] == [True, workloads]


def test_a_name_that_its_axes_contradict_is_no_verdict(judge: Judge) -> None:
    axes = {"vocab_size": {"type": "const", "value": 1001}}
    with pytest.raises(SourceError, match="contradicts its name: axis vocab_size is 1001"):
        judge(TOP_P, definition(TOP_P.definition_name, "sampling", axes=axes))


RAGGED = need(
    "gqa_ragged_prefill_causal",
    "gqa_ragged_prefill_causal_h8_kv2_d128",
    num_qo_heads=8,
    num_kv_heads=2,
    head_dim=128,
)


def ragged_dump(**changes: Any) -> dict[str, Any]:
    """FlashInfer's own dump of the ragged prefill, as far as it decides."""
    heads = {"num_qo_heads": 8, "num_kv_heads": 2, "head_dim": 128}
    tensors = {
        "q": ("bfloat16", ["total_q", "num_qo_heads", "head_dim"]),
        "k": ("bfloat16", ["total_kv", "num_kv_heads", "head_dim"]),
        "v": ("bfloat16", ["total_kv", "num_kv_heads", "head_dim"]),
        "qo_indptr": ("int32", ["len_indptr"]),
        "kv_indptr": ("int32", ["len_indptr"]),
    }
    content: dict[str, Any] = {
        "axes": {n: {"type": "const", "value": v} for n, v in heads.items()},
        "inputs": {n: {"dtype": d, "shape": s} for n, (d, s) in tensors.items()},
        "tags": ["fi_api:flashinfer.prefill.BatchPrefillWithRaggedKVCacheWrapper.run"],
    }
    for key, value in changes.items():
        part, _, name = key.partition("__")
        if name and value is None:
            del content[part][name]
        elif name:
            content[part][name] = value
        else:
            content[part] = value
    return content


def test_existing_under_the_name_of_a_dump(judge: Judge) -> None:
    found = judge(RAGGED, definition("gqa_ragged_h8_kv2_d128", "gqa_ragged", **ragged_dump()))
    assert found.phase1_status == "existing"
    assert found.matched_name == "gqa_ragged_h8_kv2_d128"
    assert "gqa_ragged_h8_kv2_d128" in found.notes[0]


def test_a_dump_may_not_know_a_dtype(judge: Judge) -> None:
    content = ragged_dump(
        inputs__q={"dtype": "unknown", "shape": ["total_q", "num_qo_heads", "head_dim"]}
    )
    found = judge(RAGGED, definition("gqa_ragged_h8_kv2_d128", "gqa_ragged", **content))
    assert found.phase1_status == "existing"


def test_a_dump_may_leave_an_axis_out(judge: Judge) -> None:
    content = ragged_dump(axes__head_dim=None)
    found = judge(RAGGED, definition("gqa_ragged_h8_kv2_d128", "gqa_ragged", **content))
    assert found.phase1_status == "existing"


Q = ["total_q", "num_qo_heads", "head_dim"]


@pytest.mark.parametrize(
    ("op_type", "content"),
    [
        ("gqa_paged", ragged_dump()),
        ("gqa_ragged", ragged_dump(axes__head_dim={"type": "const", "value": 64})),
        ("gqa_ragged", ragged_dump(inputs__kv_indptr=None)),
        ("gqa_ragged", ragged_dump(inputs__q={"dtype": "float16", "shape": Q})),
        ("gqa_ragged", ragged_dump(inputs__q={"dtype": "bfloat16", "shape": Q[::-1]})),
        ("gqa_ragged", ragged_dump(inputs__q={"dtype": "bfloat16", "shape": None})),
        ("gqa_ragged", ragged_dump(tags=["fi_api:flashinfer.prefill.Other.run"])),
        ("gqa_ragged", ragged_dump(tags=[])),
    ],
    ids=["op_type", "axis", "input", "dtype", "layout", "scalar", "API", "no API"],
)
def test_the_name_of_a_dump_alone_decides_nothing(
    judge: Judge, op_type: str, content: dict[str, Any]
) -> None:
    found = judge(RAGGED, definition("gqa_ragged_h8_kv2_d128", op_type, **content))
    assert found.phase1_status == "new"
    assert "gqa_ragged_h8_kv2_d128" in found.evidence[0].looked_for


def test_a_dump_of_local_experts_is_not_one_of_all(judge: Judge) -> None:
    """Its name has the local experts only: all of them must be local."""

    def dump(experts: int) -> dict[str, str]:
        axes = {
            "top_k": 8, "num_local_experts": 16, "num_experts": experts, "hidden_size": 512,
            "intermediate_size": 256,
        }  # fmt: skip
        gemm1 = ["num_local_experts", "gemm1_out_size", "hidden_size"]
        gemm2 = ["num_local_experts", "hidden_size", "intermediate_size"]
        shapes = {
            "hidden_states": ["seq_len", "hidden_size"],
            "gemm1_weights": gemm1,
            "gemm2_weights": gemm2,
        }
        return definition(
            "moe_fp8_block_scale_renormalize_routing_topk8_e16_h512_i256",
            "moe",
            axes={name: {"type": "const", "value": value} for name, value in axes.items()},
            inputs={n: {"dtype": "float8_e4m3fn", "shape": s} for n, s in shapes.items()},
            tags=["fi_api:flashinfer.fused_moe.trtllm_fp8_block_scale_moe"],
        )

    assert judge(moe("renorm"), dump(16)).phase1_status == "existing"
    assert judge(moe("renorm"), dump(32)).phase1_status == "new"


def test_what_only_the_tags_give_is_added_once(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (path,) = files = definition(name, "gemm", axes={"N": {"value": 8}})
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(files[path])
    dataset = DatasetIndex.open(tmp_path / "flashinfer-trace", None)
    (found,) = tagged_only(dataset.definitions.values(), ["a"], dataset)
    assert (found.matched_name, found.source, found.phase1_status) == (
        "b",
        "dataset_tag",
        "existing",
    )
    assert found.required.axes["N"].value == 8
    assert found.required.axes["N"].expression == "the definition itself"
    assert found.required.spec == ""
    assert found.notes == ("from the dataset's tag; no formula yields it",)
    assert found.workloads is False
    assert found.evidence == dataset.evidence(dataset.definitions["b"])


# FlashInfer ----------------------------------------------------------------------------------


def test_a_new_kernel_that_flashinfer_has_and_sglang_calls(judge: Judge) -> None:
    sampling = TRACED.format(name="top_p_sampling_from_probs")
    found = judge(TOP_P, {SAMPLING: sampling, USE: TOP_P_CALL})
    assert verdicts(found) == ("new", "fi_supported", True, "sgl_integrated")
    places = [(e.repository, e.path, e.line, e.found) for e in found.evidence]
    assert places == [
        ("flashinfer-trace", "definitions/sampling/", None, False),
        ("flashinfer", "flashinfer/sampling.py", 5, True),
        ("flashinfer", "flashinfer/sampling.py", 4, True),
        ("sglang", "python/sglang/srt/layers/use.py", 1, True),
        ("sglang", "python/sglang/srt/layers/use.py", 4, True),
    ]


def test_an_api_that_is_not_there(judge: Judge) -> None:
    sampling = TRACED.format(name="min_p_sampling_from_probs")
    found = judge(TOP_P, {SAMPLING: sampling, USE: TOP_P_CALL})
    assert verdicts(found) == ("new", "fi_missing", None, "n/a")
    assert not any(e.found for e in found.evidence)
    assert {e.repository for e in found.evidence} == {"flashinfer-trace", "flashinfer"}
    assert found.notes == ()


def test_an_api_of_a_longer_name_elsewhere_is_another_one(judge: Judge) -> None:
    other = PLAIN.format(name="top_p_sampling_from_probs_and_more")
    found = judge(TOP_P, {SAMPLING: "", "flashinfer/flashinfer/choosing.py": other})
    assert found.fi_status == "fi_missing"


def test_an_api_that_moved_to_another_module_is_not_called_missing(judge: Judge) -> None:
    moved = {"flashinfer/flashinfer/choosing.py": PLAIN.format(name="top_p_sampling_from_probs")}
    found = judge(TOP_P, {SAMPLING: "", **moved})
    assert verdicts(found) == ("new", None, None, None)
    assert any("top_p_sampling_from_probs in flashinfer/choosing.py" in n for n in found.notes)
    places = {(e.path, e.found) for e in found.evidence}
    assert {("flashinfer", False), ("flashinfer/choosing.py", True)} <= places


def test_every_place_that_an_api_may_have_moved_to_is_named(judge: Judge) -> None:
    api = PLAIN.format(name="top_p_sampling_from_probs")
    moved = {"flashinfer/flashinfer/a.py": api, "flashinfer/flashinfer/b.py": api}
    (note,) = [n for n in judge(TOP_P, {SAMPLING: "", **moved}).notes if n.startswith("fi_status")]
    name = "top_p_sampling_from_probs"
    assert note.endswith(f"FlashInfer has {name} in flashinfer/a.py, {name} in flashinfer/b.py")


def test_an_api_that_is_another_kernel_did_not_move(judge: Judge) -> None:
    files = {"flashinfer/flashinfer/kda_decode.py": PLAIN.format(name="recurrent_kda")}
    found = judge(need("recurrent_kda", "recurrent_kda_h8"), files)
    assert found.fi_status == "fi_missing"


def test_the_first_layout_of_the_package_is_no_move_either(tmp_path: Path) -> None:
    """FlashInfer 0.1 had its package below python/."""
    files = {
        "flashinfer/python/flashinfer/__init__.py": "",
        "flashinfer/python/flashinfer/kda_decode.py": PLAIN.format(name="recurrent_kda"),
        "sglang/python/sglang/__init__.py": "",
        "flashinfer-trace/definitions/other/other.json": BASICS[
            "flashinfer-trace/definitions/other/other.json"
        ],
    }
    write(tmp_path, files)
    sources = opened(tmp_path)
    assert classify(need("recurrent_kda", "recurrent_kda_h8"), sources).fi_status == "fi_missing"


def test_an_api_without_a_template(judge: Judge) -> None:
    found = judge(TOP_P, {SAMPLING: PLAIN.format(name="top_p_sampling_from_probs")})
    assert verdicts(found) == ("new", "fi_supported", False, "sgl_missing")


def test_a_module_that_cannot_be_parsed_leaves_both_open(judge: Judge) -> None:
    found = judge(TOP_P, {SAMPLING: "def top_p_sampling_from_probs(:", USE: TOP_P_CALL})
    assert verdicts(found) == ("new", None, None, None)
    (why,) = [note for note in found.notes if note.startswith("fi_status undecided: ")]
    assert "flashinfer/sampling.py" in why
    assert any("sgl_status undecided" in note for note in found.notes)


def test_what_was_looked_for_is_shown_where_another_api_could_not_be_read(judge: Judge) -> None:
    package = "from .fast import trtllm_batch_decode_with_kv_cache\n"
    files = {
        "flashinfer/flashinfer/decode/__init__.py": package,
        "flashinfer/flashinfer/decode/fast.py": "def trtllm(:",
    }
    found = judge(decode(4), files | GROUPS)
    assert found.fi_status is None
    searched = [e for e in found.evidence if e.repository == "flashinfer"]
    assert [(e.looked_for, e.found) for e in searched] == [
        ("flashinfer.decode.BatchDecodeWithPagedKVCacheWrapper", False)
    ]


def test_a_definition_that_leaves_an_axis_open_is_there(judge: Judge) -> None:
    axes = {"vocab_size": {"type": "var"}}
    found = judge(TOP_P, definition(TOP_P.definition_name, "sampling", axes=axes))
    assert found.phase1_status == "existing"


@pytest.mark.parametrize("failed", ["flashinfer", "sglang"])
def test_a_source_that_failed_leaves_its_verdict_open(tmp_path: Path, failed: str) -> None:
    write(tmp_path, BASICS | {SAMPLING: TRACED.format(name="other"), USE: ""})
    error = SourceError("it could not be cloned")
    sources = replace(opened(tmp_path), sglang=error)
    if failed == "flashinfer":
        sources = replace(sources, flashinfer=error)
    found = classify(TOP_P, sources)
    if failed == "flashinfer":
        assert verdicts(found) == ("new", None, None, None)
        assert "fi_status undecided: it could not be cloned" in found.notes
    else:
        assert verdicts(found) == ("new", "fi_missing", None, "n/a")


def test_support_is_asked_for_apart_from_the_dataset(judge: Judge, tmp_path: Path) -> None:
    axes = {"vocab_size": {"type": "const", "value": 1000}}
    files = definition(TOP_P.definition_name, "sampling", axes=axes)
    judge(TOP_P, files | {SAMPLING: TRACED.format(name="top_p_sampling_from_probs")})
    sources = opened(tmp_path)
    assert verdicts(support(TOP_P, sources)) == ("new", "fi_supported", True, "sgl_missing")
    with pytest.raises(SourceError, match="no dataset"):
        support(TOP_P, replace(sources, dataset=SourceError("no dataset")))


def test_without_the_dataset_there_is_no_verdict() -> None:
    error = SourceError("no dataset")
    with pytest.raises(SourceError, match="no dataset"):
        classify(TOP_P, Sources(dataset=error, flashinfer=error, sglang=error))


PREFILL = "flashinfer/flashinfer/prefill.py"
DECODE = "flashinfer/flashinfer/decode.py"
WRAPPER = """\
from flashinfer.api_logging import flashinfer_api
from flashinfer.templates import some_trace

class {name}:
    @flashinfer_api(trace=some_trace)
    def run(self, q): ...
"""
CUDA_CORES = "flashinfer/include/flashinfer/utils.cuh"
FA2 = "flashinfer/include/flashinfer/attention/prefill.cuh"
GROUPS = {
    CUDA_CORES: "if (group_size == 1) {} else if (group_size == 4) {} else {\n"
    '  err_msg << "Unsupported group_size: " << group_size;\n}\n'
}
LANES = {
    "flashinfer/include/flashinfer/attention/decode.cuh": (
        "    for (uint32_t offset = bdx / 2; offset > 0; offset /= 2) {\n"
    )
}
HEAD_DIM = {FA2: "return (NUM_MMA_D_VO < 4) || true;\n"}


def decode(group: int, head_dim: int = 128) -> RequiredKernel:
    name = f"gqa_paged_decode_h{group}_kv1_d{head_dim}_ps1"
    axes = {"num_qo_heads": group, "num_kv_heads": 1, "head_dim": head_dim, "page_size": 1}
    return need("gqa_paged_decode", name, **axes)


@pytest.mark.parametrize(
    ("kernel", "limits", "status", "notes"),
    [
        (decode(4), GROUPS | HEAD_DIM | LANES, "fi_supported", ()),
        (
            decode(5),
            GROUPS | HEAD_DIM,
            "fi_supported",
            (
                "CUDA-core decode refuses group size (query heads per KV head) 5",
                "supported through tensor-core decode (use_tensor_cores=True)",
            ),
        ),
        (
            decode(4, 96),
            GROUPS | HEAD_DIM | LANES,
            "fi_supported",
            ("CUDA-core decode not checked: nothing refuses head dimension 96",),
        ),
        (decode(5, 96), GROUPS | HEAD_DIM, None, ("fi_status undecided: some paths refuse",)),
        (decode(5, 32), GROUPS | HEAD_DIM, None, ("fi_status undecided: some paths refuse",)),
        (decode(5), GROUPS, None, ("fi_status undecided: some paths refuse",)),
        (decode(4), {}, "fi_supported", ("CUDA-core decode not checked",)),
    ],
    ids=["taken", "by another path", "doubtful elsewhere", "only doubtful", "only unchecked",
         "other limit not there", "no limit there"],
)  # fmt: skip
def test_shapes_by_path(
    judge: Judge,
    kernel: RequiredKernel,
    limits: dict[str, str],
    status: str | None,
    notes: tuple[str, ...],
) -> None:
    wrapper = WRAPPER.format(name="BatchDecodeWithPagedKVCacheWrapper")
    found = judge(kernel, {DECODE: wrapper} | limits)
    assert found.fi_status == status
    assert found.fi_trace_template is (True if status else None)
    said = [note for note in found.notes if "sgl_status" not in note]
    for note in notes:
        assert any(line.startswith(note) for line in said), said
    assert bool(said) == bool(notes)


def test_a_shape_that_every_path_refuses_is_missing(judge: Judge) -> None:
    name = "gdn_decode_qk4_v8_d64_k_last"
    axes = {"num_q_heads": 4, "num_k_heads": 4, "num_v_heads": 8, "head_size": 64}
    kernel = need("gdn_decode", name, **axes)
    (path,) = SPECS["gdn_decode"].paths
    api = TRACED.format(name="gated_delta_rule_decode_pretranspose")
    assert {limit.file for limit in path.limits} == {"flashinfer/gdn_decode.py"}
    stated = "".join(f"# {limit.text}\n" for limit in path.limits)
    call = "from flashinfer.gdn_decode import gated_delta_rule_decode_pretranspose as g\ng(1)\n"
    files = {"flashinfer/flashinfer/gdn_decode.py": api + stated}
    found = judge(kernel, files | {USE: call})
    assert verdicts(found) == ("new", "fi_missing", None, "n/a")
    assert found.notes[0].startswith("decode refuses head size 64")
    assert found.fi_lack == Lack(
        request="gdn.head-size",
        kernel="gated delta rule, K-last state",
        limit="head size",
        data_type="bf16",
        apis=("flashinfer.gdn_decode.gated_delta_rule_decode_pretranspose",),
    )
    assert ("flashinfer/gdn_decode.py", 6, True) in [
        (e.path, e.line, e.found) for e in found.evidence
    ]
    fits = judge(kernel.model_copy(update={"axes": kernel.axes | {
        "head_size": Axis(value=128, expression="head_size")}}))  # fmt: skip
    assert verdicts(fits) == ("new", "fi_supported", True, "sgl_integrated")


def ways(found: ClassifiedKernel) -> dict[str, tuple[str, str]]:
    """What each code path of an API does with the shape, and why."""
    assert found.depth is not None
    return {path.name: (path.verdict, path.reason) for path in found.depth.paths}


def test_every_code_path_says_what_it_does_with_the_shape(judge: Judge) -> None:
    wrapper = {DECODE: WRAPPER.format(name="BatchDecodeWithPagedKVCacheWrapper")}
    outside = ("not checked", "compiled or outside the checked sources")
    found = judge(decode(5), wrapper | GROUPS | HEAD_DIM)
    assert ways(found) == {
        "CUDA-core decode": ("refuses", "group size (query heads per KV head) 5"),
        "tensor-core decode (use_tensor_cores=True)": ("takes", ""),
        "trtllm-gen decode": outside,
        "trtllm-gen and cuDNN kernels": outside,
    }
    assert found.depth is not None
    places = [(e.path, e.line) for path in found.depth.paths for e in path.evidence]
    assert places == [("include/flashinfer/utils.cuh", 2)]


def test_a_code_path_names_the_gpus_that_its_line_names(judge: Judge) -> None:
    spec = SPECS["gdn_prefill"]
    kernel = need(
        "gdn_prefill", "gdn_prefill_qk4_v8_d128_k_last",
        num_q_heads=4, num_k_heads=4, num_v_heads=8, head_size=128,
    )  # fmt: skip
    (api,) = {api.rpartition(".")[::2] for api in spec.apis}
    file = f"flashinfer/{api[0].replace('.', '/')}.py"
    plain = {file: PLAIN.format(name=api[1])}
    before = judge(kernel, plain)
    assert before.depth is not None
    assert {path.gpus for path in before.depth.paths} == {()}
    stated: dict[str, str] = {}
    for path in spec.paths:
        if path.gpus is not None:
            place = f"flashinfer/{path.gpus.file}"
            start = stated.get(place, plain.get(place, ""))
            stated[place] = f"{start}# {path.gpus.text}\n"
    after = judge(kernel, plain | stated)
    assert after.depth is not None
    named = {path.name: path.gpus.names for path in spec.paths if path.gpus is not None}
    assert named
    assert {p.name: p.gpus for p in after.depth.paths if p.gpus} == named
    assert all(path.evidence for path in after.depth.paths if path.gpus)


# Templates and routings of a mixture of experts ------------------------------------------------

MOE = "flashinfer/flashinfer/fused_moe.py"
ENUMS = "flashinfer/flashinfer/tllm_enums.py"
MOE_API = """\
from flashinfer.api_logging import flashinfer_api
from flashinfer.tllm_enums import RoutingMethodType
from flashinfer.trace.moe import pick

@flashinfer_api(trace=pick)
def trtllm_fp8_block_scale_moe(x): ...
"""
TEMPLATES = """\
from flashinfer.trace.template import TraceTemplate

ds = TraceTemplate(name_prefix="moe_fp8_block_scale_ds_routing")
renorm = TraceTemplate(name_prefix="moe_fp8_block_scale_renormalize_routing")
BY_ROUTING = {2: ds, 1: renorm}

def pick(routing):
    return BY_ROUTING.get(routing)
"""
EXPORT = "from flashinfer.tllm_enums import RoutingMethodType\n"
ALL_ROUTINGS = "class RoutingMethodType:\n    Renormalize = 1\n    DeepSeekV3 = 2\n    Llama4 = 3\n"


def moe(routing: str) -> RequiredKernel:
    axes = {"top_k": 8, "num_local_experts": 16, "hidden_size": 512, "intermediate_size": 256}
    spec = f"moe_fp8_block_scale_{routing}"
    return need(spec, f"{spec}_topk8_e16_h512_i256", **axes)


@pytest.mark.parametrize(
    ("routing", "traced"), [("ds_routing", True), ("renorm", True), ("llama4_routing", False)]
)
def test_the_template_is_that_of_the_routing(judge: Judge, routing: str, traced: bool) -> None:
    files = {
        MOE: MOE_API,
        ENUMS: ALL_ROUTINGS,
        "flashinfer/flashinfer/trace/moe.py": TEMPLATES,
        "flashinfer/flashinfer/trace/template.py": "class TraceTemplate: ...\n",
    }
    found = judge(moe(routing), files)
    assert (found.fi_status, found.fi_trace_template) == ("fi_supported", traced)


def test_a_routing_that_this_flashinfer_does_not_know(judge: Judge) -> None:
    api = EXPORT + TRACED.format(name="trtllm_fp8_block_scale_moe")
    found = judge(moe("minimax2_routing"), {MOE: api, ENUMS: ALL_ROUTINGS})
    assert verdicts(found) == ("new", "fi_missing", None, "n/a")
    assert "RoutingMethodType.MiniMax2" in found.notes[0]
    assert ("flashinfer/tllm_enums.py", False) in [(e.path, e.found) for e in found.evidence]


def test_a_routing_is_looked_up_wherever_its_enumeration_is(judge: Judge) -> None:
    """Before 0.6.8 it was beside the kernels."""
    api = ALL_ROUTINGS + TRACED.format(name="trtllm_fp8_block_scale_moe")
    assert judge(moe("minimax2_routing"), {MOE: api}).fi_status == "fi_missing"
    assert judge(moe("llama4_routing"), {MOE: api}).fi_status == "fi_supported"


def test_a_routing_whose_name_ends_anothers_is_not_that_one(judge: Judge) -> None:
    api = EXPORT + TRACED.format(name="trtllm_fp8_block_scale_moe")
    enums = "class RoutingMethodType:\n    TopKSigmoid = 9\n"
    assert judge(moe("sigmoid_routing"), {MOE: api, ENUMS: enums}).fi_status == "fi_missing"
    assert judge(moe("topk_sigmoid_routing")).fi_status == "fi_supported"


def test_routings_that_cannot_be_looked_up_are_said_not_to_be_checked(judge: Judge) -> None:
    found = judge(moe("renorm"), {MOE: TRACED.format(name="trtllm_fp8_block_scale_moe")})
    assert found.fi_status == "fi_supported"
    assert found.notes[0] == "not checked: flashinfer.fused_moe.RoutingMethodType is not there"


MLA_DECODE = "trtllm_batch_decode_with_kv_cache_mla"
MLA_BACKEND = "sglang/python/sglang/srt/layers/attention/mla.py"


def latent(key: str) -> RequiredKernel:
    axes = {"num_qo_heads": 16, "head_dim_ckv": 512, "head_dim_kpe": 64, "page_size": 64}
    extra = {"topk": 2048} if key == "dsa_sparse_attention" else {}
    return need(key, f"{key}_h16_ckv512_kpe64", **axes, **extra)


def mla_files(parameters: str, arguments: str) -> dict[str, str]:
    api = f"@flashinfer_api(trace=some_trace)\ndef {MLA_DECODE}({parameters}): ...\n"
    use = f"import flashinfer\n\ndef run(q):\n    flashinfer.decode.{MLA_DECODE}({arguments})\n"
    head = TRACED.partition("@")[0]
    return {"flashinfer/flashinfer/decode.py": head + api, MLA_BACKEND: use}


@pytest.mark.parametrize(
    ("parameters", "arguments", "sparse", "dense"),
    [
        ("q, sparse_mla_top_k=0", "q, sparse_mla_top_k=8", "sgl_integrated", "sgl_missing"),
        ("q, sparse_mla_top_k=0", "q, page=8", "sgl_missing", "sgl_integrated"),
        ("q, sparse_mla_top_k=0", "**q", "sgl_integrated", "sgl_integrated"),
        ("q", "q, page=8", "n/a", "sgl_integrated"),
    ],
    ids=["sparse call", "dense call", "unknown call", "no parameter"],
)
def test_an_argument_tells_sparse_attention_from_dense(
    judge: Judge, parameters: str, arguments: str, sparse: str, dense: str
) -> None:
    files = mla_files(parameters, arguments)
    assert judge(latent("dsa_sparse_attention"), files).sgl_status == sparse
    assert judge(latent("mla_paged_decode"), files).sgl_status == dense


@pytest.mark.parametrize("parameters", ["q, sparse_mla_top_k=0", "q"])
def test_the_argument_that_decides_is_shown(judge: Judge, parameters: str) -> None:
    found = judge(latent("dsa_sparse_attention"), mla_files(parameters, "q"))
    shown = [
        (e.line, e.found, e.looked_for) for e in found.evidence if e.repository == "flashinfer"
    ]
    there = "sparse_mla_top_k" in parameters
    assert shown[0][:2] == (5, True)
    assert [(line, is_there) for line, is_there, what in shown if "sparse_mla_top_k" in what] == [
        (5, there)
    ]
    assert len(shown) == (3 if there else 2)


def test_the_template_is_that_of_the_tagged_api(judge: Judge) -> None:
    """Another API that implements it as well is support, but says nothing of the template."""
    kernel = decode(4)
    other = TRACED.format(name="trtllm_batch_decode_with_kv_cache")
    tagged = "class BatchDecodeWithPagedKVCacheWrapper:\n    def run(self, q): ...\n"
    found = judge(kernel, {DECODE: other + tagged} | GROUPS)
    assert (found.fi_status, found.fi_trace_template) == ("fi_supported", False)
    gone = judge(kernel, {DECODE: other})
    assert (gone.fi_status, gone.fi_trace_template) == ("fi_supported", True)


def test_a_template_that_cannot_be_looked_up_is_open_although_another_api_is_there(
    judge: Judge,
) -> None:
    package = "from .wrappers import BatchDecodeWithPagedKVCacheWrapper\n"
    package += "from .fast import trtllm_batch_decode_with_kv_cache\n"
    files = {
        "flashinfer/flashinfer/decode/__init__.py": package,
        "flashinfer/flashinfer/decode/wrappers.py": "class BatchDecode(:",
        "flashinfer/flashinfer/decode/fast.py": TRACED.format(
            name="trtllm_batch_decode_with_kv_cache"
        ),
    }
    found = judge(decode(4), files | GROUPS)
    assert (found.fi_status, found.fi_trace_template) == ("fi_supported", None)
    (why,) = [note for note in found.notes if note.startswith("fi_trace_template undecided")]
    assert "flashinfer/decode/wrappers.py" in why


def test_a_limit_that_the_file_no_longer_states_refuses_nothing(judge: Judge) -> None:
    other = {CUDA_CORES: "if (group_size == 1) {}\n"}
    wrapper = WRAPPER.format(name="BatchDecodeWithPagedKVCacheWrapper")
    found = judge(decode(5), {DECODE: wrapper} | other)
    assert found.fi_status == "fi_supported"
    assert found.notes[0].startswith("CUDA-core decode not checked: its limit as of ")


def test_flashinfer_s_tests_of_the_api_are_listed(judge: Judge) -> None:
    test = "import flashinfer\n\ndef test_it():\n"
    test += "    flashinfer.sampling.top_p_sampling_from_probs(1)\n"
    sampling = TRACED.format(name="top_p_sampling_from_probs")
    found = judge(TOP_P, {SAMPLING: sampling, "flashinfer/tests/test_sampling.py": test})
    assert [(e.path, e.line) for e in found.tests] == [("tests/test_sampling.py", 4)]


# SGLang --------------------------------------------------------------------------------------


def test_a_call_of_any_api_that_implements_it_is_integration(judge: Judge) -> None:
    apis = WRAPPER.format(name="BatchDecodeWithPagedKVCacheWrapper")
    apis += "\n@flashinfer_api\ndef trtllm_batch_decode_with_kv_cache(q): ...\n"
    call = "import flashinfer\nflashinfer.decode.trtllm_batch_decode_with_kv_cache(1)\n"
    found = judge(decode(4), {DECODE: apis, USE: call} | GROUPS)
    assert (found.fi_trace_template, found.sgl_status) == (True, "sgl_integrated")


def test_a_call_by_another_public_name_of_the_same_object_counts(judge: Judge) -> None:
    files = {
        SAMPLING: TRACED.format(name="top_p_sampling_from_probs"),
        "flashinfer/flashinfer/extra.py": "from flashinfer.sampling import"
        " top_p_sampling_from_probs as nucleus\n",
        USE: "from flashinfer.extra import nucleus\nnucleus(1)\n",
    }
    assert judge(TOP_P, files).sgl_status == "sgl_integrated"


def test_a_neighbour_or_a_comment_is_no_call(judge: Judge) -> None:
    files = {
        SAMPLING: TRACED.format(name="top_p_sampling_from_probs")
        + "\ndef top_p_sampling_from_probs_v2(x): ...\n",
        USE: "# top_p_sampling_from_probs(p)\nfrom flashinfer.sampling import"
        " top_p_sampling_from_probs_v2\ntop_p_sampling_from_probs_v2(1)\n",
    }
    found = judge(TOP_P, files)
    assert found.sgl_status == "sgl_missing"
    assert [e.found for e in found.evidence if e.repository == "sglang"] == [False]


def test_a_kernel_of_the_same_name_that_is_not_flashinfer_s_is_said(judge: Judge) -> None:
    files = {
        SAMPLING: TRACED.format(name="top_p_sampling_from_probs"),
        "sglang/sgl-kernel/python/sgl_kernel/__init__.py": "def top_p_sampling_from_probs(p):\n"
        "    return 1\n",
        USE: TOP_P_CALL.replace("flashinfer.sampling", "sgl_kernel"),
    }
    found = judge(TOP_P, files)
    assert found.sgl_status == "sgl_missing"
    named = "sgl_kernel.top_p_sampling_from_probs"
    assert f"SGLang uses {named}, which does not forward to FlashInfer" in found.notes


def test_a_use_that_may_be_in_an_unreadable_file_is_open(judge: Judge) -> None:
    files = {
        SAMPLING: TRACED.format(name="top_p_sampling_from_probs"),
        USE: TOP_P_CALL + "def broken(:\n",
    }
    found = judge(TOP_P, files)
    assert verdicts(found) == ("new", "fi_supported", True, None)
    (open_because,) = [n for n in found.notes if n.startswith("sgl_status undecided: ")]
    assert "python/sglang/srt/layers/use.py" in open_because


def test_one_certain_call_is_enough(judge: Judge) -> None:
    apis = WRAPPER.format(name="BatchDecodeWithPagedKVCacheWrapper")
    apis += "\n@flashinfer_api\ndef trtllm_batch_decode_with_kv_cache(q): ...\n"
    files = {
        DECODE: apis,
        USE: "import flashinfer\nflashinfer.decode.BatchDecodeWithPagedKVCacheWrapper(1)\n",
        "sglang/python/sglang/srt/broken.py": "from flashinfer.decode import"
        " trtllm_batch_decode_with_kv_cache\ndef broken(:\n",
    }
    assert judge(decode(4), files | GROUPS).sgl_status == "sgl_integrated"


# GEMM ----------------------------------------------------------------------------------------

GEMM = need("gemm", "gemm_n512_k256", N=512, K=256)
LINEAR = "sglang/python/sglang/srt/layers/linear.py"
LINEAR_LAYER = """\
import torch.nn.functional as F

class LinearBase: ...

class ReplicatedLinear(LinearBase):
    def forward(self, x):
        return F.linear(x, self.weight)
"""


@pytest.mark.parametrize(
    ("gemm", "traced"),
    [(TRACED, True), (PLAIN, False), ("", False), ("def mm_bf16(:", None)],
    ids=["traced", "plain", "none", "broken"],
)
def test_gemm_is_pytorch_and_sglangs_linear_layer(
    judge: Judge, gemm: str, traced: bool | None
) -> None:
    files = {"flashinfer/flashinfer/gemm.py": gemm.format(name="mm_bf16"), LINEAR: LINEAR_LAYER}
    found = judge(GEMM, files)
    assert verdicts(found) == ("new", "fi_supported", traced, "sgl_integrated")
    searched = [e.found for e in found.evidence if e.repository == "flashinfer"]
    assert searched[:1] == {True: [True], False: [gemm != ""], None: []}[traced]
    assert {e.path for e in found.evidence if e.repository == "sglang"} == {
        "python/sglang/srt/layers/linear.py"
    }
    assert any("fi_trace_template undecided" in note for note in found.notes) == (traced is None)


def test_gemm_does_not_wait_for_flashinfer(judge: Judge, tmp_path: Path) -> None:
    judge(GEMM, {LINEAR: LINEAR_LAYER})
    sources = replace(opened(tmp_path), flashinfer=SourceError("it could not be cloned"))
    found = classify(GEMM, sources)
    assert verdicts(found) == ("new", "fi_supported", None, "sgl_integrated")
    assert "fi_trace_template undecided: it could not be cloned" in found.notes


def test_gemm_without_the_linear_layer_is_open(judge: Judge) -> None:
    found = judge(GEMM)
    assert (found.fi_status, found.sgl_status) == ("fi_supported", None)
    assert any("sgl_status undecided" in note for note in found.notes)


# Kernels that no API implemented ----------------------------------------------------------------

CONV = need("causal_conv1d_decode", "causal_conv1d_decode_c64_w4", channels=64, width=4)


def test_missing_where_nothing_sounds_like_it(judge: Judge) -> None:
    found = judge(CONV, {SAMPLING: TRACED.format(name="top_p_sampling_from_probs")})
    assert verdicts(found) == ("new", "fi_missing", None, "n/a")
    searched = [e for e in found.evidence if e.repository == "flashinfer"]
    assert [(e.looked_for, e.found) for e in searched] == [
        ("an API whose name contains conv1d", False),
        ("an API whose name contains short_conv", False),
    ]


@pytest.mark.parametrize(
    ("path", "text", "counts"),
    [
        ("flashinfer/flashinfer/conv.py", PLAIN.format(name="causal_conv1d_fn"), True),
        ("flashinfer/flashinfer/conv.py", TRACED.format(name="causal_conv1d_fn"), True),
        ("flashinfer/flashinfer/conv.py", "def causal_conv1d_fn(x): ...\n", False),
        ("flashinfer/flashinfer/experimental/conv.py", PLAIN.format(name="conv1d"), False),
        ("flashinfer/flashinfer/trace/conv.py", PLAIN.format(name="conv1d"), False),
    ],
)
def test_an_api_that_sounds_like_it_is_for_a_person_to_look_at(
    judge: Judge, path: str, text: str, counts: bool
) -> None:
    found = judge(CONV, {path: text})
    assert found.fi_status == (None if counts else "fi_missing")
    if counts:
        assert any("causal_conv1d_fn" in note for note in found.notes)
        assert [e.line for e in found.evidence if e.repository == "flashinfer"] == [
            text.splitlines().index("def causal_conv1d_fn(x): ...") + 1
        ]


def test_every_api_that_sounds_like_it_is_named(judge: Judge) -> None:
    apis = {f"flashinfer/flashinfer/{n}.py": PLAIN.format(name=f"conv1d_{n}") for n in "ab"}
    (note,) = [n for n in judge(CONV, apis).notes if n.startswith("fi_status undecided")]
    assert note.endswith("whether it is conv1d_a, conv1d_b")


# What FlashInfer is asked for ------------------------------------------------------------------


def test_a_limit_counts_wherever_its_line_went(judge: Judge) -> None:
    wrapper = WRAPPER.format(name="BatchDecodeWithPagedKVCacheWrapper")
    moved = {
        "flashinfer/include/flashinfer/attention/v2/prefill.cuh": HEAD_DIM[FA2],
        "flashinfer/include/flashinfer/groups.cuh": GROUPS[CUDA_CORES],
    }
    found = judge(decode(5), {DECODE: wrapper} | moved)
    assert found.fi_status == "fi_supported"
    assert "CUDA-core decode refuses group size (query heads per KV head) 5" in found.notes
    assert "include/flashinfer/groups.cuh" in {e.path for e in found.evidence}


def paged_mla(page_size: int, latent: int = 512) -> RequiredKernel:
    axes = {"num_qo_heads": 16, "head_dim_ckv": latent, "head_dim_kpe": 64, "page_size": page_size}
    return need("mla_paged_decode", f"mla_paged_decode_h16_ckv{latent}_kpe64_ps{page_size}", **axes)


@pytest.mark.parametrize(
    ("latent", "page_size", "status"),
    [(512, 1, "fi_supported"), (512, 64, "fi_supported"), (384, 1, None)],
)
def test_older_code_states_a_limit_in_its_own_words(
    judge: Judge, latent: int, page_size: int, status: str | None
) -> None:
    """Both paths as FlashInfer 0.6.7 has them, in one file: it documents a latent of 512 only."""
    apis = WRAPPER.format(name="BatchMLAPagedAttentionWrapper")
    stated = (
        '"""``head_dim_ckv`` is 512 in DeepSeek v2/v3 models.\n'
        '``head_dim_kpe`` is 64 in DeepSeek v2/v3 models."""\n'
        'ERROR = "Supported block_size are 32 and 64, got {block_size}"\n'
    )
    mla = {"flashinfer/flashinfer/mla.py": apis + stated}
    assert judge(paged_mla(page_size, latent), mla).fi_status == status


def test_an_api_that_cannot_be_looked_up_might_take_the_shape(judge: Judge) -> None:
    kernel = need("rope_with_cos_sin_cache", "rope_d64_rd128", head_size=64, rotary_dim=128)
    (path,) = SPECS["rope_with_cos_sin_cache"].paths
    (limit,) = path.limits
    inplace, other = (api.rpartition(".")[2] for api in SPECS["rope_with_cos_sin_cache"].apis)
    rope = "flashinfer/flashinfer/rope"
    files = {
        f"flashinfer/{limit.file}": limit.text,
        f"{rope}/__init__.py": f"from .a import {inplace} as {inplace}\n"
        f"from .b import {other} as {other}\n",
        f"{rope}/a.py": PLAIN.format(name=inplace),
        f"{rope}/b.py": f"def {other}(:",
    }
    found = judge(kernel, files)
    assert verdicts(found) == ("new", None, None, None)
    assert f"{path.name} refuses {limit.what} -64" in found.notes
    assert limit.file in {e.path for e in found.evidence}
    (unread,) = [note for note in found.notes if note.startswith("fi_status undecided")]
    assert "rope/b.py" in unread
    sure = judge(kernel, files | {f"{rope}/b.py": PLAIN.format(name=other)})
    assert sure.fi_status == "fi_missing"


@pytest.mark.parametrize(
    "known",
    [
        {},
        {"fp8_paged_mqa_logits": "FP8 scores over the paged cache"},
        {
            "fp8_paged_mqa_logits": "FP8 scores over the paged cache",
            "top_k_page_table_transform": "the choice of tokens from scores",
        },
    ],
    ids=["nothing", "one part", "two parts"],
)
def test_what_flashinfer_has_of_a_missing_kernel_is_said(
    judge: Judge, known: dict[str, str]
) -> None:
    axes = {"num_index_heads": 64, "index_head_dim": 128, "topk": 2048, "page_size": 64}
    kernel = need("dsa_topk_indexer", "dsa_topk_indexer_fp8_h64_d128_topk2048_ps64", **axes)
    files = {
        "flashinfer/flashinfer/__init__.py": "".join(
            f"from flashinfer.{name} import {name} as {name}\n" for name in known
        )
    }
    for name in known:
        files[f"flashinfer/flashinfer/{name}.py"] = TRACED.format(name=name)
    found = judge(kernel, files)
    assert verdicts(found) == ("new", "fi_missing", None, "n/a")
    assert found.fi_lack is not None
    assert found.fi_lack.near == tuple(f"{what}: flashinfer.{k}" for k, what in known.items())
    said = [note for note in found.notes if note.startswith("FlashInfer has of it: ")]
    assert said == (["FlashInfer has of it: " + "; ".join(found.fi_lack.near)] if known else [])
    shown = [(e.path, e.line) for e in found.evidence if e.path.startswith("flashinfer/")]
    assert shown == [(f"flashinfer/{name}.py", 5) for name in known]


def test_a_part_that_cannot_be_looked_up_is_not_said_to_be_there(judge: Judge) -> None:
    axes = {"num_index_heads": 64, "index_head_dim": 128, "topk": 2048, "page_size": 64}
    kernel = need("dsa_topk_indexer", "dsa_topk_indexer_fp8_h64_d128_topk2048_ps64", **axes)
    files = {
        "flashinfer/flashinfer/__init__.py": "from flashinfer.scores import fp8_paged_mqa_logits\n",
        "flashinfer/flashinfer/scores.py": "def fp8_paged_mqa_logits(:",
    }
    found = judge(kernel, files)
    assert (found.fi_status, found.fi_lack is not None) == ("fi_missing", True)
    assert found.fi_lack is not None
    assert found.fi_lack.near == ()


def test_a_faster_form_of_a_kernel_is_not_asked_for(judge: Judge) -> None:
    kernel = need("packed_kda_decode", "packed_kda_decode_h48_d128", num_heads=48, head_dim=128)
    found = judge(kernel)
    assert (found.fi_status, found.fi_lack) == ("fi_missing", None)
    said = "FlashInfer is not asked for it: recurrent_kda_decode takes the same step"
    assert said in found.notes


@pytest.mark.parametrize(
    ("version", "spec", "asked", "sure"),
    [
        ("0.7.2.post1", "lightning_attention_decode", True, True),
        ("0.6.7", "lightning_attention_decode", True, True),
        ("99.0", "lightning_attention_decode", True, False),
        ("", "lightning_attention_decode", True, False),
        ("main", "lightning_attention_decode", True, False),
        ("0.6.7", "sigmoid_mul", False, False),
    ],
)
def test_a_kernel_known_by_no_api_is_asked_for_where_the_sources_were_read(
    judge: Judge, version: str, spec: str, asked: bool, sure: bool
) -> None:
    """Elsewhere a person looks first; where nobody ever read them, it is not asked for at all."""
    kernel = need(spec, f"{spec}_h64_d128", num_heads=64, head_dim=128)
    found = judge(kernel, {"flashinfer/version.txt": version})
    assert (found.fi_status, found.fi_lack is not None) == ("fi_missing", asked)
    assert (found.fi_lack is not None and not found.fi_lack.unread) == sure
    if found.fi_lack is not None:
        assert found.fi_lack.read_at == SPECS[spec].read_at
        looked_at = f"only names were looked for in FlashInfer {version or 'of this commit'};"
        assert found.fi_lack.unread.startswith("" if sure else looked_at)
        asked_as, _ = SPECS[spec].asked_as or (spec, "")
        assert found.fi_lack.request == asked_as
        assert not any("FlashInfer has of it" in note for note in found.notes)


def test_an_activation_that_this_flashinfer_does_not_know(judge: Judge) -> None:
    spec = "trtllm_fp4_block_scale_routed_moe_mxfp4"
    axes = {"top_k": 16, "num_local_experts": 8, "hidden_size": 512, "activation_type": 10}
    kernel = need(spec, "trtllm_fp4_block_scale_routed_moe_topk16_e8_h512_act10", **axes)
    kernel = kernel.model_copy(
        update={"requires": ("flashinfer.fused_moe.ActivationType.Situ",), "variant": "mxfp4"}
    )
    enum = "class ActivationType:\n    Swiglu = 3\n"
    api = PLAIN.format(name="trtllm_fp4_block_scale_routed_moe")
    found = judge(kernel, {MOE: api + enum})
    assert found.fi_status == "fi_missing"
    assert found.fi_lack is not None
    assert (found.fi_lack.request, found.fi_lack.limit) == ("moe.situ", "Situ activation")
    assert found.fi_lack.data_type == "mxfp4"
    assert judge(kernel, {MOE: api + enum + "    Situ = 10\n"}).fi_status == "fi_supported"


def test_what_an_api_needs_besides_is_named_as_what_it_is(judge: Judge) -> None:
    """A member of an enumeration of whose kind nothing is known; one that isn't there says no more
    than that."""
    spec = "trtllm_fp4_block_scale_routed_moe_mxfp4"
    axes = {"top_k": 16, "num_local_experts": 8, "hidden_size": 512, "activation_type": 10}
    kernel = need(spec, "trtllm_fp4_block_scale_routed_moe_topk16_e8_h512_act10", **axes)
    wanted = ("flashinfer.fused_moe.Nowhere.First", "flashinfer.fused_moe.core.Layout.Blocked")
    layout = "class Layout:\n    Major = 0\n"
    files = {
        "flashinfer/flashinfer/fused_moe/__init__.py": "from .core import"
        " trtllm_fp4_block_scale_routed_moe as trtllm_fp4_block_scale_routed_moe\n",
        "flashinfer/flashinfer/fused_moe/core.py": PLAIN.format(
            name="trtllm_fp4_block_scale_routed_moe"
        )
        + layout,
    }
    found = judge(kernel.model_copy(update={"requires": wanted}), files)
    assert found.fi_status == "fi_missing"
    assert found.fi_lack is not None
    assert (found.fi_lack.request, found.fi_lack.limit) == ("moe.blocked", "Blocked")
    assert "not checked: flashinfer.fused_moe.Nowhere is not there" in found.notes
    assert f"this FlashInfer has no {wanted[1]}" in found.notes


SPARSE = need(
    "msa_sparse_attention", "msa_sparse_attention_h20_kv1_d64",
    num_qo_heads=20, num_kv_heads=1, head_dim=64, topk=16,
)  # fmt: skip
SPARSE_API = {
    "flashinfer/flashinfer/msa_ops/__init__.py": "from .api import msa_sparse_attention as"
    " msa_sparse_attention\n",
    "flashinfer/flashinfer/msa_ops/api.py": PLAIN.format(name="msa_sparse_attention"),
}


def limits_of(spec: str, *about: str) -> dict[str, str]:
    """Files that state those limits of a kernel."""
    files: dict[str, str] = {}
    for path in SPECS[spec].paths:
        for limit in path.limits:
            if limit.what.startswith(about):
                files[f"flashinfer/{limit.file}"] = f"# {limit.text}\n"
    return files


def test_all_limits_that_refuse_a_shape_are_asked_for(judge: Judge) -> None:
    found = judge(SPARSE, SPARSE_API | limits_of(SPARSE.spec, "head dimension", "group size"))
    assert found.fi_status == "fi_missing"
    assert found.fi_lack is not None
    assert found.fi_lack.limit == "group size and head dimension"
    assert found.fi_lack.request.endswith(".group-size-and-head-dimension")
    both = "head dimension 64; group size (query heads per KV head) 20"
    assert f"SM100 prefill refuses {both}" in found.notes
    assert ways(found) == {
        "SM100 prefill": ("refuses", both),
        "SM120 prefill": ("refuses", "head dimension 64"),
    }


def test_a_limit_that_is_not_stated_hides_no_other(judge: Judge) -> None:
    found = judge(SPARSE, SPARSE_API | limits_of(SPARSE.spec, "group size"))
    assert found.fi_status is None
    assert ways(found)["SM100 prefill"][0] == "refuses"
    assert ways(found)["SM120 prefill"][0] == "not checked"
    assert "flashinfer/msa_ops/_blackwell_sm100.py" in {e.path for e in found.evidence}


BACKEND_FILES = {
    "sglang/python/sglang/srt/layers/attention/attention_registry.py": """\
def register_attention_backend(name): ...

@register_attention_backend("fast")
def create_fast(runner):
    from sglang.srt.layers.attention.fast_backend import FastBackend
    return FastBackend(runner)
""",
    "sglang/python/sglang/srt/layers/attention/fast_backend.py": """\
from flashinfer.decode import BatchDecodeWithPagedKVCacheWrapper

class FastBackend:
    def __init__(self):
        self.wrapper = BatchDecodeWithPagedKVCacheWrapper()
""",
    "sglang/python/sglang/srt/server_args.py": """\
class ServerArgs:
    attention_backend: str | None = None
""",
    "sglang/python/sglang/srt/models/sample.py": """\
from sglang.srt.layers.radix_attention import RadixAttention

class SampleForCausalLM:
    def __init__(self):
        self.attn = RadixAttention()
""",
}
UNSEEN = "SGLang uses it; that this model does was not seen"


def test_how_sglang_comes_to_it_is_said_and_whether_this_model_does(judge: Judge) -> None:
    files = {DECODE: WRAPPER.format(name="BatchDecodeWithPagedKVCacheWrapper")} | BACKEND_FILES
    seen = judge(decode(4), files | GROUPS | HEAD_DIM, "SampleForCausalLM")
    assert seen.sgl_status == "sgl_integrated"
    assert "SGLang: --attention-backend fast" in seen.notes
    assert UNSEEN not in seen.notes
    assert seen.depth is not None
    assert seen.depth.release is not None
    assert UNSEEN in judge(decode(4)).notes
    undecided = judge(decode(5, 96))
    assert undecided.sgl_status is None
    assert "sgl_status undecided: it rests on fi_status" in undecided.notes
    assert "SGLang: --attention-backend fast" in undecided.notes
    assert UNSEEN not in undecided.notes
