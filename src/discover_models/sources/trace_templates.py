"""Which trace templates stand behind the `trace=` of a FlashInfer API.

`trace=` names a template, or a function that picks one when the API is called. Such a function
carries the templates it can pick in its attribute `templates` and finds them in dictionaries of
its module; all of them are followed by name, and a template is told apart by its `name_prefix`,
which starts the name of the definition that it dumps.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from discover_models.sources.public_api import Definition, PublicApi
from discover_models.sources.python_module import Binding, Function, Module, Value
from discover_models.sources.python_source import parse_file

_SAME_ROUTING: dict[str, tuple[str, ...]] = {
    # Softmax, top-k and normalising give the same weights as top-k and softmax.
    "renorm": ("renormalize_routing", "renormalize_naive_routing"),
}
"""Routing names of the dataset that FlashInfer spells otherwise."""


@dataclass(frozen=True)
class Template:
    """One template, by the name of the variable that holds it."""

    name: str
    path: Path
    line: int
    prefixes: tuple[str, ...]
    """What its `name_prefix` may be; empty when that can't be read."""

    def covers(self, routing: str) -> bool:
        spellings = _SAME_ROUTING.get(routing, (routing,))
        return any(p.endswith(f"_{s}") for p in self.prefixes for s in spellings)

    @property
    def is_for_one_routing(self) -> bool:
        return any(prefix.endswith("_routing") for prefix in self.prefixes)


class TraceTemplates:
    """Follows template names through a package; template files are read once."""

    def __init__(self, api: PublicApi) -> None:
        self._api = api
        self._trees: dict[Path, ast.Module] = {}

    def behind(self, module: Module, expression: ast.expr) -> tuple[Template, ...]:
        """All templates that `expression` in `module` can stand for, in the order found."""
        found: dict[tuple[Path, int], Template] = {}
        for template in self._walk(module, expression, set()):
            found.setdefault((template.path, template.line), template)
        return tuple(found.values())

    def _walk(
        self, module: Module, node: ast.AST, seen: set[tuple[str, int]]
    ) -> Iterator[Template]:
        for name in _loaded_names(node):
            for owner, binding in self._bindings(module, name):
                if (owner.name, binding.line) in seen:
                    continue
                seen.add((owner.name, binding.line))
                yield from self._from_binding(owner, binding, seen)

    def _from_binding(
        self, module: Module, binding: Binding, seen: set[tuple[str, int]]
    ) -> Iterator[Template]:
        if isinstance(binding, Value):
            prefixes = self._prefixes(module, binding.expression)
            if prefixes is not None:
                yield Template(binding.name, module.path, binding.line, prefixes)
                return
            yield from self._walk(module, binding.expression, seen)
        elif isinstance(binding, Function):
            for node in self._dispatch_parts(module, binding):
                yield from self._walk(module, node, seen)

    def _bindings(self, module: Module, name: str) -> Iterator[tuple[Module, Binding]]:
        target = self._api.lookup(module, name)
        if isinstance(target, Definition):
            yield target.module, target.binding
            return
        for binding in module.by_name.get(name, ()):
            if isinstance(binding, Value):
                yield module, binding

    def _dispatch_parts(self, module: Module, binding: Function) -> Iterator[ast.AST]:
        """The function's body and what is assigned or added to its `templates`."""
        for node in self._tree(module).body:
            match node:
                case ast.FunctionDef(name=name) if name == binding.name:
                    yield from node.body
                case (
                    ast.Assign(
                        targets=[ast.Attribute(value=ast.Name(id=owner), attr="templates")],
                        value=value,
                    )
                    | ast.AugAssign(
                        target=ast.Attribute(value=ast.Name(id=owner), attr="templates"),
                        value=value,
                    )
                ) if owner == binding.name:
                    yield value
                case _:
                    pass

    def _prefixes(self, module: Module, node: ast.expr) -> tuple[str, ...] | None:
        """The `name_prefix` of a template made by `node`; None when it makes none."""
        if not isinstance(node, ast.Call):
            return None
        for keyword in node.keywords:
            if keyword.arg == "name_prefix":
                return _strings(keyword.value, {})
        if not isinstance(node.func, ast.Name):
            return None
        if node.func.id == "TraceTemplate":
            return ()
        return self._factory_prefixes(module, node.func.id, _arguments(node))

    def _factory_prefixes(
        self, module: Module, name: str, arguments: dict[str, object]
    ) -> tuple[str, ...] | None:
        """The `name_prefix` of the template that a function of the module makes."""
        for statement in self._tree(module).body:
            if isinstance(statement, ast.FunctionDef) and statement.name == name:
                for call in ast.walk(statement):
                    if isinstance(call, ast.Call) and _calls_template(call):
                        prefix = next(k.value for k in call.keywords if k.arg == "name_prefix")
                        return _strings(prefix, arguments)
        return None

    def _tree(self, module: Module) -> ast.Module:
        if module.path not in self._trees:
            self._trees[module.path] = parse_file(module.path)
        return self._trees[module.path]


def _loaded_names(node: ast.AST) -> Iterator[str]:
    for child in ast.walk(node):
        if isinstance(child, ast.Name) and isinstance(child.ctx, ast.Load):
            yield child.id


def _calls_template(node: ast.Call) -> bool:
    named = isinstance(node.func, ast.Name) and node.func.id == "TraceTemplate"
    return named and any(keyword.arg == "name_prefix" for keyword in node.keywords)


def _arguments(node: ast.Call) -> dict[str, object]:
    """The keyword arguments of a call that are literals."""
    return {
        keyword.arg: keyword.value.value
        for keyword in node.keywords
        if keyword.arg and isinstance(keyword.value, ast.Constant)
    }


def _strings(node: ast.expr, arguments: dict[str, object]) -> tuple[str, ...]:
    """The strings that an expression may give: a literal, an argument, a side of a choice."""
    match node:
        case ast.Constant(value=str() as text):
            return (text,)
        case ast.Name(id=name) if isinstance(arguments.get(name), str):
            return (str(arguments[name]),)
        case ast.IfExp(test=ast.Name(id=name), body=body, orelse=orelse) if name in arguments:
            return _strings(body if arguments[name] else orelse, arguments)
        case ast.IfExp(body=body, orelse=orelse):
            return (*_strings(body, arguments), *_strings(orelse, arguments))
        case _:
            return ()
