"""A model that may need kernels, and how it was found."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from discover_models.domain.evidence import Evidence
from discover_models.domain.frozen import Frozen

Origin = Literal["day0", "cookbook", "page"]
"""``day0``: newly registered in SGLang. ``cookbook``: newly listed in the cookbook's generated
files. ``page``: newly served by a page of SGLang's own cookbook."""

SkipReason = Literal[
    "draft",
    "embedding",
    "reward",
    "classification",
    "vision_only",
    "audio_only",
    "diffusion",
    "helper",
    "not_loaded",
    "listed_before",
]


class RepositoryHint(Frozen):
    """A repository that a candidate may be; only its configuration can confirm it."""

    repo_id: str
    source: Literal["cookbook", "model file", "page", "transformers", "hub search"]
    evidence: Evidence | None = None


class Candidate(Frozen):
    """A model to look at."""

    origin: Origin
    name: str
    """The registered class, or the model's name in the cookbook."""
    hf_repo_id: str | None = None
    """None as long as no hint was confirmed."""
    hints: tuple[RepositoryHint, ...] = ()
    unresolved: str = ""
    """Why no repository was picked, in words; empty before resolving and after success."""
    evidence: tuple[Evidence, ...] = ()
    notes: tuple[str, ...] = ()


class SkippedCandidate(Frozen):
    """Something new that is no language model to look at."""

    origin: Origin
    name: str
    reason: SkipReason
    message: str
    evidence: tuple[Evidence, ...] = ()


class TrackedCandidate(Frozen):
    """A candidate that the coverage document already has."""

    name: str
    title: str
    """As the Summary table calls it."""


class ComparedWith(Frozen):
    """From which commit to which something was compared."""

    base: str
    base_date: datetime
    head: str
    note: str = ""
    """Where the base is not the last commit before the window: why."""


class Discovery(Frozen):
    """Everything new, each thing once."""

    candidates: tuple[Candidate, ...] = ()
    skipped: tuple[SkippedCandidate, ...] = ()
    tracked: tuple[TrackedCandidate, ...] = ()
    compared: dict[str, ComparedWith] = Field(default_factory=dict)
    """By source name."""
    errors: dict[str, str] = Field(default_factory=dict)
    """What could not be looked at, by source name or file: new models there are not known."""


class ModelKernels(Frozen):
    """A model with what it needs, for grouping."""

    repo_id: str
    base_model: str = ""
    """The repository that its model card names as the base, if any."""
    kernels: frozenset[str]
    """Keys of its kernels apart from quantisation."""


class VariantGroup(Frozen):
    """Models that need the same kernels apart from quantisation."""

    key: str
    """The repository seen first; it never changes."""
    repo_ids: tuple[str, ...]
    """In the order seen, the key first."""
