"""Which FlashInfer APIs SGLang's own code imports and uses, and where.

The index is built in one pass over a checkout: every file's bytes are read, the few that import
from FlashInfer or from SGLang's kernel package are parsed, then those that import what these
re-export. Nothing is ever imported or run.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from discover_models.domain.depth import Depth, Question
from discover_models.domain.evidence import Evidence
from discover_models.domain.kernel import CallLookup
from discover_models.errors import SourceError
from discover_models.sources.files import read_regular
from discover_models.sources.kept_facts import KeptFacts
from discover_models.sources.python_keywords import OPEN, keywords_by_line
from discover_models.sources.python_names import last_name
from discover_models.sources.python_source import parse_file, parse_python
from discover_models.sources.python_uses import KINDS, Use
from discover_models.sources.sglang_depth import Depths, Used
from discover_models.sources.sglang_files import KERNEL, PACKAGE
from discover_models.sources.sglang_pin import pinned_flashinfer
from discover_models.sources.sglang_scan import Hop, Reading, Resolver, read_checkout
from discover_models.sources.sglang_ways import Place, Ways

_PLACES = 3
"""How many places a note names."""


@dataclass(frozen=True, slots=True)
class Found:
    """One use in SGLang of one name outside it."""

    path: str
    use: Use
    hops: tuple[Hop, ...]

    @property
    def rank(self) -> tuple[int, int, str, int]:
        """Calls before other uses, direct ones before those through other files."""
        return (KINDS.index(self.use.kind), len(self.hops), self.path, self.use.line)

    @property
    def forwarding(self) -> tuple[Hop, ...]:
        return tuple(hop for hop in self.hops if hop.forwards)


class SglangIndex:
    """Every use of FlashInfer in one checkout of SGLang."""

    def __init__(self, reading: Reading, checkout: Path, commit: str | None) -> None:
        """`commit` is the full id of what `checkout` holds, for the evidence."""
        self._reading = reading
        self._checkout = checkout
        self._commit = commit
        self._resolver = Resolver([*reading.facts, *(reading.kernel or ())])
        self._uses: dict[str, list[Found]] = {}
        self._calls_of: dict[str, dict[int, list[frozenset[str]]]] = {}
        for file in reading.facts:
            for use in file.uses:
                self._add(file.path, use)

    @classmethod
    def open(cls, checkout: Path, commit: str | None, kept: KeptFacts | None = None) -> SglangIndex:
        """Read a checkout, except the files that `kept` knows.

        Raises:
            SourceError: `checkout` has no SGLang package.
        """
        return cls(read_checkout(checkout, kept), checkout, commit)

    @property
    def version(self) -> str | None:
        """The release that the checkout says it is; None where only git knows."""
        for name in ("_version.py", "version.py"):
            path = self._checkout / PACKAGE / name
            version = _version(path) if path.is_file() else None
            if version:
                return version
        return None

    def used_names(self) -> tuple[str, ...]:
        """Every dotted name of FlashInfer that is used somewhere."""
        return tuple(sorted(name for name in self._uses if name.startswith("flashinfer.")))

    def calls(
        self, api: str, aliases: Iterable[str] = (), *, passes: str = "", omits: str = ""
    ) -> CallLookup:
        """Whether SGLang uses `api`, a public dotted FlashInfer name.

        Of its calls only those count that pass the argument `passes`, or any by ``**``, and not
        the argument `omits`.

        `aliases` are other names of the same object; the name at FlashInfer's top level is
        always one of them. Evidence comes in pairs, the import and the use, best first.

        Raises:
            SourceError: no use was found, but not everything that could hold one was readable.
        """
        names = _all_names(api, aliases)
        found = self._found(api, aliases, passes, omits)
        if found:
            return self._used(api, found)
        self._refuse_if_undecided(api, {_short(name) for name in names})
        return self._unused(api, names)

    def depth(self, question: Question) -> Depth:
        """How SGLang comes to a kernel, where in the model's own file, and what else serves it."""
        uses: list[Used] = []
        for api, *aliases in question.apis:
            for found in self._found(api, aliases, question.passes, question.omits):
                hop = next(iter(found.forwarding), None)
                through = f"{hop.forwards}{_when(hop.condition)}" if hop else ""
                place = Place(found.path, found.use.line, found.use.text)
                use = found.use
                uses.append(Used(api, found.path, use.owner, use.condition, place, through))
        shorts = {_short(names[0]) for names in question.apis}
        kernel = [Place(f.path, f.use.line, f.use.text) for f in self._from_kernel(shorts)]
        return self._depths.of(question, uses, kernel)

    def pinned(self) -> Evidence | None:
        """The line that asks for a version of FlashInfer, which its note names; None without."""
        return pinned_flashinfer(self._checkout, self._commit)

    @cached_property
    def _depths(self) -> Depths:
        return Depths(Ways(self._checkout), self._commit)

    def linear_layer(self) -> CallLookup:
        """SGLang's own linear layers and the PyTorch call that they end in.

        Raises:
            SourceError: the layers are not in the checkout or can't be parsed.
        """
        path = f"{PACKAGE}/srt/layers/linear.py"
        layers = self._lines(path, _is_linear_class, "linear layer")
        if not layers:
            raise SourceError(f"{path} defines no linear layer.")
        methods = [f"{PACKAGE}/srt/layers/quantization/unquant.py", path]
        there = [m for m in methods if (self._checkout / m).is_file()]
        calls = [e for m in there for e in self._lines(m, _is_linear_call, "its unquantized GEMM")]
        return CallLookup(api="torch.nn.functional.linear", used=True, evidence=(*layers, *calls))

    def _add(self, path: str, use: Use) -> None:
        for target, hops in self._resolver.resolve(use.target):
            for name in _names_used(target):
                self._uses.setdefault(name, []).append(Found(path, use, hops))

    # Used --------------------------------------------------------------------------------------

    def _used(self, api: str, found: Sequence[Found]) -> CallLookup:
        evidence = dict.fromkeys(e for f in found for e in self._evidence(f))
        return CallLookup(
            api=api, used=True, evidence=tuple(evidence), notes=tuple(_use_notes(found))
        )

    def _found(self, api: str, aliases: Iterable[str], passes: str, omits: str) -> list[Found]:
        names = _all_names(api, aliases)
        unsorted = dict.fromkeys(f for name in names for f in self._uses.get(name, ()))
        fitting = (f for f in unsorted if self._fits(f, passes, omits))
        return sorted(fitting, key=lambda f: f.rank)

    def _fits(self, found: Found, passes: str, omits: str) -> bool:
        """Whether a use can be of the kernel that the arguments make; open where none show."""
        if not (passes or omits):
            return True
        given = [names for names in self._keywords(found.path, found.use.line) if names]
        if not given:
            return found.use.kind == "called" and not passes
        return any(
            (not passes or passes in names or OPEN in names) and omits not in names
            for names in given
        )

    def _keywords(self, path: str, line: int) -> list[frozenset[str]]:
        """The keywords of each call of a name on that line."""
        if path not in self._calls_of:
            try:
                tree = parse_file(self._checkout / path, path)
            except SourceError:
                tree = ast.Module([], [])
            self._calls_of[path] = keywords_by_line(tree)
        return self._calls_of[path].get(line, [])

    def _evidence(self, found: Found) -> Iterator[Evidence]:
        use = found.use
        yield self._line(found.path, use.import_line, use.import_text, "import")
        yield self._line(found.path, use.line, use.text, use.kind + _when(use.condition))
        for hop in found.hops:
            what = f"{hop.forwards} uses FlashInfer" if hop.forwards else "re-export"
            yield self._line(hop.path, hop.line, hop.text, what + _when(hop.condition))

    def _line(self, path: str, line: int, text: str, note: str) -> Evidence:
        return Evidence(
            repository="sglang",
            commit=self._commit,
            path=path,
            line=line,
            looked_for=text,
            note=note,
        )

    # Not used, or not known --------------------------------------------------------------------

    def _unused(self, api: str, names: Sequence[str]) -> CallLookup:
        evidence = Evidence(
            repository="sglang",
            commit=self._commit,
            path=PACKAGE,
            looked_for=f"import and use of {' or '.join(names)}",
            found=False,
            note=f"{self._reading.searched} files read (no tests, benchmarks, diffusion), "
            f"{len(self._reading.facts)} of them parsed",
        )
        short = _short(api)
        instead = self._from_kernel({short})[:_PLACES]
        lines = (
            self._line(f.path, f.use.line, f.use.text, "does not forward to FlashInfer")
            for f in instead
        )
        note = f"SGLang uses {KERNEL}.{short}, which does not forward to FlashInfer"
        return CallLookup(
            api=api,
            used=False,
            evidence=(evidence, *lines),
            notes=(note,) if instead else (),
        )

    def _from_kernel(self, shorts: set[str]) -> list[Found]:
        """Uses of functions of the kernel package that have one of these names."""
        named = [n for n in self._uses if n.startswith(f"{KERNEL}.") and _short(n) in shorts]
        direct = {f for n in named for f in self._uses[n] if not f.forwarding}
        return sorted(direct, key=lambda f: f.rank)

    def _refuse_if_undecided(self, api: str, shorts: set[str]) -> None:
        reading = self._reading
        if reading.unreadable:
            raise SourceError(f"{reading.unreadable[0]} can't be read, so it may use {api}.")
        for file in reading.facts:
            if shorts & file.words:
                raise SourceError(
                    f"{file.path} mentions {_short(api)} but can't be parsed ({file.error}), "
                    f"so whether it uses {api} is not known."
                )
        for found in self._from_kernel(shorts):
            self._refuse_unknown_kernel(api, found)

    def _refuse_unknown_kernel(self, api: str, found: Found) -> None:
        named = found.use.target
        where = f"SGLang takes {_short(api)} from its kernel package ({found.path})"
        if self._reading.kernel is None:
            raise SourceError(
                f"{where}, whose source is not in the checkout: whether it forwards to {api} "
                "is not known."
            )
        broken = [f for f in self._reading.kernel if f.error and _may_define(f.words, named)]
        if broken or not self._resolver.knows(named):
            reason = f"{broken[0].path} can't be parsed" if broken else "its source lacks it"
            raise SourceError(f"{where}, but {reason}: whether it forwards to {api} is not known.")

    # Lines of single files ---------------------------------------------------------------------

    def _lines(self, path: str, wanted: Callable[[ast.AST], bool], note: str) -> list[Evidence]:
        source = read_regular(self._checkout / path, path)
        nodes = ast.walk(parse_python(source, path))
        lines = source.splitlines()
        numbers = sorted({getattr(n, "lineno", 0) for n in nodes if wanted(n)})
        texts = [(n, lines[n - 1].decode("utf-8", "replace").strip()) for n in numbers]
        return [self._line(path, n, text, note) for n, text in texts]


def _use_notes(found: Sequence[Found]) -> Iterator[str]:
    """What is to be said of uses; lines are in the evidence, for a moved one is no news."""
    best = found[0]
    if best.use.kind not in ("called", "decorator"):
        yield f"{best.use.kind} in {best.path}, not called by name there"
    if all(f.forwarding for f in found):
        hops = dict.fromkeys(hop for f in found for hop in f.forwarding)
        for hop in hops:
            when = f" when {hop.condition}" if hop.condition else ""
            yield f"through {hop.forwards}, which forwards to FlashInfer{when}"


def _names_used(target: str) -> Iterator[str]:
    """The APIs that a use of `target` uses: itself, and the classes whose member it is.

    A function that a module of the same name holds counts for the module's name as well.
    """
    yield target
    owner = target.rpartition(".")[0]
    while owner:
        if _short(owner)[:1].isupper() or _short(owner) == _short(target):
            yield owner
        owner = owner.rpartition(".")[0]


def _all_names(api: str, aliases: Iterable[str]) -> list[str]:
    """The names of an API; the one at FlashInfer's top level is always one of them."""
    return list(dict.fromkeys([api, *aliases, f"flashinfer.{_short(api)}"]))


def _short(name: str) -> str:
    return name.rpartition(".")[2]


def _when(condition: str) -> str:
    return f" if {condition}" if condition else ""


def _may_define(words: frozenset[str], name: str) -> bool:
    return not words or _short(name) in words


def _version(path: Path) -> str | None:
    """The constant that ``__version__`` is set to at the top of a module."""
    try:
        body = parse_file(path).body
    except SourceError:
        return None
    for node in body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
            names = [last_name(target) for target in node.targets]
            if "__version__" in names:
                return str(node.value.value)
    return None


def _is_linear_class(node: ast.AST) -> bool:
    return isinstance(node, ast.ClassDef) and ("Linear" in node.name)


def _is_linear_call(node: ast.AST) -> bool:
    """``F.linear(…)``."""
    return isinstance(node, ast.Call) and ast.unparse(node.func) in (
        "F.linear",
        "torch.nn.functional.linear",
    )
