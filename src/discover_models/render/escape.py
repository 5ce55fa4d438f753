"""Text from outside made harmless for where it is shown."""

import re
import unicodedata
from functools import lru_cache

from markupsafe import Markup

_JOINER = "&#8288;"
"""An invisible character that keeps its neighbours from being read as one token."""
_ENTITIES = str.maketrans(
    {
        "&": "&amp;",
        "<": "&lt;",
        ">": "&gt;",
        **{char: f"&#{ord(char)};" for char in "\\`*[]|~$\"'"},
        "@": f"@{_JOINER}",
        "#": f"#{_JOINER}",
    }
)


def plain(value: object) -> Markup:
    """One line of text for a terminal or a log.

    Control and direction characters become a replacement character, line ends a space, and what
    the Actions runner would take for a command (``::set-output``, ``##[group]``) is broken up.
    """
    if isinstance(value, Markup):
        return value
    return _plain(str(value))


@lru_cache(maxsize=4096)
def _plain(text: str) -> Markup:
    return Markup(_line(text).replace("::", ": :").replace("##[", "## ["))


def escape(value: object) -> Markup:
    """One line of Markdown that shows the text and does nothing else.

    No markup, HTML, table cell, mention, issue or commit reference, link, mathematics or workflow
    command can come of it, at any place inside a line and at its start.
    """
    if isinstance(value, Markup):
        return value
    return _escaped(str(value))


@lru_cache(maxsize=4096)
def _escaped(text: str) -> Markup:
    line = _line(text).translate(_ENTITIES)
    line = re.sub(r"(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])", "&#95;", line)
    line = line.replace("://", f":{_JOINER}//")
    line = re.sub(r"(?i)(mailto|xmpp):", rf"\1:{_JOINER}", line)
    line = re.sub(r"(?i)(www)\.", rf"\1{_JOINER}.", line)
    line = re.sub(r"(?i)(gh)-(?=\d)", rf"\1-{_JOINER}", line)
    line = line.replace("::", ":&#58;")
    return Markup(re.sub(r"^( ?\d{0,9})([-+=:.)])", _entity, line))


def sentence(value: str) -> str:
    """The text with a capital at its start, where that is a word and no name with one inside."""
    first = value.partition(" ")[0]
    return value[:1].upper() + value[1:] if first.islower() else value


def code(value: object) -> Markup:
    """The text as code; GitHub looks for no mentions and references in it."""
    return Markup(f"<code>{escape(value)}</code>")


def fenced(text: str, language: str = "") -> Markup:
    """The text as a code block that none of its lines can end."""
    longest = max((len(ticks) for ticks in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return Markup(f"{fence}{language}\n{text.rstrip()}\n{fence}")


def _line(text: str) -> str:
    """The text on one line, without characters that change what is around them."""
    line = re.sub(r"\s+", " ", text)
    if line.isascii() and line.isprintable():
        return line
    return "".join("\ufffd" if unicodedata.category(c)[0] == "C" else c for c in line)


def _entity(found: re.Match[str]) -> str:
    return f"{found[1]}&#{ord(found[2])};"
