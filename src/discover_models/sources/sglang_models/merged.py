"""Linear layers that a class merges into one after its weights are loaded."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from discover_models.domain.architecture import Unmapped
from discover_models.sources.sglang_models.layer_view import LayerView, parent_of, short
from discover_models.sources.sglang_models.model_source import Record
from discover_models.sources.sglang_models.values import ClassValue, Instance

_MERGE = re.compile(r"\bcat$|merge_\w*weight")
_NOT_LOADING = re.compile(r"^(__init__|forward\w*)$")


def merged_after_loading(view: LayerView) -> Iterator[Unmapped]:
    """Methods that join the weights of several linear layers of their object.

    The constructors show these layers one by one; at run time they may be one GEMM. That is not
    decided here: each is named with its method, so that somebody looks.
    """
    for holder in view.of_kind("module"):
        names = {
            short(r.name)
            for r in view.of_kind("linear")
            if parent_of(r.name) == holder.name and short(r.name)
        }
        if len(names) > 1 and isinstance(holder.instance, Instance) and holder.instance.cls:
            yield from _in_class(view, holder, holder.instance.cls, names)


def _in_class(
    view: LayerView, holder: Record, cls: ClassValue, names: set[str]
) -> Iterator[Unmapped]:
    for base in cls.mro:
        for name, node in base.members.items() if isinstance(base, ClassValue) else ():
            if not isinstance(node, ast.FunctionDef) or _NOT_LOADING.match(name):
                continue
            joined = _mentioned(node) & names
            if len(joined) > 1 and _merges(node):
                shown = ", ".join(sorted(joined))
                path = base.site.path if isinstance(base, ClassValue) else ""
                evidence = view.model.source.evidence(path, node.lineno, f"{cls.name}.{name}")
                yield Unmapped(
                    what=f"merged weights of {holder.name or cls.name}",
                    reason=f"{name} joins the weights of {shown}: they may run as one GEMM",
                    evidence=(evidence,),
                )


def _merges(node: ast.FunctionDef) -> bool:
    calls = (ast.unparse(c.func) for c in ast.walk(node) if isinstance(c, ast.Call))
    return any(_MERGE.search(call) for call in calls)


def _mentioned(node: ast.FunctionDef) -> set[str]:
    return {
        part.attr
        for part in ast.walk(node)
        if isinstance(part, ast.Attribute) and ast.unparse(part.value) == "self"
    }
