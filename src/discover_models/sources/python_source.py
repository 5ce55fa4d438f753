"""Parsing the Python of other projects; the one place that does."""

from __future__ import annotations

import ast
import warnings
from pathlib import Path

from discover_models.errors import SourceError
from discover_models.sources.files import read_inside, read_regular


def parse_file(path: Path, name: str = "") -> ast.Module:
    """The syntax tree of a file; `SourceError` when it can't be read or parsed.

    `name` is what people know it by; the path when it is empty.
    """
    content = read_regular(path, name or str(path))
    return parse_python(content, name or str(path))


def parse_inside(root: Path, relative: str, name: str) -> ast.Module:
    """Likewise of a file below `root`, also `SourceError` when links lead out of it."""
    return parse_python(read_inside(root, relative), name)


def parse_python(source: bytes | str, name: str) -> ast.Module:
    """The syntax tree; `SourceError` when it is no Python that this version can parse.

    Bytes honour a byte order mark or an encoding line. The parser's own stack is what a
    `MemoryError` is about: some hundred open brackets are enough for it.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about escapes in somebody else's strings
            return ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        reason = str(error)[:300] or "it is nested too deeply"
        raise SourceError(f"{name} can't be parsed: {reason}") from error
