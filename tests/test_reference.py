"""What the documents say is what the program does."""

import re
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
_LINK = re.compile(r"\]\(([^)\s]+)\)")


def test_the_reference_is_what_the_code_says() -> None:
    script = runpy.run_path(str(ROOT / "scripts" / "write_reference.py"))
    published = (ROOT / "docs" / "reference.md").read_text("utf-8")
    assert published == script["page_text"](), "run: uv run python scripts/write_reference.py"


def test_the_page_of_kernels_is_what_the_code_says() -> None:
    script = runpy.run_path(str(ROOT / "scripts" / "write_kernels.py"))
    published = (ROOT / "docs" / "kernels.md").read_text("utf-8")
    assert published == script["page_text"](), "run: uv run python scripts/write_kernels.py"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    targets = [t for t in _LINK.findall(page.read_text("utf-8")) if "://" not in t]
    lost = [t for t in targets if not t.startswith("#") and not _there(page, t)]
    assert lost == []


def test_every_page_is_reached_from_the_readme() -> None:
    reached = {PAGES[0]}
    queue = [PAGES[0]]
    while queue:
        page = queue.pop()
        for target in _LINK.findall(page.read_text("utf-8")):
            file = (page.parent / target.partition("#")[0]).resolve()
            if "://" not in target and file.suffix == ".md" and file not in reached:
                reached.add(file)
                queue.append(file)
    assert [page.name for page in PAGES if page.resolve() not in reached] == []


def _there(page: Path, target: str) -> bool:
    return (page.parent / target.partition("#")[0]).exists()
