"""What every kernel family is made of. A family never reads anything: it looks at values."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from discover_models.domain.architecture import Architecture, LayerGroup, Unmapped
from discover_models.domain.dimension import Dim
from discover_models.domain.evidence import Evidence
from discover_models.domain.kernel import Parallelism

PAGE_SIZES = (1, 64)
"""KV-cache page sizes that the dataset keeps definitions for."""

Axes = Mapping[str, int]


@dataclass(frozen=True)
class Limit:
    """A shape that one code path of an API refuses.

    `text` is a line of FlashInfer that states the limit; where it is not found in the checkout the
    limit counts as not checked. A definition is refused only where every path refuses it.
    """

    path_name: str
    """The code path in words, for example ``CUDA-core decode``."""
    refuses: Callable[[Axes], bool]
    file: str
    text: str
    version: str
    """FlashInfer version that the limit was read from."""
    otherwise: str
    """Which path takes such a shape instead; empty where none does."""


@dataclass(frozen=True)
class KernelSpec:
    """One kernel: who implements it and which shapes they refuse."""

    key: str
    op_type: str
    apis: tuple[str, ...]
    """Public FlashInfer APIs that implement it; the dataset's tagged one first."""
    limits: tuple[Limit, ...] = ()
    dump_name: str = ""
    """Name in FlashInfer's own trace dumps, as a format string over the axes."""
    alias_requires: Mapping[str, str] = field(default_factory=dict[str, str])
    """Input name → dtype that a dump must have to be this kernel."""
    always_supported: bool = False
    """The reference implementation is PyTorch itself."""


@dataclass(frozen=True)
class Need:
    """One definition that a layer calls for."""

    spec: KernelSpec
    name: str
    """Format string over the axes."""
    axes: Mapping[str, Dim]
    used_for: str
    layers: tuple[int, ...] | None = None
    sharded: bool = False
    """Whether the axes depend on the serving configuration."""
    variant: str = ""
    notes: tuple[str, ...] = ()
    evidence: tuple[Evidence, ...] = ()


class Family(Protocol):
    """One op family: a file in this package and a line in the registry."""

    op_type: str
    specs: tuple[KernelSpec, ...]

    def needs(
        self, architecture: Architecture, parallelism: Parallelism
    ) -> Iterator[Need | Unmapped]:
        """The definitions that the architecture needs when served so."""
        ...


T = TypeVar("T")


def mixers_of(architecture: Architecture, kind: type[T]) -> Iterator[tuple[LayerGroup, T]]:
    """The groups whose token mixer is of that kind, with the mixer."""
    for group in architecture.groups:
        if isinstance(group.mixer, kind):
            yield group, group.mixer


def split(dim: Dim, size: int, name: str) -> Dim:
    """The share of one GPU when `dim` is split over `size` of them."""
    return dim if size == 1 else dim // Dim(value=size, expression=name)


def replicated_split(dim: Dim, size: int, name: str) -> Dim:
    """Likewise for KV heads and groups, which are replicated when there are too few."""
    return dim if size == 1 else split(dim, size, name).at_least(1)


def attention_tp_name(parallelism: Parallelism) -> str:
    """How the divisor of attention heads is written in an expression."""
    if parallelism.dp_attention and (parallelism.dp or 1) > 1:
        return f"(tp {parallelism.tp} / dp {parallelism.dp})"
    return f"tp {parallelism.tp}"
