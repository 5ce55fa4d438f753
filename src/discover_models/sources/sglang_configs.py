"""Defaults of the configuration classes that SGLang brings itself, read without importing it.

SGLang registers classes for models that `transformers` does not know (python/sglang/srt/configs).
What their `__init__` does with an argument is read only in the forms that occur there: stored as
it is, replaced when it is None, computed by one operation. Anything else is left unknown.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any, cast

from discover_models.errors import SourceError
from discover_models.sources.cache import DiskCache, kept
from discover_models.sources.config_defaults import (
    UNKNOWN,
    ClassDefaults,
    ConfigLookup,
    Json,
)
from discover_models.sources.contents import Contents, files_below
from discover_models.sources.python_source import parse_file

CONFIGS = "python/sglang/srt/configs"
"""Where the classes are in a checkout."""

_OPERATORS: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.FloorDiv: lambda a, b: a // b,
}
_FORMULAS: Mapping[type[ast.operator], str] = {
    ast.Add: "sum",
    ast.Mult: "product",
    ast.FloorDiv: "quotient",
}


@dataclass(frozen=True)
class _Source:
    node: ast.ClassDef
    where: str
    """Path in the checkout and line."""
    imported: Mapping[str, str]
    """Local names of imported classes → their names where they are defined."""


@dataclass
class _Reading:
    """What has been read of one class so far."""

    fields: dict[str, Json] = field(default_factory=dict[str, Json])
    derived: dict[str, dict[str, Json]] = field(default_factory=dict[str, dict[str, Json]])
    legacy: dict[str, Json] = field(default_factory=dict[str, Json])
    aliases: dict[str, str] = field(default_factory=dict[str, str])
    sub_configs: dict[str, set[str]] = field(default_factory=dict[str, set[str]])


@dataclass
class _Table:
    """What a checkout says, without its commit."""

    classes: dict[str, dict[str, Json] | None]
    """Fields of `ClassDefaults` by class name; None for what is no configuration."""
    unread: dict[str, str]


class SglangConfigs:
    """The configuration classes in one checkout of SGLang, read at the first question."""

    def __init__(
        self,
        checkout: Path,
        version: str,
        transformers: ConfigLookup,
        cache: DiskCache | None = None,
    ) -> None:
        """The classes below `checkout`.

        `version` is how the checkout is named to the reader (``sglang 0.5.23``); `transformers`
        answers for base classes that SGLang imports from there, and is the package's own table
        where there is a `cache`. Raises `SourceError` when the folder of configuration classes is
        not in the checkout.
        """
        if not (checkout / CONFIGS).is_dir():
            raise SourceError(
                f"{checkout / CONFIGS} is not there: is {checkout} a checkout of SGLang?"
            )
        self.version = version
        self._checkout = checkout
        self._transformers = transformers
        self._cache = cache

    @property
    def unread(self) -> Mapping[str, str]:
        """Files that could not be parsed → why; classes in them are unknown, not absent."""
        return self._table.unread

    def for_class(self, class_name: str) -> ClassDefaults | None:
        """The class of that name, of SGLang or else of `transformers`; None when unknown."""
        if class_name not in self._classes:
            return self._transformers.for_class(class_name)
        return self._classes[class_name]

    def for_model_type(self, model_type: str) -> ClassDefaults | None:
        """SGLang's own class for that `model_type`; None when it has none or several.

        Where a model and its vision tower share the name, the one that is no part of another
        is meant.
        """
        found = [c for c in self._own_classes() if c.model_type == model_type]
        parts = {str(s.get("class")) for c in self._own_classes() for s in c.sub_configs.values()}
        outer = [c for c in found if c.class_name not in parts] or found
        if len(outer) > 1:
            outer = [c for c in outer if c.sub_configs]
        return outer[0] if len(outer) == 1 else None

    def class_names(self) -> tuple[str, ...]:
        """SGLang's own configuration classes."""
        return tuple(c.class_name for c in self._own_classes())

    def _own_classes(self) -> list[ClassDefaults]:
        return [c for c in self._classes.values() if c is not None]

    @cached_property
    def _classes(self) -> dict[str, ClassDefaults | None]:
        return {
            name: None
            if entry is None
            else ClassDefaults(name, version=self.version, library=self, **entry)
            for name, entry in sorted(self._table.classes.items())
        }

    @cached_property
    def _table(self) -> _Table:
        if self._cache is None:
            return self._read()
        files = files_below(self._checkout / CONFIGS, self._checkout, ".py")
        key = Contents(self._checkout).key(files)
        return kept(self._cache, "sglang-configs", key, _Table, self._read)

    def _read(self) -> _Table:
        return _Reader(self._checkout, self._transformers).table()


class _Reader:
    """Reads all class statements of a checkout."""

    def __init__(self, checkout: Path, transformers: ConfigLookup) -> None:
        self._transformers = transformers
        self._unread: dict[str, str] = {}
        self._sources: dict[str, _Source] = {}
        for file in sorted((checkout / CONFIGS).rglob("*.py")):
            self._index(file, file.relative_to(checkout).as_posix())
        self._known: dict[str, ClassDefaults | None] = {}

    def table(self) -> _Table:
        found = {name: self._class(name) for name in self._sources}
        classes = {name: None if c is None else _entry(c) for name, c in found.items()}
        return _Table(classes, self._unread)

    def _class(self, class_name: str) -> ClassDefaults | None:
        if class_name not in self._sources:
            return self._transformers.for_class(class_name)
        if class_name not in self._known:
            self._known[class_name] = None  # ends the recursion for a class that is its own base
            self._known[class_name] = self._read(class_name)
        return self._known[class_name]

    def _index(self, file: Path, path: str) -> None:
        try:
            tree = parse_file(file, path)
        except SourceError as error:
            self._unread[path] = str(error)
            return
        imported = {
            alias.asname or alias.name: alias.name
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
        }
        for node in tree.body:
            if isinstance(node, ast.ClassDef):
                self._sources[node.name] = _Source(node, f"{path}:{node.lineno}", imported)

    def _read(self, class_name: str) -> ClassDefaults | None:
        source = self._sources[class_name]
        base, is_config = self._base(source)
        if not is_config:
            return None
        reading = _Reading()
        attributes = _class_attributes(source.node)
        _read_annotated(source.node, reading)
        for node in source.node.body:
            if isinstance(node, ast.FunctionDef) and node.name in ("__init__", "__post_init__"):
                _read_init(node, reading)
        _read_sub_configs(source.node, reading)
        for name in _properties(source.node):
            reading.fields.pop(name, None)
            reading.derived[name] = {"from": []}
        return self._merge(class_name, source, base, reading, attributes)

    def _base(self, source: _Source) -> tuple[ClassDefaults | None, bool]:
        """The base class where it is known, and whether the class is a configuration at all."""
        for node in source.node.bases:
            local = node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")
            name = source.imported.get(local, local)
            if name in ("PretrainedConfig", "PreTrainedConfig"):
                return None, True
            known = None if name == source.node.name else self._class(name)
            known = known or self._transformers.for_class(name)
            if known is not None:
                return known, True
        return None, False

    def _merge(
        self,
        class_name: str,
        source: _Source,
        base: ClassDefaults | None,
        reading: _Reading,
        attributes: Mapping[str, Json],
    ) -> ClassDefaults:
        base = base or ClassDefaults(class_name, "", "")
        own = {**reading.fields, **reading.derived, **reading.legacy}
        named: dict[str, Mapping[str, Json]] = {
            key: {"model_type": "", "class": source.imported.get(name, name)}
            for key, names in reading.sub_configs.items()
            for name in names
            if len(names) == 1
        }
        return ClassDefaults(
            class_name=class_name,
            model_type=str(attributes.get("model_type", base.model_type)),
            version="",
            fields={**_without(base.fields, own), **reading.fields},
            derived={**_without(base.derived, own), **reading.derived},
            legacy={**_without(base.legacy, own), **reading.legacy},
            attribute_map={
                **base.attribute_map,
                **reading.aliases,
                **attributes.get("attribute_map", {}),
            },
            checkpoint=base.checkpoint,
            sub_configs={**base.sub_configs, **named},
            where=source.where,
        )


def _entry(found: ClassDefaults) -> dict[str, Json]:
    """The fields that follow from the class statement alone."""
    names = (f.name for f in fields(ClassDefaults))
    told = ("class_name", "version", "library")
    return {name: _plain(getattr(found, name)) for name in names if name not in told}


def _plain(value: Json) -> Json:
    return dict(cast("Mapping[str, Json]", value)) if isinstance(value, Mapping) else value


def _without(base: Mapping[str, Json], own: Mapping[str, Json]) -> dict[str, Json]:
    return {name: value for name, value in base.items() if name not in own}


def _constant(node: ast.expr | None) -> Json:
    """A literal or simple arithmetic of numbers; UNKNOWN for anything else."""
    match node:
        case None:
            return UNKNOWN
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            a, b = _constant(left), _constant(right)
            numbers = isinstance(a, int | float) and isinstance(b, int | float)
            divisible = b != 0 or not isinstance(op, ast.FloorDiv)
            return _OPERATORS[type(op)](a, b) if numbers and divisible else UNKNOWN
        case ast.Call(func=ast.Name(id="field"), keywords=keywords):
            return _constant_field(keywords)
        case _:
            try:
                value = ast.literal_eval(node)
            except (ValueError, TypeError, RecursionError):
                return UNKNOWN
            return list(cast("tuple[Json]", value)) if isinstance(value, tuple) else value


def _constant_field(keywords: list[ast.keyword]) -> Json:
    """The default in ``dataclasses.field(…)``."""
    for keyword in keywords:
        if keyword.arg == "default":
            return _constant(keyword.value)
        if keyword.arg == "default_factory" and isinstance(keyword.value, ast.Name):
            empty: Mapping[str, Json] = {"list": [], "dict": {}}
            return empty.get(keyword.value.id, UNKNOWN)
    return UNKNOWN


def _class_attributes(node: ast.ClassDef) -> dict[str, Json]:
    """Literal values that are assigned in the body, ``model_type`` among them."""
    found: dict[str, Json] = {}
    for name, value in _assignments(node.body):
        constant = _constant(value)
        if constant is not UNKNOWN:
            found[name] = constant
    return found


def _assignments(body: list[ast.stmt]) -> Iterator[tuple[str, ast.expr]]:
    for statement in body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                yield name, value
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                yield name, value
            case _:
                pass


def _read_annotated(node: ast.ClassDef, reading: _Reading) -> None:
    """Fields of a class in dataclass style."""
    for statement in node.body:
        if not (isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name)):
            continue
        name, value = statement.target.id, _constant(statement.value)
        if name == "model_type" or "ClassVar" in ast.unparse(statement.annotation):
            continue
        if value is UNKNOWN:
            reading.derived[name] = {"from": []}
        else:
            reading.fields[name] = value


def _properties(node: ast.ClassDef) -> Iterator[str]:
    for statement in node.body:
        if isinstance(statement, ast.FunctionDef):
            decorators = {ast.unparse(d) for d in statement.decorator_list}
            if decorators & {"property", "cached_property", "functools.cached_property"}:
                yield statement.name


def _read_init(init: ast.FunctionDef, reading: _Reading) -> None:
    defaults = _parameters(init)
    replaced = {name: value for name, value in _replacements(init.body) if name in defaults}
    unsure = _assigned_names(init) - set(replaced)
    for name in defaults:
        _store(reading, name, _outcome(ast.Name(id=name), defaults, replaced, unsure))
    for name, value in _stored(init.body):
        if isinstance(value, ast.Name) and value.id in defaults and name not in defaults:
            reading.aliases[name] = value.id
        elif not (isinstance(value, ast.Name) and value.id == name):
            _store(reading, name, _outcome(value, defaults, replaced, unsure))
    conditional = {n for n in _attribute_targets(init) if n not in dict(_stored(init.body))}
    for name in conditional & set(defaults):
        _store(reading, name, {"from": []})
    reading.legacy |= {k: v for k, v in _legacy(init) if k not in defaults}


def _parameters(init: ast.FunctionDef) -> dict[str, Json]:
    """Arguments with their defaults; UNKNOWN for one that is no constant or not there.

    `model_type` is left out: it says which class to read, not what a file leaves out.
    """
    positional = init.args.posonlyargs + init.args.args
    defaults: list[ast.expr | None] = [None] * (len(positional) - len(init.args.defaults))
    pairs = [
        *zip(positional, [*defaults, *init.args.defaults], strict=True),
        *zip(init.args.kwonlyargs, init.args.kw_defaults, strict=True),
    ]
    return {
        arg.arg: _constant(value) for arg, value in pairs if arg.arg not in ("self", "model_type")
    }


def _store(reading: _Reading, name: str, outcome: Mapping[str, Json]) -> None:
    reading.fields.pop(name, None)
    reading.derived.pop(name, None)
    if "constant" in outcome:
        reading.fields[name] = outcome["constant"]
    else:
        reading.derived[name] = dict(outcome)


def _outcome(
    value: ast.expr,
    defaults: Mapping[str, Json],
    replaced: Mapping[str, ast.expr],
    unsure: set[str],
) -> dict[str, Json]:
    """What an expression over the arguments gives when the file leaves the field out."""
    constant = _constant(value)
    if constant is not UNKNOWN:
        return {"constant": constant}
    names = sorted({n.id for n in ast.walk(value) if isinstance(n, ast.Name)} & set(defaults))
    match value:
        case ast.Name(id=name) if name in defaults and name not in unsure:
            if defaults[name] is None and name in replaced:
                return _formula(replaced[name], defaults)
            known = defaults[name] is not UNKNOWN
            return {"constant": defaults[name]} if known else {"from": []}
        case ast.IfExp():
            return _formula(_chosen(value, defaults) or value, defaults)
        case _:
            return {"from": names}


def _formula(value: ast.expr, defaults: Mapping[str, Json]) -> dict[str, Json]:
    """A name, or one operation on names and numbers, as a formula of the table."""
    constant = _constant(value)
    if constant is not UNKNOWN:
        return {"constant": constant}
    match value:
        case ast.Name(id=name) if name in defaults:
            return {"from": [name], "formula": {"same": name}}
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _FORMULAS:
            operands = [_operand(left), _operand(right)]
            names = [o for o in operands if isinstance(o, str)]
            if None not in operands and all(n in defaults for n in names):
                return {"from": names, "formula": {_FORMULAS[type(op)]: operands}}
        case _:
            pass
    names = {n.id for n in ast.walk(value) if isinstance(n, ast.Name)} & set(defaults)
    return {"from": sorted(names)}


def _operand(node: ast.expr) -> str | int | None:
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=ast.Name(id="self"), attr=name):
            return name
        case ast.Constant(value=int(number)):
            return number
        case _:
            return None


def _chosen(value: ast.IfExp, defaults: Mapping[str, Json]) -> ast.expr | None:
    """The branch of ``x if x is not None else y`` that is taken when x is left out."""
    name = _tested_for_none(value.test)
    if name is None or defaults.get(name, UNKNOWN) is not None:
        return None
    is_not = isinstance(value.test, ast.Compare) and isinstance(value.test.ops[0], ast.IsNot)
    return value.orelse if is_not else value.body


def _tested_for_none(test: ast.expr) -> str | None:
    match test:
        case ast.Compare(
            left=ast.Name(id=name),
            ops=[ast.Is() | ast.IsNot()],
            comparators=[ast.Constant(value=None)],
        ):
            return name
        case _:
            return None


def _replacements(body: list[ast.stmt]) -> Iterator[tuple[str, ast.expr]]:
    """``if x is None: x = …``, with nothing else in it."""
    for statement in body:
        match statement:
            case ast.If(
                test=ast.Compare(ops=[ast.Is()]) as test,
                body=[ast.Assign(targets=[ast.Name(id=name)], value=value)],
                orelse=[],
            ) if _tested_for_none(test) == name:
                yield name, value
            case _:
                pass


def _assigned_names(init: ast.FunctionDef) -> set[str]:
    nodes = [n for n in ast.walk(init) if isinstance(n, ast.Name)]
    return {n.id for n in nodes if isinstance(n.ctx, ast.Store)}


def _stored(body: list[ast.stmt]) -> Iterator[tuple[str, ast.expr]]:
    """``self.x = …`` outside of any condition."""
    for statement in body:
        match statement:
            case ast.Assign(targets=targets, value=value):
                for target in targets:
                    if name := _self_attribute(target):
                        yield name, value
            case ast.AnnAssign(target=target, value=ast.expr() as value):
                if name := _self_attribute(target):
                    yield name, value
            case _:
                pass


def _self_attribute(target: ast.expr) -> str | None:
    match target:
        case ast.Attribute(value=ast.Name(id="self"), attr=name):
            return name
        case _:
            return None


def _attribute_targets(init: ast.FunctionDef) -> set[str]:
    """All ``self.x`` that are assigned anywhere, also under a condition."""
    nodes = [n for n in ast.walk(init) if isinstance(n, ast.Attribute)]
    return {n.attr for n in nodes if isinstance(n.ctx, ast.Store) and _self_attribute(n)}


def _legacy(init: ast.FunctionDef) -> Iterator[tuple[str, Json]]:
    """Literal defaults in ``kwargs.get("x", 1)`` and ``kwargs.pop("x", 1)``."""
    for node in ast.walk(init):
        match node:
            case ast.Call(
                func=ast.Attribute(value=ast.Name(id="kwargs"), attr="get" | "pop"),
                args=[ast.Constant(value=str(name)), default],
            ) if _constant(default) is not UNKNOWN:
                yield name, _constant(default)
            case _:
                pass


def _read_sub_configs(node: ast.ClassDef, reading: _Reading) -> None:
    """``sub_configs = {"text_config": X}`` and ``self.text_config = X(**text_config)``."""
    for name, value in _assignments(node.body):
        if name == "sub_configs" and isinstance(value, ast.Dict):
            for key, item in zip(value.keys, value.values, strict=True):
                if isinstance(key, ast.Constant) and isinstance(item, ast.Name):
                    reading.sub_configs[str(key.value)] = {item.id}
    declared = set(reading.sub_configs)
    for statement in ast.walk(node):
        match statement:
            case ast.Assign(targets=[target], value=ast.Call(func=ast.Name(id=made))):
                key = target.id if isinstance(target, ast.Name) else _self_attribute(target)
                if key and key not in declared and key.endswith("_config") and "Config" in made:
                    reading.sub_configs.setdefault(key, set()).add(made)
            case _:
                pass
    for key in reading.sub_configs:
        reading.fields.pop(key, None)
        reading.derived.pop(key, None)
