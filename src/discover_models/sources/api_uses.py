"""Which files of a folder use which public names of a package, read with `ast`.

An import alone is no use, nor is a mention in a comment or a string.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from discover_models.errors import SourceError
from discover_models.sources.files import read_or_nothing
from discover_models.sources.public_api import dotted_name
from discover_models.sources.python_module import imported_names
from discover_models.sources.python_source import parse_python


@dataclass(frozen=True)
class Use:
    """A public dotted name as the file reaches it, and the first line that uses it."""

    dotted: str
    line: int


class ApiUses:
    """Looks through the Python files below folders of a checkout; each is parsed at most once."""

    def __init__(self, checkout: Path, folders: tuple[Path, ...], package: str) -> None:
        self._checkout = checkout
        self._folders = folders
        self._package = package
        self._texts: dict[Path, bytes] | None = None
        self._uses: dict[Path, tuple[Use, ...]] = {}

    def of_names(self, names: frozenset[str]) -> Iterator[tuple[Path, Use]]:
        """Uses of public names whose last part is one of `names`, by file."""
        for path, text in self._files().items():
            if any(_mentions(text, name) for name in names):
                for use in self._parsed(path, text):
                    if names & set(use.dotted.split(".")):
                        yield path, use

    def _files(self) -> dict[Path, bytes]:
        if self._texts is None:
            paths = sorted(p for folder in self._folders for p in folder.rglob("*.py"))
            root = self._checkout
            texts = {p: read_or_nothing(root, p.relative_to(root).as_posix()) for p in paths}
            word = self._package.encode()
            self._texts = {path: text for path, text in texts.items() if word in text}
        return self._texts

    def _parsed(self, path: Path, text: bytes) -> tuple[Use, ...]:
        if path not in self._uses:
            try:
                tree = parse_python(text, str(path))
            except SourceError:
                self._uses[path] = ()
            else:
                self._uses[path] = tuple(_uses(tree, self._package))
        return self._uses[path]


def _mentions(text: bytes, name: str) -> bool:
    """Whether a whole word of the text is the name; the plain search goes first, it is fast."""
    word = name.encode()
    return word in text and re.search(rb"\b" + re.escape(word) + rb"\b", text) is not None


def _uses(tree: ast.Module, package: str) -> Iterator[Use]:
    aliases = _aliases(tree, package)
    first: dict[str, int] = {}
    for node in _chains(tree):
        head, _, rest = dotted_name(node).partition(".")
        for origin in aliases.get(head, ()):
            dotted = f"{origin}.{rest}" if rest else origin
            first[dotted] = min(node.lineno, first.get(dotted, node.lineno))
    for dotted, line in first.items():
        yield Use(dotted, line)


def _aliases(tree: ast.Module, package: str) -> dict[str, tuple[str, ...]]:
    """Local names with what they stand for in the package, imports in functions included."""
    found: dict[str, tuple[str, ...]] = {}
    for node in _import_statements(tree):
        for bound in imported_names(node, ""):
            if bound.module.partition(".")[0] == package:
                origin = f"{bound.module}.{bound.attribute}" if bound.attribute else bound.module
                found[bound.name] = (*found.get(bound.name, ()), origin)
    return found


def _import_statements(node: ast.AST) -> Iterator[ast.Import | ast.ImportFrom]:
    """All import statements; expressions are not entered, for speed."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child
        elif isinstance(child, ast.stmt | ast.ExceptHandler):
            yield from _import_statements(child)


def _chains(node: ast.AST) -> Iterator[ast.Name | ast.Attribute]:
    """The longest `a.b.c` of every expression, and single names that are read."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Attribute) and dotted_name(child):
            yield child
        elif isinstance(child, ast.Name):
            if isinstance(child.ctx, ast.Load):
                yield child
        else:
            yield from _chains(child)
