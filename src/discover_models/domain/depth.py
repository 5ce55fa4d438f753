"""What a kernel engineer asks after the verdict: since when, on which GPUs, how SGLang gets there.

Each value says only what a line of FlashInfer or SGLang says; what could not be read is None, an
empty tuple or ``not checked``, never a guess.
"""

from dataclasses import dataclass
from typing import Literal

from discover_models.domain.evidence import Evidence
from discover_models.domain.frozen import Frozen

Take = Literal["takes", "refuses", "not checked"]
How = Literal["default", "some_gpus", "flag", "some_models", "condition", "direct"]


class ShapePath(Frozen):
    """One of FlashInfer's code paths at the sharded shape of a definition."""

    name: str
    """For people: ``CUDA-core decode``, or the name of a backend of the API."""
    verdict: Take
    gpus: tuple[str, ...] = ()
    """GPU generations that the code names for the path, ``SM90``; empty where it names none."""
    reason: str = ""
    """What is refused, or why it was not checked."""
    evidence: tuple[Evidence, ...] = ()


class Release(Frozen):
    """Which FlashInfer has the API."""

    checkout: str = ""
    """The version that the checkout states."""
    since: str = ""
    """The first version of the checkout's history that has it; empty where that is not known."""
    unreleased: bool | None = None
    """Whether no release has it yet; None where that was not checked."""
    pinned: str = ""
    """The version that SGLang asks for; empty where it names none."""
    in_pinned: bool | None = None
    """Whether that version has the API; None where that was not checked."""
    evidence: tuple[Evidence, ...] = ()


class Reach(Frozen):
    """One way in which SGLang comes to FlashInfer's kernel."""

    how: How
    """`default`: without any option; `some_gpus`: likewise, on those GPUs; `some_models`: SGLang
    chooses it for them, on those GPUs if any are named; `flag`: only with the option; `condition`:
    under a condition of the code; `direct`: nothing that was read stands in between."""
    api: str
    flag: str = ""
    """``--attention-backend flashinfer``; empty where no option leads there."""
    gpus: tuple[str, ...] = ()
    condition: str = ""
    """As the code states it."""
    evidence: tuple[Evidence, ...] = ()


class Provider(Frozen):
    """What serves the kernel in SGLang instead of FlashInfer, or beside it."""

    name: str
    """``sgl_kernel``, ``Triton``, ``FlashMLA``, …"""
    function: str = ""
    flag: str = ""
    """The option that chooses it; empty where none does."""
    gpus: tuple[str, ...] = ()
    """Where it is the default, as far as the code says."""
    condition: str = ""
    evidence: tuple[Evidence, ...] = ()


class Veto(Frozen):
    """A feature of the model that one backend does not take."""

    feature: str
    """``attention sinks``, ``soft cap``, ``two head dimensions``, …"""
    backend: str
    """The FlashInfer API or SGLang backend that does not take it."""
    evidence: tuple[Evidence, ...] = ()


class Depth(Frozen):
    """Everything beside the verdicts."""

    release: Release | None = None
    paths: tuple[ShapePath, ...] = ()
    reach: tuple[Reach, ...] = ()
    call_site: tuple[Evidence, ...] = ()
    """Lines in the model's own file that lead to the kernel; empty: not shown for this model."""
    served_by: tuple[Provider, ...] = ()
    vetoes: tuple[Veto, ...] = ()


@dataclass(frozen=True)
class Question:
    """What is asked of SGLang about one kernel of one model."""

    apis: tuple[tuple[str, ...], ...]
    """The APIs that implement it, each with its other names."""
    passes: str = ""
    omits: str = ""
    latent: bool | None = None
    """Whether it is attention over a latent cache; None for what is no attention."""
    mode: str = ""
    """``prefill`` or ``decode`` for a kernel of one of the two."""
    model: str = ""
    """The class in `architectures`."""
    traits: frozenset[str] = frozenset()
    """What SGLang's configuration of the model says of it, of `sources.sglang_ways.TRAITS`."""
    layers: tuple[str, ...] = ()
    """SGLang's layers that lead to it, as a model's file calls them."""
    own: tuple[str, ...] = ()
    """Functions and classes of SGLang's own that do the same."""
