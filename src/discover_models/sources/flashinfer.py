"""Index of FlashInfer's public API, built with `ast` from a checkout and never by importing it.

What counts as support: a function or class that can be reached as ``flashinfer.<modules>.<name>``
with no part that starts with an underscore, however it is re-exported. What does not: mentions in
comments, templates and tests, helpers without such a name, vendored and test code inside the
package, and anything that FlashInfer itself marks experimental.

`trace=` is read from the `@flashinfer_api` on that very API (for a class: on its `run`). Where it
names a function that picks a template by the arguments of the call, `template_hint` (the routing
of a mixture of experts, as the dataset spells it) decides with the templates that the function can
pick: each is for one routing, and the end of its `name_prefix` says for which. Templates that are
not split by routing cover every routing.
"""

import ast
import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path

from discover_models.domain.depth import Release, ShapePath
from discover_models.domain.evidence import Evidence
from discover_models.domain.kernel import ApiLookup
from discover_models.errors import SourceError
from discover_models.sources.api_uses import ApiUses
from discover_models.sources.files import read_inside, read_or_nothing
from discover_models.sources.flashinfer_files import PACKAGES, TEST_FOLDERS, limit_files
from discover_models.sources.flashinfer_releases import Releases
from discover_models.sources.public_api import (
    Absent,
    Definition,
    Hop,
    PublicApi,
)
from discover_models.sources.python_module import (
    Class,
    Function,
    Import,
    Module,
    Value,
    imported_names,
)
from discover_models.sources.python_source import parse_file
from discover_models.sources.trace_templates import Template, TraceTemplates

_NOT_API = ("experimental", "data", "testing", "trace")
"""Parts of the package that offer no supported API: what FlashInfer calls experimental, vendored
sources, helpers for its tests, templates."""
_STABLE = "flashinfer_api"
_EXPERIMENTAL = "flashinfer_experimental_api"
_MARKED = re.compile(
    rf"^[ \t]*@{_STABLE}\b.*?^[ \t]*(?:async )?def (\w+)", re.MULTILINE | re.DOTALL
)
"""A function or method with that decorator, whatever other decorators stand between."""
_REQUIREMENT = "backend_requirement"
_CAPABILITY = "supported_compute_capability"
_LONGEST_VERSION = 100
"""Characters; one with a commit and a date has some forty."""
_RUN_METHODS = ("run", "forward", "__call__")
"""What is called on a class, in this order; `plan` is not the kernel."""


class FlashInferIndex:
    """Answers whether FlashInfer has an API, with evidence; files are read when needed."""

    def __init__(self, checkout: Path, root: Path, commit: str | None) -> None:
        self._checkout = checkout
        self._commit = commit
        self._api = PublicApi(checkout, root)
        self._templates = TraceTemplates(self._api)
        folders = tuple(f for name in TEST_FOLDERS if (f := checkout / name).is_dir())
        self._uses = ApiUses(checkout, folders, self._api.name)
        self._keys: dict[str, tuple[str, int] | None] = {}
        self._texts: dict[str, str | None] = {}
        self._trees: dict[Path, ast.Module] = {}
        self._releases = Releases(checkout)
        self._tested: dict[tuple[str, str, int], tuple[Evidence, ...]] = {}

    @classmethod
    def open(cls, checkout: Path, commit: str | None) -> "FlashInferIndex":
        """The index of a checkout; raises `SourceError` when it has no package."""
        for name in PACKAGES:
            root = checkout / name
            if (root / "__init__.py").is_file():
                return cls(checkout, root, commit)
        raise SourceError(
            f"{checkout} has no FlashInfer package: neither {' nor '.join(PACKAGES)} is there"
        )

    @property
    def version(self) -> str | None:
        """The version that the checkout states; None when it states none."""
        return self._version

    @cached_property
    def _version(self) -> str | None:
        meta = (self._api.root / "_build_meta.py").relative_to(self._checkout).as_posix()
        stated = (
            (self._text("version.txt") or "").strip().partition("\n")[0]
            or _stated(self._text(meta) or "", r'^__version__ = "([^"]+)"')
            or _project_version(self._text("pyproject.toml") or "")
            or _project_version(self._text("python/pyproject.toml") or "")
        )
        return stated if stated and len(stated) <= _LONGEST_VERSION else None

    def find(self, api: str, *, template_hint: str | None = None) -> ApiLookup:
        """Whether the package has `api`, for example ``flashinfer.norm.rmsnorm``.

        Raises `SourceError` when that rests on a file that is missing or can't be parsed.
        """
        refusal = self._refused_name(api)
        if refusal:
            return self._absent(api, refusal, ())
        resolved = self._api.resolve(api)
        if isinstance(resolved, Absent):
            return self._absent(api, resolved.reason, resolved.looked_at)
        called = self._called(resolved)
        experimental = self._experimental(resolved) or self._experimental(called)
        if experimental is not None:
            return self._absent_experimental(api, experimental)
        return self._present(api, resolved, called, template_hint)

    def aliases(self, api: str, names: Iterable[str]) -> tuple[str, ...]:
        """Those of the dotted names that mean the same object as `api`, without itself."""
        key = self._key(api)
        if key is None:
            return ()
        return tuple(name for name in names if name != api and self._key(name) == key)

    def member(self, name: str) -> Evidence | None:
        """The line of an enumeration's member, for example
        ``flashinfer.fused_moe.RoutingMethodType.Llama4``, or that it has none.

        None when the enumeration is not there: then nothing can be said of its members.
        """
        enum, _, member = name.rpartition(".")
        resolved = self._resolved(enum)
        node = self._syntax(resolved) if resolved is not None else None
        if resolved is None or not isinstance(node, ast.ClassDef):
            return None
        lines = {target: s.lineno for s in node.body for target in _assigned(s)}
        line = lines.get(member)
        path = resolved.module.path
        return self._evidence(path, line or node.lineno, name, found=line is not None)

    def parameter(self, api: str, name: str) -> Evidence | None:
        """The line of a parameter of an API, for a class of its `run` or `plan`, or that it has
        none. None where the API is not there or takes any."""
        resolved = self._resolved(api)
        if resolved is None:
            return None
        called = [self._called(resolved)]
        if isinstance(resolved.binding, Class):
            plan = self._api.method(resolved, "plan")
            called += [plan] if plan is not None else []
        lines: list[tuple[Path, int, bool]] = []
        for definition in called:
            node = self._syntax(definition)
            if not isinstance(node, ast.FunctionDef) or node.args.kwarg:
                return None
            arguments = (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)
            line = next((a.lineno for a in arguments if a.arg == name), None)
            place = definition.module.path, line or node.lineno, line is not None
            lines.append(place)
        path, line, found = max(lines, key=lambda place: place[2])
        return self._evidence(path, line, f"parameter {name} of {api}", found=found)

    def backends(self, api: str) -> tuple[ShapePath, ...]:
        """The API's backends with the GPU generations that its own requirement check names.

        From ``@backend_requirement({name: check, …})`` and the
        ``@supported_compute_capability([…])`` of each check, or of the API itself.
        """
        resolved = self._resolved(api)
        called = self._called(resolved) if resolved is not None else None
        node = self._syntax(called) if called is not None else None
        if called is None or not isinstance(node, ast.FunctionDef):
            return ()
        checks = {
            f.name: f
            for f in self._trees[called.module.path].body
            if isinstance(f, ast.FunctionDef)
        }
        found: list[ShapePath] = []
        for decorator in node.decorator_list:
            if isinstance(decorator, ast.Call) and _name(decorator.func) == _REQUIREMENT:
                for table in decorator.args[:1]:
                    found += self._checked(called.module.path, table, checks)
        return tuple(found)

    def release(self, api: str, pinned: str) -> Release:
        """Which FlashInfer has an API that the checkout has; `pinned`: the version asked for."""
        version = self.version or ""
        same = bool(pinned) and version == pinned
        return Release(
            checkout=version,
            since=self._releases.since(api),
            unreleased=self._releases.unreleased(api),
            pinned=pinned,
            in_pinned=True if same else self._releases.defines(pinned, api) if pinned else None,
        )

    def _checked(
        self, path: Path, table: ast.expr, checks: Mapping[str, ast.FunctionDef]
    ) -> Iterator[ShapePath]:
        if not isinstance(table, ast.Dict):
            return
        for key, value in zip(table.keys, table.values, strict=True):
            check = checks.get(_name(value))
            if not isinstance(key, ast.Constant) or check is None:
                continue
            gpus = [(d.lineno, g) for d in check.decorator_list for g in _capabilities(d)]
            if gpus:
                yield ShapePath(
                    name=f"backend {key.value}",
                    verdict="not checked",
                    gpus=tuple(f"SM{gpu}" for _, gpu in gpus),
                    evidence=(self._evidence(path, gpus[0][0], f"@{_CAPABILITY}"),),
                )

    def cites(self, path: str, text: str) -> Evidence | None:
        """The first line of a file that contains `text`, for example of a header with a limit.

        Code moves between releases: where the file does not have it, a file of the same name that
        does counts, or else the only one that does (`flashinfer_files.limit_files`). None when it
        is nowhere and the file is not in the checkout: then nothing can be said of the limit.
        """
        known = self._text(path)
        at = path if known is not None and text in known else self._moved(path, text)
        if at is None:
            absent = self._evidence(self._checkout / path, None, text, found=False)
            return absent if known is not None else None
        lines = (self._text(at) or "").splitlines()
        line = next((n for n, each in enumerate(lines, 1) if text in each), None)
        return self._evidence(self._checkout / at, line, text, found=line is not None)

    def _moved(self, path: str, text: str) -> str | None:
        """The one other file of that kind that contains the text; None where that is open."""
        sought = text.encode()
        found = [
            each
            for each in limit_files(self._checkout, path)
            if each != path and sought in read_or_nothing(self._checkout, each)
        ]
        named = [each for each in found if Path(each).name == Path(path).name]
        candidates = named or found
        return candidates[0] if len(candidates) == 1 else None

    def matches(self, path: str, pattern: str) -> tuple[str, ...]:
        """What the pattern's group captures in a file; nothing when the file is not there."""
        return tuple(match[1] for match in re.finditer(pattern, self._text(path) or ""))

    def named(self, word: str) -> tuple[Evidence, ...]:
        """Where a supported API with `word` in its name is defined; one line of "none" otherwise.

        Any file of the package counts, exported or not: this looks for what may be a kernel that
        nobody here knows yet.
        """
        found = tuple(
            self._evidence(path, line, name) for path, line, name in self._apis if word in name
        )
        if found:
            return found
        looked_for = f"an API whose name contains {word}"
        return (self._evidence(self._api.root, None, looked_for, found=False),)

    @cached_property
    def _apis(self) -> tuple[tuple[Path, int, str], ...]:
        """File, line and name of everything that carries the decorator of supported APIs."""
        found: list[tuple[Path, int, str]] = []
        for path in sorted(self._api.root.rglob("*.py")):
            if path.relative_to(self._api.root).parts[0] in _NOT_API:
                continue
            name = path.relative_to(self._checkout).as_posix()
            text = read_or_nothing(self._checkout, name).decode("utf-8", errors="replace")
            for mark in _MARKED.finditer(text):
                line = text.count("\n", 0, mark.start(1)) + 1
                found.append((path, line, mark[1]))
        return tuple(found)

    def _text(self, path: str) -> str | None:
        if path not in self._texts:
            try:
                content = read_inside(self._checkout, path)
                self._texts[path] = content.decode("utf-8", errors="replace")
            except SourceError:
                self._texts[path] = None
        return self._texts[path]

    def _refused_name(self, api: str) -> str:
        parts = api.split(".")
        if parts[0] != self._api.name or len(parts) < 2:
            return f"it is not a name of {self._api.name}"
        if any(part.startswith("_") for part in parts):
            return "a part of the name starts with an underscore, so it is not public"
        if parts[1] in _NOT_API:
            return f"{parts[0]}.{parts[1]} is not part of the supported API"
        return ""

    def _called(self, definition: Definition) -> Definition:
        """What runs when the API is used: the function, or the class's decorated method."""
        if not isinstance(definition.binding, Class):
            return definition
        for name in _RUN_METHODS:
            method = self._api.method(definition, name)
            if method is not None:
                return method
        return definition

    def _present(
        self, api: str, definition: Definition, called: Definition, hint: str | None
    ) -> ApiLookup:
        template, trace, traced_by = self._traced(called, hint)
        evidence = [self._at(definition, f"{_kind(definition)} {api}")]
        if called is not definition:
            evidence.append(self._at(called, f"{_kind(called)} {api}.{called.binding.name}"))
        evidence.extend(traced_by)
        evidence.extend(self._hop(h) for h in (*definition.hops, *_own_hops(called, definition)))
        return ApiLookup(
            api=api,
            found=True,
            evidence=tuple(dict.fromkeys(evidence)),
            trace_template=template,
            trace=trace,
            tests=self._tests(api, definition),
        )

    def _traced(
        self, called: Definition, hint: str | None
    ) -> tuple[bool, str, tuple[Evidence, ...]]:
        """Whether there is a template, what `trace=` says, and the lines that say so."""
        marks = tuple(self._marks(called))
        evidence = tuple(
            self._evidence(module.path, node.lineno, f"@{ast.unparse(node)}")
            for module, node in marks
        )
        traces = [(module, expr) for module, node in marks for expr in _traces(node)]
        text = ", ".join(ast.unparse(expr) for _, expr in traces)
        if not traces or hint is None:
            return bool(traces), text, evidence
        templates = [t for module, expr in traces for t in self._templates.behind(module, expr)]
        fitting = _fitting(templates, hint)
        names = ", ".join(template.name for template in fitting)
        shown = tuple(
            self._evidence(t.path, t.line, f"template {t.name} for {hint}") for t in fitting
        )
        if fitting:
            return True, f"{text}: {names}" if names != text else text, (*evidence, *shown)
        searched = self._evidence(
            self._api.root / "trace", None, f"a template for {hint} behind {text}", found=False
        )
        return False, text, (*evidence, searched)

    def _marks(self, called: Definition) -> Iterator[tuple[Module, ast.expr]]:
        """Every `flashinfer_api` on the definition or around it, with its module."""
        for wrapped in called.wrappers:
            if self._decorator(wrapped.module, wrapped.call.func) == _STABLE:
                yield wrapped.module, wrapped.call.func
        if isinstance(called.binding, Function):
            for node in called.binding.decorators:
                if self._decorator(called.module, node) == _STABLE:
                    yield called.module, node

    def _decorator(self, module: Module, node: ast.expr) -> str:
        """The original name of a decorator, aliases followed within the module."""
        while isinstance(node, ast.Call):
            node = node.func
        if isinstance(node, ast.Attribute):
            return node.attr
        if not isinstance(node, ast.Name):
            return ""
        for binding in module.by_name.get(node.id, ()):
            match binding:
                case Import(attribute=str() as original):
                    return original
                case Value(expression=ast.Name(id=other)) if other != node.id:
                    return self._decorator(module, ast.Name(other))
                case _:
                    continue
        return node.id

    def _experimental(self, definition: Definition) -> Evidence | None:
        """The line that makes a definition experimental; None when it is stable."""
        if definition.module.name.startswith(f"{self._api.name}.experimental"):
            return self._at(definition, "a definition in flashinfer.experimental")
        nodes = [(w.module, w.call.func) for w in definition.wrappers]
        if isinstance(definition.binding, Function):
            nodes += [(definition.module, d) for d in definition.binding.decorators]
        for module, node in nodes:
            if self._decorator(module, node) == _EXPERIMENTAL:
                return self._evidence(module.path, node.lineno, f"@{ast.unparse(node)}")
        return self._forwards(definition)

    def _forwards(self, definition: Definition) -> Evidence | None:
        """An unmarked function that only hands its call on to `flashinfer.experimental`."""
        if not isinstance(definition.binding, Function) or any(self._marks(definition)):
            return None
        if definition.owner is not None:
            return None
        node = self._syntax(definition)
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            return None
        line = _experimental_return(node, definition.module, self._api.name)
        if line is None:
            return None
        return self._evidence(definition.module.path, line, "a call into flashinfer.experimental")

    def _resolved(self, dotted: str) -> Definition | None:
        try:
            found = self._api.resolve(dotted)
        except SourceError:
            return None
        return found if isinstance(found, Definition) else None

    def _syntax(self, definition: Definition) -> ast.stmt | None:
        """The statement that defines a function or class."""
        path = definition.module.path
        if path not in self._trees:
            self._trees[path] = parse_file(path)
        return next(
            (
                n
                for n in ast.walk(self._trees[path])
                if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
                and n.lineno == definition.binding.line
            ),
            None,
        )

    def _tests(self, api: str, definition: Definition) -> tuple[Evidence, ...]:
        key = (api.rpartition(".")[2], *definition.key)
        if key not in self._tested:
            self._tested[key] = tuple(self._test_uses(api, definition))
        return self._tested[key]

    def _test_uses(self, api: str, definition: Definition) -> Iterator[Evidence]:
        names = frozenset({api.rpartition(".")[2], definition.binding.name})
        seen: set[Path] = set()
        for path, use in self._uses.of_names(names):
            if path not in seen and self._reaches(use.dotted, definition):
                seen.add(path)
                yield self._evidence(path, use.line, use.dotted)

    def _reaches(self, dotted: str, definition: Definition) -> bool:
        """Whether a name in a test, or the class before its method, is this definition."""
        parts = dotted.split(".")
        sizes = range(len(parts), 1, -1)
        return any(self._key(".".join(parts[:n])) == definition.key for n in sizes)

    def _key(self, dotted: str) -> tuple[str, int] | None:
        if dotted not in self._keys:
            try:
                found = self._api.resolve(dotted)
                self._keys[dotted] = found.key if isinstance(found, Definition) else None
            except SourceError:
                self._keys[dotted] = None
        return self._keys[dotted]

    def _absent(self, api: str, reason: str, looked_at: tuple[Path, ...]) -> ApiLookup:
        files = ", ".join(self._relative(path) for path in looked_at)
        note = f"{reason}; looked at {files}" if files else reason
        evidence = self._evidence(self._api.root, None, api, found=False)
        return ApiLookup(
            api=api, found=False, evidence=(evidence.model_copy(update={"note": note}),)
        )

    def _absent_experimental(self, api: str, why: Evidence) -> ApiLookup:
        note = "FlashInfer marks it experimental, which is not support"
        evidence = self._evidence(self._api.root, None, f"stable {api}", found=False)
        return ApiLookup(
            api=api,
            found=False,
            evidence=(evidence.model_copy(update={"note": note}), why),
        )

    def _at(self, definition: Definition, what: str) -> Evidence:
        return self._evidence(definition.module.path, definition.binding.line, what)

    def _hop(self, hop: Hop) -> Evidence:
        return self._evidence(hop.module.path, hop.line, hop.text)

    def _evidence(
        self, path: Path, line: int | None, looked_for: str, *, found: bool = True
    ) -> Evidence:
        return Evidence(
            repository="flashinfer",
            commit=self._commit,
            path=self._relative(path),
            line=line,
            looked_for=looked_for,
            found=found,
        )

    def _relative(self, path: Path) -> str:
        return path.relative_to(self._checkout).as_posix()


def _kind(definition: Definition) -> str:
    match definition.binding:
        case Class():
            return "class"
        case Function():
            return "def"
        case Value():
            return "value"


def _own_hops(called: Definition, definition: Definition) -> tuple[Hop, ...]:
    return called.hops if called is not definition else ()


def _traces(node: ast.expr) -> Iterator[ast.expr]:
    """The value of `trace=` in ``flashinfer_api(trace=...)``."""
    if isinstance(node, ast.Call):
        for keyword in node.keywords:
            nothing = isinstance(keyword.value, ast.Constant) and keyword.value.value is None
            if keyword.arg == "trace" and not nothing:
                yield keyword.value


def _fitting(templates: list[Template], routing: str) -> list[Template]:
    if not any(template.is_for_one_routing for template in templates):
        return templates
    return [template for template in templates if template.covers(routing)]


def _experimental_return(
    node: ast.FunctionDef | ast.AsyncFunctionDef, module: Module, package: str
) -> int | None:
    """The first line that returns an experimental call, if every `return` does."""
    experimental = {
        binding.name
        for binding in _all_imports(node, module)
        if binding.module.startswith(f"{package}.experimental")
    }
    returned = [n for n in ast.walk(node) if isinstance(n, ast.Return) and n.value is not None]
    if not returned or not all(_calls_one_of(n.value, experimental) for n in returned):
        return None
    return returned[0].lineno


def _all_imports(node: ast.FunctionDef | ast.AsyncFunctionDef, module: Module) -> Iterator[Import]:
    package = module.name if module.is_package else module.name.rpartition(".")[0]
    for binding in module.bindings:
        if isinstance(binding, Import):
            yield binding
    for child in ast.walk(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            for bound in imported_names(child, package):
                yield Import(
                    name=bound.name,
                    line=child.lineno,
                    module=bound.module,
                    attribute=bound.attribute,
                )


def _capabilities(decorator: ast.expr) -> Iterator[int]:
    """The numbers in ``supported_compute_capability([90, 100])``."""
    if isinstance(decorator, ast.Call) and _name(decorator.func) == _CAPABILITY:
        for node in ast.walk(decorator):
            if isinstance(node, ast.Constant) and isinstance(node.value, int):
                yield node.value


def _name(node: ast.expr) -> str:
    if isinstance(node, ast.Name):
        return node.id
    return node.attr if isinstance(node, ast.Attribute) else ""


def _assigned(statement: ast.stmt) -> Iterator[str]:
    match statement:
        case ast.Assign(targets=targets):
            yield from (t.id for t in targets if isinstance(t, ast.Name))
        case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr()):
            yield name
        case _:
            return


def _calls_one_of(node: ast.expr | None, names: set[str]) -> bool:
    if not isinstance(node, ast.Call):
        return False
    called = node.func
    while isinstance(called, ast.Attribute | ast.Call):
        called = called.value if isinstance(called, ast.Attribute) else called.func
    return isinstance(called, ast.Name) and called.id in names


def _stated(text: str, pattern: str) -> str | None:
    found = re.search(pattern, text, re.MULTILINE)
    return found.group(1) if found else None


def _project_version(text: str) -> str | None:
    """`[project] version`; None where it is dynamic or the file can't be read."""
    try:
        project = tomllib.loads(text).get("project", {})
    except (ValueError, RecursionError):
        return None
    version = project.get("version")
    return version if isinstance(version, str) else None
