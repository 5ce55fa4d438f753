"""Gated DeltaNet linear attention with the state stored K-last."""

from collections.abc import Iterator

from discover_models.domain.architecture import Architecture, GdnAttention, Unmapped
from discover_models.domain.kernel import Parallelism
from discover_models.ops.base import KernelSpec, Need, attention_tp_name, mixers_of, split

PREFILL = KernelSpec(
    key="gdn_prefill",
    op_type="gdn",
    apis=("flashinfer.gdn_prefill.chunk_gated_delta_rule",),
)
DECODE = KernelSpec(
    key="gdn_decode",
    op_type="gdn",
    apis=("flashinfer.gdn_decode.gated_delta_rule_decode_pretranspose",),
    dump_name="gdn_decode_qk{num_q_heads}_v{num_v_heads}_d{head_size}",
)
MTP = KernelSpec(
    key="gdn_mtp",
    op_type="gdn",
    apis=("flashinfer.gdn_decode.gated_delta_rule_mtp",),
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
