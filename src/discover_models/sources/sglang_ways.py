"""How a line of SGLang is come to: with which launch option, on which GPUs, for which models.

Read with `ast` where SGLang itself writes it down: the registry of attention backends, the fused
functions that a runner of experts registers, tables from a name to a class, the conditions around
a use or an import, and what the resolution of the launch options sets. Nothing is imported or run.
"""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeGuard

from discover_models.errors import SourceError
from discover_models.sources.files import read_or_nothing
from discover_models.sources.python_source import parse_python
from discover_models.sources.sglang_calls import reached
from discover_models.sources.sglang_files import PACKAGE, python_files
from discover_models.sources.sglang_launch import Holds, Launch, assigned_once, expanded

_REGISTRY = f"{PACKAGE}/srt/layers/attention/attention_registry.py"
_OPTIONS = ("srt/server_args.py", "srt/arg_groups/**/*.py")
_ENVIRONMENT = f"{PACKAGE}/srt/environ.py"
_ATTENTION = "attention_backend"
_ATTENTION_LAYER = "RadixAttention"
_HOPS = 3
_IMPORTERS = 8
"""A file that more files import says nothing of how it is come to."""
_CLASSES = 200
"""Functions and classes that a model is followed through; the largest rests on some fifty."""
_ELSEWHERE = re.compile(r"hip|npu|xpu|cpu\b|mps|amx|musa|hpu|mlx|out_of_tree|is_mi\d", re.I)
"""Conditions of hardware that FlashInfer is not for."""
_OTHER_VALUES = ("aiter", "wave", "ascend", "torch_native", "flex_attention")
_MODEL = re.compile(r"'(\w+(?:For\w+|Model|LM))'")
_REGISTERED = re.compile(r"For[A-Z]\w+$|Model$|LM$")
_CLASS = re.compile(r"arch(?:itectures)?\b")
_VALUE = "_value"
"""Stands for the value of an option in a test of it."""
TRAITS = ("has_attention_sinks", "has_asymmetric_kv")
"""What SGLang's configuration of a model says of it where a backend depends on it."""
_ASKED = re.compile(r"(\w+)(?:\(\))?\.is_(\w+)\(\)")
_EQUAL = re.compile(r"(\w+) == '(\w+)'")
_AMONG = re.compile(r"(\w+) in [(\[{]([^)\]}]*)[)\]}]")
_FROM = re.compile(
    rb"\bfrom (sglang[\w.]*) import\s*(\((?:[^)#]|#[^\n]*)*\)|(?:[^\n\\]|\\\r?\n|\\)*)"
)
_COMMENT = re.compile(rb"#[^\n]*")
_IMPORTED = re.compile(rb"(?<!as )\b([A-Za-z_]\w*)")
_DEFINED = re.compile(rb"^(?:async )?(?:def|class) (\w+)", re.MULTILINE)
_NO_SERVING = ("test", "multimodal_gen", "benchmark", "lang")
"""Parts of the package that serve no language model."""
_Importer = tuple[str, str, str, tuple[str, ...]]
"""File, outermost function, name and conditions of a use of what was imported."""


@dataclass(frozen=True)
class Place:
    """One line of a file."""

    path: str
    line: int
    text: str


@dataclass(frozen=True)
class Way:
    """An option that leads to a line."""

    option: str
    """As a name of Python, ``attention_backend``."""
    value: str
    latent: bool | None
    """Whether it is for multi-head latent attention only, or for other attention only."""
    place: Place

    @property
    def flag(self) -> str:
        return flag(self.option, self.value)


@dataclass(frozen=True)
class Setting:
    """Where SGLang chooses the value of an option that nobody gave."""

    option: str
    value: str
    conditions: tuple[str, ...]
    models: tuple[str, ...]
    """Classes that it is for; empty for all."""
    general: bool
    """Whether it is what a model gets that nothing else was said of."""
    place: Place
    whatever: bool = False
    """Whether it belongs to the rule for all models, which decides in every case."""
    decided_by: tuple[str, ...] = ()
    """The conditions with what their variables stand for, and what must not come later."""

    @property
    def gpus(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(g for c in self._positive() for g in gpus_named(c)))

    @property
    def elsewhere(self) -> bool:
        """Whether it is for hardware that FlashInfer is not for."""
        asked = any(for_other_hardware(condition) for condition in self._positive())
        return asked or for_other_hardware(self.value)

    @property
    def asked(self) -> str:
        """The innermost thing that is asked for; empty where all is left over."""
        return list(self._positive())[-1] if list(self._positive()) else ""

    @property
    def latent(self) -> bool | None:
        return latent_only(self.conditions)

    @property
    def traits(self) -> frozenset[str]:
        """What a model must have for it."""
        said = " ".join(self._positive())
        return frozenset(t for t in TRAITS if re.search(rf"(?<!not )\b\w+\.{t}\b", said))

    def _positive(self) -> Iterator[str]:
        return (part for condition in self.conditions for part in asked_for(condition))


def flag(option: str, value: str) -> str:
    """``--attention-backend flashinfer``."""
    return f"--{option.replace('_', '-')} {value}"


def for_other_hardware(text: str) -> bool:
    """Whether a condition or a value is of hardware that FlashInfer is not for."""
    return _ELSEWHERE.search(text) is not None or text in _OTHER_VALUES


def gpus_named(condition: str) -> Iterator[str]:
    """The NVIDIA generations that a condition asks for."""
    if "hopper" in condition:
        yield "SM90"
    if "blackwell" in condition:
        yield "SM100"
    for number in re.findall(r"is_sm_?(\d{2,3})", condition):
        yield f"SM{number}"
    for major in re.findall(r"major\w* (?:==|>=) (\d+)", condition):
        yield f"SM{major}0"


def asked_for(condition: str) -> tuple[str, ...]:
    """What must hold for a condition; as a whole where nothing in it is negated.

    ``not (a and b)`` asks for nothing, ``not (not a or b)`` asks for ``a``.
    """
    if "not " not in condition:
        return (condition,)
    try:
        return tuple(_asked_for(ast.parse(condition, mode="eval").body, wanted=True))
    except SyntaxError:
        return ()


def _asked_for(node: ast.expr, *, wanted: bool) -> Iterator[str]:
    match node:
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            yield from _asked_for(operand, wanted=not wanted)
        case ast.BoolOp(op=op, values=values) if isinstance(op, ast.And) is wanted:
            for value in values:
                yield from _asked_for(value, wanted=wanted)
        case _ if wanted:
            yield ast.unparse(node)
        case _:
            return


def latent_only(conditions: Iterable[str]) -> bool | None:
    """What conditions say of multi-head latent attention."""
    for condition in conditions:
        # That not both hold says nothing of either.
        if condition.startswith("not (") and " and " in condition:
            continue
        if re.search(r"use_mla_backend", condition):
            return len(re.findall(r"\bnot\b", condition)) % 2 == 0
    return None


class Ways:
    """The ways in one checkout; files are read when a question needs them."""

    def __init__(self, checkout: Path) -> None:
        self._checkout = checkout
        self._read: dict[str, _File] = {}
        self._found_ways: dict[tuple[str, str, str, str], tuple[Way, ...]] = {}
        self._found_own: dict[str, tuple[str, ...]] = {}
        self._found_importers: dict[tuple[str, str], tuple[_Importer, ...]] = {}

    # Options -----------------------------------------------------------------------------------

    @cached_property
    def options(self) -> dict[str, tuple[str, Place]]:
        """The options that choose a backend: declared default (empty for none) and place."""
        found: dict[str, tuple[str, Place]] = {}
        for path in self._option_files:
            for node in ast.walk(self._tree(path)):
                if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
                    name = node.target.id
                    if name.endswith("_backend"):
                        default = next(_texts(node.value), "") if node.value else ""
                        found.setdefault(name, (default, self._place(path, node.lineno)))
        return found

    @cached_property
    def settings(self) -> tuple[Setting, ...]:
        """Every place where the resolution of options gives a backend a value."""
        return tuple(s for path in self._option_files for s in self._settings_of(path))

    @cached_property
    def _option_files(self) -> tuple[str, ...]:
        root = self._checkout / PACKAGE
        files = (f for pattern in _OPTIONS for f in sorted(root.glob(pattern)))
        return tuple(f.relative_to(self._checkout).as_posix() for f in files)

    def _settings_of(self, path: str) -> Iterator[Setting]:
        for function in ast.walk(self._tree(path)):
            if not isinstance(function, ast.FunctionDef):
                continue
            models = tuple(t for d in function.decorator_list for t in _texts(d))
            held = _held(function) if models else dict[str, list[tuple[str, tuple[str, ...]]]]()
            known = {**self._constants(path), **assigned_once(function)}
            classes = self._classes_asked(function.name)
            chooses = re.search(r"default_attn_backend", function.name) is not None
            for statement, conditions in statements(function.body):
                for option, value, extra, line in _writes(statement, held, chooses=chooses):
                    if option in self.options:
                        place = self._place(path, line)
                        said = (*conditions, *extra)
                        asked = [part for c in said for part in asked_for(c)]
                        # A test of the class narrows what the function is registered for.
                        narrowed = tuple(m for c in asked for m in _MODEL.findall(c))
                        named = narrowed or models or classes
                        general = chooses or any(f"{option} is None" in c for c in asked)
                        decided = tuple(expanded(c, known) for c in said)
                        yield Setting(option, value, said, named, general, place, chooses, decided)

    def _classes_asked(self, function: str) -> tuple[str, ...]:
        """The classes without which nothing calls a function; empty where that is open."""
        places = self._calls_by_name.get(function, ())
        asked = [
            [m for c in place for p in asked_for(c) for m in _MODEL.findall(p)] for place in places
        ]
        return tuple(dict.fromkeys(m for found in asked for m in found)) if all(asked) else ()

    @cached_property
    def _calls_by_name(self) -> dict[str, list[tuple[str, ...]]]:
        """Functions that only a statement of their own calls, and the conditions around each."""
        found: dict[str, list[tuple[str, ...]]] = {}
        for path in self._option_files:
            for statement, _, conditions in self._file(path).statements:
                match statement:
                    case ast.Expr(
                        value=ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name))
                    ):
                        found.setdefault(name, []).append(conditions)
                    case _:
                        pass
        return found

    def _constants(self, path: str) -> dict[str, ast.expr]:
        """The literals that a module gives a name once."""
        literal = ast.Tuple | ast.List | ast.Set
        names = assigned_once(
            ast.Module([s for s in self._tree(path).body if isinstance(s, ast.Assign)], [])
        )
        return {name: value for name, value in names.items() if isinstance(value, literal)}

    def holds(self, setting: Setting, model: str) -> Holds:
        """Whether it is in force for a class of models when no option is given."""
        found = self._launch.holds(setting.decided_by, model)
        return "free" if setting.whatever and found == "open" else found

    @cached_property
    def _launch(self) -> Launch:
        return Launch(self._defaults, self._environment, self._expression, for_other_hardware)

    @cached_property
    def _defaults(self) -> dict[str, object]:
        """The options whose default is a constant."""
        found: dict[str, object] = {}
        for path in self._option_files:
            for node in ast.walk(self._tree(path)):
                match node:
                    case ast.AnnAssign(target=ast.Name(id=name), value=ast.Constant(value=value)):
                        found.setdefault(name, value)
                    case _:
                        pass
        return found

    @cached_property
    def _environment(self) -> dict[str, object]:
        found: dict[str, object] = {}
        for node in ast.walk(self._tree(_ENVIRONMENT)):
            match node:
                case ast.Assign(
                    targets=[ast.Name(id=name)],
                    value=ast.Call(func=ast.Name(), args=[ast.Constant(value=value), *_]),
                ):
                    found[name] = value
                case _:
                    pass
        return found

    def _expression(self, name: str) -> ast.expr | None:
        """What a function returns that only one module defines, if that is one expression."""
        functions = self._option_functions.get(name, ())
        if not functions:
            paths = dict.fromkeys(path for path, _ in self._definitions.get(name, ()))
            functions = [
                f
                for path in paths
                for f in self._tree(path).body
                if isinstance(f, ast.FunctionDef) and f.name == name
            ]
        return _returned(functions[0]) if len(functions) == 1 else None

    @cached_property
    def _option_functions(self) -> dict[str, list[ast.FunctionDef]]:
        found: dict[str, list[ast.FunctionDef]] = {}
        for path in self._option_files:
            for node in ast.walk(self._tree(path)):
                if isinstance(node, ast.FunctionDef):
                    found.setdefault(node.name, []).append(node)
        return found

    def refuses(self, option: str, value: str, model: str) -> bool:
        """Whether SGLang asserts for a class of models that an option is not that."""
        for asked, test, conditions in self._assertions:
            if asked == option and self._launch.holds(conditions, model) in ("yes", "free"):
                told = expanded(test, {_VALUE: ast.Constant(value)})
                if self._launch.holds((told,), model) == "no":
                    return True
        return False

    @cached_property
    def _assertions(self) -> tuple[tuple[str, str, tuple[str, ...]], ...]:
        """Option, test of its value and conditions of what holds for some classes only."""
        found: list[tuple[str, str, tuple[str, ...]]] = []
        for path in self._option_files:
            for function in ast.walk(self._tree(path)):
                if isinstance(function, ast.FunctionDef):
                    found += self._asserted(path, function)
        return tuple(found)

    def _asserted(
        self, path: str, function: ast.FunctionDef
    ) -> Iterator[tuple[str, str, tuple[str, ...]]]:
        body = list(statements(function.body))
        asserts = [
            (statement.test, conditions)
            for statement, conditions in body
            if isinstance(statement, ast.Assert) and any(_CLASS.search(c) for c in conditions)
        ]
        if not asserts:
            return
        known = {**self._constants(path), **assigned_once(function)}
        for option in self.options:
            values = {n for n, v in _given(function) if _is_value_of(v, option)}
            stands: dict[str, ast.expr] = dict.fromkeys(values, ast.Name(_VALUE))
            for test, conditions in asserts:
                beside = _lists_given(body, conditions)
                told = expanded(ast.unparse(test), {**known, **beside, **stands})
                if _VALUE in told:
                    yield option, told, tuple(expanded(c, known) for c in conditions)

    # Ways --------------------------------------------------------------------------------------

    def to(self, path: str, owner: str, condition: str, name: str) -> tuple[Way, ...]:
        """The options that lead to a use of `name` in an outermost function or class of a file."""
        if (path, owner, condition, name) not in self._found_ways:
            found = dict.fromkeys(self._to(path, owner, name, (condition,), 0, frozenset()))
            self._found_ways[path, owner, condition, name] = tuple(found)
        return self._found_ways[path, owner, condition, name]

    def _to(
        self,
        path: str,
        owner: str,
        used: str,
        conditions: Sequence[str],
        hops: int,
        seen: frozenset[str],
    ) -> Iterator[Way]:
        ways = [
            *self._registered(path),
            *self._runners(path, owner, used),
            *self._asked(path, conditions),
            *self._tables(path, owner),
        ]
        if ways or hops == _HOPS or path in seen:
            yield from ways
            return
        for name in self._leading_to(path, owner):
            for where, function, alias, around in self._importers(path, name):
                yield from self._to(where, function, alias, around, hops + 1, seen | {path})

    def _registered(self, path: str) -> Iterator[Way]:
        for module, name, latent, line in self._registry:
            if path == f"python/{module.replace('.', '/')}.py":
                yield Way(_ATTENTION, name, latent, self._place(_REGISTRY, line))

    @cached_property
    def _registry(self) -> tuple[tuple[str, str, bool | None, int], ...]:
        """Module, name of the backend, whether it is for latent attention only, line."""
        found: list[tuple[str, str, bool | None, int]] = []
        for function in self._tree(_REGISTRY).body:
            if isinstance(function, ast.FunctionDef):
                names = [t for d in function.decorator_list for t in _texts(d)]
                for statement, conditions in statements(function.body):
                    if isinstance(statement, ast.ImportFrom) and statement.module:
                        latent = latent_only(conditions)
                        found += [(statement.module, n, latent, statement.lineno) for n in names]
        return tuple(found)

    def _runners(self, path: str, owner: str, used: str) -> Iterator[Way]:
        """From functions that are registered for a runner, through functions of the same file."""
        functions = {f.name: f for f in self._tree(path).body if isinstance(f, ast.FunctionDef)}
        bodies: dict[str, list[tuple[ast.stmt, tuple[str, ...]]]] = {}
        for name, function in functions.items():
            for decorator in function.decorator_list:
                if "register_fused_func" not in ast.unparse(decorator):
                    continue
                texts = list(_texts(decorator))
                bodies = bodies or {n: list(statements(f.body)) for n, f in functions.items()}
                live = reached(name, functions, bodies).get(owner)
                elsewhere = used in _names(functions[owner]) - live if live is not None else True
                if len(texts) == 2 and not elsewhere:
                    place = self._place(path, decorator.lineno)
                    yield Way("moe_runner_backend", texts[1], None, place)

    def _asked(self, path: str, conditions: Iterable[str]) -> Iterator[Way]:
        for condition in conditions:
            for part in (p for c in asked_for(condition) for p in re.split(r" and ", c)):
                pairs = [*_ASKED.findall(part), *_EQUAL.findall(part)]
                for name, values in _AMONG.findall(part):
                    pairs += [(name, value) for value in re.findall(r"'(\w+)'", values)]
                for name, value in pairs:
                    option = self._option(name.removeprefix("get_"), path)
                    if option:
                        line = self._line_of(path, part)
                        yield Way(option, value, None, self._place(path, line))

    def _option(self, name: str, path: str) -> str:
        """The option that a variable holds; empty where that is open."""
        if name in self.options:
            return name
        if not name.endswith("backend"):
            return ""
        ending = [o for o in self.options if o.endswith(f"_{name}")]
        text = "\n".join(self._source(path))
        for narrowed in (
            [o for o in ending if o.partition("_")[0] in re.split(r"[/_.]", path)],
            [o for o in ending if re.search(rf"\b{o}\b", text)],
        ):
            if len(narrowed) == 1:
                return narrowed[0]
        return ending[0] if len(ending) == 1 else ""

    def _tables(self, path: str, owner: str) -> Iterator[Way]:
        """From a table of classes by name, where the file reads one option."""
        text = "\n".join(self._source(path))
        named = [o for o in self.options if re.search(rf"\.{o}\b", text)]
        if len(named) != 1:
            return
        for text, name, line in self._file(path).tables:
            if name == owner:
                yield Way(named[0], text, None, self._place(path, line))

    def _importers(self, path: str, owner: str) -> Sequence[_Importer]:
        """Each use of `owner` in the files that import it from a file."""
        if (path, owner) not in self._found_importers:
            found = tuple(self._look_for_importers(path, owner))
            self._found_importers[path, owner] = found
        return self._found_importers[path, owner]

    def _look_for_importers(self, path: str, owner: str) -> Iterator[_Importer]:
        module = path.removeprefix("python/").removesuffix(".py").replace("/", ".")
        imports = self._imports.get(owner, ())
        files = [other for name, other in imports if name == module and other != path]
        for other in files if len(files) <= _IMPORTERS else ():
            for statement, top, conditions in self._file(other).statements:
                if _imports(statement, f"{module}.", owner):
                    yield from self._used(other, top, owner, statement, conditions)

    @cached_property
    def _imports(self) -> dict[str, list[tuple[str, str]]]:
        """Name → module of SGLang that it is imported from, and file that does it."""
        found: dict[str, dict[tuple[str, str], None]] = {}
        for path in self._files:
            for module, names in _FROM.findall(self._bytes(path)):
                for name in _IMPORTED.findall(_COMMENT.sub(b"", names)):
                    found.setdefault(name.decode(), {})[module.decode(), path] = None
        return {name: list(places) for name, places in found.items()}

    def _leading_to(self, path: str, owner: str) -> tuple[str, ...]:
        """`owner` and what uses it in the same file at the top level."""
        names = {owner: None} if owner else dict[str, None]()
        bound = self._file(path).bound
        size = 0
        while len(names) != size:
            size = len(names)
            for name, used in bound:
                if name not in names and names.keys() & used:
                    names[name] = None
        return tuple(names)

    def _used(
        self, path: str, top: str, owner: str, imported: ast.ImportFrom, around: tuple[str, ...]
    ) -> Iterator[_Importer]:
        """Where what was imported is used; within a function that is where it is imported."""
        alias = next(a.asname or a.name for a in imported.names if a.name == owner)
        if top:
            yield path, top, alias, around
            return
        for name, conditions in self._file(path).uses(alias):
            yield path, name, alias, conditions

    # The model's own file ----------------------------------------------------------------------

    def layer_lines(self, model: str, layers: Iterable[str]) -> tuple[Place, ...]:
        """Where a model's class, or one that it rests on or makes, makes one of the layers.

        A file with attention comes first: others hold what is beside the decoder, such as the
        projector of a vision model.
        """
        found = list(self._made(model, frozenset(layers)))
        decoders = (lines for path, lines in found if self._has_attention(path))
        lines = next(decoders, found[0][1] if found else ())
        return tuple(lines[:3])

    def _has_attention(self, path: str) -> bool:
        calls = self._file(path).calls.values()
        return any(name == _ATTENTION_LAYER for made in calls for name, _ in made)

    def _made(self, model: str, wanted: frozenset[str]) -> Iterator[tuple[str, tuple[Place, ...]]]:
        """Each file and its lines of one function or class, the nearest to the model's first."""
        start = self._models.get(model)
        queue = [(start, model)] if start else []
        seen: set[tuple[str, str]] = set()
        while queue and len(seen) < _CLASSES:
            path, top = queue.pop(0)
            if (path, top) in seen:
                continue
            seen.add((path, top))
            lines = {line for name, line in self._file(path).calls.get(top, ()) if name in wanted}
            if lines:
                yield path, tuple(self._place(path, line) for line in sorted(lines))
            queue += self._used_by(path, top)

    def _used_by(self, path: str, top: str) -> Iterator[tuple[str, str]]:
        """The functions and classes that one of a file of models uses, of that file first."""
        file = self._file(path)
        names = next((used for name, used in file.bound if name == top), frozenset[str]())
        yield from ((path, name) for name, _ in file.bound if name in names and name != top)
        for node in file.imports:
            other = f"python/{(node.module or '').replace('.', '/')}.py"
            if (node.module or "").startswith("sglang.srt.models."):
                for alias in node.names:
                    if (alias.asname or alias.name) in names:
                        yield other, alias.name

    def for_another(self, path: str, model: str) -> bool:
        """Whether a file is of other models only: their own, named after them, or used there."""
        own = self._own_files(model)
        if not own:
            return False
        if self._of_another(path, own):
            return True
        users = self._users.get(_module(path), ())
        return bool(users) and all(self._of_another(user, own) for user in users)

    def _of_another(self, path: str, own: Sequence[str]) -> bool:
        """Whether its name, or that of a folder, says that it is of other models.

        What a model's own files import from a folder of that name is not.
        """
        parts = path.removeprefix(f"{PACKAGE}/").removesuffix(".py").split("/")
        srt = parts[1:] if parts[0] == "srt" else parts
        named = srt[1] if srt[0] == "models" or (srt[0] == "layers" and len(srt) > 2) else ""
        ours = any(_named_after(_stem(file), named) for file in own)
        if not ours and any(_named_after(stem, named) for stem in self._model_stems):
            return True
        families = {_family(part) for part in srt} & {_family(stem) for stem in self._model_stems}
        known = {_family(_stem(file)) for file in own}
        known |= {_family(p) for f in own for i in self._file(f).imports for p in _parts(i.module)}
        return bool(families - {""}) and not families & known

    @cached_property
    def _model_stems(self) -> frozenset[str]:
        models = self._models.items()
        return frozenset(_stem(file) for name, file in models if _REGISTERED.search(name))

    def _own_files(self, model: str) -> tuple[str, ...]:
        """The file of a model's class and those of models that it imports."""
        if model not in self._found_own:
            queue = [self._models[model]] if model in self._models else []
            seen: dict[str, None] = {}
            while queue:
                file = queue.pop()
                if file not in seen:
                    seen[file] = None
                    queue += self._model_imports(file)
            self._found_own[model] = tuple(seen)
        return self._found_own[model]

    @cached_property
    def _users(self) -> dict[str, set[str]]:
        """By module: the files that import from it; only what no package hands on."""
        found: dict[str, set[str]] = {}
        for places in self._imports.values():
            for module, path in places:
                found.setdefault(module, set()).add(path)
        handing = {m: [f for f in files if f.endswith("__init__.py")] for m, files in found.items()}
        return {m: files for m, files in found.items() if not handing[m] and not self._handed_on(m)}

    def _handed_on(self, module: str) -> bool:
        """Whether a package above names it, as one that imports it on demand does."""
        package, _, name = module.rpartition(".")
        while package.count(".") > 1:
            path = f"python/{package.replace('.', '/')}/__init__.py"
            if re.search(rb"\b%s\b" % name.encode(), self._bytes(path)):
                return True
            package = package.rpartition(".")[0]
        return False

    @cached_property
    def _models(self) -> dict[str, str]:
        """Class → file of SGLang's models."""
        folder = self._checkout / PACKAGE / "srt/models"
        found: dict[str, str] = {}
        for file in sorted(folder.glob("*.py")):
            path = file.relative_to(self._checkout).as_posix()
            for name in re.findall(rb"^class (\w+)", self._bytes(path), re.MULTILINE):
                found.setdefault(name.decode(), path)
        return found

    def _model_imports(self, path: str) -> list[str]:
        modules = (node.module or "" for node in self._file(path).imports)
        models = (m.replace(".", "/") for m in modules if m.startswith("sglang.srt.models."))
        files = dict.fromkeys(f"python/{model}.py" for model in models)
        return [f for f in files if os.path.isfile(self._checkout / f)]

    def imports_of(self, name: str) -> tuple[tuple[str, Place], ...]:
        """Imports of a function of that name that SGLang has itself: dotted name and place."""
        found: dict[str, Place] = {}
        for path in dict.fromkeys(path for _, path in self._imports.get(name, ())):
            for node in self._file(path).imports:
                if _imports(node, "sglang.", name):
                    dotted = f"{node.module}.{name}"
                    found.setdefault(dotted, self._place(path, node.lineno))
        return tuple(found.items())

    def definitions_of(self, name: str) -> tuple[tuple[str, Place], ...]:
        """Functions and classes of that name for NVIDIA's GPUs: dotted name and place."""
        return tuple(
            (f"{_module(path)}.{name}", self._place(path, line))
            for path, line in self._definitions.get(name, ())
            if not for_other_hardware(path)
        )

    @cached_property
    def _definitions(self) -> dict[str, list[tuple[str, int]]]:
        """Name → files and lines of the outermost definitions of what serves language models."""
        found: dict[str, list[tuple[str, int]]] = {}
        for path in self._files:
            if path.startswith(tuple(f"{PACKAGE}/{folder}/" for folder in _NO_SERVING)):
                continue
            text = self._bytes(path)
            for match in _DEFINED.finditer(text):
                line = text.count(b"\n", 0, match.start()) + 1
                found.setdefault(match[1].decode(), []).append((path, line))
        return found

    # Files -------------------------------------------------------------------------------------

    @cached_property
    def _files(self) -> tuple[str, ...]:
        return tuple(python_files(self._checkout, self._checkout / PACKAGE))

    def _bytes(self, path: str) -> bytes:
        return read_or_nothing(self._checkout, path)

    def _file(self, path: str) -> _File:
        if path not in self._read:
            self._read[path] = _File(self._bytes(path))
        return self._read[path]

    def _tree(self, path: str) -> ast.Module:
        return self._file(path).tree

    def _source(self, path: str) -> list[str]:
        return self._file(path).lines

    def _place(self, path: str, line: int) -> Place:
        lines = self._source(path)
        return Place(path, line, lines[line - 1].strip() if 0 < line <= len(lines) else "")

    def _line_of(self, path: str, condition: str) -> int:
        """The line of an `if` with that condition; the first line where it is not found."""
        lines = (
            node.lineno
            for node in ast.walk(self._tree(path))
            if isinstance(node, ast.If) and condition in ast.unparse(node.test)
        )
        return min(lines, default=1)


class _File:
    """One file and what questions look for in it, each found once."""

    def __init__(self, content: bytes) -> None:
        """`content` is empty for a file that is not there."""
        self._content = content

    @cached_property
    def tree(self) -> ast.Module:
        """The syntax; empty for what can't be parsed."""
        try:
            return parse_python(self._content, "")
        except SourceError:
            return ast.Module([], [])

    @cached_property
    def lines(self) -> list[str]:
        return self._content.decode("utf-8", "replace").splitlines()

    @cached_property
    def _nodes(self) -> tuple[ast.AST, ...]:
        kinds = ast.ImportFrom | ast.Dict
        return tuple(node for node in ast.walk(self.tree) if isinstance(node, kinds))

    @cached_property
    def imports(self) -> tuple[ast.ImportFrom, ...]:
        return tuple(node for node in self._nodes if isinstance(node, ast.ImportFrom))

    @cached_property
    def calls(self) -> dict[str, tuple[tuple[str, int], ...]]:
        """By outermost function or class: the last name of what is called, and the line."""
        return {
            getattr(top, "name", ""): tuple(
                (_last(node.func), node.lineno)
                for node in ast.walk(top)
                if isinstance(node, ast.Call)
            )
            for top in self.tree.body
        }

    @cached_property
    def tables(self) -> tuple[tuple[str, str, int], ...]:
        """Each text in a key of a dictionary that stands for a name, the name and its line."""
        return tuple(
            (text, value.id, value.lineno)
            for node in self._nodes
            if isinstance(node, ast.Dict)
            for key, value in zip(node.keys, node.values, strict=True)
            if isinstance(value, ast.Name) and key is not None
            for text in _texts(key)
        )

    @cached_property
    def statements(self) -> tuple[tuple[ast.stmt, str, tuple[str, ...]], ...]:
        """Each statement, its outermost function or class, and the conditions around it."""
        return tuple(
            (statement, getattr(top, "name", ""), conditions)
            for top in self.tree.body
            for statement, conditions in statements([top])
        )

    @cached_property
    def bound(self) -> tuple[tuple[str, frozenset[str]], ...]:
        """The outermost functions and classes, and the names that each uses."""
        named = ((getattr(node, "name", ""), node) for node in self.tree.body)
        return tuple((name, _names(node)) for name, node in named if name)

    def uses(self, alias: str) -> Iterator[tuple[str, tuple[str, ...]]]:
        """Outermost function or class, and conditions, of each simple statement that names it."""
        tops = {name for name, names in self.bound if alias in names}
        for statement, top, conditions in self.statements if tops else ():
            if top in tops and not hasattr(statement, "body") and alias in _names(statement):
                yield top, conditions


def statements(
    body: Iterable[ast.stmt], conditions: tuple[str, ...] = ()
) -> Iterator[tuple[ast.stmt, tuple[str, ...]]]:
    """Every statement with the conditions around it and of earlier ways out."""
    for statement in body:
        yield statement, conditions
        if isinstance(statement, ast.If):
            test = ast.unparse(statement.test)
            yield from statements(statement.body, (*conditions, test))
            yield from statements(statement.orelse, (*conditions, f"not ({test})"))
            if _leaves(statement.body):
                conditions = (*conditions, f"not ({test})")
            else:
                conditions = (*conditions, *_left_within(statement))
            continue
        for name in ("body", "orelse", "finalbody"):
            yield from statements(getattr(statement, name, ()), conditions)
        for handler in getattr(statement, "handlers", ()):
            yield from statements(handler.body, conditions)


def _leaves(body: Sequence[ast.stmt]) -> bool:
    return bool(body) and isinstance(body[-1], ast.Return | ast.Raise)


def _left_within(statement: ast.If) -> Iterator[str]:
    """What does not hold after an `if` with ways out further in."""
    test = ast.unparse(statement.test)
    for inner in statement.body:
        if isinstance(inner, ast.If) and _leaves(inner.body):
            yield f"not (({test}) and ({ast.unparse(inner.test)}))"


_Held = Mapping[str, Sequence[tuple[str, tuple[str, ...]]]]
"""By variable: each text that it is given, with the conditions."""


def _held(function: ast.FunctionDef) -> _Held:
    found: dict[str, list[tuple[str, tuple[str, ...]]]] = {}
    for statement, conditions in statements(function.body):
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant(value=str(text))):
                earlier = found.setdefault(name, [])
                # What is given later, on further conditions, takes the place of it.
                earlier[:] = [(t, (*c, _unless(conditions, c))) for t, c in earlier]
                earlier.append((text, conditions))
            case _:
                pass
    return found


def _unless(later: tuple[str, ...], earlier: tuple[str, ...]) -> str:
    further = [f"({c})" for c in later if c not in earlier]
    return f"not ({' and '.join(further) or True})"


def _writes(
    statement: ast.stmt, held: _Held, *, chooses: bool
) -> Iterator[tuple[str, str, tuple[str, ...], int]]:
    """Option, value, further conditions and line of what one statement sets."""
    pairs: list[tuple[str, ast.expr]] = []
    match statement:
        case ast.Assign(targets=[ast.Subscript(slice=ast.Constant(value=str(name)))], value=value):
            pairs.append((name, value))
        case ast.Assign(targets=[ast.Attribute(attr=name)], value=value):
            pairs.append((name, value))
        case ast.Return(value=ast.Constant() | ast.IfExp() as value) if chooses:
            pairs.append((_ATTENTION, value))
        case _:
            pass
    if isinstance(statement, ast.Return | ast.Expr | ast.Assign) and statement.value is not None:
        for node in ast.walk(statement.value):
            if isinstance(node, ast.Call):
                pairs += [(k.arg, k.value) for k in node.keywords if k.arg]
            elif isinstance(node, ast.Dict):
                pairs += [
                    (str(key.value), value)
                    for key, value in zip(node.keys, node.values, strict=True)
                    if isinstance(key, ast.Constant)
                ]
    for name, value in pairs:
        for text, extra in _choices(value, held):
            yield name, text, extra, value.lineno


def _returned(function: ast.FunctionDef) -> ast.expr | None:
    """What a function of plain assignments returns, in terms of what it is given."""
    *before, last = function.body
    plain = (ast.Assign, ast.ImportFrom)
    documented = before[1:] if before and isinstance(before[0], ast.Expr) else before
    if not isinstance(last, ast.Return) or last.value is None:
        return None
    if not all(isinstance(statement, plain) for statement in documented):
        return None
    text = expanded(ast.unparse(last.value), assigned_once(function))
    return ast.parse(text, mode="eval").body


def _given(function: ast.FunctionDef) -> Iterator[tuple[str, ast.expr]]:
    """The variables of a function and what they, or the tuple that they are part of, stand for."""
    for node in ast.walk(function):
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                yield name, value
            case ast.Assign(targets=[ast.Tuple(elts=parts)], value=value):
                yield from ((part.id, value) for part in parts if isinstance(part, ast.Name))
            case _:
                pass


def _lists_given(
    body: Iterable[tuple[ast.stmt, tuple[str, ...]]], conditions: tuple[str, ...]
) -> dict[str, ast.expr]:
    """Variables that are given a list under these conditions."""
    found: dict[str, ast.expr] = {}
    for statement, around in body:
        match statement:
            case ast.Assign(
                targets=[ast.Name(id=name)],
                value=(ast.List() | ast.Tuple() | ast.Set()) as value,
            ) if around == conditions:
                found[name] = value
            case _:
                pass
    return found


def _is_value_of(value: ast.expr, option: str) -> bool:
    """Whether it reads the option: ``view.option``, or ``options_of(view)`` for all its modes."""
    match value:
        case ast.Attribute(attr=name):
            return name == option
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)):
            return re.fullmatch(rf"(?:get_)?{option}s(?:_of)?", name) is not None
        case _:
            return False


def _choices(value: ast.expr, held: _Held) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The texts that an expression may be, each with its condition."""
    if isinstance(value, ast.Constant) and isinstance(value.value, str):
        yield value.value, ()
    elif isinstance(value, ast.Name):
        yield from held.get(value.id, ())
    elif isinstance(value, ast.IfExp):
        test = ast.unparse(value.test)
        yield from ((text, (test, *more)) for text, more in _choices(value.body, held))
        yield from ((text, (f"not ({test})", *more)) for text, more in _choices(value.orelse, held))


def _stem(path: str) -> str:
    return path.rpartition("/")[2].removesuffix(".py")


def _parts(module: str | None) -> list[str]:
    return (module or "").split(".")[1:]


def _family(part: str) -> str:
    """The letters that names of one family of models start with: ``qwen2_moe`` → ``qwen``."""
    found = re.match(r"[a-z]{3,}(?=\d*(?:_|$))", part)
    return found[0] if found else ""


def _named_after(stem: str, name: str) -> bool:
    return stem == name or stem.startswith(f"{name}_")


def _texts(node: ast.AST) -> Iterator[str]:
    """The strings in an expression."""
    for child in ast.walk(node):
        if isinstance(child, ast.Constant) and isinstance(child.value, str):
            yield child.value


def _names(node: ast.AST) -> frozenset[str]:
    return frozenset(n.id for n in ast.walk(node) if isinstance(n, ast.Name))


def _imports(node: ast.AST, prefix: str, name: str) -> TypeGuard[ast.ImportFrom]:
    """Whether a statement imports that name from a module whose name starts so."""
    return (
        isinstance(node, ast.ImportFrom)
        and f"{node.module}.".startswith(prefix)
        and any(alias.name == name for alias in node.names)
    )


def _last(node: ast.expr) -> str:
    if isinstance(node, ast.Call):  # get_moe_impl_class(…)(…)
        return _last(node.func)
    if isinstance(node, ast.Name):
        return node.id
    return node.attr if isinstance(node, ast.Attribute) else ""


def _module(path: str) -> str:
    """``python/sglang/srt/utils/__init__.py`` → ``sglang.srt.utils``."""
    return (
        path.removeprefix("python/").removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    )
