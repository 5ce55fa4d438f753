"""The templates and what they can use."""

from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from discover_models.render import groups, links
from discover_models.render.budget import MARKS
from discover_models.render.escape import code, escape, fenced, plain, sentence


def template_folder() -> Path:
    """Where the templates are: inside the package when built, at the top of a source tree."""
    package = Path(__file__).parents[1]
    inside = package / "templates"
    return inside if inside.is_dir() else package.parents[1] / "templates"


@cache
def markdown() -> Environment:
    """For Markdown: whatever a template prints is escaped unless it is markup already."""
    return _environment(escape)


@cache
def text() -> Environment:
    """For terminals and logs: whatever a template prints is one harmless line."""
    return _environment(plain)


def _environment(finalize: Callable[[object], Markup]) -> Environment:
    # With autoescape, Jinja marks what macros return as safe; values go through `finalize` first.
    environment = Environment(
        loader=FileSystemLoader(template_folder()),
        undefined=StrictUndefined,
        autoescape=True,
        finalize=finalize,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    filters: dict[str, Any] = {
        "aligned": aligned,
        "clipped": groups.clipped,
        "code": code,
        "fenced": fenced,
        "quiet": links.quiet,
        "groups": groups.groups,
        "noted": groups.noted,
        "notes": groups.notes,
        "permalink": links.permalink,
        "model_page": links.model_page,
        "place": links.place,
        "proofs": groups.proofs,
        "sentence": sentence,
        "served": groups.served,
        "short_note": groups.short_note,
        "size_sources": groups.size_sources,
        "sizes": groups.sizes,
    }
    environment.filters.update(filters)
    additions: dict[str, Any] = {"marks": MARKS}
    environment.globals.update(additions)
    return environment


def aligned(rows: Iterable[Iterable[object]]) -> list[Markup]:
    """Lines with the cells of equal columns below each other."""
    cells = [[plain(cell) for cell in row] for row in rows]
    if not cells:
        return []
    widths = [max(len(cell) for cell in column) for column in zip(*cells, strict=True)]
    return [
        Markup("  ").join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip()
        for row in cells
    ]
