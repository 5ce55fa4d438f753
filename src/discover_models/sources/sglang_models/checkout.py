"""Reading SGLang's Python files: parsed once, found by dotted module name, never imported."""

import ast
import os
from dataclasses import dataclass
from pathlib import Path

from discover_models.domain.evidence import Evidence
from discover_models.errors import SourceError
from discover_models.sources.python_source import parse_inside

PACKAGE_ROOT = "python"


@dataclass(frozen=True, eq=False)
class SourceFile:
    """One parsed module."""

    dotted: str
    """Module name, for example ``sglang.srt.models.llama``."""
    path: str
    """Path inside the checkout, with forward slashes."""
    tree: ast.Module
    is_package: bool


class SglangSource:
    """An SGLang checkout whose modules are parsed on first use.

    `root` is the repository's folder (the one that holds ``python/sglang``) and `commit` its full
    commit id, None when it is no git repository. Only files are read; nothing is executed.
    """

    def __init__(self, root: Path, commit: str | None = None) -> None:
        self.root = root
        self.commit = commit
        self._files: dict[str, SourceFile | None] = {}
        if not (root / PACKAGE_ROOT / "sglang").is_dir():
            raise SourceError(f"{root} is not an SGLang checkout: python/sglang is missing.")

    def module(self, dotted: str) -> SourceFile | None:
        """The module of that name; None when there is no such file.

        Raises SourceError when the file is there and can't be read or parsed.
        """
        if dotted not in self._files:
            self._files[dotted] = self._load(dotted)
        return self._files[dotted]

    def modules_in(self, package: str) -> tuple[str, ...]:
        """Dotted names of the modules directly in a package, sorted; packages included."""
        folder = self.root / PACKAGE_ROOT / Path(*package.split("."))
        if not folder.is_dir():
            raise SourceError(f"The SGLang checkout has no package {package}.")
        names = {p.stem for p in folder.glob("*.py") if p.stem != "__init__"}
        names |= {p.parent.name for p in folder.glob("*/__init__.py")}
        return tuple(f"{package}.{name}" for name in sorted(names))

    def evidence(self, path: str, line: int | None, looked_for: str, note: str = "") -> Evidence:
        """Evidence at a line of this checkout."""
        return Evidence(
            repository="sglang",
            commit=self.commit,
            path=path,
            line=line,
            looked_for=looked_for,
            note=note,
        )

    def _load(self, dotted: str) -> SourceFile | None:
        base = PACKAGE_ROOT + "/" + dotted.replace(".", "/")
        for path, is_package in ((f"{base}.py", False), (f"{base}/__init__.py", True)):
            if os.path.isfile(self.root / path):  # also for a name that no file can have
                tree = parse_inside(self.root, path, f"SGLang's {path}")
                return SourceFile(dotted, path, tree, is_package)
        return None
