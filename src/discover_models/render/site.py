"""The catalogue as one static page; its markup, style and script are in templates/site/.

Everything from manifests reaches the page as one block of JSON, which the script shows as text
only. The page's own policy allows that script and that style, by their digests, and nothing else:
no request, no image, no form.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from functools import cache
from importlib import metadata
from typing import Any, cast

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from discover_models.catalogue import Catalogue, CataloguedKernel, Need
from discover_models.demand import Demand, rank
from discover_models.domain.evidence import Evidence
from discover_models.domain.manifest import Manifest
from discover_models.render.bodies import last_change
from discover_models.render.environment import template_folder
from discover_models.render.escape import plain
from discover_models.render.from_manifest import kernel_of, parallelism_of
from discover_models.render.groups import GROUPS, group_of, notes, served, sizes
from discover_models.render.links import model_page, permalink, place, request_link

_FOLDER = "site"
_SCRIPT_UNSAFE = {ord(c): f"\\u{ord(c):04x}" for c in "<>&\u2028\u2029"}


def render_site(found: Catalogue, origins: Mapping[str, str]) -> str:
    """The whole page.

    `origins` maps source names to URLs; only public ones become links.
    """
    style, script = _file("style.css"), _file("app.js")
    page = _lines(_page(found, origins))
    text = json.dumps(page, ensure_ascii=False, separators=(",", ":"))
    return (
        _html()
        .get_template("page.html.j2")
        .render(
            style=Markup(style),  # a file of ours
            script=Markup(script),
            style_digest=_digest(style),
            script_digest=_digest(script),
            data=Markup(text.translate(_SCRIPT_UNSAFE)),  # can't end the block
            version=metadata.version("discover-models"),
            models=len(found.models),
        )
    )


@cache
def _html() -> Environment:
    return Environment(
        loader=FileSystemLoader(template_folder() / _FOLDER),
        undefined=StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def _file(name: str) -> str:
    return (template_folder() / _FOLDER / name).read_text("utf-8")


def _digest(text: str) -> str:
    """What a Content-Security-Policy calls an inline element by."""
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


class _Shared:
    """Lists that many definitions have in common, each written down once."""

    def __init__(self) -> None:
        self.values: list[Any] = []
        self._index: dict[str, int] = {}

    def put(self, value: Any) -> int:
        key = json.dumps(value)
        if key not in self._index:
            self._index[key] = len(self.values)
            self.values.append(value)
        return self._index[key]


def _lines(value: Any) -> Any:
    """The value with every text in it as one harmless line."""
    if isinstance(value, str):
        return str(plain(value))
    if isinstance(value, dict):
        entries = cast("dict[str, Any]", value).items()
        return {str(plain(key)): _lines(item) for key, item in entries}
    if isinstance(value, (list, tuple)):
        return [_lines(item) for item in cast("list[Any]", value)]
    return value


def _page(found: Catalogue, origins: Mapping[str, str]) -> dict[str, Any]:
    """What the script reads. Definitions, evidence and repeated texts are referred to by number."""
    evidence, texts = _Shared(), _Shared()
    number = {kernel.name: n for n, kernel in enumerate(found.kernels)}
    kernels = [_kernel(kernel, origins, evidence, texts) for kernel in found.kernels]
    needs: dict[str, list[Any]] = {}
    for kernel in found.kernels:
        for need in kernel.needs:
            needs.setdefault(need.model.model_slug, []).append(
                _need(need, number[kernel.name], texts)
            )
    return {
        "states": GROUPS,
        "families": [op_type for op_type in found.op_types],
        "kernels": kernels,
        "models": [_model(m, needs.get(m.model_slug, []), texts) for m in found.models],
        "demand": _demand(found, number),
        "evidence": evidence.values,
        "texts": texts.values,
    }


def _demand(found: Catalogue, number: Mapping[str, int]) -> list[dict[str, Any]]:
    """The ranking, the most wanted first; definitions and models by number."""
    models = {m.model_slug: n for n, m in enumerate(found.models)}

    def row(item: Demand) -> dict[str, Any]:
        return {
            "n": item.kernel,
            "f": item.op_type,
            "missing": item.missing,
            "why": item.why,
            "kernels": [number[name] for name in item.definitions],
            "models": [models[slug] for slug in item.models],
            "groups": item.groups,
            "families": item.families,
            "served": item.served_by,
            "since": item.since,
        }

    return [row(item) for item in rank(found).rows]


def _kernel(
    kernel: CataloguedKernel, origins: Mapping[str, str], evidence: _Shared, texts: _Shared
) -> dict[str, Any]:
    entry = kernel.entry
    shown = kernel_of(entry)
    proof = [_proof(e, origins) for e in dict.fromkeys((*shown.evidence, *shown.tests))]
    return {
        "n": kernel.name,
        "f": kernel.op_type,
        "s": GROUPS.index(group_of(shown)),
        "since": kernel.since,
        "axes": {name: axis.value for name, axis in shown.required.axes.items()},
        "dataset": entry.dataset_name,
        "workloads": entry.dataset_workloads,
        "fi": entry.fi_status,
        "sgl": entry.sgl_status,
        "trace": entry.fi_trace_template,
        "notes": [texts.put(note) for note in notes(shown)],
        "e": [evidence.put(item) for item in proof],
        "request": request_link(entry),
    }


def _proof(item: Evidence, origins: Mapping[str, str]) -> list[Any]:
    return [
        item.repository,
        place(item),
        permalink(item, origins) or "",
        item.looked_for,
        int(item.found),
        item.note,
    ]


def _need(need: Need, number: int, texts: _Shared) -> list[Any]:
    shown = kernel_of(need.entry)
    return [
        number,
        GROUPS.index(group_of(shown)),
        need.entry.layers,
        texts.put(sizes(shown)),
        texts.put(", ".join(need.entry.used_for)),
    ]


def _model(model: Manifest, needs: list[Any], texts: _Shared) -> dict[str, Any]:
    return {
        "slug": model.model_slug,
        "repo": model.hf_repo_id,
        "url": model_page(model.hf_repo_id) or "",
        "revision": model.hf_revision or "",
        "summary": model.summary,
        "date": model.date,
        "since": last_change(model),
        "group": model.group or model.hf_repo_id,
        "served": served(parallelism_of(model.parallelism)),
        "shas": model.repo_shas.known(),
        "notes": [texts.put(note) for note in model.notes],
        "unmapped": [[texts.put(part) for part in (u.what, u.reason)] for u in model.unmapped],
        "needs": needs,
    }
