"""What a Markdown renderer makes of a text, to judge what text from outside does in it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

GFM = MarkdownIt("gfm-like")
assert GFM.linkify is not None
GFM.linkify.set({"fuzzy_link": False, "fuzzy_email": True, "fuzzy_ip": False})

HOSTS = (
    None, "https://github.com/", "https://redirect.github.com/", "https://huggingface.co/",
)  # fmt: skip
TAG = re.compile(r"<[^>]*>")
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
        html = "".join(TAG.findall(token.content)) if token.type.startswith("html") else ""
        host = re.match(r"https://[^/]+/", str(token.attrGet("href") or ""))
        found.append((token.type, token.tag, token.nesting, html, host and host[0]))
    return [item for item in found if not is_link(item)]


def is_link(item: tuple[Any, ...]) -> bool:
    """A path that leads nowhere has no link; no other host may ever appear."""
    assert item[4] in HOSTS
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
