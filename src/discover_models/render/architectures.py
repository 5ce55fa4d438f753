"""The listing of architectures for people and for programs."""

from __future__ import annotations

from collections import Counter

from discover_models.domain.listing import LANGUAGE_ROLES, ArchitectureListing
from discover_models.render.environment import markdown, text


def render_architectures_text(listing: ArchitectureListing) -> str:
    """One line for each architecture."""
    return text().get_template("architectures.txt.j2").render(**_values(listing))


def render_architectures_markdown(listing: ArchitectureListing) -> str:
    """A table, and under which conditions a kind is there."""
    return markdown().get_template("architectures.md.j2").render(**_values(listing))


def render_architectures_json(listing: ArchitectureListing) -> str:
    """The listing as one JSON object."""
    return listing.model_dump_json(indent=2) + "\n"


def _values(listing: ArchitectureListing) -> dict[str, object]:
    language = [a for a in listing.architectures if a.role in LANGUAGE_ROLES]
    return {
        "listing": listing,
        "roles": Counter(a.role for a in listing.architectures).most_common(),
        "language": len(language),
        "mapped": sum(not a.unmapped for a in language),
    }
