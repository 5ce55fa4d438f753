"""What requests to FlashInfer say, and the links with which a person can file one.

Wording and layout are in templates/kernel_request.md.j2: the headings are those of FlashInfer's
request form (flashinfer .github/ISSUE_TEMPLATE/feature_request.yml).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

from discover_models.domain.evidence import Evidence
from discover_models.publish.issues import FoundIssue
from discover_models.publish.requests import Request, Row, arrived
from discover_models.render.bodies import Page, digest
from discover_models.render.budget import trim
from discover_models.render.environment import markdown
from discover_models.render.escape import plain, sentence

URL_LIMIT = 7_500
"""Characters of a prefilled link: GitHub answers a longer address than some 8,000 with 414."""
_ORDER = ("evidence", "implementations", "served_by", "models", "rows")
_TRACE_TITLE = "[Feature]: Trace templates for definitions of served models"
_MOST_MODELS = 20
_MOST_EVIDENCE = 12
_MOST_SERVED = 8


class Setting(NamedTuple):
    """Where a request is filed and what is around it."""

    page: Page
    repository: str
    """OWNER/NAME that is asked."""
    server_url: str
    release: str = ""
    """FlashInfer's version that was looked at."""
    searched: int | None = None
    """How many issues and pull requests were looked through; None when they could not be."""
    matches: tuple[FoundIssue, ...] = ()
    filed: bool = True
    """False for a text that a person is to file."""

    def url(self, number: int, *, pull: bool = False, quiet: bool = False) -> str:
        """The address of an issue or pull request; `quiet`: one that leaves no trace there."""
        host = "https://redirect.github.com" if quiet and self.page.redirect else self.server_url
        return f"{host}/{self.repository}/{'pull' if pull else 'issues'}/{number}"


def request_title(request: Request) -> str:
    """The title with which a request is filed."""
    if request.kind == "trace-request":
        return _TRACE_TITLE
    kernel = request.kernel
    if request.limit and request.limit.casefold() not in kernel.casefold():
        kernel = f"{kernel}, {request.limit}"
    model = request.models[0].rpartition("/")[2]
    return str(plain(f"[Feature]: {sentence(kernel)} for {model}"))


def request_body(request: Request, rows: Sequence[Row], setting: Setting, limit: int) -> str:
    """A request with these rows in at most `limit` characters, as far as rows allow."""
    models = tuple(dict.fromkeys((*request.models, *(m for row in rows for m in row.models))))
    here = {model for row in rows for model in row.models}
    text = (
        markdown()
        .get_template("kernel_request.md.j2")
        .render(
            request=request,
            trace=request.kind == "trace-request",
            rows=rows,
            arrived=arrived(rows),
            partly=any(row.state != "missing" for row in rows),
            models=[m for m in models if m in here][:_MOST_MODELS],
            evidence=_evidence(request),
            release=setting.release,
            served_by=request.served_by[:_MOST_SERVED],
            implementations=_classes(request, here),
            sglang=next((e.commit for e in request.implementations.values() if e.commit), ""),
            searched=setting.searched,
            matches=setting.matches,
            item_url=partial(_quiet_url, setting),
            filed=setting.filed,
            page=setting.page,
        )
    )
    return trim(text, _ORDER, limit)


def _evidence(request: Request) -> list[Evidence]:
    """What was found in FlashInfer, and of the dataset nothing: that is FlashInfer-Bench's."""
    found = (e for e in request.evidence if e.repository == "flashinfer")
    return list(found)[:_MOST_EVIDENCE]


def _classes(request: Request, models: set[str]) -> list[tuple[Evidence, list[str]]]:
    """Where SGLang defines the classes, each with its models."""
    found: dict[Evidence, list[str]] = {}
    for model, at in request.implementations.items():
        if model in models:
            found.setdefault(at, []).append(model.rpartition("/")[2])
    return list(found.items())


def request_facts(request: Request, rows: Sequence[Row]) -> dict[str, Any]:
    """What a request says, without commits, lines and dates."""
    near = {"near": sorted(request.near)} if request.near else {}
    return {"rows": {row.definition: digest(row.fact())[:12] for row in rows}, **near}


def arrival(request: Request, page: Page, at: tuple[str, str]) -> str:
    """The comment that says that FlashInfer has all of it; `at` is its release and its commit."""
    found = [e for e in request.evidence if e.repository == "flashinfer" and e.found]
    template = markdown().get_template("kernel_arrived.md.j2")
    trace = request.kind == "trace-request"
    release, commit = at
    return template.render(
        release=release, commit=commit, evidence=found[:3], page=page, trace=trace
    ).strip()


def new_issue_link(request: Request, rows: Sequence[Row], setting: Setting) -> str:
    """A link that opens the form for a new issue with title and as much of the text as fits."""
    base = f"{setting.server_url}/{setting.repository}/issues/new"
    title = request_title(request)
    room = URL_LIMIT
    while room > 200:
        fields = {"title": title, "body": request_body(request, rows, setting, room)}
        link = f"{base}?{urlencode(fields, quote_via=quote)}"
        if len(link) <= URL_LIMIT:
            return link
        room = room * 3 // 4
    return f"{base}?{urlencode({'title': title}, quote_via=quote)}"


def _quiet_url(setting: Setting, item: FoundIssue) -> str:
    return setting.url(item.number, pull=item.is_pull, quiet=True)
