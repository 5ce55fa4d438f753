"""A coverage document in small: two invented models, a dataset of a few definitions."""

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from discover_models.audit.document import Document, parse
from discover_models.audit.edits import Edit
from discover_models.audit.findings import Finding, Report
from discover_models.audit.knowledge import Model, Names, names_of
from discover_models.audit.rows import Known
from discover_models.audit.rules import audit
from discover_models.audit.run import corrected_lines
from discover_models.one_model import architecture_of
from discover_models.sources.config_defaults import ConfigDefaults
from discover_models.sources.config_file import ConfigFile
from discover_models.sources.dataset import DatasetIndex, Definition

DENSE: dict[str, Any] = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 512,
    "num_hidden_layers": 4,
    "num_attention_heads": 8,
    "num_key_value_heads": 2,
    "head_dim": 64,
    "intermediate_size": 1536,
    "vocab_size": 1000,
}
MOE: dict[str, Any] = {
    "architectures": ["Qwen3MoeForCausalLM"],
    "model_type": "qwen3_moe",
    "hidden_size": 256,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 64,
    "intermediate_size": 768,
    "moe_intermediate_size": 128,
    "num_experts": 16,
    "num_experts_per_tok": 2,
    "norm_topk_prob": True,
    "mlp_only_layers": [],
    "decoder_sparse_step": 1,
    "vocab_size": 1000,
}
CONFIGS = {"Plain 1B": ("acme/Plain-1B", DENSE), "Mix 2B": ("acme/Mix-2B", MOE)}
DATASET = {
    "rmsnorm_h512": True,
    "fused_add_rmsnorm_h512": True,
    "gemm_n768_k512": False,
    "gemm_n512_k512": False,
    "gqa_paged_decode_h4_kv1_d64_ps1": True,
    "moe_fp8_block_scale_renorm_topk2_e4_h256_i128": False,
    "gemm_n1536_k512": False,
}
"""Definition → whether it has workloads; the last one is an unfused gate_proj."""
TAGS = {"gemm_n1536_k512": ("model:plain-1b",)}

HEADER = "| Definition | Op Type | Status |\n|---|---|:---:|\n"


@cache
def names(title: str) -> Names:
    return names_from(*CONFIGS[title])


def names_from(repo_id: str, config: dict[str, Any]) -> Names:
    file = ConfigFile(hf_repo_id=repo_id, revision=None, origin="local folder", config=config)
    model = Model(repo_id, architecture_of(file, (ConfigDefaults.load(),)))
    return names_of([model], frozenset({1, 2, 4}))


def dataset(definitions: Mapping[str, bool] = DATASET) -> DatasetIndex:
    return DatasetIndex(
        {
            name: Definition(
                name=name,
                op_type=op_type_of(name),
                axes={},
                inputs={},
                tags=TAGS.get(name, ()),
                path=f"definitions/{op_type_of(name)}/{name}.json",
                has_workloads=workloads,
            )
            for name, workloads in definitions.items()
        },
        None,
    )


def op_type_of(name: str) -> str:
    starts = {"gqa_paged": "gqa_paged", "gemm": "gemm", "moe": "moe", "top": "sampling"}
    return next((op for start, op in starts.items() if name.startswith(start)), "rmsnorm")


def known(*, complete: bool = False, definitions: Mapping[str, bool] = DATASET) -> Known:
    return Known(
        names={title: names(title) for title in CONFIGS},
        without={"Unknown 3B": "no configuration"},
        dataset=dataset(definitions),
        complete=complete,
    )


def section(rows: Iterable[tuple[str, str, str]], count: str = "", title: str = "Plain 1B") -> str:
    """A section with a table, and a count line unless `count` is empty."""
    table = "".join(f"| {name} | {op} | {status} |\n" for name, op, status in rows)
    line = f"\n**Coverage**: {count} definitions present.\n" if count else ""
    return f"## {title}\n\n{HEADER}{table}{line}\n---\n"


def row(name: str, status: str, op: str = "") -> tuple[str, str, str]:
    return f"`{name}`", op or op_type_of(name), status


def summary(title: str, architecture: str, coverage: str) -> str:
    head = "## Summary\n\n| Model | Architecture | Coverage |\n|---|---|:---:|\n"
    return f"{head}| {title} | {architecture} | {coverage} |\n\n---\n\n"


def check(text: str, **fields: Any) -> tuple[Report, tuple[Edit, ...], Document]:
    document = parse(text)
    report, edits = audit(document, known(**fields), "docs/model_coverage.mdx")
    return report, edits, document


def findings(text: str, **fields: Any) -> list[Finding]:
    return list(check(text, **fields)[0].findings)


def told(text: str, **fields: Any) -> list[tuple[str, str, str]]:
    """Rule, subject and right value of each finding."""
    return [(f.rule, f.subject, f.right) for f in findings(text, **fields)]


def corrected(text: str, **fields: Any) -> str:
    lines = corrected_lines(parse(text), known(**fields), "docs/model_coverage.mdx")
    return "".join(lines)
