from pathlib import Path

import pytest

from discover_models.errors import SourceError
from discover_models.sources.coverage_doc import parse_tracked, read_tracked

DOC = """---
title: Model Coverage
---

| Model | Not this table |
|---|---|
| Nope | x |

## Summary

Some words.

| Model | Architecture | Coverage |
|-------|:------------:|---------:|
| DeepSeek V3/R1 | MLA | yes |
| **[Kimi K2](#kimi-k2)** | MLA \\| MoE | `partial` |
| `GLM-4.6` | GQA | no |
| | GQA | no |
| Kimi K2 | again | no |

## DeepSeek V3 / R1

| Model | Op |
|---|---|
| Elsewhere | x |
"""


def test_titles_of_the_summary_table_alone() -> None:
    assert parse_tracked(DOC, "doc") == ("DeepSeek V3/R1", "Kimi K2", "GLM-4.6")


@pytest.mark.parametrize(
    "text", ["", "## Summary\n", "## Summary\nwords\n## Next\n| Model |\n|---|\n| x |\n"]
)
def test_no_table_is_not_an_empty_table(text: str) -> None:
    with pytest.raises(SourceError, match="no Summary table"):
        parse_tracked(text, "doc")


def test_a_missing_document_is_a_source_error(tmp_path: Path) -> None:
    with pytest.raises(SourceError):
        read_tracked(tmp_path / "gone.mdx")
