"""Text from outside does nothing but show, judged by what a Markdown renderer makes of it."""

import re
from typing import Any

import pytest
from hypothesis import example, given, settings

from builders import (
    ORIGINS,
    axis,
    deferred,
    evidence,
    existing,
    inventory,
    missing,
    required,
    supported,
    undecided,
)
from discover_models.domain.architecture import Unmapped
from discover_models.domain.kernel import Inventory, Parallelism
from discover_models.render import render_markdown, render_text
from discover_models.render.escape import code, escape, plain
from markdown_tree import GFM, HOSTILE, STRINGS, shown, structure


def everywhere(text: str) -> Inventory:
    """An inventory in which everything that comes from outside is this text."""
    proof = evidence("flashinfer", text, 3, looked_for=text, note=text)
    lost = evidence("sglang", text, None, looked_for=text, found=False, note=text)
    fields: dict[str, Any] = {
        "axes": {text: axis(1, text)},
        "used_for": (text,),
        "variant": text,
        "notes": (text,),
        "evidence": (proof,),
        "parallelism": (Parallelism(source=text),),
    }
    need = required(text, text, **fields)
    verdict: dict[str, Any] = {"required": need, "notes": (text,), "evidence": (proof, lost)}
    return inventory(
        existing("", **verdict, matched_name=text + "x"),
        supported("", **verdict, tests=(proof,)),
        missing("", **verdict),
        undecided("", **verdict),
        model_slug=text,
        hf_repo_id=text,
        revision=text,
        summary=text,
        repo_shas={text: text},
        unmapped=(Unmapped(what=text, reason=text, fields=(text,), evidence=(proof,)),),
        notes=(text,),
        source_errors={text: text},
    )


def markdown(text: str) -> str:
    gone = deferred(model_slug=text, hf_repo_id=text, reason=text, message=text)
    return render_markdown([everywhere(text)], [gone], origins=ORIGINS)


@settings(max_examples=60, deadline=None)
@given(STRINGS)
@example("https://evil.example/@a#1")
def test_no_text_changes_the_structure_of_a_report(text: str) -> None:
    assert structure(markdown(text)) == structure(markdown("h" * len(text)))


@pytest.mark.parametrize("text", HOSTILE)
def test_no_known_trick_changes_the_structure_of_a_report(text: str) -> None:
    assert structure(markdown(text)) == structure(markdown("h" * len(text)))


@settings(max_examples=60, deadline=None)
@given(STRINGS)
@example("xhttps://github.com/o/r/issues/1 xwww.example.com xgh-1 x@y")
def test_nothing_that_github_would_link_is_shown(text: str) -> None:
    body = markdown(text)
    seen = shown(body)
    assert not re.search(r"@[A-Za-z0-9]", seen), "mention"
    assert not re.search(r"#\d|(?i:gh-\d)", seen), "issue reference"
    assert not re.search(r"(?i)://|www\.|mailto:\w", seen), "address"
    assert "<!--" not in body
    assert not re.search(r"(?m)^\s*::|##\[", body), "workflow command"


@given(STRINGS)
def test_escaped_text_is_one_paragraph_that_shows_the_text(text: str) -> None:
    parsed = GFM.parse(f"{escape(text)}")
    assert [t.type for t in parsed] in ([], ["paragraph_open", "inline", "paragraph_close"])
    said = "".join(t.content for top in parsed for t in top.children or ())
    invisible = str.maketrans("", "", "\u2060\ufffd")
    wanted = "".join(c for c in re.sub(r"\s+", " ", text) if c.isprintable())
    assert said.translate(invisible).split() == wanted.split()


@given(STRINGS)
def test_code_is_code_and_nothing_else(text: str) -> None:
    inline = GFM.parse(f"x {code(text)}")[1].children or []
    assert [t.content for t in inline if t.type == "html_inline"] == ["<code>", "</code>"]
    assert {t.type for t in inline} <= {"text", "html_inline", "text_special"}


@given(STRINGS)
def test_plain_text_is_one_line_without_commands(text: str) -> None:
    line = plain(text)
    assert len(line.splitlines()) <= 1
    assert not line.lstrip().startswith("::")
    assert "##[" not in line
    assert "\x1b" not in line


def test_the_text_table_keeps_its_lines_whatever_it_shows() -> None:
    lines = [render_text([everywhere(text)]).count("\n") for text in ("harmless", *HOSTILE)]
    assert len(set(lines)) == 1
