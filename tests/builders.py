"""Sample values with short calls; every name and number is invented."""

from typing import Any

from discover_models.domain.architecture import Unmapped
from discover_models.domain.depth import Depth, Provider, Reach, Release, ShapePath, Veto
from discover_models.domain.dimension import Origin
from discover_models.domain.evidence import Evidence, Repository
from discover_models.domain.kernel import (
    Axis,
    ClassifiedKernel,
    Deferred,
    Inventory,
    Lack,
    Parallelism,
    RequiredKernel,
)

SHAS = {
    "sglang": "a" * 40,
    "flashinfer": "b" * 40,
    "sgl_cookbook": "c" * 40,
    "flashinfer_trace": "d" * 40,
}
ORIGINS = {
    "sglang": "https://github.com/sgl-project/sglang.git",
    "flashinfer": "https://github.com/flashinfer-ai/flashinfer",
    "sgl-cookbook": "https://github.com/sgl-project/sgl-cookbook",
    "flashinfer-trace": "https://huggingface.co/datasets/flashinfer-ai/flashinfer-trace",
}
TP8 = Parallelism(tp=8, source="data/models/generated/v1/sample.yaml")
TP8_DP4 = Parallelism(tp=8, dp=4, dp_attention=True, source="data/models/generated/v1/sample.yaml")
EP4 = Parallelism(tp=4, ep=4, source="data/models/generated/v1/sample.yaml")


def evidence(repository: Repository, path: str, line: int | None = 1, **fields: Any) -> Evidence:
    """Evidence at the sample commit of its repository."""
    values: dict[str, Any] = {
        "commit": SHAS.get(repository.replace("-", "_")),
        "looked_for": f"what {path} says",
    }
    return Evidence(repository=repository, path=path, line=line, **{**values, **fields})


def axis(value: int, expression: str, **fields: int) -> Axis:
    """An axis over the given configuration fields."""
    origins = (Origin(field=name, value=v, source="config.json") for name, v in fields.items())
    return Axis(value=value, expression=expression, origins=tuple(origins))


def required(name: str, op_type: str = "rmsnorm", **fields: Any) -> RequiredKernel:
    """A required definition with one axis."""
    values: dict[str, Any] = {
        "spec": name.rsplit("_", 1)[0],
        "axes": {"hidden_size": axis(4096, "hidden_size", hidden_size=4096)},
        "layers": 94,
    }
    return RequiredKernel(definition_name=name, op_type=op_type, **{**values, **fields})


def existing(name: str, op_type: str = "rmsnorm", **fields: Any) -> ClassifiedKernel:
    """A definition that the dataset has."""
    need = fields.pop("required", None) or required(name, op_type)
    values: dict[str, Any] = {
        "matched_name": name,
        "workloads": True,
        "evidence": (evidence("flashinfer-trace", f"definitions/{op_type}/{name}.json", None),),
    }
    return ClassifiedKernel(required=need, phase1_status="existing", **{**values, **fields})


def supported(name: str, op_type: str = "gqa_paged", **fields: Any) -> ClassifiedKernel:
    """A new definition that FlashInfer has and SGLang calls."""
    need = fields.pop("required", None) or required(name, op_type)
    values: dict[str, Any] = {
        "fi_status": "fi_supported",
        "fi_trace_template": True,
        "sgl_status": "sgl_integrated",
        "evidence": (
            evidence("flashinfer", "flashinfer/decode.py", 700, looked_for="def run"),
            evidence("sglang", "python/sglang/srt/layers/backend.py", 77, looked_for="w.run("),
        ),
        "tests": (evidence("flashinfer", "tests/attention/test_decode.py", 12),),
    }
    return ClassifiedKernel(required=need, phase1_status="new", **{**values, **fields})


def missing(name: str, op_type: str = "moe", **fields: Any) -> ClassifiedKernel:
    """A new definition that FlashInfer lacks."""
    need = fields.pop("required", None) or required(name, op_type)
    searched = evidence(
        "flashinfer", "flashinfer", None, looked_for="flashinfer.fused_moe.moe", found=False
    )
    values: dict[str, Any] = {"fi_status": "fi_missing", "sgl_status": "n/a"}
    values["fi_lack"] = Lack(request="moe_x", kernel="Sample experts", apis=("flashinfer.moe_x",))
    values["evidence"] = (searched,)
    return ClassifiedKernel(required=need, phase1_status="new", **{**values, **fields})


def undecided(name: str, op_type: str = "rope", **fields: Any) -> ClassifiedKernel:
    """A new definition of which nothing could be decided."""
    need = fields.pop("required", None) or required(name, op_type)
    values: dict[str, Any] = {"notes": ("FlashInfer: its package could not be parsed",)}
    return ClassifiedKernel(required=need, phase1_status="new", **{**values, **fields})


def inventory(*kernels: ClassifiedKernel, **fields: Any) -> Inventory:
    """What a run says of one sample model."""
    values: dict[str, Any] = {
        "model_slug": "sample-moe",
        "hf_repo_id": "sample-org/Sample-MoE",
        "revision": "e" * 40,
        "summary": "94 layers, GQA + MoE",
        "repo_shas": SHAS,
        "parallelism": (TP8, EP4),
    }
    return Inventory(kernels=kernels, **{**values, **fields})


def gqa(stage: str = "decode", page: int = 64, **fields: Any) -> RequiredKernel:
    """Paged attention with 8 query heads and 1 KV head after sharding over 8 GPUs."""
    axes = {
        "num_qo_heads": Axis(
            value=8,
            expression="num_attention_heads / tp",
            origins=(
                Origin(field="num_attention_heads", value=64, source="config.json"),
                Origin(field="tp", value=8, source=TP8.source),
            ),
        ),
        "num_kv_heads": axis(1, "max(1, num_key_value_heads / tp)", num_key_value_heads=4),
        "head_dim": axis(128, "head_dim", head_dim=128),
        "page_size": axis(page, str(page)),
    }
    values: dict[str, Any] = {"parallelism": (TP8, TP8_DP4), "used_for": ("attention",)}
    name = f"gqa_paged_{stage}_h8_kv1_d128_ps{page}"
    return required(name, "gqa_paged", axes=axes, **{**values, **fields})


def moe(**fields: Any) -> RequiredKernel:
    """A mixture of experts sharded over 4 GPUs."""
    axes = {
        "num_local_experts": Axis(
            value=32,
            expression="num_experts / ep",
            origins=(
                Origin(field="num_experts", value=128, source="config.json"),
                Origin(field="ep", value=4, source=EP4.source),
            ),
        ),
        "hidden_size": axis(4096, "hidden_size", hidden_size=4096),
    }
    name = "moe_fp8_block_scale_renorm_topk8_e32_h4096_i1536"
    return required(name, "moe", axes=axes, parallelism=(EP4,), variant="fp8", **fields)


def sample() -> Inventory:
    """An inventory in which every group of the report has something."""
    return inventory(
        existing("rmsnorm_h4096"),
        existing("fused_add_rmsnorm_h4096", workloads=False),
        supported(
            "",
            required=gqa(),
            notes=("group size 8: the tensor-core path takes it",),
        ),
        supported("", required=gqa(page=1), fi_trace_template=False),
        supported(
            "",
            required=gqa("prefill_causal"),
            sgl_status="sgl_missing",
            evidence=(
                evidence("flashinfer", "flashinfer/prefill.py", 1400),
                evidence("sglang", "python/sglang", None, looked_for="calls", found=False),
            ),
        ),
        missing("", required=moe()),
        undecided("rope_with_cos_sin_cache_neox_style_d128_rd128"),
        unmapped=(
            Unmapped(
                what="short convolution",
                reason="no family maps it yet",
                fields=("conv_kernel",),
                evidence=(evidence("hub", "config.json", None, commit=None),),
            ),
        ),
        notes=("tp=16 is refused: 64 heads, but 4 KV heads",),
    )


def deferred(**fields: Any) -> Deferred:
    """A model that could not be looked at."""
    values: dict[str, Any] = {
        "model_slug": "closed-model",
        "hf_repo_id": "sample-org/Closed-Model",
        "reason": "gated",
        "message": "sample-org/Closed-Model is gated: accept its terms and set HF_TOKEN.",
    }
    return Deferred(**{**values, **fields})


def depth(line: int = 77, **fields: Any) -> Depth:
    """Something of everything that stands beside the verdicts."""
    backend = evidence("sglang", "python/sglang/srt/layers/backend.py", line)
    values: dict[str, Any] = {
        "release": Release(checkout="1.2.0", since="1.0.0", pinned="1.1.0", in_pinned=True),
        "paths": (
            ShapePath(name="CUDA cores", verdict="refuses", reason="group size 5"),
            ShapePath(name="tensor cores", verdict="takes", gpus=("SM90", "SM100")),
        ),
        "reach": (
            Reach(
                how="flag",
                api="flashinfer.decode.run",
                flag="--attention-backend flashinfer",
                evidence=(backend,),
            ),
        ),
        "call_site": (evidence("sglang", "python/sglang/srt/models/sample.py", line),),
        "served_by": (Provider(name="Triton", function="decode", gpus=("SM90",)),),
        "vetoes": (Veto(feature="attention sinks", backend="flashinfer.decode.run"),),
    }
    return Depth(**{**values, **fields})
