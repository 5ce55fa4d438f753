"""The listing of architectures as text, Markdown and JSON."""

import json

from discover_models.domain.listing import ArchitectureListing, ListedArchitecture, UnmappedClass
from discover_models.render.architectures import (
    render_architectures_json,
    render_architectures_markdown,
    render_architectures_text,
)

LISTING = ArchitectureListing(
    architectures=(
        ListedArchitecture(
            architecture="ToyForCausalLM",
            file="models/toy.py",
            line=7,
            role="text_llm",
            attention=("gqa", "sliding_window"),
            ffn=("dense",),
            norms=("rmsnorm",),
            unmapped=(UnmappedClass(name="Novel|Mixer", file="models/toy.py", line=9),),
            conditions={"sliding_window": "config.window"},
        ),
    )
)


def test_text_has_one_line_for_each_and_counts() -> None:
    text = render_architectures_text(LISTING)

    assert "ToyForCausalLM  text_llm  gqa sliding_window  dense  rmsnorm" in text
    assert "models/toy.py:7" in text
    assert "0 of 1 language models are made of what is known" in text


def test_markdown_marks_what_is_conditional_and_keeps_its_table() -> None:
    row = next(
        line
        for line in render_architectures_markdown(LISTING).splitlines()
        if "ToyForCausalLM" in line
    )

    assert "<code>sliding_window</code>" in row
    assert row.count("|") == 7
    assert "models/toy.py:9" in row


def test_json_is_the_listing() -> None:
    first = json.loads(render_architectures_json(LISTING))["architectures"][0]

    assert first["attention"] == ["gqa", "sliding_window"]
    assert first["unmapped"] == [{"name": "Novel|Mixer", "file": "models/toy.py", "line": 9}]
    assert first["conditions"] == {"sliding_window": "config.window"}
