"""What the inventory says of each kernel beside its name, in one list for people to read.

`PYTHONPATH=tests uv run python tests/ops/test_said.py` writes it anew; read the difference.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from discover_models.domain.architecture import OtherFfn, OtherMixer
from discover_models.domain.kernel import Parallelism, RequiredKernel
from discover_models.ops import SPECS
from discover_models.requirements import requirements
from layers import (
    GROUPED,
    SAMPLES,
    dense,
    dsv4,
    field,
    gqa,
    group,
    indexer,
    kda,
    lightning,
    mamba,
    mla,
    model,
    moe,
    msa,
    rope,
)

PAGE = Path(__file__).with_name("said.txt")
SERVED = (
    Parallelism(tp=1),
    Parallelism(tp=4, dp=1, dp_attention=True),
    Parallelism(tp=8, ep=4, dp=4, dp_attention=True),
    Parallelism(tp=2, ep=2, dp=2),
)
_UNKNOWN = "nothing says it"
EXPERTS: tuple[dict[str, Any], ...] = (
    {"shared_gate": True},
    {"dense_beside": field("dense_intermediate_size", 4096), "activation": "gelu_tanh"},
    {"latent": field("latent_size", 512), "latent_norm": True},
    {"latent": field("latent_size", 512), "merged_front": True, "shared_gate": True},
    {"routing": None},
    {"routing": "ds_routing", "routing_bias": True, **GROUPED},
    {"gated": False, "activation": "relu2"},
    {"gated": None},
    {"activation": "unheard_of", "quantization": "nvfp4"},
    {"quantization": "unheard_of"},
)
FURTHER = (
    *(model(group(gqa(qk_norm=norm), dense())) for norm in ("full", "layernorm", "undecided")),
    model(group(gqa(window=field("sliding_window", 128), sinks=True, soft_cap=True), dense())),
    model(group(gqa(chunk=field("attention_chunk_size", 8192), output_gate=True, gate_apart=True))),
    model(group(gqa(shares_kv=True, k_is_v=True, rope_undecided=_UNKNOWN), dense(gated=None))),
    model(group(gqa(msa=msa(block=64)), dense(activation=""))),
    model(group(gqa(msa=msa(), qk_norm="per_head"))),
    model(group(gqa(None, rope=rope(style=None)), dense(None, activation="unheard_of"))),
    model(group(mla(output_gate=True, q_lora_rank=None, rope_undecided=_UNKNOWN))),
    model(group(mla(fused_a_proj=False, rope=rope(style="gptj"), indexer=indexer(reused=True)))),
    model(group(mla(fused_a_proj=None, indexer=indexer(fused_weights_proj=True, k_norm=None)))),
    model(group(mla(indexer=indexer(k_norm="rmsnorm")))),
    model(group(dsv4(rope_undecided=_UNKNOWN))),
    model(group(kda(full_rank_gate=True, gate_activation="silu"))),
    *(
        model(group(lightning(output_gate=True, output_norm=norm, qk_norm=qk)))
        for norm in ("none", "full", "undecided")
        for qk in ("none", "per_head", "undecided")
    ),
    model(group(lightning(rope_undecided=_UNKNOWN))),
    model(group(mamba(gated_norm=False)), group(mamba(heads=9, groups=3), None, (2,))),
    model(group(OtherMixer(name="a mixer", reason="no family maps it"), dense())),
    model(group(gqa(), OtherFfn(name="a layer", reason="no family maps it"))),
    *(
        model(group(None, moe(shared_intermediate=field("shared_intermediate_size", 1024), **more)))
        for more in EXPERTS
    ),
    *(
        model(group(None, moe(activation=activation, activation_limit=limit, quantization="mxfp4")))
        for activation in ("silu", "swigluoai", "situ", "relu2", "gelu")
        for limit in (False, True)
    ),
    *(
        model(group(gqa(), dense()), hidden_norm=norm, adds_residual=adds, sandwich_norms=sandwich)
        for norm in ("rmsnorm", "layernorm", "undecided")
        for adds in (False, True)
        for sandwich in (False, True)
    ),
)
"""Every feature of a layer, and every part that nothing decides."""


def page_text() -> str:
    """By kernel: what it is for, the formulas of each axis, its variants and notes."""
    said: dict[str, dict[str, dict[str, None]]] = {key: {} for key in (*SPECS, "unmapped")}
    for sample in (*SAMPLES, *FURTHER):
        for served in SERVED:
            found = requirements(sample, [served])
            for kernel in found.kernels:
                for about, text in _facts(kernel):
                    said[kernel.spec].setdefault(about, {})[text] = None
            for unmapped in found.unmapped:
                said["unmapped"].setdefault(unmapped.what, {})[unmapped.reason] = None
    return "\n".join(_block(key, about) for key, about in sorted(said.items())) + "\n"


def _block(key: str, about: dict[str, dict[str, None]]) -> str:
    lines = (f"{name}: {'; '.join(sorted(texts))}" for name, texts in sorted(about.items()))
    return "\n  ".join((key, *lines))


def _facts(kernel: RequiredKernel) -> Iterator[tuple[str, str]]:
    yield from (("for", purpose) for purpose in kernel.used_for)
    yield from ((name, axis.expression) for name, axis in kernel.axes.items())
    yield from (("note", note) for note in kernel.notes)
    yield from (("needs", member) for member in kernel.requires)
    if kernel.variant:
        yield "variant", kernel.variant


def test_the_list_is_what_the_families_say() -> None:
    assert PAGE.read_text("utf-8") == page_text()


if __name__ == "__main__":
    PAGE.write_text(page_text(), "utf-8")
