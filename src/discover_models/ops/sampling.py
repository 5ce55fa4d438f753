"""Sampling the next token from probabilities."""

from collections.abc import Iterator

from discover_models.domain.architecture import Architecture, Unmapped
from discover_models.domain.kernel import Parallelism
from discover_models.ops.base import Dump, KernelSpec, Need

_ARGUMENTS = {
    "top_k": {"top_k": ("int32", ("batch_size",))},
    "top_k_top_p": {"top_k": ("int32", ("batch_size",)), "top_p": ("float32", ("batch_size",))},
    "top_p": {"top_p": ("float32", ("batch_size",))},
}
_TITLES = {"top_k": "top-k", "top_k_top_p": "joint top-k and top-p", "top_p": "top-p"}
_PROBS = {"probs": ("float32", ("batch_size", "vocab_size"))}


def _spec(kind: str) -> KernelSpec:
    key = f"{kind}_sampling_from_probs"
    dump = Dump(
        name=f"{kind}_sampling_v{{vocab_size}}",
        op_types=("sampling",),
        inputs={**_PROBS, **_ARGUMENTS[kind]},
        api=key,
    )
    return KernelSpec(
        key=key,
        op_type="sampling",
        title=f"{_TITLES[kind]} sampling from probabilities",
        apis=(f"flashinfer.sampling.{key}",),
        dumps=(dump,),
    )


class SamplingFamily:
    """``{top_k,top_k_top_p,top_p}_sampling_from_probs_v{vocab}``."""

    op_type = "sampling"
    specs = tuple(_spec(kind) for kind in _ARGUMENTS)

    def needs(
        self, architecture: Architecture, parallelism: Parallelism
    ) -> Iterator[Need | Unmapped]:
        for spec in self.specs:
            yield Need(
                spec=spec,
                name=spec.key + "_v{vocab_size}",
                axes={"vocab_size": architecture.vocab_size},
                used_for="sampling",
            )
