"""The bodies of the issues that the bot keeps, and the facts that decide when they are rewritten.

Wording and layout are in templates/tracking_issue.md.j2 and templates/dashboard.md.j2.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

from discover_models.domain.frozen import Frozen
from discover_models.domain.manifest import Manifest, ManifestKernel
from discover_models.manifests import dump
from discover_models.merge import NOT_REFRESHED
from discover_models.render.budget import Rows, fit
from discover_models.render.environment import markdown
from discover_models.render.escape import plain
from discover_models.render.from_manifest import inventory_of, kernel_of
from discover_models.render.groups import GROUPS, GroupKey, group_of, groups, proofs

FACTS_LIMIT = 12_000
"""Characters of facts by kernel; beyond that one digest stands for all of them."""
MANIFEST_LIMIT = 20_000
"""A longer manifest is linked instead of shown."""

_IMPORTANCE: tuple[GroupKey, ...] = ("existing", "ready", "undecided", "sgl_missing", "fi_missing")
_GITHUB_ISSUE = re.compile(r"https://github\.com/([\w.-]+/[\w.-]+)/(?:issues|pull)/(\d+)", re.ASCII)
_UNREAD = " could not be read: "


class Page(Frozen):
    """What a body says beside its facts."""

    origins: dict[str, str]
    """URLs by source name; only public ones become links."""
    today: str
    """ISO day."""
    manifest_url: str = ""
    """Where the whole manifest is; empty when it is only in the run's artifact."""
    run_url: str = ""
    redirect: bool = True
    """Whether links to issues go through redirect.github.com, which leaves no trace there."""


class DashboardModel(Frozen):
    """One row of the dashboard."""

    slug: str
    hf_repo_id: str
    summary: str
    counts: dict[str, int]
    """Definitions by group, and ``unmapped``."""
    changed: str
    """ISO day of the last change of a fact."""
    number: int | None = None
    """Its tracking issue."""
    remark: str = ""
    """Why it has none, or why that is not written to."""


class Listed(Frozen):
    """A model that is not in the table, with the reason."""

    name: str
    reason: str
    """A stable word or sentence."""
    detail: str = ""
    """What may differ from run to run; shown, but no fact."""


class Dashboard(Frozen):
    """Everything that the dashboard shows."""

    models: tuple[DashboardModel, ...]
    not_refreshed: dict[str, str]
    """Reasons by source that could not be read."""
    held_back: tuple[Listed, ...] = ()
    deferred: tuple[Listed, ...] = ()
    skipped: tuple[Listed, ...] = ()
    ignored: tuple[Listed, ...] = ()

    def lists(self) -> dict[str, tuple[Listed, ...]]:
        """The lists by title, the most important first."""
        return {
            "Held back": self.held_back,
            "Deferred": self.deferred,
            "Skipped": self.skipped,
            "Ignored": self.ignored,
        }


def tracking_title(manifest: Manifest) -> str:
    """The title with which a tracking issue is opened."""
    return str(plain(f"Kernel inventory: {manifest.hf_repo_id}"))


def tracking_body(manifest: Manifest, page: Page, limit: int, *, deferred: str = "") -> str:
    """The tracking issue of a model in at most `limit` characters, as far as rows allow.

    `deferred` says why this run could not look at the model again.
    """
    inventory = inventory_of(manifest)
    found = {group.key: group.kernels for group in groups(inventory)}
    proven = {group.key: proofs(group) for group in groups(inventory)}
    text = dump(manifest).decode("utf-8", errors="replace").replace("<", "\\u003c")
    shows_manifest = len(text) <= MANIFEST_LIMIT
    sections: list[Rows] = [("manifest", 1)] if shows_manifest else []
    for key in _IMPORTANCE:
        sections += [(f"evidence {key}", len(proven[key])), (key, len(found[key]))]
    sections.append(("unmapped", len(inventory.unmapped)))
    template = markdown().get_template("tracking_issue.md.j2")

    def render(shown: Mapping[str, int]) -> str:
        return template.render(
            manifest=manifest,
            inventory=inventory,
            found=found,
            proofs=proven,
            requests=requests_of(manifest, page),
            last_change=last_change(manifest),
            changed=[k.definition_name for k in manifest.kernels if _changed_last(k, manifest)],
            not_required=[k.definition_name for k in manifest.kernels if not k.required],
            text=_fenced(text) if shown.get("manifest") else "",
            origins=page.origins,
            page=page,
            shown=shown,
            deferred=deferred,
        )

    return fit(sections, render, limit)


def tracking_facts(manifest: Manifest, *, deferred: str = "") -> dict[str, Any]:
    """What a tracking issue says, without commits, lines and dates."""
    kernels = {k.definition_name: _kernel_fact(k) for k in manifest.kernels}
    about = {
        "hf_repo_id": manifest.hf_repo_id,
        "summary": manifest.summary,
        "variants": [v.hf_repo_id for v in manifest.variants],
        "parallelism": [p.known() for p in manifest.parallelism],
        "notes": _lasting(manifest.notes),
        "unmapped": [[u.what, u.reason, list(u.fields)] for u in manifest.unmapped],
    }
    if len(json.dumps(kernels)) > FACTS_LIMIT:
        kernels = {"all": digest(kernels)}
    facts: dict[str, Any] = {"kernels": kernels, "model": digest(about)}
    return facts | ({"deferred": deferred} if deferred else {})


def dashboard_body(dashboard: Dashboard, page: Page, limit: int) -> str:
    """The dashboard in at most `limit` characters, as far as rows allow."""
    lists = dashboard.lists()
    sections: list[Rows] = [(title, len(lists[title])) for title in reversed(lists)]
    sections.append(("models", len(dashboard.models)))
    template = markdown().get_template("dashboard.md.j2")

    def render(shown: Mapping[str, int]) -> str:
        return template.render(dashboard=dashboard, lists=lists, page=page, shown=shown)

    return fit(sections, render, limit)


def dashboard_facts(dashboard: Dashboard) -> dict[str, Any]:
    """What the dashboard says, without dates and details that differ from run to run."""
    models = {
        m.slug: [
            digest([m.hf_repo_id, m.summary, m.remark])[:8],
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
    facts: dict[str, Any] = {"models": models, "lists": lists}
    if len(json.dumps(models)) > FACTS_LIMIT:
        facts["models"] = {"all": digest(models)}
    if dashboard.not_refreshed:
        facts["not_refreshed"] = sorted(dashboard.not_refreshed)
    return facts


def counts(manifest: Manifest) -> dict[str, int]:
    """Definitions of a model by group, and its unmapped parts."""
    found = {key: 0 for key in GROUPS}
    for kernel in manifest.kernels:
        if kernel.required:
            found[group_of(kernel_of(kernel))] += 1
    return {**found, "unmapped": len(manifest.unmapped)}


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
    found: dict[str, tuple[str, str]] = {}
    for kernel in manifest.kernels:
        match = _GITHUB_ISSUE.fullmatch(str(kernel.foreign().get("fi_issue_url", "")))
        if match:
            host = "redirect.github.com" if page.redirect else "github.com"
            url = match[0].replace("github.com", host, 1)
            found[kernel.definition_name] = (f"request {match[2]} in {match[1]}", url)
    return found


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
        "notes": _lasting(kernel.notes),
        "request": str(foreign.get("fi_issue_url", "")),
    }
    return f"{group_of(kernel_of(kernel))} {digest(facts)[:8]}"


def _lasting(notes: tuple[str, ...]) -> list[str]:
    """The notes that are about the model and not about what a run could read."""
    return [n for n in notes if not n.startswith(NOT_REFRESHED) and _UNREAD not in n]


def _changed_last(kernel: ManifestKernel, manifest: Manifest) -> bool:
    days = {k.changed for k in manifest.kernels}
    return len(days) > 1 and kernel.changed == last_change(manifest)


def _fenced(text: str) -> str:
    """The text as a code block that none of its lines can end."""
    longest = max((len(ticks) for ticks in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}json\n{text.rstrip()}\n{fence}"
