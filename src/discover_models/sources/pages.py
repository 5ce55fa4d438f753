"""SGLang's own cookbook: ``docs_new/cookbook/autoregressive/<Vendor>/<Model>.mdx``.

Settings are read from the launch commands in fenced blocks, with a shell parser, and from the
snippets that a page imports where these are plain data. What was not read stands in `unread`.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, cast

from pydantic import Field

from discover_models.domain.frozen import Frozen
from discover_models.errors import SourceError
from discover_models.sources.cookbook import ServingConfig
from discover_models.sources.files import read_text, walk
from discover_models.sources.js_literal import LINE, NotDataError, exported_data
from discover_models.sources.launch_args import LaunchArgs, read_launch_args

PAGES = "docs_new/cookbook/autoregressive/*/*.mdx"
MAX_BYTES = 500_000
"""The largest real page has some 60 kB, the largest snippet some 200 kB."""
_SHELLS = ("", "bash", "sh", "shell", "console", "zsh")
_FENCE = re.compile(r"[ \t>]*(`{3,}|~{3,})[ \t]*([\w+-]*)")
_REPOSITORY = r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}"
_LINK = re.compile(
    r"https?://(?:huggingface\.co|hf\.co)/"
    r"(?!(?:datasets|spaces|docs|blog|papers|collections|models|organizations|join)/)"
    rf"({_REPOSITORY})"
)
_IMPORT = re.compile(
    r"""^\s*import\s[^;"'\n]{0,200}from\s*["']/(src/snippets/[\w./-]+\.jsx)["']""", re.M
)
_ENDS = ("&&", "||", "|", ";", "&")
_QUOTED_LINES = 10
"""Over how many more lines a quotation in a command may reach."""
_MAX_UNPARSED = 50
_MAX_COMMANDS = 500
"""The largest real page has some 80."""


class CookbookPage(Frozen):
    """One page."""

    file: str
    name: str
    """The file's name without its ending."""
    vendor: str
    title: str
    configurations: tuple[ServingConfig, ...]
    served: tuple[str, ...]
    """Repositories that its commands and snippets serve, in order."""
    links: tuple[str, ...]
    """Repositories on the Hub that its text links to, in order."""
    unread: tuple[str, ...]
    """What was not read, with the reason."""


class CookbookPages(Frozen):
    """All pages."""

    pages: tuple[CookbookPage, ...] = ()
    errors: dict[str, str] = Field(default_factory=dict)


def read_pages(root: Path) -> CookbookPages:
    """Read all pages of a checkout of SGLang; a bad page stands in `errors`."""
    pages: list[CookbookPage] = []
    errors: dict[str, str] = {}
    for file in walk(root, PAGES):
        try:
            pages.append(read_page(root, file))
        except SourceError as error:
            errors[file] = str(error)
    return CookbookPages(pages=tuple(pages), errors=errors)


def read_page(root: Path, file: str) -> CookbookPage:
    """Read one page with the snippets that it imports; `SourceError` when it can't be read."""
    text = read_text(root, file, limit=MAX_BYTES)
    unread: list[str] = []
    configs: list[ServingConfig] = []
    served: dict[str, None] = {}
    for line, args in _commands(text, unread):
        unread.extend(f"line {line}: {word}" for word in args.unread)
        _add(args, _place(file, line), configs, served)
    for snippet in dict.fromkeys(_IMPORT.findall(text)):
        _read_snippet(root, f"docs_new/{snippet}", configs, served, unread)
    path = PurePosixPath(file)
    title = re.search(r"^title:(.*)$", text, re.MULTILINE)
    return CookbookPage(
        file=file,
        name=path.stem,
        vendor=path.parent.name,
        title=title[1].strip(" \t\"'") if title else path.stem,
        configurations=tuple(configs),
        served=tuple(served),
        links=hub_links(text),
        unread=tuple(unread),
    )


def hub_links(text: str) -> tuple[str, ...]:
    """The model repositories that a text links to on the Hub, each once, in order."""
    found = (link.rstrip(".").removesuffix(".git") for link in _LINK.findall(text))
    return tuple(dict.fromkeys(found))


def _place(file: str, line: int, hardware: str = "", quantization: str = "") -> ServingConfig:
    """A configuration of which only the place is known."""
    return ServingConfig(
        name="", hardware=hardware, phase="engine", tp=1, ep=1, dp=None, dp_attention=False,
        quantization=quantization, model_path="", file=file, line=line,
    )  # fmt: skip


def _add(
    args: LaunchArgs,
    place: ServingConfig,
    configs: list[ServingConfig],
    served: dict[str, None],
) -> None:
    """Note what a command serves and, where it gives a size at all, with which sizes.

    A command without sizes shows some other option; TP=1 is not meant by it.
    """
    if args.model is None or not re.fullmatch(_REPOSITORY, args.model):
        return
    served[args.model] = None
    if (args.tp, args.ep, args.dp) == (None, None, None):
        return
    update = {
        "model_path": args.model,
        "tp": args.tp or 1,
        "ep": args.ep or 1,
        "dp": args.dp,
        "dp_attention": args.dp_attention,
    }
    configs.append(place.model_copy(update=update))


# Commands


def _commands(text: str, unread: list[str]) -> Iterator[tuple[int, LaunchArgs]]:
    """The launch commands of the fenced shell blocks, each with its line."""
    blocks = _blocks(text)
    commands = (command for start, lines in blocks for command in _split(lines, start, unread))
    for count, (line, words) in enumerate(commands):
        if count == _MAX_COMMANDS:
            unread.append(f"from line {line}: more than {_MAX_COMMANDS} commands")
            return
        for launch in _launches(words):
            yield line, read_launch_args(launch)


def _blocks(text: str) -> Iterator[tuple[int, list[str]]]:
    """Fenced blocks in a shell's language: the line of the first content line, and the lines."""
    fence = ""
    shell = False
    start = 0
    lines: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        match = _FENCE.match(line)
        if not fence and match:
            fence, shell = match[1], match[2].casefold() in _SHELLS
            start, lines = number + 1, []
        elif fence and match and match[1].startswith(fence) and not match[2]:
            fence = ""
            if shell:
                yield start, lines
        elif fence:
            lines.append(line)


def _split(lines: list[str], start: int, unread: list[str]) -> Iterator[tuple[int, list[str]]]:
    """The commands of a block that speak of SGLang, as words, each with its line."""
    logical = list(_joined(lines))
    for at, (line, text) in enumerate(logical):
        if "sglang" not in text or len(unread) > _MAX_UNPARSED:
            continue
        words = _words([t for _, t in logical[at : at + 1 + _QUOTED_LINES]])
        if words is None:
            unread.append(f"line {start + line}: no shell command that can be parsed")
        else:
            yield start + line, words


def _joined(lines: list[str]) -> Iterator[tuple[int, str]]:
    """Lines with those that a backslash continues, each with the index of its first one."""
    first: int | None = None
    parts: list[str] = []
    for index, line in enumerate(lines):
        first = index if first is None else first
        text = line.strip().removeprefix("$ ")
        parts.append(text.removesuffix("\\"))
        if not text.endswith("\\"):
            yield first, " ".join(parts)
            first, parts = None, []
    if first is not None:
        yield first, " ".join(parts)


def _words(texts: list[str]) -> list[str] | None:
    """The words of the command that starts in the first text; None when no quotation closes."""
    for end in range(1, len(texts) + 1):
        try:
            return shlex.split("\n".join(texts[:end]), comments=True)
        except ValueError:
            continue
    return None


def _launches(words: Sequence[str], depth: int = 0) -> Iterator[list[str]]:
    """The arguments of each server launched by a command, also inside ``bash -c "…"``."""
    for at, word in enumerate(words):
        serves = word == "serve" and at > 0 and words[at - 1] == "sglang"
        if word == "sglang.launch_server" or serves:
            yield list(_until_end(words[at + 1 :]))
        elif " " in word and "sglang" in word and depth < 2:
            try:
                yield from _launches(shlex.split(word.replace("\\\n", " ")), depth + 1)
            except ValueError:
                continue


def _until_end(words: Sequence[str]) -> Iterator[str]:
    for word in words:
        if word in _ENDS:
            return
        yield word.rstrip(";")
        if word.endswith(";"):
            return


# Snippets


def _read_snippet(
    root: Path,
    file: str,
    configs: list[ServingConfig],
    served: dict[str, None],
    unread: list[str],
) -> None:
    """Read the cells of a configuration snippet, or say why not."""
    if PurePosixPath(file).name.startswith("_"):
        return  # the widgets that show the data
    try:
        exports = exported_data(read_text(root, file, limit=MAX_BYTES))
    except (NotDataError, SourceError) as error:
        unread.append(f"{file}: {error}")
        return
    if not exports:
        unread.append(f"{file}: a program, not plain data")
    for table in exports.values():
        for args, place in _cells(_dict(table), file):
            unread.extend(f"{file}:{place.line}: {word}" for word in args.unread)
            _add(args, place, configs, served)


def _cells(table: dict[str, Any], file: str) -> Iterator[tuple[LaunchArgs, ServingConfig]]:
    """The cells of a table as arguments, each with its place."""
    names = _dict(table.get("modelNames"))
    for cell in _list(table.get("cells")):
        match = {key: str(value) for key, value in _dict(_dict(cell).get("match")).items()}
        hardware, variant, quant = (match.get(key, "") for key in ("hw", "variant", "quant"))
        name = names.get(f"{hardware}|{variant}|{quant}") or names.get(f"{variant}|{quant}")
        words = " ".join(str(flag) for flag in _list(_dict(cell).get("flags"))).split()
        args = read_launch_args([w.replace("{{MODEL_NAME}}", str(name or "$")) for w in words])
        yield args, _place(file, _dict(cell).get(LINE, 1), hardware, quant)


def _dict(value: object) -> dict[Any, Any]:
    return cast("dict[Any, Any]", value) if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else []
