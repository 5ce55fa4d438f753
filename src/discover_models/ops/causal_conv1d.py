"""The short causal convolution of linear attention, state-space and convolution layers."""

from collections.abc import Iterator

from discover_models.domain.architecture import (
    Architecture,
    GdnAttention,
    KdaAttention,
    LayerGroup,
    Mamba1Mixer,
    MambaMixer,
    Mixer,
    ShortConvMixer,
    Unmapped,
)
from discover_models.domain.dimension import Dim
from discover_models.domain.kernel import Parallelism
from discover_models.ops.base import (
    KernelSpec,
    Need,
    attention_tp_name,
    replicated_split,
    split,
)


def _spec(stage: str, title: str, sglang: str) -> KernelSpec:
    return KernelSpec(
        key=f"causal_conv1d_{stage}",
        op_type="causal_conv1d",
        title=f"causal 1-D convolution, one filter per channel ({title})",
        asked_as=("causal_conv1d", "causal 1-D convolution, one filter per channel"),
        # FlashInfer has it inside fused_kda_decode and gdn_fused_decode only.
        sought=("conv1d", "short_conv"),
        read_at="0.7.2",
        sglang=(sglang,),
        near=(
            (
                "the convolution fused into Kimi delta attention's decode step",
                "flashinfer.kda_decode.fused_kda_decode",
            ),
        ),
    )


PREFILL = _spec("prefill", "prefill", "causal_conv1d_fn")
DECODE = _spec("decode", "decode, state updated in place", "causal_conv1d_update")


class CausalConv1dFamily:
    """``causal_conv1d_{prefill,decode}_c{channels/tp}_w{taps}``."""

    op_type = "causal_conv1d"
    specs = (PREFILL, DECODE)

    def needs(
        self, architecture: Architecture, parallelism: Parallelism
    ) -> Iterator[Need | Unmapped]:
        for group in architecture.groups:
            for mixer in group.mixers:
                found = convolution_of(mixer, parallelism)
                if found is not None:
                    yield from self._both(group, *found)

    def _both(self, group: LayerGroup, channels: Dim, width: Dim) -> Iterator[Need]:
        for spec in self.specs:
            yield Need(
                spec=spec,
                name=spec.key + "_c{channels}_w{width}",
                axes={"channels": channels, "width": width},
                used_for="causal convolution",
                layers=group.layers,
                sharded=True,
            )


def convolution_of(mixer: Mixer, parallelism: Parallelism) -> tuple[Dim, Dim] | None:
    """Channels of one GPU and taps of a mixer's convolution; None where it has none."""
    size, name = parallelism.attention_tp, attention_tp_name(parallelism)
    match mixer:
        case GdnAttention() as gdn:
            channels = 2 * (gdn.k_heads * gdn.k_head_dim) + gdn.v_heads * gdn.v_head_dim
            return split(channels, size, name), gdn.conv_kernel
        case KdaAttention() as kda:
            channels = 2 * (kda.k_heads * kda.head_dim) + kda.v_heads * kda.v_head_dim
            return split(channels, size, name), kda.conv_kernel
        case MambaMixer() as mamba:
            inner = split(mamba.heads * mamba.head_dim, size, name)
            groups = replicated_split(mamba.groups, size, name)
            return inner + 2 * (groups * mamba.state_size), mamba.conv_kernel
        case Mamba1Mixer() | ShortConvMixer():
            return split(mixer.channels, size, name), mixer.conv_kernel
        case _:
            return None
