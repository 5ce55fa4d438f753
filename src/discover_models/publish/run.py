"""Publishing from end to end: inventories in, issues and state brought up to date."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime

from pydantic import Field

from discover_models.catalogue import catalogue
from discover_models.changes import News, latest
from discover_models.demand import Downloads, rank
from discover_models.domain.candidate import Discovery
from discover_models.domain.frozen import Frozen
from discover_models.domain.kernel import Deferred, Inventory
from discover_models.domain.manifest import Manifest, from_inventory
from discover_models.manifests import merge
from discover_models.publish.apply import Outcome, apply, numbers_of, snapshot
from discover_models.publish.groups import (
    ModelGroup,
    known_groups,
    model_groups,
    usable_repository,
    with_known_group,
)
from discover_models.publish.issues import Backend, PublishError
from discover_models.publish.plan import (
    Change,
    Key,
    Policy,
    Snapshot,
    Wanted,
    duplicates,
    matches,
    plan,
    primary,
)
from discover_models.publish.requesting import (
    Asked,
    Decision,
    Home,
    RequestPlace,
    ask,
    ready_texts,
)
from discover_models.publish.requests import Looked
from discover_models.publish.sightings import Sights, reasons, updated
from discover_models.publish.state_value import (
    PublishState,
    Saved,
    StateStore,
    assign_slugs,
    same_but_time,
    usable_slug,
    with_news,
)
from discover_models.render import bodies
from discover_models.render.bodies import Dashboard, DashboardModel, Listed, Page, ReadyRequest
from discover_models.render.united import united

DASHBOARD: Key = ("dashboard", "all")
TRACKING = "tracking"
WITH_NEWS = ("sglang", "sgl-cookbook")
"""Sources whose history tells of new models."""
JUDGED = ("flashinfer", "sglang")
"""Sources that verdicts are on."""
DASHBOARD_TITLE = "Kernel inventory dashboard"


class PublishSettings(Frozen):
    """What can be chosen."""

    repository: str
    """OWNER/NAME that the issues are opened in."""
    bot_login: str = "github-actions[bot]"
    trusted_authors: tuple[str, ...] = ()
    """Further accounts whose issues may be ours, for example the bot's former one."""
    max_new_issues: int = 10
    """Tracking issues that may be opened within 24 hours."""
    label: str = "kernel-inventory"
    reopen_closed: bool = False
    """Whether an issue that a person closed is opened again."""
    refresh: bool = True
    """Whether entries that are known are classified again."""
    origins: dict[str, str] = Field(default_factory=dict)
    """URLs of the sources by name; only public ones become links."""
    server_url: str = "https://github.com"
    state_branch: str = "kernel-inventory"
    """Where the manifests are linked; empty where there is no such branch."""
    run_url: str = ""


@dataclass(frozen=True)
class Priority:
    """What decides whose tracking issue is opened first."""

    day0: bool = False
    released: date | None = None


@dataclass(frozen=True)
class Extras:
    """What else is known of the models, by repository id."""

    ignored: Mapping[str, str] = field(default_factory=dict[str, str])
    """Reasons why the configuration leaves models out."""
    priorities: Mapping[str, Priority] = field(default_factory=dict[str, Priority])
    discovery: Discovery | None = None
    """What the look for new models found; None when this run did not look."""
    downloads: Downloads = field(default_factory=Downloads)
    """How often models are downloaded, as far as this run asked."""
    unread: Mapping[str, str] = field(default_factory=dict[str, str])
    """Why a source can't be taken for what it is today, whether or not a model rests on it."""


@dataclass(frozen=True)
class PublishReport:
    """What a run did and what it left."""

    outcomes: tuple[Outcome, ...]
    state: PublishState
    saved: Saved | None
    """None when there was nothing to save."""

    @property
    def errors(self) -> tuple[str, ...]:
        """Why publishing is incomplete; empty when it is complete."""
        return tuple(f"{o.change.kind} {o.change.key}: {o.error}" for o in self.outcomes if o.error)

    @property
    def changed(self) -> bool:
        """Whether anything was written on GitHub."""
        return any(o.change.writes and not o.error for o in self.outcomes)

    @property
    def counts(self) -> dict[str, int]:
        """How many issues by what was done; those that failed under ``failed``."""
        return dict(Counter("failed" if o.error else o.change.action for o in self.outcomes))

    def lines(self) -> tuple[str, ...]:
        """The plan as it was carried out, for a log."""
        return tuple(_line(outcome) for outcome in self.outcomes)


def unread_verdicts(inventory: Inventory, unread: Mapping[str, str]) -> dict[str, str]:
    """Why what a manifest says stays as it was, by source.

    A verdict on FlashInfer or SGLang as they were some time ago is no news either.
    """
    return {n: why for n, why in unread.items() if n in JUDGED} | inventory.source_errors


def publish(
    inventories: Sequence[Inventory],
    deferred: Sequence[Deferred],
    settings: PublishSettings,
    backend: Backend,
    store: StateStore,
    now: datetime,
    extras: Extras | None = None,
    requests: RequestPlace | None = None,
) -> PublishReport:
    """Bring tracking issues, dashboard and state in line with what this run found.

    `requests` is where FlashInfer is asked for what it lacks; None leaves that alone.

    All models of the state are published, with those of `inventories` brought up to date. Raises
    PublishError when the state or the issues can't be read: then nothing was written.
    """
    run = _Run(settings, backend, now, extras or Extras(), requests)
    return run.publish(inventories, deferred, store)


@dataclass(frozen=True)
class _Run:
    settings: PublishSettings
    backend: Backend
    now: datetime
    extras: Extras
    requests: RequestPlace | None = None

    def publish(
        self, inventories: Sequence[Inventory], deferred: Sequence[Deferred], store: StateStore
    ) -> PublishReport:
        before = store.load()
        state, unusable = self._known(before, inventories)
        seen = updated(before.sightings, inventories, (*deferred, *unusable), self.extras.discovery)
        state = state.model_copy(update={"sightings": seen})
        numbers = self._numbers(before)
        asked = self._asked(state, inventories, numbers)
        approved = tuple(sorted(asked.approved))
        state = state.model_copy(update={"manifests": asked.manifests, "approved": approved})
        groups = self._groups(state)
        outcomes = self._tracking(groups, state, inventories, numbers, asked.decisions)
        numbers |= numbers_of(outcomes)
        dashboard = self._dashboard(groups, state, inventories, outcomes, asked)
        outcomes += self._keep_dashboard(self._wanted_dashboard(dashboard), numbers)
        numbers |= numbers_of(outcomes)
        outcomes = asked.outcomes + outcomes
        complete = self._looked_everywhere() and not any(o.error for o in outcomes)
        after = state.model_copy(
            update={
                "repository": self.settings.repository,
                "issues": {"/".join(key): number for key, number in sorted(numbers.items())},
                "last_complete_run": self.now if complete else before.last_complete_run,
            }
        )
        if same_but_time(before, after):
            return PublishReport(outcomes, before, None)
        return PublishReport(outcomes, after, store.save(after))

    def _asked(
        self,
        state: PublishState,
        inventories: Sequence[Inventory],
        numbers: Mapping[Key, int],
    ) -> Asked:
        """What FlashInfer is asked for, of the models that the configuration does not leave out."""
        if self.requests is None:
            return Asked((), (), dict(state.manifests), approved=frozenset(state.approved))
        seen = state.sightings
        unsettled = {*seen.unresolved, *seen.deferred, *seen.skipped}
        looked = Looked(
            inventories={i.hf_repo_id.casefold(): i for i in inventories},
            failed=self._unread(inventories),
            unsettled=frozenset(name.casefold() for name in unsettled),
        )
        home = Home(
            self.backend,
            numbers.get(DASHBOARD),
            self._policy.authors,
            frozenset(state.approved),
        )
        mine = {
            slug: m
            for slug, m in state.manifests.items()
            if m.hf_repo_id.casefold() not in self._ignored
        }
        asked = ask(mine, looked, self.requests, home, self._page, self.now)
        return replace(asked, manifests={**state.manifests, **asked.manifests})

    @property
    def _policy(self) -> Policy:
        authors = frozenset({self.settings.bot_login, *self.settings.trusted_authors})
        return Policy(authors, self.settings.max_new_issues, self.settings.reopen_closed)

    def _known(
        self, before: PublishState, inventories: Sequence[Inventory]
    ) -> tuple[PublishState, tuple[Deferred, ...]]:
        """The state with the manifests of this run's models merged in, and models without one."""
        usable = [i for i in inventories if _is_usable(i)]
        slugs = assign_slugs(before, ((i.hf_repo_id, i.model_slug) for i in usable))
        manifests = dict(before.manifests)
        for inventory in usable:
            slug = slugs[inventory.hf_repo_id]
            grouped = with_known_group(inventory, known_groups(manifests.values()))
            manifests[slug] = self._merged(
                manifests.get(slug), grouped.model_copy(update={"model_slug": slug})
            )
        state = before.model_copy(
            update={"manifests": manifests, "slugs": {**slugs, **before.slugs}}
        )
        state = with_news(state, before.manifests, self.now.date().isoformat())
        return state, tuple(_unusable(i) for i in inventories if i not in usable)

    def _merged(self, old: Manifest | None, inventory: Inventory) -> Manifest:
        new = from_inventory(inventory, self.now.date())
        if old is None:
            return new
        refresh = self.settings.refresh or old.hf_repo_id.casefold() != new.hf_repo_id.casefold()
        failed = unread_verdicts(inventory, self.extras.unread)
        return merge(old, new, refresh=refresh, failed=failed)

    def _numbers(self, state: PublishState) -> dict[Key, int]:
        if state.repository.casefold() != self.settings.repository.casefold():
            return {}
        pairs = ((key.partition("/"), number) for key, number in state.issues.items())
        return {(kind, key): number for (kind, _, key), number in pairs}

    def _groups(self, state: PublishState) -> tuple[ModelGroup, ...]:
        """The groups to publish, without the models that the configuration leaves out."""
        kept = {
            slug: manifest
            for slug, manifest in state.manifests.items()
            if manifest.hf_repo_id.casefold() not in self._ignored
        }
        return model_groups(kept)

    def _tracking(
        self,
        groups: Sequence[ModelGroup],
        state: PublishState,
        inventories: Sequence[Inventory],
        numbers: Mapping[Key, int],
        decisions: Sequence[Decision],
    ) -> tuple[Outcome, ...]:
        unread = {i.hf_repo_id.casefold() for i in inventories if i.source_errors}
        seen = state.sightings
        unread |= {name.casefold() for name in seen.deferred}
        said = {name.casefold(): s.reason for name, s in reasons(seen).items()}
        ready = ready_texts(decisions)
        wanted = [self._wanted_tracking(g, said, unread, state.news, ready) for g in groups]
        return self._keep(wanted, numbers)

    def _keep(self, wanted: Sequence[Wanted], numbers: Mapping[Key, int]) -> tuple[Outcome, ...]:
        """Plan and apply, and afterwards close what another run opened at the same time."""
        kinds = {w.kind for w in wanted}
        mine = {key: number for key, number in numbers.items() if key[0] in kinds}
        found = snapshot(self.backend, mine, self._policy)
        changes = plan(wanted, found, self._policy, self.now)
        outcomes = apply(changes, self.backend, self._policy, self.now)
        opened = {o.change.id for o in outcomes if o.change.action == "create" and not o.error}
        return self._settled(outcomes, opened) if opened else outcomes

    def _keep_dashboard(self, wanted: Wanted, numbers: Mapping[Key, int]) -> tuple[Outcome, ...]:
        try:
            return self._keep((wanted,), numbers)
        except PublishError as error:  # the tracking issues may be done, and the state is kept
            change = Change("unchanged", *DASHBOARD, "could not be looked at")
            return (Outcome(change, None, str(error)),)

    def _settled(self, outcomes: Sequence[Outcome], opened: set[Key]) -> tuple[Outcome, ...]:
        try:
            found = Snapshot(self.backend.issues())
        except PublishError:
            return tuple(outcomes)  # the next run finds the duplicates, if there are any
        ours = matches(found, self._policy.authors)
        extra: list[Change] = []
        counted: dict[Key, int] = {}
        for key in sorted(opened):
            group = ours.get(key, ())
            extra += duplicates(*key, group)
            first = primary(group, None)
            counted |= {key: first.number} if first else {}
        kept = tuple(replace(o, number=counted.get(o.change.id, o.number)) for o in outcomes)
        return kept + apply(extra, self.backend, self._policy, self.now)

    def _unread(self, inventories: Sequence[Inventory]) -> dict[str, str]:
        """Why sources could not be read, or not as they are today."""
        failed = {name: why for i in inventories for name, why in i.source_errors.items()}
        return {**self.extras.unread, **failed}

    def _looked_everywhere(self) -> bool:
        """Whether this run looked for new models wherever there can be any, and up to today.

        The next run looks back to the last one that did, so that a source that fails for long
        costs no model.
        """
        found = self.extras.discovery
        return found is not None and all(
            name in found.compared and name not in self.extras.unread for name in WITH_NEWS
        )

    @property
    def _ignored(self) -> dict[str, str]:
        return {name.casefold(): why for name, why in self.extras.ignored.items()}

    def _wanted_tracking(
        self,
        group: ModelGroup,
        said: Mapping[str, str],
        unread: set[str],
        news: Mapping[str, News],
        ready: Sequence[ReadyRequest],
    ) -> Wanted:
        """`said` says by repository why it has no inventory, `unread` which were not seen whole."""
        members = group.members
        manifest = united(members)
        names = {m.hf_repo_id: m.hf_repo_id.casefold() for m in members}
        deferred = {name: said[key] for name, key in names.items() if key in said}
        certain = not (deferred or self.extras.unread) and unread.isdisjoint(names.values())
        priorities = {k.casefold(): v for k, v in self.extras.priorities.items()}
        mine = [priorities[key] for key in names.values() if key in priorities]
        return Wanted(
            kind=TRACKING,
            key=group.key,
            title=bodies.tracking_title(manifest),
            facts=bodies.tracking_facts(members, deferred=deferred, ready=ready),
            render=lambda limit: bodies.tracking_body(
                members, self._page, limit, deferred=deferred, news=news, ready=ready
            ),
            labels=(self.settings.label,),
            finished=bodies.finished_comment(manifest),
            certain=certain,
            day0=any(p.day0 for p in mine),
            released=max((p.released for p in mine if p.released), default=None),
        )

    def _wanted_dashboard(self, dashboard: Dashboard) -> Wanted:
        return Wanted(
            *DASHBOARD,
            title=DASHBOARD_TITLE,
            facts=bodies.dashboard_facts(dashboard),
            render=lambda limit: bodies.dashboard_body(dashboard, self._page, limit),
            labels=(self.settings.label,),
            heartbeat=True,
            capped=False,
        )

    @property
    def _page(self) -> Page:
        return Page(
            origins=self.settings.origins,
            today=self.now.date().isoformat(),
            repository_url=f"{self.settings.server_url}/{self.settings.repository}",
            state_branch=self.settings.state_branch,
            run_url=self.settings.run_url,
            redirect=self.settings.server_url == "https://github.com",
        )

    def _dashboard(
        self,
        groups: Sequence[ModelGroup],
        state: PublishState,
        inventories: Sequence[Inventory],
        outcomes: Sequence[Outcome],
        asked: Asked,
    ) -> Dashboard:
        decided = {o.change.key: o for o in outcomes if o.change.duplicate_of is None}
        named = {group.key: group for group in groups}
        seen = state.sightings
        shown = [member for group in groups for member in group.members]
        return Dashboard(
            models=tuple(_row(group, decided[group.key]) for group in groups),
            totals=bodies.totals(united(group.members) for group in groups),
            not_refreshed=self._unread(inventories),
            news=latest({m.model_slug: state.news.get(m.model_slug) for m in shown}),
            demand=rank(catalogue(shown), self.extras.downloads),
            not_looked=seen.errors,
            tracked=seen.tracked,
            held_back=tuple(
                Listed(name=_name(named[key]), reason=o.change.reason)
                for key, o in decided.items()  # in the order in which they are to be opened
                if o.change.action == "held back"
            ),
            deferred=self._listed(seen.deferred),
            unresolved=self._listed(seen.unresolved),
            skipped=self._listed(seen.skipped),
            requests=asked.shown,
            ticked=tuple(sorted(asked.ticked)),
            ignored=tuple(
                Listed(name=name, reason=why) for name, why in sorted(self.extras.ignored.items())
            ),
        )

    def _listed(self, seen: Sights) -> tuple[Listed, ...]:
        return tuple(
            Listed(name=name, reason=s.reason, detail=s.detail)
            for name, s in sorted(seen.items())
            if name.casefold() not in self._ignored
        )


def _row(group: ModelGroup, outcome: Outcome) -> DashboardModel:
    held = outcome.change.action == "held back"
    said = outcome.change.action == "refused" or outcome.number is None
    manifest = united(group.members)
    return DashboardModel(
        slug=_name(group),
        hf_repo_id=manifest.hf_repo_id,
        variants=tuple(m.model_slug for m in group.members[1:]),
        counts=bodies.counts(manifest),
        changed=bodies.last_change(manifest),
        number=outcome.number,
        remark="held back" if held else outcome.change.reason if said and not outcome.error else "",
    )


def _name(group: ModelGroup) -> str:
    return group.members[0].model_slug


def _is_usable(inventory: Inventory) -> bool:
    return usable_slug(inventory.model_slug) and usable_repository(inventory.hf_repo_id)


def _unusable(inventory: Inventory) -> Deferred:
    return Deferred(
        model_slug=inventory.model_slug,
        hf_repo_id=inventory.hf_repo_id,
        reason="malformed",
        message="its name can't be that of a file and an issue",
        skipped=True,
    )


def _line(outcome: Outcome) -> str:
    number = f" #{outcome.number}" if outcome.number is not None else ""
    what = f"{outcome.change.kind} {outcome.change.key}{number}"
    failed = f"; failed: {outcome.error}" if outcome.error else ""
    return f"{outcome.change.action}: {what} ({outcome.change.reason}){failed}"
