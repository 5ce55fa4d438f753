"""Pages for people are what a Markdown renderer takes them for."""

from pathlib import Path

import pytest

from markdown_tree import GFM

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])


@pytest.mark.parametrize("page", PAGES, ids=[page.name for page in PAGES])
def test_no_row_of_a_table_stands_outside_of_it(page: Path) -> None:
    """A blank line ends a table; what follows is shown as text with bars."""
    shown = [t.content for t in GFM.parse(page.read_text("utf-8")) if t.type == "inline"]
    assert [text[:60] for text in shown if text.startswith("|")] == []
