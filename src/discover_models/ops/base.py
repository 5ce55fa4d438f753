"""What every kernel family is made of. A family never reads anything: it looks at values."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
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
    """What one code path demands of a shape, as FlashInfer's code states it.

    `text` is part of one line of `file` that states the limit; where a checkout has that line in
    another file, that one counts. Where it has it nowhere, `earlier` says how older code puts it;
    without that the limit counts as not checked.
    """

    what: str
    """For people: ``group size``."""
    measure: Callable[[Axes], int]
    """The number that the limit is on."""
    file: str
    text: str
    version: str
    """FlashInfer version that the limit was first read in."""
    accepts: Callable[[int], bool] | None = None
    doubtful: Callable[[int], bool] | None = None
    """Accepted numbers of which nothing says that they really work."""
    listed: str = ""
    """Pattern whose group captures, in `file`, each accepted number; instead of `accepts`."""
    earlier: "Limit | None" = None
    """The same limit in the code before `version`."""


@dataclass(frozen=True)
class Gpus:
    """The generations that a code path is for, with the text of the line that says so."""

    names: tuple[str, ...]
    file: str
    text: str


@dataclass(frozen=True)
class CodePath:
    """One way through an API to a kernel, with its limits."""

    name: str
    """For people: ``CUDA-core decode``."""
    limits: tuple[Limit, ...] = ()
    checked: bool = True
    """False where the path's limits are not in Python or header sources (cubins, cuDNN)."""
    gpus: Gpus | None = None
    """None where no line names generations."""


@dataclass(frozen=True)
class Dump:
    """How FlashInfer's own trace dump of a kernel is named and what it must look like.

    The name alone never decides: stage, layout and data type show in op_type, inputs and the API.
    """

    name: str
    """Format string over the axes."""
    op_types: tuple[str, ...]
    inputs: Mapping[str, tuple[str, tuple[str, ...]]]
    """Tensor inputs it must have: name → (dtype, axes)."""
    api: str = ""
    """Last part of the ``fi_api:`` tag that it must carry; empty where the inputs suffice."""
    needs_equal: tuple[str, str] | None = None
    """Two axes of the dump that must be equal for it to be this kernel."""


@dataclass(frozen=True)
class KernelSpec:
    """One kernel: who implements it, which shapes they take, how dumps name it."""

    key: str
    op_type: str
    title: str
    """The kernel for people, without its shape: ``Mamba-2 selective state update (decode)``."""
    apis: tuple[str, ...] = ()
    """Public FlashInfer APIs that implement it; the dataset's tagged one first. Empty where none
    did when the family was written."""
    sought: tuple[str, ...] = ()
    """Where `apis` is empty: what the name of an API for it would contain. One that is found later
    leaves the verdict undecided, for a person to look at."""
    read_at: str = ""
    """Where `apis` is empty: the newest FlashInfer whose sources a person read without finding the
    kernel under any name. Empty where nobody did, or where it is not worth a request: then
    FlashInfer is not asked for it."""
    near: tuple[tuple[str, str], ...] = ()
    """What FlashInfer may have of it, and the API that does that: said where the kernel itself is
    missing, and never support."""
    sglang: tuple[str, ...] = ()
    """Functions and classes of SGLang's own that take this step."""
    also_by: str = ""
    """Key of the kernel that takes the same step where this one refuses: this one is faster, so
    FlashInfer is not asked for it."""
    paths: tuple[CodePath, ...] = ()
    """All code paths of those APIs; empty where no shape is refused."""
    dumps: tuple[Dump, ...] = ()
    traced_as: str = ""
    """For APIs whose template depends on an argument: the value that this kernel passes."""
    requires: tuple[str, ...] = ()
    """Members of public enumerations that a FlashInfer must have besides the API, for example
    ``flashinfer.fused_moe.RoutingMethodType.MiniMax2``."""
    passes: str = ""
    """The argument of the API that makes it this kernel: one without it is another kernel."""
    omits: str = ""
    """The argument of the API that would make it another kernel."""
    asked_as: tuple[str, str] | None = None
    """Key and title of the request to FlashInfer where one piece of work would bring several
    kernels; None: `key` and `title`."""
    data_type: str = "bf16"
    """For people: what the kernel computes with, where the need names no variant."""
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
    requires: tuple[str, ...] = ()
    """Further members of enumerations, as in the kernel's `requires`, that this need calls for."""
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
    """The groups with a token mixer of that kind, and the mixer."""
    for group in architecture.groups:
        yield from ((group, mixer) for mixer in group.mixers if isinstance(mixer, kind))


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
