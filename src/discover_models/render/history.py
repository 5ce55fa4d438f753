"""The history of a definition as text; the wording is in templates/history.txt.j2."""

from __future__ import annotations

from collections.abc import Sequence

from discover_models.history import Event
from discover_models.render.environment import text


def render_history(definition_name: str, events: Sequence[Event]) -> str:
    """One line for each event."""
    template = text().get_template("history.txt.j2")
    return template.render(name=definition_name, events=events)
