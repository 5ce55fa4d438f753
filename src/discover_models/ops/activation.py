"""Activations between the projections of an MLP, and the gates on attention's output."""

from collections.abc import Iterator

from discover_models.domain.architecture import (
    Architecture,
    DenseMlp,
    GqaAttention,
    LayerGroup,
    LightningAttention,
    Mixer,
    MlaAttention,
    Moe,
    Unmapped,
)
from discover_models.domain.dimension import Dim
from discover_models.domain.kernel import Parallelism
from discover_models.ops.base import KernelSpec, Need

_SPELLINGS = {
    "silu": "silu",
    "swish": "silu",
    "gelu": "gelu",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu_new": "gelu_tanh",
    "gelu_fast": "gelu_tanh",
    "gelu_tanh": "gelu_tanh",
    "gelu_python_tanh": "gelu_tanh",
    "relu": "relu",
    "relu2": "relu2",
    "swigluoai": "swigluoai",
    "situ": "situ",
}
"""What configurations call an activation → the name of its function."""


def _gated(kind: str, title: str, api: str = "", sought: tuple[str, ...] = ()) -> KernelSpec:
    return KernelSpec(
        key=f"{kind}_and_mul" if kind != "silu_clamp" else "silu_and_mul_clamp",
        op_type="activation",
        title=title,
        apis=(api,) if api else (),
        sought=sought,
    )


def _plain(kind: str, title: str) -> KernelSpec:
    return KernelSpec(
        key=kind, op_type="activation", title=title, sought=(f"{kind}_activation", f"apply_{kind}")
    )


GATED = {
    "silu": _gated(
        "silu", "SiLU of one half times the other", "flashinfer.activation.silu_and_mul"
    ),
    "gelu": _gated(
        "gelu", "GELU of one half times the other", "flashinfer.activation.gelu_and_mul"
    ),
    "gelu_tanh": _gated(
        "gelu_tanh",
        "tanh GELU of one half times the other",
        "flashinfer.activation.gelu_tanh_and_mul",
    ),
    "situ": _gated("situ", "SiTU of one half times the other", sought=("situ_and_mul",)),
    "swigluoai": _gated(
        "swigluoai",
        "clamped SwiGLU with a slope, halves apart",
        sought=("swigluoai", "swiglu_oai", "swiglu_alpha"),
    ),
    "silu_clamp": _gated(
        "silu_clamp", "clamped SiLU of one half times the other", sought=("silu_and_mul_clamp",)
    ),
}
"""Activation → kernel over gate and up side by side (flashinfer/trace/templates/activation.py)."""
PLAIN = {
    "silu": _plain("silu", "SiLU"),
    "gelu": _plain("gelu", "GELU"),
    "gelu_tanh": _plain("gelu_tanh", "tanh GELU"),
    "relu": _plain("relu", "ReLU"),
    "relu2": _plain("relu2", "squared ReLU"),
}
"""Likewise in an MLP without a gate."""
SIGMOID_MUL = KernelSpec(
    key="sigmoid_mul",
    op_type="output_gate",
    title="attention output times the sigmoid of its gate",
    sought=("sigmoid_mul", "output_gate"),
)


class ActivationFamily:
    """``{silu,gelu,gelu_tanh,…}_and_mul_h{gate and up together}``, ``relu2_h{I}`` without a gate.

    As wide as the unsharded projection before it. Routed experts have theirs in the MoE kernel.
    """

    op_type = "activation"
    specs = (*GATED.values(), *PLAIN.values())

    def needs(
        self, architecture: Architecture, parallelism: Parallelism
    ) -> Iterator[Need | Unmapped]:
        for group in architecture.groups:
            ffn = group.ffn
            if isinstance(ffn, DenseMlp):
                yield from _activation(group, ffn, ffn.intermediate, "MLP")
            elif isinstance(ffn, Moe):
                if ffn.shared_intermediate is not None:
                    yield from _activation(group, ffn, ffn.shared_intermediate, "shared expert")
                if ffn.dense_beside is not None:
                    yield from _activation(group, ffn, ffn.dense_beside, "MLP beside the experts")


def _activation(
    group: LayerGroup, ffn: DenseMlp | Moe, width: Dim, used_for: str
) -> Iterator[Need | Unmapped]:
    what = f"activation of the {used_for}"
    if ffn.gated is None:
        return  # the projections around it are listed as undecided
    if not ffn.activation:
        yield Unmapped(what=what, reason="no field says which function it is")
        return
    kind = _SPELLINGS.get(ffn.activation, ffn.activation)
    if ffn.activation_limit and kind == "silu":
        kind = "silu_clamp"
    spec = (GATED if ffn.gated else PLAIN).get(kind)
    if spec is None:
        yield Unmapped(what=what, reason=f"no family maps the activation {ffn.activation!r} yet")
        return
    yield Need(
        spec=spec,
        name=spec.key + "_h{hidden_size}",
        axes={"hidden_size": 2 * width if ffn.gated else width},
        used_for=used_for,
        layers=group.layers,
    )


class OutputGateFamily:
    """``sigmoid_mul_h{q·d}``, as wide as the unsharded output projection.

    The gate is as wide; one with a value per head is another kernel, as is another function.
    """

    op_type = "output_gate"
    specs = (SIGMOID_MUL,)

    def needs(
        self, architecture: Architecture, parallelism: Parallelism
    ) -> Iterator[Need | Unmapped]:
        for group in architecture.groups:
            yield from filter(None, map(_other_gate, group.mixers))
            for width in filter(None, map(_gated_width, group.mixers)):
                yield Need(
                    spec=SIGMOID_MUL,
                    name="sigmoid_mul_h{hidden_size}",
                    axes={"hidden_size": width},
                    used_for="output gate of attention",
                    layers=group.layers,
                )


def _other_gate(mixer: Mixer) -> Unmapped | None:
    if not isinstance(mixer, GqaAttention) or not mixer.output_gate or _gates_elements(mixer):
        return None
    of = "with one value per head" if mixer.gate_per_head else "with one value per element"
    return Unmapped(
        what="output gate of attention",
        reason=f"no family maps the {mixer.gate_activation} of a gate {of} yet",
    )


def _gates_elements(mixer: GqaAttention) -> bool:
    return mixer.gate_activation == "sigmoid" and not mixer.gate_per_head


def _gated_width(mixer: Mixer) -> Dim | None:
    match mixer:
        case GqaAttention() as other if not _gates_elements(other):
            return None
        case GqaAttention(output_gate=True) as gqa:
            return gqa.q_heads * gqa.v_head_dim
        case MlaAttention(output_gate=True) as mla:
            return mla.heads * mla.v_head_dim
        case LightningAttention(output_gate=True, output_norm="none" | "full") as lightning:
            return lightning.heads * lightning.head_dim
        case _:
            return None
