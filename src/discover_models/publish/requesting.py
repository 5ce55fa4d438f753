"""Requests to FlashInfer from end to end: decided, filed and kept in another people's repository.

The rules are the truth table for requests in docs/publishing.md; each row there has one test.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal, cast

from discover_models.domain.manifest import Manifest
from discover_models.publish import markers
from discover_models.publish.apply import Outcome, apply
from discover_models.publish.approval import box_key, may_decide, newly_ticked, ticked_boxes
from discover_models.publish.issues import Backend, FoundIssue, PublishError, RefusedError
from discover_models.publish.markers import Section
from discover_models.publish.plan import (
    Change,
    Key,
    Policy,
    Snapshot,
    Wanted,
    decide,
    matches,
    opened_lately,
    primary,
)
from discover_models.publish.possible_matches import possible_matches
from discover_models.publish.requests import (
    URL_FIELDS,
    Looked,
    Request,
    Row,
    arrived,
    kernel_requests,
    known_request,
    trace_request,
    with_url,
)
from discover_models.render.bodies import Page, PossibleMatch, ReadyRequest, ShownRequest
from discover_models.render.request_bodies import (
    Setting,
    arrival,
    new_issue_link,
    request_body,
    request_facts,
    request_title,
)

Mode = Literal["auto", "approve", "off"]
TEXT_LIMIT = 12_000
"""Characters of a ready text that a person is to file."""


@dataclass(frozen=True)
class RequestPlace:
    """Where requests are filed, and what may be done there."""

    backend: Backend
    repository: str
    """OWNER/NAME."""
    can_file: bool = False
    """Whether there is a token for it; without one it is only read."""
    authors: frozenset[str] = frozenset()
    """Logins whose issues there may be ours."""
    mode: Mode = "auto"
    trace: bool = False
    """Whether trace templates are asked for too."""
    known: Mapping[str, str] = field(default_factory=dict[str, str])
    """Addresses of requests that the configuration knows, by family."""
    max_new: int = 3
    """Requests that may be filed within 24 hours."""
    server_url: str = "https://github.com"


@dataclass(frozen=True)
class Home:
    """The repository that the dashboard is in."""

    backend: Backend
    dashboard: int | None
    """The dashboard's number; None when nobody remembers one."""
    authors: frozenset[str]
    approved: frozenset[str] = frozenset()
    """Boxes whose tick counted in an earlier run."""


@dataclass(frozen=True)
class Decision:
    """What is done about one request; `change` says it in words."""

    request: Request
    change: Change
    url: str = ""
    """Where it is asked for; empty while it is not."""
    matches: tuple[FoundIssue, ...] = ()
    """Issues and pull requests that might ask for it already."""
    box: bool = False
    """Whether a tick in the dashboard would have it filed."""
    link: str = ""
    """Opens a form for a new issue with the text; empty where no person is to file it."""
    text: str = ""

    @property
    def box_key(self) -> str:
        return box_key(*self.request.id)


@dataclass(frozen=True)
class Asked:
    """All requests, and the manifests with their addresses."""

    decisions: tuple[Decision, ...]
    outcomes: tuple[Outcome, ...]
    manifests: dict[str, Manifest]
    shown: tuple[ShownRequest, ...] = ()
    """The same for the dashboard."""
    ticked: frozenset[str] = frozenset()
    """Approving boxes that were ticked when the run looked."""
    approved: frozenset[str] = frozenset()
    """Those whose tick counts, of requests that are not filed yet."""


def ask(
    manifests: Mapping[str, Manifest],
    looked: Looked,
    place: RequestPlace,
    home: Home,
    page: Page,
    now: datetime,
) -> Asked:
    """Decide on all requests, file and keep them, and note their addresses in the manifests.

    Nothing that goes wrong in the other repository stops the run; `Outcome.error` says it.
    """
    return _Asking(manifests, looked, place, home, page, now).ask()


@dataclass
class _Asking:
    manifests: Mapping[str, Manifest]
    looked: Looked
    place: RequestPlace
    home: Home
    page: Page
    now: datetime
    issues: tuple[FoundIssue, ...] | None = None
    """Of the other repository; None when they could not be read or were not needed."""
    unread: str = ""
    own: Mapping[Key, tuple[FoundIssue, ...]] = field(
        default_factory=dict[Key, tuple[FoundIssue, ...]]
    )

    def ask(self) -> Asked:
        self._read()
        requests = self._requests()
        ticked, approved = self._ticks(requests)
        decisions = [self._decided(request, ticked, approved) for request in requests]
        decisions = self._capped(decisions)
        policy = Policy(self.place.authors, self.place.max_new)
        made = apply([d.change for d in decisions], self.place.backend, policy, self.now)
        manifests = dict(self.manifests)
        final: list[Decision] = []
        for decision, outcome in zip(decisions, made, strict=True):
            decision = self._after(decision, outcome)
            if decision.box_key in ticked and not decision.url:
                decision = replace(decision, box=True)  # a tick stays until it is used
            final.append(decision)
            if decision.url:
                manifests = with_url(manifests, decision.request, decision.url)
        open_boxes = {d.box_key for d in final if not d.url}
        return Asked(
            decisions=tuple(final),
            outcomes=(*self._unread_outcome(), *made),
            manifests=manifests,
            shown=tuple(shown_request(d, self._setting(())) for d in final),
            ticked=ticked,
            approved=approved & open_boxes,
        )

    def _requests(self) -> tuple[Request, ...]:
        every = self.manifests.values()
        keys = {
            self._url(issue.number): key
            for (kind, key), group in self.own.items()
            if kind == "kernel-request"
            for issue in group
        }
        found = kernel_requests(every, self.looked, keys)
        traces = trace_request(every, self.looked) if self.place.trace else None
        return (*found, traces) if traces else found

    def _read(self) -> None:
        """Look through the other repository, where there is anything to look for."""
        kernels = [k for m in self.manifests.values() for k in m.kernels]
        asked = any(name in k.foreign() for k in kernels for name in URL_FIELDS.values())
        wanted = self.place.trace or any(k.fi_lack for k in kernels)
        if self.place.mode == "off" or not (asked or wanted):
            return
        try:
            self.issues = self.place.backend.everything()
        except (PublishError, RefusedError) as error:
            self.unread = str(error)
            return
        ordinary = tuple(i for i in self.issues if not i.is_pull)
        self.own = matches(Snapshot(ordinary), self.place.authors)

    def _unread_outcome(self) -> tuple[Outcome, ...]:
        """Without a token that repository is none of our business: then it is no failure."""
        if not self.unread or not self.place.can_file:
            return ()
        reason = "could not be looked at"
        change = Change("unchanged", "kernel-request", self.place.repository, reason)
        return (Outcome(change, None, self.unread),)

    def _ticks(self, requests: Sequence[Request]) -> tuple[frozenset[str], frozenset[str]]:
        """The approving boxes that are ticked, and those whose tick counts."""
        waiting = any(not request.urls for request in requests)
        number = self.home.dashboard
        if not waiting or number is None or not self.place.can_file:
            return frozenset(), frozenset()
        issue = self.home.backend.issue(number)
        section = markers.parse(issue.body) if issue is not None else None
        if issue is None or not isinstance(section, Section):
            return frozenset(), frozenset()
        ticked, new = ticked_boxes(section), newly_ticked(section)
        counted = self.home.approved & ticked
        if new and self._by_people_who_may(number, section):
            counted |= new
        return ticked, counted

    def _by_people_who_may(self, number: int, section: Section) -> bool:
        backend = self.home.backend
        try:
            edits = backend.edits(number)
            return may_decide(edits, section.written, self.home.authors, backend.may_write)
        except (PublishError, RefusedError):  # who ticked it is not known: then it does not count
            return False

    def _decided(
        self, request: Request, ticked: frozenset[str], approved: frozenset[str]
    ) -> Decision:
        """The first row of the truth table that fits."""
        recorded = request.urls[0] if request.urls else ""
        group = self.own.get(request.id, ())
        mine = primary(group, None)
        if mine is not None and recorded in ("", self._url(mine.number)):
            return self._kept(request, mine)
        url = recorded or known_request(request, self.place.known)
        if url:
            return Decision(request, _change("unchanged", request, "is asked for already"), url)
        if self.place.mode == "off":
            why = "the configuration asks for nothing"
            return Decision(request, _change("unchanged", request, why))
        return self._new(request, ticked, approved)

    def _kept(self, request: Request, mine: FoundIssue) -> Decision:
        """Our own request: brought up to date while it is open, and otherwise left alone."""
        url = self._url(mine.number)
        if self.place.mode == "off" or not self.place.can_file:
            why = "is asked for; nothing is written there in this run"
            return Decision(request, _change("unchanged", request, why), url)
        item = self._wanted(request, self._kept_rows(request, mine), ())
        policy = Policy(self.place.authors, self.place.max_new)
        return Decision(request, decide(item, mine, policy, self.now), url)

    def _kept_rows(self, request: Request, mine: FoundIssue) -> tuple[Row, ...]:
        """What the request lists already, and what may be asked for in this run."""
        section = markers.parse(mine.body)
        facts = section.facts if isinstance(section, Section) else None
        listed = (facts or {}).get("rows")
        if not isinstance(listed, dict):
            return request.rows
        names = {*cast("dict[str, Any]", listed), *(row.definition for row in request.fresh)}
        return tuple(row for row in request.rows if row.definition in names)

    def _new(self, request: Request, ticked: frozenset[str], approved: frozenset[str]) -> Decision:
        if arrived(request.rows):
            return Decision(request, _change("unchanged", request, "FlashInfer has it"))
        if request.barred:
            return Decision(request, _change("held back", request, request.barred))
        found = possible_matches(request, self._others)
        waits = self._waits(request, found, ticked, approved)
        if waits:
            box = self.place.can_file and self.issues is not None
            held = Decision(request, _change("held back", request, waits), matches=found, box=box)
            return self._with_text(held)
        item = self._wanted(request, request.fresh, found)
        change = Change("create", *request.id, "nobody asks for it yet", wanted=item)
        return Decision(request, change, matches=found)

    @property
    def _others(self) -> tuple[FoundIssue, ...]:
        """Everything there that is not ours."""
        ours = {issue.number for group in self.own.values() for issue in group}
        return tuple(i for i in self.issues or () if i.number not in ours)

    def _waits(
        self,
        request: Request,
        found: Sequence[FoundIssue],
        ticked: frozenset[str],
        approved: frozenset[str],
    ) -> str:
        """Why it is not filed in this run; empty when it is."""
        if self.issues is None:
            return f"{self.place.repository} could not be searched: {self.unread}"
        if not self.place.can_file:
            return f"there is no token for {self.place.repository}"
        box = box_key(*request.id)
        if box in approved:
            return ""
        if box in ticked:
            return (
                "its box was ticked, but not certainly by a person with write access;"
                " untick it, and tick it again after the next run"
            )
        if found:
            return "it may be asked for already: look at the possible matches, then approve it"
        if request.unread:
            return f"{request.unread}: look whether it is there, then approve it"
        return "it waits for approval" if self.place.mode == "approve" else ""

    def _capped(self, decisions: Sequence[Decision]) -> list[Decision]:
        kept = [d.change.wanted for d in decisions if d.change.wanted is not None]
        left = self.place.max_new - opened_lately(self.own, kept, self.now)
        final: list[Decision] = []
        for decision in decisions:
            if decision.change.action == "create":
                left -= 1
                if left < 0:
                    why = f"at most {self.place.max_new} requests are filed in 24 hours"
                    change = _change("held back", decision.request, why)
                    decision = self._with_text(replace(decision, change=change))
            final.append(decision)
        return final

    def _after(self, decision: Decision, outcome: Outcome) -> Decision:
        """The decision as it came out."""
        if outcome.error and not decision.url:
            return self._with_text(replace(decision, change=outcome.change))
        if outcome.change.action == "create" and outcome.number is not None:
            return replace(decision, change=outcome.change, url=self._url(outcome.number))
        return replace(decision, change=outcome.change)

    def _wanted(
        self, request: Request, rows: tuple[Row, ...], found: tuple[FoundIssue, ...]
    ) -> Wanted:
        setting = self._setting(found)
        at = (self.looked.release, self.looked.flashinfer)
        return Wanted(
            *request.id,
            title=request_title(request),
            facts=request_facts(request, rows),
            render=lambda limit: request_body(request, rows, setting, limit),
            elsewhere=True,
            announcement=arrival(request, self.page, at) if arrived(rows) else "",
        )

    def _with_text(self, decision: Decision) -> Decision:
        """With what a person needs to file it."""
        setting = self._setting(decision.matches)._replace(filed=False)
        rows = decision.request.fresh
        return replace(
            decision,
            link=new_issue_link(decision.request, rows, setting),
            text=request_body(decision.request, rows, setting, TEXT_LIMIT),
        )

    def _setting(self, found: tuple[FoundIssue, ...]) -> Setting:
        return Setting(
            page=self.page,
            repository=self.place.repository,
            server_url=self.place.server_url,
            release=self.looked.release,
            searched=len(self._others) if self.issues is not None else None,
            matches=found,
        )

    def _url(self, number: int) -> str:
        return Setting(self.page, self.place.repository, self.place.server_url).url(number)


def shown_request(decision: Decision, setting: Setting) -> ShownRequest:
    """One row of the dashboard."""
    request, change = decision.request, decision.change
    return ShownRequest(
        title=request_title(request),
        key=request.key,
        definitions=tuple(row.definition for row in request.rows),
        url=decision.url,
        reason="" if decision.url else change.reason,
        matches=tuple(
            PossibleMatch(
                number=i.number,
                title=i.title,
                state=i.state,
                pull=i.is_pull,
                url=setting.url(i.number, pull=i.is_pull, quiet=True),
            )
            for i in decision.matches
            if not decision.url
        ),
        box=decision.box_key if decision.box else "",
        link=decision.link,
        text=decision.text,
        there=arrived(request.rows),
    )


def ready_texts(decisions: Iterable[Decision]) -> tuple[ReadyRequest, ...]:
    """The requests that a person can file, with the definitions that they are for."""
    return tuple(
        ReadyRequest(
            title=request_title(d.request),
            definitions=tuple(row.definition for row in d.request.fresh),
            link=d.link,
            text=d.text,
        )
        for d in decisions
        if d.link
    )


def _change(action: Literal["unchanged", "held back"], request: Request, reason: str) -> Change:
    return Change(action, *request.id, reason)
