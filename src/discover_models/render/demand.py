"""The demand ranking as text, Markdown and JSON; the wording is in templates/demand.*.j2."""

from __future__ import annotations

from discover_models.demand import Demand, Ranking
from discover_models.render.environment import markdown, text

NOT_KNOWN = "not known"


def render_demand_text(ranking: Ranking) -> str:
    """One table for a terminal."""
    template = text().get_template("demand.txt.j2")
    return template.render(ranking=ranking, cells=demand_cells(ranking))


def render_demand_markdown(ranking: Ranking) -> str:
    """One table for an issue or a page, with the models of each row."""
    template = markdown().get_template("demand.md.j2")
    return template.render(ranking=ranking, cells=demand_cells(ranking))


def render_demand_json(ranking: Ranking) -> str:
    """The ranking's fields as they are."""
    return ranking.model_dump_json(indent=2) + "\n"


def monthly(row: Demand) -> str:
    """The downloads of a row's models in words; a sign says that some are not counted."""
    if row.downloads is None:
        return NOT_KNOWN
    return f"{row.downloads:,}" + (" or more" if row.downloads_unknown else "")


def demand_cells(ranking: Ranking) -> list[dict[str, object]]:
    """The rows with what their cells say beside their fields."""
    return [_cells(row) for row in ranking.rows]


def _cells(row: Demand) -> dict[str, object]:
    return {
        "row": row,
        "downloads": monthly(row),
        "served_by": ", ".join(row.served_by) or NOT_KNOWN,
        "families": ", ".join(row.families),
        "sizes": len(row.definitions) or "",
    }
