"""Which requests to FlashInfer the models' manifests call for, and what they say. Pure.

A *kernel request* asks for one kernel or for one shape limit of it, whatever number of definitions
and models need it. The *trace request* asks for all missing trace templates at once.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import ValidationError

from discover_models.domain.depth import Provider
from discover_models.domain.evidence import Evidence
from discover_models.domain.kernel import ClassifiedKernel, Inventory
from discover_models.domain.manifest import Manifest, ManifestEvidence, ManifestKernel
from discover_models.render.from_manifest import kernel_of
from discover_models.render.groups import sizes

RequestKind = Literal["kernel-request", "trace-request"]
URL_FIELDS: dict[RequestKind, str] = {
    "kernel-request": "fi_issue_url",
    "trace-request": "fi_trace_template_request_url",
}
"""Where the contract keeps the address of a request."""
TRACE_KEY = "trace-templates"
RESTS_ON = ("flashinfer", "flashinfer-trace", "sglang", "sgl-cookbook")
"""Sources without which a request could be wrong: the verdict, the need, the sizes."""

_DATASET = "flashinfer-trace"
_ADDRESS = re.compile(r"https?://[^\s<>()\[\]\"'`\\|]+")
_DOUBT = (
    "undecided",
    "not checked",
    "not refreshed",
    "could not be read",
)
_NOT_SERVED = "the checkpoint itself is"
"""In the note of a definition that stands for what the model could be served with, and is not."""


@dataclass(frozen=True)
class Looked:
    """What a run saw itself; only of that may a new request be made."""

    inventories: Mapping[str, Inventory]
    """By repository in lower case."""
    failed: Mapping[str, str] = field(default_factory=dict[str, str])
    """Reasons by source that could not be read in this run."""
    unsettled: frozenset[str] = frozenset()
    """Repositories, in lower case, that are unresolved, deferred or skipped."""

    @property
    def flashinfer(self) -> str:
        """The commit of FlashInfer that was looked at; empty when there was none."""
        shas = (i.repo_shas.get("flashinfer", "") for i in self.inventories.values())
        return next(filter(None, shas), "")

    @property
    def release(self) -> str:
        """The version that its checkout states; empty when no definition says it."""
        kernels = (k for i in self.inventories.values() for k in i.kernels)
        said = (k.depth.release for k in kernels if k.depth is not None)
        return next((r.checkout for r in said if r is not None and r.checkout), "")


@dataclass(frozen=True)
class Row:
    """One definition of a request."""

    definition: str
    op_type: str
    axes: Mapping[str, int]
    models: tuple[str, ...]
    """Repositories that need it, by name."""
    sizes: str
    """Tensor and expert parallel sizes that it depends on; empty for none."""
    data_type: str
    state: Literal["missing", "there", "undecided"]

    def fact(self) -> list[Any]:
        """What counts as a change of the row."""
        return [dict(self.axes), list(self.models), self.sizes, self.data_type, self.state]


@dataclass(frozen=True)
class Request:
    """What FlashInfer is asked for, or would be."""

    kind: RequestKind
    key: str
    kernel: str
    limit: str
    """What alone is missing of a kernel that is there; else empty."""
    apis: tuple[str, ...]
    rows: tuple[Row, ...]
    """Of everything that the manifests say, by definition."""
    fresh: tuple[Row, ...]
    """Of those entries alone of which a new request may be made."""
    models: tuple[str, ...]
    """Repositories in `fresh`, or else in `rows`; the one that gave it its name first."""
    barred: str
    """Why no request may be made of it in this run; empty when one may."""
    urls: tuple[str, ...]
    """Addresses that its entries carry, the most frequent first."""
    evidence: tuple[Evidence, ...] = ()
    """What was looked for in FlashInfer and found or not."""
    near: tuple[str, ...] = ()
    """What FlashInfer has of it."""
    read_at: str = ""
    """The release whose sources a person read for it; empty where its APIs are known."""
    unread: str = ""
    """Why a person should look before it is filed; empty where that is not needed."""
    served_by: tuple[Provider, ...] = ()
    """What SGLang runs in its place, as far as SGLang says so."""
    implementations: Mapping[str, Evidence] = field(default_factory=dict[str, Evidence])
    """Where SGLang defines the models, by repository."""

    @property
    def id(self) -> tuple[str, str]:
        return self.kind, self.key


@dataclass(frozen=True)
class _Entry:
    manifest: Manifest
    kernel: ManifestKernel
    bar: str
    seen: ClassifiedKernel
    """As this run saw it, or else as the manifest remembers it."""
    implementation: Evidence | None
    """Likewise where SGLang defines the model's class."""

    @property
    def model(self) -> str:
        return self.manifest.hf_repo_id

    @property
    def rank(self) -> tuple[bool, str]:
        """A group's own model comes before its variants."""
        group = (self.manifest.group or self.model).casefold()
        return self.model.casefold() != group, self.model.casefold()


def arrived(rows: Sequence[Row]) -> bool:
    """Whether FlashInfer has all of it now."""
    return bool(rows) and all(row.state == "there" for row in rows)


def kernel_requests(
    manifests: Iterable[Manifest], looked: Looked, own: Mapping[str, str]
) -> tuple[Request, ...]:
    """All kernel requests by key: of what is missing, and of what was missing when it was asked.

    `own` gives the key of each request that the bot made, by address: an entry that carries one
    belongs to it whatever else is missing of it now.
    """
    found: dict[str, list[_Entry]] = {}
    for manifest, kernel in _entries(manifests):
        lacks = (
            kernel.fi_lack.request if kernel.fi_lack and kernel.fi_status == "fi_missing" else ""
        )
        key = own.get(_url(kernel), "") or lacks
        if key and kernel.required and not _unasked(kernel):
            found.setdefault(key, []).append(_entry(manifest, kernel, looked))
    return tuple(_request("kernel-request", key, found[key]) for key in sorted(found))


def trace_request(manifests: Iterable[Manifest], looked: Looked) -> Request | None:
    """The request for trace templates; None when none is missing and none was asked for."""
    entries = [
        _entry(manifest, kernel, looked, trace=True)
        for manifest, kernel in _entries(manifests)
        if kernel.required and (_untraced(kernel) or _url(kernel, "trace-request"))
    ]
    return _request("trace-request", TRACE_KEY, entries) if entries else None


def why_not(entry: ManifestKernel, model: Manifest, looked: Looked, *, trace: bool = False) -> str:
    """Why no new request may be made of an entry; empty when one may.

    This is the one place that says so. A request rests on what this very run saw: nothing that
    failed, nothing remembered, nothing in doubt.
    """
    for source in RESTS_ON:
        if source in looked.failed:
            return f"{source} could not be read in this run"
    name = model.hf_repo_id.casefold()
    if name in looked.unsettled:
        return f"{model.hf_repo_id} is not settled"
    if name not in looked.inventories:
        return f"{model.hf_repo_id} was not looked at in this run"
    seen = _seen(entry, model, looked)
    if seen is None:
        return f"{entry.definition_name} was not classified in this run"
    return _doubt(seen, trace=trace)


def _seen(entry: ManifestKernel, model: Manifest, looked: Looked) -> ClassifiedKernel | None:
    """What this run says of an entry; None where it did not look."""
    inventory = looked.inventories.get(model.hf_repo_id.casefold())
    kernels = inventory.kernels if inventory is not None else ()
    found = [k for k in kernels if k.required.definition_name == entry.definition_name]
    return found[0] if len(found) == 1 else None


def _entry(
    model: Manifest, kernel: ManifestKernel, looked: Looked, *, trace: bool = False
) -> _Entry:
    inventory = looked.inventories.get(model.hf_repo_id.casefold())
    remembered = next(_values([model.implementation]), None)
    return _Entry(
        manifest=model,
        kernel=kernel,
        bar=why_not(kernel, model, looked, trace=trace),
        seen=_seen(kernel, model, looked) or kernel_of(kernel),
        implementation=inventory.implementation if inventory is not None else remembered,
    )


def known_request(request: Request, known: Mapping[str, str]) -> str:
    """The address that the configuration gives for a request; empty when it knows none.

    A name there is the request's key, the kernel's title, or a family of definitions (op_type).
    """
    by_name = {name.casefold(): url for name, url in known.items()}
    names = (request.key, request.kernel, request.key.partition(".")[0])
    families = (row.op_type for row in request.rows)
    return next((by_name[n.casefold()] for n in (*names, *families) if n.casefold() in by_name), "")


def with_url(manifests: Mapping[str, Manifest], request: Request, url: str) -> dict[str, Manifest]:
    """The manifests with the request's address in every entry that has none yet."""
    name = URL_FIELDS[request.kind]
    definitions = {row.definition for row in request.rows}

    def noted(kernel: ManifestKernel) -> ManifestKernel:
        if kernel.definition_name not in definitions or _url(kernel, request.kind):
            return kernel
        if not _belongs(kernel, request):
            return kernel
        return ManifestKernel.of(kernel.known(), {**kernel.foreign(), name: url})

    changed = {slug: tuple(map(noted, m.kernels)) for slug, m in manifests.items()}
    return {
        slug: m
        if changed[slug] == m.kernels
        else Manifest.of({**m.known(), "kernels": changed[slug]}, m.foreign())
        for slug, m in manifests.items()
    }


def _request(kind: RequestKind, key: str, entries: Sequence[_Entry]) -> Request:
    """The request out of the entries that belong to it; there is at least one."""
    able = [e for e in entries if not e.bar]
    ranked = sorted(able or entries, key=lambda e: e.rank)
    urls = Counter(filter(None, (_url(e.kernel, kind) for e in entries)))
    lacks = [e.kernel.fi_lack for e in (*ranked, *entries) if e.kernel.fi_lack is not None]
    lack = lacks[0] if lacks else None
    return Request(
        kind=kind,
        key=key,
        kernel=lack.kernel if lack else "",
        limit=lack.limit if lack else "",
        apis=tuple(dict.fromkeys(api for found in lacks for api in found.apis)),
        rows=_rows(kind, entries),
        fresh=_rows(kind, able),
        models=tuple(dict.fromkeys(e.model for e in ranked)),
        barred="" if able else entries[0].bar,
        urls=tuple(url for url, _ in sorted(urls.items(), key=lambda u: (-u[1], u[0]))),
        evidence=_evidence(ranked),
        near=tuple(dict.fromkeys(text for found in lacks for text in found.near)),
        read_at=lack.read_at if lack else "",
        unread=next((found.unread for found in lacks if found.unread), ""),
        served_by=_served_by(ranked),
        implementations={e.model: e.implementation for e in ranked if e.implementation},
    )


def _rows(kind: RequestKind, entries: Iterable[_Entry]) -> tuple[Row, ...]:
    by_name: dict[str, list[_Entry]] = {}
    for entry in entries:
        by_name.setdefault(entry.kernel.definition_name, []).append(entry)
    return tuple(_row(kind, name, by_name[name]) for name in sorted(by_name))


def _row(kind: RequestKind, name: str, entries: Sequence[_Entry]) -> Row:
    newest = max(entries, key=lambda e: e.kernel.changed or "").kernel
    served = dict.fromkeys(text for e in entries for text in sizes(kernel_of(e.kernel)).split(", "))
    lack = newest.fi_lack
    return Row(
        definition=name,
        op_type=newest.op_type,
        axes={axis: v for axis, v in newest.axes.items() if isinstance(v, int)},
        models=tuple(sorted({e.model for e in entries}, key=str.casefold)),
        sizes=", ".join(filter(None, served)),
        data_type=lack.data_type if lack else newest.variant,
        state=_trace_state(newest) if kind == "trace-request" else _state(newest),
    )


def _unasked(kernel: ManifestKernel) -> bool:
    """Whether FlashInfer lacks it and need not have it, or nobody can run it as it stands."""
    need_not = kernel.fi_status == "fi_missing" and kernel.fi_lack is None
    return need_not or any(_NOT_SERVED in note for note in kernel.notes)


def _state(kernel: ManifestKernel) -> Literal["missing", "there", "undecided"]:
    if kernel.phase1_status == "existing" or kernel.fi_status == "fi_supported":
        return "there"
    return "missing" if kernel.fi_status == "fi_missing" else "undecided"


def _trace_state(kernel: ManifestKernel) -> Literal["missing", "there", "undecided"]:
    if kernel.phase1_status == "existing" or kernel.fi_trace_template is True:
        return "there"
    return "missing" if _untraced(kernel) else "undecided"


def _evidence(entries: Iterable[_Entry]) -> tuple[Evidence, ...]:
    found = (value for e in entries for value in e.seen.evidence)
    return tuple(dict.fromkeys(e for e in found if e.repository in ("flashinfer", _DATASET)))


def _served_by(entries: Iterable[_Entry]) -> tuple[Provider, ...]:
    known = (e.seen.depth for e in entries)
    return tuple(dict.fromkeys(p for depth in known if depth for p in depth.served_by))


def _values(items: Iterable[ManifestEvidence | None]) -> Iterator[Evidence]:
    """Those from repositories that we know; others wrote about theirs."""
    for item in items:
        with suppress(ValidationError):
            if item is not None:
                yield Evidence.model_validate(item.known())


def _belongs(kernel: ManifestKernel, request: Request) -> bool:
    if request.kind == "trace-request":
        return _untraced(kernel)
    return kernel.fi_lack is not None and kernel.fi_lack.request == request.key


def _doubt(seen: ClassifiedKernel, *, trace: bool) -> str:
    """What of this run's verdict is not certain; empty when all is."""
    name = seen.required.definition_name
    lacks = seen.fi_status == "fi_missing" and seen.fi_lack is not None
    if trace:
        lacks = seen.fi_status == "fi_supported" and seen.fi_trace_template is False
    if seen.phase1_status != "new" or not lacks:
        return f"{name} is not decided so in this run"
    said = (*seen.required.notes, *seen.notes)
    if any(word in note for note in said for word in (*_DOUBT, _NOT_SERVED)):
        return f"something of {name} was not checked"
    if not any(e.repository == "flashinfer" and e.commit for e in seen.evidence):
        return f"{name} has no evidence from FlashInfer"
    return ""


def _entries(manifests: Iterable[Manifest]) -> Iterable[tuple[Manifest, ManifestKernel]]:
    for manifest in sorted(manifests, key=lambda m: m.hf_repo_id.casefold()):
        for kernel in manifest.kernels:
            yield manifest, kernel


def _url(kernel: ManifestKernel, kind: RequestKind = "kernel-request") -> str:
    """The address that an entry carries; only one that can be shown counts."""
    value = kernel.foreign().get(URL_FIELDS[kind], "")
    return value if isinstance(value, str) and _ADDRESS.fullmatch(value) else ""


def _untraced(kernel: ManifestKernel) -> bool:
    return (
        kernel.phase1_status == "new"
        and kernel.fi_status == "fi_supported"
        and kernel.fi_trace_template is False
    )
