"""Lightning attention: linear attention with a fixed decay per head."""

from collections.abc import Iterator

from discover_models.domain.architecture import Architecture, LightningAttention, Unmapped
from discover_models.domain.kernel import Parallelism
from discover_models.ops.base import KernelSpec, Need, attention_tp_name, mixers_of, split


def _spec(stage: str) -> KernelSpec:
    return KernelSpec(
        key=f"lightning_attention_{stage}",
        op_type="lightning",
        title=f"lightning attention ({stage})",
        # FlashInfer's gated delta rules are other recurrences.
        asked_as=("lightning_attention", "lightning attention"),
        sought=("lightning_attention", "linear_attention", "seg_la"),
        read_at="0.7.2",
        sglang=("seg_la_fwd",),
    )


PREFILL, DECODE = _spec("prefill"), _spec("decode")


class LightningFamily:
    """``lightning_attention_{prefill,decode}_h{heads/tp}_d{d}``."""

    op_type = "lightning"
    specs = (PREFILL, DECODE)

    def needs(
        self, architecture: Architecture, parallelism: Parallelism
    ) -> Iterator[Need | Unmapped]:
        size, name = parallelism.attention_tp, attention_tp_name(parallelism)
        for group, mixer in mixers_of(architecture, LightningAttention):
            if mixer.qk_norm == "undecided" or mixer.output_norm == "undecided":
                yield Unmapped(
                    what="norms and projections of lightning attention",
                    reason="nothing read so far says which of them this class has",
                )
            for spec in self.specs:
                yield Need(
                    spec=spec,
                    name=spec.key + "_h{num_heads}_d{head_dim}",
                    axes={
                        "num_heads": split(mixer.heads, size, name),
                        "head_dim": mixer.head_dim,
                    },
                    used_for="linear attention",
                    layers=group.layers,
                    sharded=True,
                )
