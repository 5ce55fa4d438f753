"""The architectures that SGLang registers, and what their classes can do."""

from __future__ import annotations

from typing import Literal, TypeAlias

from pydantic import Field

from discover_models.domain.frozen import Frozen

Role: TypeAlias = Literal[
    "text_llm",
    "multimodal_llm",
    "draft",
    "embedding_or_reward",
    "encoder_only",
    "diffusion",
    "audio_or_other",
]
LANGUAGE_ROLES: tuple[Role, ...] = ("text_llm", "multimodal_llm")


class UnmappedClass(Frozen):
    """A class that the model constructs and that no kernel is known for."""

    name: str
    """With dots for a class of another library."""
    file: str
    line: int
    """Where it is constructed; 1-based."""


class ListedArchitecture(Frozen):
    """What one registered class can do, whatever its configuration says."""

    architecture: str
    file: str
    line: int
    """Where the class is defined; 1-based."""
    role: Role
    attention: tuple[str, ...] = ()
    """Kinds of token mixers, restrictions beside their base; ``other:CLASS`` for an unknown one."""
    ffn: tuple[str, ...] = ()
    """``dense``, ``moe:ROUTING``; ``moe:undecided`` where the configuration names the routing."""
    norms: tuple[str, ...] = ()
    unmapped: tuple[UnmappedClass, ...] = ()
    """Nothing here means: all that the class constructs is accounted for."""
    conditions: dict[str, str] = Field(default_factory=dict[str, str])
    """By kind: what the configuration must say for it; a kind that is always there is left out."""
    note: str = ""
    """Why the class could not be followed, where that is so."""


class ArchitectureListing(Frozen):
    """Every architecture of one checkout, sorted by name."""

    commit: str | None = None
    architectures: tuple[ListedArchitecture, ...] = ()
    warnings: tuple[str, ...] = ()
    """Files whose ``EntryClass`` could not be read."""
