"""The bodies of the issues that the bot keeps, and the facts that decide when they are rewritten.

Wording and layout are in templates/tracking_issue.md.j2 and templates/dashboard.md.j2.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple
from urllib.parse import quote

from pydantic import Field

from discover_models.changes import News, latest
from discover_models.demand import Ranking
from discover_models.domain.evidence import Evidence
from discover_models.domain.frozen import Frozen
from discover_models.domain.kernel import ClassifiedKernel
from discover_models.domain.manifest import Manifest, ManifestKernel
from discover_models.manifests import dump
from discover_models.merge import lasting
from discover_models.render.budget import trim
from discover_models.render.coverage import coverage_section
from discover_models.render.demand import demand_cells
from discover_models.render.environment import markdown
from discover_models.render.escape import fenced, plain
from discover_models.render.from_manifest import inventory_of, kernel_of
from discover_models.render.groups import GROUPS, GroupKey, group_of, groups
from discover_models.render.links import request_link
from discover_models.render.united import united

FACTS_LIMIT = 12_000
"""Characters of facts by kernel; beyond that one digest stands for all of them."""
MANIFEST_LIMIT = 20_000
"""A longer manifest is linked instead of shown."""

_IMPORTANCE: tuple[GroupKey, ...] = ("existing", "ready", "undecided", "sgl_missing", "fi_missing")
_TRACKING_ORDER = (
    "manifest",
    "section",
    "request texts",
    *(f"evidence {key}" for key in _IMPORTANCE),
    *(part for key in _IMPORTANCE for part in (f"notes {key}", key)),
    "unmapped",
)
"""What rows go first when a body is too long: evidence is also in the manifests."""


class Page(Frozen):
    """What a body says beside its facts."""

    origins: dict[str, str]
    """URLs by source name; only public ones become links."""
    today: str
    """ISO day."""
    repository_url: str = ""
    """The page of the repository that the state branch is in."""
    state_branch: str = ""
    """Where the manifests are; empty when they are only in the run's artifact."""
    run_url: str = ""
    redirect: bool = True
    """Whether links to issues go through redirect.github.com, which leaves no trace there."""

    def folder_url(self) -> str:
        """Where the manifests are; empty when they are only in the run's artifact."""
        return self._url("tree", "manifests")

    def file_url(self, slug: str) -> str:
        """Where a model's manifest is, likewise."""
        return self._url("blob", f"manifests/{slug}.json")

    def _url(self, kind: str, path: str) -> str:
        if not self.state_branch:
            return ""
        return f"{self.repository_url}/{kind}/{quote(f'{self.state_branch}/{path}')}"


class DashboardModel(Frozen):
    """One row of the dashboard: the models of one group."""

    slug: str
    hf_repo_id: str
    variants: tuple[str, ...] = ()
    """Slugs of the other models in the group."""
    counts: dict[str, int]
    """Definitions by group, and ``unmapped``."""
    changed: str
    """ISO day of the last change of a fact."""
    number: int | None = None
    """Its tracking issue."""
    remark: str = ""
    """Why it has none, or why that is not written to."""


class PossibleMatch(Frozen):
    """An issue or pull request of another repository."""

    number: int
    title: str
    state: str
    pull: bool
    url: str = ""


class ShownRequest(Frozen):
    """A request to FlashInfer on the dashboard."""

    title: str
    key: str
    definitions: tuple[str, ...]
    url: str
    """Where it is asked for; empty while it is not."""
    reason: str
    matches: tuple[PossibleMatch, ...] = ()
    box: str = ""
    """Key of the box that approves it; empty where a tick would change nothing."""
    link: str = ""
    text: str = ""
    there: bool = False
    """Whether FlashInfer has all of it now."""


class ReadyRequest(Frozen):
    """The text of a request that a person can file."""

    title: str
    definitions: tuple[str, ...]
    link: str
    text: str


class Listed(Frozen):
    """Something that is not in the table, with the reason."""

    name: str
    reason: str
    """A stable word or sentence."""
    detail: str = ""
    """What may differ from run to run; shown, but no fact."""


class Dashboard(Frozen):
    """Everything that the dashboard shows."""

    models: tuple[DashboardModel, ...]
    totals: dict[str, int]
    """Distinct definitions by group, over all models."""
    not_refreshed: dict[str, str]
    """Reasons by source that could not be read."""
    not_looked: dict[str, str] = Field(default_factory=dict)
    """Reasons by place where new models could not be looked for."""
    news: dict[str, News] = Field(default_factory=dict)
    """What changed on the last day on which anything did, by slug."""
    demand: Ranking = Ranking(rows=(), models=0, undecided=0)
    tracked: int = 0
    """New models that the coverage document has already."""
    requests: tuple[ShownRequest, ...] = ()
    ticked: tuple[str, ...] = ()
    """Approving boxes that were ticked when the run looked."""
    held_back: tuple[Listed, ...] = ()
    deferred: tuple[Listed, ...] = ()
    unresolved: tuple[Listed, ...] = ()
    skipped: tuple[Listed, ...] = ()
    ignored: tuple[Listed, ...] = ()

    def lists(self) -> dict[str, tuple[Listed, ...]]:
        """The lists by title, the most important first."""
        return {
            "Held back": self.held_back,
            "Deferred": self.deferred,
            "Unresolved": self.unresolved,
            "Skipped": self.skipped,
            "Ignored": self.ignored,
        }


_EXPLAINED = {
    "Held back": "inventoried, with an issue to come",
    "Deferred": "could not be looked at when that was tried last",
    "Unresolved": "new, but nobody says for certain which repository it is",
    "Skipped": "new, but no language model",
    "Ignored": "left out by the configuration",
}
_OPENED = ("Deferred",)
"""Lists that a reader sees without opening them."""


class _Proof(NamedTuple):
    """What supports the verdicts of some definitions alike."""

    kernels: tuple[ClassifiedKernel, ...]
    evidence: tuple[Evidence, ...]
    tests: tuple[Evidence, ...]


_Shared = tuple[tuple[Evidence, ...], tuple[Evidence, ...]]


def tracking_title(manifest: Manifest) -> str:
    """The title with which a tracking issue is opened."""
    return str(plain(f"Kernel inventory: {manifest.hf_repo_id}"))


def tracking_body(
    members: Sequence[Manifest],
    page: Page,
    limit: int,
    *,
    deferred: Mapping[str, str] | None = None,
    news: Mapping[str, News] | None = None,
    ready: Sequence[ReadyRequest] = (),
) -> str:
    """The tracking issue of a group in at most `limit` characters, as far as rows allow.

    `members` are the manifests of its models, the group's own first; `deferred` says by repository
    why it could not be looked at when that was tried last, `news` by slug what changed last.
    """
    manifest = united(members)
    inventory = inventory_of(manifest)
    found = {group.key: group.kernels for group in groups(inventory)}
    have = {m.hf_repo_id for m in members}
    text = (
        markdown()
        .get_template("tracking_issue.md.j2")
        .render(
            members=members,
            elsewhere=[v.hf_repo_id for v in manifest.variants if v.hf_repo_id not in have],
            inventory=inventory,
            found=found,
            uncollected=sum(k.workloads is False for k in found["existing"]),
            proofs={key: _proofs(kernels) for key, kernels in found.items()},
            requests=requests_of(manifest, page),
            ready=_ready_for(manifest, ready),
            last_change=last_change(manifest),
            news=_said(members, news or {}),
            changed=[k.definition_name for k in manifest.kernels if _changed_last(k, manifest)],
            not_required=[k.definition_name for k in manifest.kernels if not k.required],
            text=_shown_manifest(members),
            pasted=_pasted(members[0]),
            origins=page.origins,
            page=page,
            deferred=deferred or {},
        )
    )
    return trim(text, _TRACKING_ORDER, limit)


def tracking_facts(
    members: Sequence[Manifest],
    *,
    deferred: Mapping[str, str] | None = None,
    ready: Sequence[ReadyRequest] = (),
) -> dict[str, Any]:
    """What a tracking issue says, without commits, lines and dates."""
    manifest = united(members)
    kernels = {k.definition_name: _kernel_fact(k) for k in manifest.kernels}
    about = {
        "hf_repo_id": manifest.hf_repo_id,
        "summary": manifest.summary,
        "models": {m.hf_repo_id: m.model_slug for m in members},
        "variants": [v.hf_repo_id for v in manifest.variants],
        "parallelism": [p.known() for p in manifest.parallelism],
        "notes": list(lasting(manifest.notes)),
        "unmapped": [[u.what, u.reason, list(u.fields)] for u in manifest.unmapped],
    }
    if len(json.dumps(kernels)) > FACTS_LIMIT:
        kernels = {"all": digest(kernels)}
    facts: dict[str, Any] = {"kernels": kernels, "model": digest(about)}
    if asked := _ready_for(manifest, ready):
        facts["ready"] = [[request.title, list(request.definitions)] for request in asked]
    return facts | ({"deferred": dict(deferred)} if deferred else {})


def _ready_for(manifest: Manifest, ready: Sequence[ReadyRequest]) -> list[ReadyRequest]:
    """The requests that one of the model's definitions waits for."""
    names = {k.definition_name for k in manifest.kernels if k.required}
    return [request for request in ready if names & set(request.definitions)]


def dashboard_body(dashboard: Dashboard, page: Page, limit: int) -> str:
    """The dashboard in at most `limit` characters, as far as rows allow."""
    lists = dashboard.lists()
    text = (
        markdown()
        .get_template("dashboard.md.j2")
        .render(
            dashboard=dashboard,
            lists=lists,
            explained=_EXPLAINED,
            opened=_OPENED,
            page=page,
            first=[slug for slug, item in dashboard.news.items() if item.first],
            changed={slug: item for slug, item in dashboard.news.items() if not item.first},
            day=max((item.day for item in dashboard.news.values()), default=""),
            demand=demand_cells(dashboard.demand),
        )
    )
    order = ("request texts", *reversed(lists), "changes", "demand", "models")
    return trim(text, order, limit)


def dashboard_facts(dashboard: Dashboard) -> dict[str, Any]:
    """What the dashboard says, without dates and details that differ from run to run."""
    models = {
        m.slug: [
            digest([m.hf_repo_id, m.variants, m.remark])[:8],
            *(m.counts.get(key, 0) for key in (*GROUPS, "unmapped")),
            m.number,
        ]
        for m in dashboard.models
    }
    lists = {
        title: digest([[item.name, item.reason] for item in items])
        for title, items in dashboard.lists().items()
        if items
    }
    totals = [dashboard.totals.get(key, 0) for key in GROUPS]
    facts: dict[str, Any] = {"models": models, "lists": lists, "totals": totals}
    facts |= {"demand": digest(_demand_fact(dashboard.demand))} if dashboard.demand.rows else {}
    if dashboard.news:
        facts["news"] = digest({s: item.model_dump() for s, item in dashboard.news.items()})
    if len(json.dumps(models)) > FACTS_LIMIT:
        facts["models"] = {"all": digest(models)}
    if dashboard.not_refreshed:
        facts["not_refreshed"] = sorted(dashboard.not_refreshed)
    if dashboard.not_looked:
        facts["not_looked"] = sorted(dashboard.not_looked)
    if dashboard.requests:
        facts["requests"] = {r.key: digest(_request_fact(r))[:12] for r in dashboard.requests}
    if dashboard.ticked:
        facts["ticked"] = list(dashboard.ticked)
    return facts | ({"tracked": dashboard.tracked} if dashboard.tracked else {})


def _request_fact(request: ShownRequest) -> list[Any]:
    """Candidates count by their numbers alone: their titles and states change on their own."""
    numbers = sorted(match.number for match in request.matches)
    return [request.definitions, request.url, request.reason, numbers, request.box, request.there]


def _demand_fact(demand: Ranking) -> list[Any]:
    """Who is held up by what; downloads change every day and are no fact."""
    rows = [[r.kernel, r.op_type, r.missing, r.models, r.served_by, r.why] for r in demand.rows]
    return sorted(rows)


def _said(members: Sequence[Manifest], news: Mapping[str, News]) -> dict[str, tuple[str, ...]]:
    """What changed for any of the members on the last day on which something did."""
    found = latest({m.model_slug: news.get(m.model_slug) for m in members})
    said: dict[str, dict[str, None]] = {}
    for item in found.values():
        for words, names in item.by_words().items():
            said.setdefault(words, {}).update(dict.fromkeys(names))
    return {words: tuple(names) for words, names in said.items()}


def counts(manifest: Manifest) -> dict[str, int]:
    """Definitions of a model by group, and its unmapped parts."""
    found = {key: 0 for key in GROUPS}
    for kernel in manifest.kernels:
        if kernel.required:
            found[group_of(kernel_of(kernel))] += 1
    return {**found, "unmapped": len(manifest.unmapped)}


def totals(manifests: Iterable[Manifest]) -> dict[str, int]:
    """Distinct definitions by group, over all models."""
    kernels = (k for m in manifests for k in m.kernels if k.required)
    distinct = {(group_of(kernel_of(k)), k.definition_name) for k in kernels}
    found = Counter[str](key for key, _ in distinct)
    return {key: found[key] for key in GROUPS}


def last_change(manifest: Manifest) -> str:
    """The last day on which a fact of the model changed."""
    return max([manifest.date, *(k.changed for k in manifest.kernels if k.changed)])


def finished_comment(manifest: Manifest) -> str:
    """The comment that closes a tracking issue whose kernels are all in the dataset; else empty."""
    required = [k for k in manifest.kernels if k.required]
    if not required or any(k.phase1_status != "existing" for k in required):
        return ""
    text = f"Every definition that this model needs ({len(required)}) is in the dataset now."
    if manifest.unmapped:
        text += f" Parts of the model that have no definition yet: {len(manifest.unmapped)}."
    return text


def requests_of(manifest: Manifest, page: Page) -> dict[str, tuple[str, str]]:
    """Text and link of the FlashInfer request of each definition that has one."""
    host = "redirect.github.com" if page.redirect else "github.com"
    links = ((k.definition_name, request_link(k, host=host)) for k in manifest.kernels)
    return {name: link for name, link in links if link}


def digest(value: object) -> str:
    """A short fingerprint of a JSON value."""
    text = json.dumps(value, sort_keys=True)
    return hashlib.sha256(text.encode("utf-8", errors="surrogatepass")).hexdigest()[:16]


def _kernel_fact(kernel: ManifestKernel) -> str:
    """The group of an entry and a fingerprint of everything that counts as a change in it."""
    foreign = kernel.foreign()
    facts = {
        "phase1": kernel.phase1_status,
        "fi": kernel.fi_status,
        "sgl": kernel.sgl_status,
        "trace": kernel.fi_trace_template,
        "required": kernel.required,
        "dataset": [kernel.dataset_name, kernel.dataset_workloads],
        "layers": kernel.layers,
        "used_for": list(kernel.used_for),
        "variant": kernel.variant,
        "axes": {k: v for k, v in kernel.axes.items() if isinstance(v, int)},
        "parallelism": [p.known() for p in kernel.parallelism],
        "notes": list(lasting(kernel.notes)),
        "request": str(foreign.get("fi_issue_url", "")),
    }
    return f"{group_of(kernel_of(kernel))} {digest(facts)[:8]}"


def _changed_last(kernel: ManifestKernel, manifest: Manifest) -> bool:
    days = {k.changed for k in manifest.kernels}
    return len(days) > 1 and kernel.changed == last_change(manifest)


def _proofs(kernels: Iterable[ClassifiedKernel]) -> tuple[_Proof, ...]:
    """The evidence of definitions, each once for all that share it.

    That the dataset lacks a new definition is said by its section alone.
    """
    shared: dict[_Shared, list[ClassifiedKernel]] = {}
    for kernel in kernels:
        every = dict.fromkeys(kernel.required.evidence + kernel.evidence)
        told = tuple(e for e in every if e.found or e.repository != "flashinfer-trace")
        if told or kernel.tests or kernel.required.axes:
            shared.setdefault((told, kernel.tests), []).append(kernel)
    return tuple(_Proof(tuple(kernels), *proof) for proof, kernels in shared.items())


def _pasted(manifest: Manifest) -> str:
    """What to paste into the coverage document for the group's own model, as a code block."""
    made = coverage_section(inventory_of(manifest))
    return fenced(f"{made.summary_row}\n\n{made.section}", "mdx")


def _shown_manifest(members: Sequence[Manifest]) -> str:
    """The manifest of a single model as a code block if it is short; else empty."""
    if len(members) > 1:
        return ""
    text = dump(members[0]).decode("utf-8", errors="replace").replace("<", "\\u003c")
    return fenced(text, "json") if len(text) <= MANIFEST_LIMIT else ""
