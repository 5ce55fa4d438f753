"""Gated DeltaNet linear attention with the state stored K-last."""

from collections.abc import Callable, Iterator

from discover_models.domain.architecture import Architecture, GdnAttention, Unmapped
from discover_models.domain.kernel import Parallelism
from discover_models.ops.base import (
    CodePath,
    Dump,
    Gpus,
    KernelSpec,
    Limit,
    Need,
    attention_tp_name,
    mixers_of,
    split,
)

_ASKED_AS = ("gdn", "gated delta rule, K-last state")
_QKV = {
    "q": ("num_q_heads", "head_size"),
    "k": ("num_k_heads", "head_size"),
    "v": ("num_v_heads", "head_size"),
}
_STATE = ("num_v_heads", "head_size", "head_size")


def _inputs(
    tokens: tuple[str, ...], state: str, slots: str
) -> dict[str, tuple[str, tuple[str, ...]]]:
    """The tensors of one stage: tokens by heads, and the float32 state."""
    tensors = {name: ("bfloat16", (*tokens, *axes)) for name, axes in _QKV.items()}
    return {**tensors, state: ("float32", (slots, *_STATE))}


def _dump(stage: str, tokens: tuple[str, ...], state: str, slots: str, api: str) -> Dump:
    """The state is K-last in these APIs only; equal shapes can't tell, the API does."""
    return Dump(
        name=f"gdn_{stage}_qk{{num_q_heads}}_v{{num_v_heads}}_d{{head_size}}",
        op_types=("gdn",),
        inputs=_inputs(tokens, state, slots),
        api=api,
    )


def _head_size(file: str, text: str, accepts: Callable[[int], bool]) -> Limit:
    return Limit(
        what="head size",
        measure=lambda axes: axes["head_size"],
        accepts=accepts,
        file=file,
        text=text,
        version="0.7.2",
    )


def _is_128(size: int) -> bool:
    return size == 128


_DSL = "flashinfer/gdn_kernels/delta_rule_dsl/delta_rule_{gpu}.py"
_ONLY_128 = 'raise RuntimeError(f"DSL kernel only supports D=128, got {D}")'
_AT_LEAST_128 = _head_size(
    "flashinfer/gdn_decode.py",
    'assert K >= 128, f"K must be at least 128, got K={K}"',
    lambda size: size >= 128,
)


def _for(gpu: str) -> Gpus:
    return Gpus((gpu,), "flashinfer/gdn_prefill.py", f"chunk_gated_delta_rule_{gpu.lower()},")


PREFILL = KernelSpec(
    key="gdn_prefill",
    op_type="gdn",
    title="gated delta rule, K-last state (prefill)",
    asked_as=_ASKED_AS,
    apis=("flashinfer.gdn_prefill.chunk_gated_delta_rule",),
    paths=(
        CodePath(
            "SM100 prefill",
            (_head_size("flashinfer/gdn_prefill.py", "assert head_size == 128, (", _is_128),),
            gpus=_for("SM100"),
        ),
        CodePath(
            "SM90 prefill",
            (_head_size(_DSL.format(gpu="sm90"), _ONLY_128, _is_128),),
            gpus=_for("SM90"),
        ),
        CodePath(
            "SM120 prefill",
            (_head_size(_DSL.format(gpu="sm120"), _ONLY_128, _is_128),),
            gpus=_for("SM120"),
        ),
        CodePath("cuDNN prefill", checked=False),
    ),
    dumps=(_dump("prefill", ("total_seq_len",), "state", "num_seqs", "chunk_gated_delta_rule"),),
)
DECODE = KernelSpec(
    key="gdn_decode",
    op_type="gdn",
    title="gated delta rule, K-last state (decode)",
    asked_as=_ASKED_AS,
    apis=("flashinfer.gdn_decode.gated_delta_rule_decode_pretranspose",),
    paths=(CodePath("decode", (_AT_LEAST_128,)),),
    dumps=(
        _dump(
            "decode",
            ("batch_size", "seq_len"),
            "state",
            "batch_size",
            "gated_delta_rule_decode_pretranspose",
        ),
    ),
)
MTP = KernelSpec(
    key="gdn_mtp",
    op_type="gdn",
    title="gated delta rule, K-last state (multi-token prediction)",
    asked_as=_ASKED_AS,
    apis=("flashinfer.gdn_decode.gated_delta_rule_mtp",),
    paths=(CodePath("multi-token decode", (_AT_LEAST_128,)),),
    dumps=(
        _dump(
            "mtp",
            ("batch_size", "seq_len"),
            "initial_state",
            "pool_size",
            "gated_delta_rule_mtp",
        ),
    ),
)


class GdnFamily:
    """``gdn_{prefill,decode,mtp}_qk{k_heads/tp}_v{v_heads/tp}_d{head}_k_last``."""

    op_type = "gdn"
    specs = (PREFILL, DECODE, MTP)

    def needs(
        self, architecture: Architecture, parallelism: Parallelism
    ) -> Iterator[Need | Unmapped]:
        size, name = parallelism.attention_tp, attention_tp_name(parallelism)
        for group, mixer in mixers_of(architecture, GdnAttention):
            if mixer.k_head_dim.value != mixer.v_head_dim.value:
                yield Unmapped(
                    what="gated delta rule",
                    reason=f"key heads of {mixer.k_head_dim.value} and value heads of "
                    f"{mixer.v_head_dim.value}: the definitions have one head size for both",
                )
                continue
            for spec in self.specs:
                yield Need(
                    spec=spec,
                    name=spec.key + "_qk{num_q_heads}_v{num_v_heads}_d{head_size}_k_last",
                    axes={
                        "num_q_heads": split(mixer.k_heads, size, name),
                        "num_k_heads": split(mixer.k_heads, size, name),
                        "num_v_heads": split(mixer.v_heads, size, name),
                        "head_size": mixer.k_head_dim,
                    },
                    used_for="linear attention",
                    layers=group.layers,
                    sharded=True,
                )
