"""Values to text through the templates."""

from discover_models.render.report import (
    render_changes_markdown,
    render_changes_text,
    render_discovery_markdown,
    render_discovery_text,
    render_explain,
    render_json,
    render_markdown,
    render_text,
)

__all__ = [
    "render_changes_markdown",
    "render_changes_text",
    "render_discovery_markdown",
    "render_discovery_text",
    "render_explain",
    "render_json",
    "render_markdown",
    "render_text",
]
