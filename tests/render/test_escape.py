"""Text from outside does nothing but show, judged by what a Markdown renderer makes of it."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

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

GFM = MarkdownIt("gfm-like")
assert GFM.linkify is not None
GFM.linkify.set({"fuzzy_link": False, "fuzzy_email": True, "fuzzy_ip": False})

HOSTILE = [
    "a|b||c",
    "`code` ``x``",
    "@octocat and (@org/team)",
    "#1 owner/repo#22 GH-3 gh-4",
    "<!-- discover-models:1 --> -->",
    "::set-output name=x::y",
    "##[add-path]/tmp",
    "one\ntwo\r\n\n# three\n- four",
    "<img src=x onerror=alert(1)> </details></summary>",
    "https://github.com/o/r/issues/1 http://x.y www.example.com a@example.com mailto:a@b.cc",
    "[text](https://example.com) ![image](x.png) [x][y] [^1]",
    "**bold** __bold__ _em_ *em* ~~gone~~ $math$ $$m$$",
    "- item",
    "+ item",
    "1. item",
    "12) item",
    "# heading",
    "> quote",
    "=====",
    "---",
    "    code block",
    "\\| \\` \\",
    "&lt;b&gt; &#64;octocat &copy;",
    ":+1: ☃ \u202e\u2066 \x1b[31m \x00",
    "</code><script>",
]
PIECES = st.sampled_from([*HOSTILE, *"|`@#<>-_*[]()!~$&:\\\n\t ", "a", "1", "www.", "://"])
STRINGS = st.lists(PIECES, min_size=1, max_size=6).map("".join).filter(str.strip)


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


def tokens(body: str) -> Iterator[Token]:
    for token in GFM.parse(body):
        yield token
        yield from token.children or ()


def structure(body: str) -> list[tuple[Any, ...]]:
    """The token tree without its text; of links only the host."""
    found: list[tuple[Any, ...]] = []
    for token in tokens(body):
        if token.type in ("text", "inline"):
            continue
        html = token.content if token.type.startswith("html") else ""
        host = re.match(r"https://[^/]+/", str(token.attrGet("href") or ""))
        found.append((token.type, token.tag, token.nesting, html, host and host[0]))
    return [item for item in found if not is_link(item)]


def is_link(item: tuple[Any, ...]) -> bool:
    """A path that leads nowhere has no link; no other host may ever appear."""
    hosts = (None, "https://github.com/", "https://huggingface.co/")
    assert item[4] in hosts
    return item[0] in ("link_open", "link_close")


def shown(body: str) -> str:
    """What a reader sees outside of code."""
    pieces: list[str] = []
    in_code = False
    for token in tokens(body):
        if token.type == "html_inline":
            in_code = token.content == "<code>" or (in_code and token.content != "</code>")
        elif token.type == "text" and not in_code:
            pieces.append(token.content)
        elif token.type != "text":
            pieces.append("\n")
    return "".join(pieces)


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
