"""Whole runs against the emulator: what is opened, kept, left alone, and what a death costs."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any

import pytest
import requests
import requests.adapters

import builders
from discover_models.demand import Downloads
from discover_models.domain.candidate import (
    Candidate,
    Discovery,
    SkippedCandidate,
    TrackedCandidate,
)
from discover_models.domain.kernel import ClassifiedKernel, Deferred, Inventory
from discover_models.publish import markers
from discover_models.publish.github import DryRun
from discover_models.publish.issues import BODY_LIMIT, FoundIssue, PublishError
from discover_models.publish.markers import Section
from discover_models.publish.run import (
    Extras,
    Priority,
    PublishReport,
    PublishSettings,
    publish,
)
from discover_models.render.budget import length
from emulator.faults import FAULTS
from emulator.server import FOREVER, Emulator, Fault
from hosts import BOT, REPOSITORY, FakeTime, MemoryStore, connect

SETTINGS = PublishSettings(repository=REPOSITORY, origins=builders.ORIGINS)


def model(name: str, *kernels: ClassifiedKernel, **fields: Any) -> Inventory:
    chosen = kernels or builders.sample().kernels
    return builders.inventory(*chosen, model_slug=name, hf_repo_id=f"sample-org/{name}", **fields)


def done(name: str) -> Inventory:
    return model(name, builders.existing("rmsnorm_h4096"))


THREE = (model("alpha"), model("beta", builders.missing("moe_x")), done("gamma"))


@dataclass
class Host:
    """A repository, the bot's state and the time of its runs."""

    emulator: Emulator
    store: MemoryStore = field(default_factory=MemoryStore)
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    login: str = BOT

    def run(
        self,
        inventories: Sequence[Inventory] = THREE,
        deferred: Sequence[Deferred] = (),
        *,
        extras: Extras | None = None,
        dry: bool = False,
        **settings: Any,
    ) -> PublishReport:
        backend = connect(self.emulator, FakeTime(), token=self.login)
        chosen = DryRun(backend, self.login, lambda: self.now) if dry else backend
        try:
            return publish(
                inventories,
                deferred,
                SETTINGS.model_copy(update=settings),
                chosen,
                self.store,
                self.now,
                extras,
            )
        finally:
            backend.close()

    def issues(self) -> dict[int, FoundIssue]:
        backend = connect(self.emulator, FakeTime())
        numbers = [i.number for i in backend.issues()]
        found = {n: issue for n in numbers if (issue := backend.issue(n))}
        backend.close()
        return found

    def issue(self, key: str) -> FoundIssue:
        (found,) = (i for i in self.issues().values() if _name(i) == key)
        return found

    def comments(self, number: int) -> list[str]:
        url = f"{self.emulator.url}/repos/{REPOSITORY}/issues/{number}/comments"
        answer = requests.get(url, headers={"Authorization": "token maintainer"})
        return [c["body"] for c in answer.json()]

    def person(self, method: str, path: str, payload: dict[str, Any]) -> None:
        url = f"{self.emulator.url}/repos/{REPOSITORY}{path}"
        headers = {"Authorization": "token maintainer"}
        assert requests.request(method, url, json=payload, headers=headers).ok

    def written(self, run: Callable[[], object]) -> list[str]:
        """Writes of the bot during a run."""
        before = len(self.emulator.writes())
        run()
        return [f"{r.method} {r.path}" for r in self.emulator.writes()[before:]]


@pytest.fixture
def host(emulator: Emulator) -> Host:
    return Host(emulator)


def _section(issue: FoundIssue) -> Section:
    section = markers.parse(issue.body)
    assert isinstance(section, Section)
    return section


def _name(issue: FoundIssue) -> str:
    """The key of an issue, without the owner that most models here have."""
    return _section(issue).marker.key.removeprefix("sample-org/")


def keys(host: Host, state: str = "open") -> list[str]:
    return sorted(_name(i) for i in host.issues().values() if i.state == state)


def test_the_first_run_opens_the_dashboard_and_a_tracking_issue_per_model(host: Host):
    report = host.run()
    assert keys(host) == ["all", "alpha", "beta"]  # nothing is left to track of gamma
    assert report.errors == ()
    assert report.counts == {"create": 3, "unchanged": 1}
    dashboard = host.issue("all")
    assert dashboard.labels == ("kernel-inventory",)
    for name in ("alpha", "beta", "gamma"):
        assert f"<code>{name}</code>" in dashboard.body
    assert f"#{host.issue('alpha').number} |" in dashboard.body
    assert host.store.state.issues == {
        "dashboard/all": dashboard.number,
        "tracking/sample-org/alpha": host.issue("alpha").number,
        "tracking/sample-org/beta": host.issue("beta").number,
    }


def test_the_second_run_writes_nothing(host: Host):
    host.run()
    saves = host.store.saves
    assert host.written(host.run) == []
    assert host.store.saves == saves


@pytest.mark.parametrize("models", [1, 9])
def test_a_run_without_news_asks_as_little_for_many_models_as_for_one(host: Host, models: int):
    inventories = [model(f"m{number}") for number in range(models)]
    host.run(inventories, max_new_issues=20)
    before = len(host.emulator.log())
    host.run(inventories, max_new_issues=20)
    asked = [f"{r.method} {r.path.partition('?')[0]}" for r in host.emulator.log()[before:]]
    repository = f"GET /repos/{REPOSITORY}"
    assert asked == [repository, *[f"{repository}/issues"] * 2]


def test_commits_lines_and_dates_that_moved_are_no_reason_to_write(host: Host):
    host.run((model("alpha", builders.supported("rope_x")),))
    moved = builders.supported(
        "rope_x",
        evidence=(
            builders.evidence("flashinfer", "flashinfer/decode.py", 999, looked_for="def run"),
            builders.evidence("sglang", "python/sglang/srt/layers/new.py", 1),
        ),
    )
    host.now += timedelta(days=2)
    later = model("alpha", moved, repo_shas={"flashinfer": "f" * 40}, revision="0" * 40)
    assert host.written(lambda: host.run((later,))) == []


def test_a_quiet_week_makes_one_write(host: Host):
    host.run()
    host.now += timedelta(days=7)
    assert host.written(host.run) == [f"PATCH /repos/octo/bench/issues/{host.issue('all').number}"]


def test_one_changed_model_changes_its_issue_and_the_dashboard(host: Host):
    host.run()
    changed = (THREE[0], model("beta", builders.supported("moe_x")), THREE[2])
    numbers = [host.issue("beta").number, host.issue("all").number]
    assert host.written(lambda: host.run(changed)) == [
        f"PATCH /repos/octo/bench/issues/{n}" for n in numbers
    ]
    assert "1 ready for workloads" in host.issue("beta").body


def test_what_changed_is_said_in_words_and_stays_said(host: Host):
    host.run()
    assert "First inventory: <code>alpha</code>" in host.issue("all").body
    host.now += timedelta(days=1)
    host.run((THREE[0], model("beta", builders.supported("moe_x")), THREE[2]))
    for key in ("beta", "all"):
        assert "FlashInfer has it now" in host.issue(key).body
    assert "First inventory" not in host.issue("all").body
    host.now += timedelta(days=7)
    host.run((THREE[0], model("beta", builders.supported("moe_x")), THREE[2]))
    assert "FlashInfer has it now" in host.issue("all").body


def test_the_dashboard_ranks_what_is_missing_and_downloads_alone_change_nothing(host: Host):
    asked = Downloads(counts={"sample-org/beta": 1234}, oldest="2026-10-30", newest="2026-10-30")
    host.run(extras=Extras(downloads=asked))
    body = host.issue("all").body
    assert "| kernel | <code>moe_x</code> | 1 | 1 | 1 | 1,234 |" in body
    more = Downloads(counts={"sample-org/beta": 9999}, oldest="2026-11-06", newest="2026-11-06")
    assert host.written(lambda: host.run(extras=Extras(downloads=more))) == []
    assert len(host.written(lambda: host.run((model("beta", builders.supported("moe_x")),)))) == 2


def test_models_that_this_run_did_not_look_at_stay(host: Host):
    host.run()
    assert host.written(lambda: host.run((THREE[1],))) == []


def test_what_people_did_stays(host: Host):
    host.run()
    found = host.issue("alpha")
    body = f"Mine above.\r\n{found.body.replace('- [ ] 🆕', '- [x] 🆕')}\r\nMine below."
    host.person(
        "PATCH", f"/issues/{found.number}", {"body": body, "title": "Renamed", "labels": ["mine"]}
    )
    assert host.written(host.run) == []
    host.run((model("alpha", *builders.sample().kernels[:5]), *THREE[1:]))
    after = host.issue("alpha")
    assert after.body.startswith("Mine above.\r\n<!-- discover-models:begin")
    assert after.body.endswith("end -->\r\nMine below.")
    assert after.body != body
    assert "- [x] 🆕" in after.body
    assert (after.title, after.labels) == ("Renamed", ("mine",))


def test_closed_by_a_person_stays_closed_and_the_dashboard_says_so(host: Host):
    host.run()
    number = host.issue("beta").number
    host.person("PATCH", f"/issues/{number}", {"state": "closed"})
    host.run((model("beta", builders.supported("moe_x")),))
    assert host.issues()[number].state == "closed"
    assert keys(host) == ["all", "alpha"]
    assert "a person closed it" in host.issue("all").body
    host.run((model("beta", builders.supported("moe_x")),), reopen_closed=True)
    assert host.issues()[number].state == "open"


def test_a_finished_model_is_closed_with_one_comment_and_reopened_when_there_is_work(host: Host):
    host.run()
    number = host.issue("beta").number
    host.run((done("beta"),))
    host.run((done("beta"),))
    found = host.issues()[number]
    assert (found.state, found.state_reason, found.closed_by) == ("closed", "completed", BOT)
    (comment,) = host.comments(number)
    assert "in the dataset now" in comment
    assert host.written(lambda: host.run((done("beta"),))) == []
    host.now += timedelta(hours=1)
    host.run((model("beta", builders.missing("moe_y")),))
    assert host.issues()[number].state == "open"
    host.run((done("beta"),))
    assert len(host.comments(number)) == 2


def test_a_failed_source_closes_nothing(host: Host):
    host.run()
    unread = model("beta", builders.existing("moe_x"), source_errors={"flashinfer-trace": "gone"})
    host.run((unread,))
    assert host.issue("beta").state == "open"
    assert "Not refreshed:** flashinfer-trace" in host.issue("all").body


def test_a_locked_issue_gets_no_comment(host: Host):
    host.run()
    number = host.issue("beta").number
    host.person("PUT", f"/issues/{number}/lock", {"lock_reason": "resolved"})
    host.run((done("beta"),))
    assert host.issues()[number].state == "closed"
    assert host.comments(number) == []


def test_another_account_takes_over_without_orphans_and_duplicates(host: Host):
    host.run()
    host.login = "other-app[bot]"
    settings: dict[str, Any] = {"bot_login": host.login, "trusted_authors": (BOT,)}
    assert host.written(lambda: host.run(**settings)) == []
    host.run((model("beta", builders.supported("moe_x")),), **settings)
    assert keys(host) == ["all", "alpha", "beta"]


def test_a_lost_state_loses_nothing(host: Host):
    host.run()
    host.store = MemoryStore()
    assert host.written(host.run) == []
    assert set(host.store.state.issues) == {
        "dashboard/all",
        "tracking/sample-org/alpha",
        "tracking/sample-org/beta",
    }


def test_a_state_of_another_repository_is_not_believed(host: Host):
    host.run()
    copy = host.store.state.model_copy(
        update={"repository": "octo/elsewhere", "issues": {"tracking/sample-org/alpha": 999}}
    )
    host.store = MemoryStore(copy)
    assert host.written(host.run) == []
    assert host.store.state.issues["tracking/sample-org/alpha"] == host.issue("alpha").number


def test_a_strangers_copy_is_neither_trusted_nor_touched(host: Host):
    host.run()
    body = host.issue("beta").body
    headers = {"Authorization": "token stranger"}
    url = f"{host.emulator.url}/repos/{REPOSITORY}/issues"
    assert requests.post(url, json={"title": "Fake", "body": body}, headers=headers).ok
    assert host.written(host.run) == []


def test_a_deleted_issue_is_not_filed_again(host: Host):
    host.run()
    host.emulator.delete(REPOSITORY, host.issue("beta").number)
    host.run()
    assert keys(host) == ["all", "alpha"]
    assert "was deleted" in host.issue("all").body


def test_over_the_cap_models_wait_a_day_in_a_stable_order(host: Host):
    many = [model(f"m{n}", builders.missing("moe_x")) for n in range(5)]
    extras = Extras(
        priorities={
            "sample-org/m3": Priority(day0=True),
            "Sample-Org/M1": Priority(released=date(2026, 11, 1)),
        }
    )
    host.run(many, extras=extras, max_new_issues=2)
    assert keys(host) == ["all", "m1", "m3"]
    assert "Held back (3)" in host.issue("all").body
    again = host.written(lambda: host.run(many, extras=extras, max_new_issues=2))
    assert again == []
    host.now += timedelta(days=1, minutes=1)
    host.run(many, extras=extras, max_new_issues=2)
    assert keys(host) == ["all", "m0", "m1", "m2", "m3"]


def test_deferred_skipped_and_ignored_models_are_listed_with_their_reason(host: Host):
    skipped = builders.deferred(hf_repo_id="sample-org/Vision", reason="no_lm", skipped=True)
    extras = Extras(ignored={"sample-org/alpha": "not wanted here"})
    host.run(THREE, (builders.deferred(), skipped), extras=extras)
    body = host.issue("all").body
    for text in ("Deferred (1)", "gated", "Skipped (1)", "Ignored (1)", "not wanted here"):
        assert text in body
    assert keys(host) == ["all", "beta"]


def test_a_model_that_is_deferred_later_says_so_and_keeps_what_it_had(host: Host):
    host.run()
    gated = builders.deferred(hf_repo_id="sample-org/beta")
    host.run((THREE[0],), (gated,))
    body = host.issue("beta").body
    assert "could not be looked at (gated)" in body
    assert "moe&#95;x" in body or "moe_x" in body


def away(*names: str, reason: str = "network") -> list[Deferred]:
    """Models that a run could not look at."""
    return [
        builders.deferred(hf_repo_id=f"sample-org/{n}", model_slug=n, reason=reason) for n in names
    ]


@pytest.mark.parametrize("reason", ["network", "rate_limited", "bad_token", "unreadable", "source"])
def test_a_run_that_learned_nothing_of_the_models_touches_the_dashboard_alone(
    host: Host, reason: str
):
    host.run((*THREE, model("delta")))
    host.run((done("delta"),))
    before = final(host)
    dashboard = [f"PATCH /repos/octo/bench/issues/{host.issue('all').number}"]
    deferred = away("alpha", "beta", "gamma", "delta", reason=reason)
    assert host.written(lambda: host.run((), deferred)) == dashboard
    assert "Deferred (4)" in host.issue("all").body
    assert host.written(lambda: host.run((), deferred)) == []
    assert host.written(lambda: host.run((*THREE, done("delta")))) == dashboard
    assert final(host) == before


def test_what_is_known_to_be_gated_stays_so_when_nobody_could_look(host: Host):
    host.run(THREE, away("closed", reason="gated"))
    host.run((THREE[0], THREE[2]), away("beta", reason="gated"))
    assert host.written(lambda: host.run((), away("alpha", "beta", "closed"))) == [
        f"PATCH /repos/octo/bench/issues/{host.issue('all').number}"
    ]
    body = host.issue("all").body
    assert body.count("| gated: ") == 2
    assert body.count("| network: ") == 1
    assert host.written(lambda: host.run(THREE)) == [
        f"PATCH /repos/octo/bench/issues/{host.issue(key).number}" for key in ("beta", "all")
    ]


def test_a_failed_source_opens_and_reopens_nothing_that_is_finished(host: Host):
    host.run()
    host.run((done("beta"),))
    unread = {"flashinfer": "gone"}
    partly = [done(n).model_copy(update={"source_errors": unread}) for n in ("beta", "gamma")]
    dashboard = [f"PATCH /repos/octo/bench/issues/{host.issue('all').number}"]
    assert host.written(lambda: host.run(partly)) == dashboard
    assert host.written(lambda: host.run((done("beta"), done("gamma")))) == dashboard
    assert keys(host) == ["all", "alpha"]


def test_a_clock_that_is_set_back_a_day_writes_nothing_and_loses_nothing(host: Host):
    host.run()
    host.now += timedelta(days=2)
    host.run((THREE[0], model("beta", builders.supported("moe_x")), THREE[2]))
    before, state = final(host), host.store.state
    host.now -= timedelta(days=1)
    again = (THREE[0], model("beta", builders.supported("moe_x")), THREE[2])
    assert host.written(lambda: host.run(again)) == []
    assert (final(host), host.store.state) == (before, state)
    found = host.issue("beta")
    host.run((THREE[0], model("beta", builders.missing("moe_x")), THREE[2]))
    assert host.issue("beta").body != found.body
    assert keys(host) == ["all", "alpha", "beta"]


def test_two_repositories_with_one_slug_get_two_issues_whose_names_stay(host: Host):
    twins = [
        builders.inventory(builders.missing("moe_x"), model_slug="twin", hf_repo_id=f"{org}/Twin")
        for org in ("b-org", "a-org")
    ]
    host.run(twins)
    assert keys(host) == ["a-org/twin", "all", "b-org/twin"]
    assert host.written(lambda: host.run(twins[:1])) == []
    assert host.store.state.slugs == {"a-org/Twin": "twin", "b-org/Twin": "b-org--twin"}


def variant(name: str, of: str, *kernels: ClassifiedKernel) -> Inventory:
    """A model of another's group, as a run that knows both says it."""
    return model(name, *kernels, group=f"sample-org/{of}", variants=(f"sample-org/{of}",))


def test_the_models_of_a_group_share_an_issue_that_says_who_needs_what(host: Host):
    base = (builders.missing("moe_x"), builders.supported("rope_x"))
    quantised = (builders.missing("moe_fp4"), builders.supported("rope_x"))
    host.run((model("beta", *base), variant("beta-nvfp4", "beta", *quantised)))
    assert keys(host) == ["all", "beta"]
    body = host.issue("beta").body
    for said in (
        "beta</code>](https://huggingface.co/sample-org/beta)",
        "blob/kernel-inventory/manifests/beta-nvfp4.json",
        "2 FlashInfer missing",
        "moe_x</code> | any | 94 | none yet | only for beta |",
        "moe_fp4</code> | any | 94 | none yet | only for beta-nvfp4 |",
        "rope_x</code> |",
    ):
        assert said in body, said
    board = host.issue("all").body
    assert "Models (1)" in board
    assert "<br><code>beta-nvfp4</code> | 2 |  |  | 1 |" in board


def test_a_variant_found_later_joins_its_group_and_nothing_is_renamed(host: Host):
    host.run((model("beta", builders.missing("moe_x")),))
    before = host.issue("beta")
    # Another run that saw the variant first named the group after it.
    later = model("beta-fp8", builders.missing("moe_fp8"), group="sample-org/beta-fp8")
    later = later.model_copy(update={"variants": ("sample-org/beta",)})
    written = host.written(lambda: host.run((later,)))
    after = host.issue("beta")
    assert written == [f"PATCH /repos/octo/bench/issues/{n}" for n in (after.number, 2)]
    assert (after.number, after.title) == (before.number, before.title)
    assert "beta-fp8" in after.body
    swapped = model("beta", builders.missing("moe_x"), group="sample-org/beta-fp8")
    assert host.written(lambda: host.run((later, swapped))) == []
    assert keys(host) == ["all", "beta"]


def test_kernels_that_drift_apart_do_not_split_a_group(host: Host):
    host.run((model("beta", builders.missing("moe_x")), variant("beta-fp8", "beta")))
    alone = model("beta-fp8", builders.missing("quite_another"), group="sample-org/beta-fp8")
    host.run((alone,))
    assert keys(host) == ["all", "beta"]
    assert "quite_another" in host.issue("beta").body


def test_a_group_is_finished_when_all_its_models_are(host: Host):
    host.run((model("beta", builders.missing("moe_x")), variant("beta-fp8", "beta")))
    host.run((done("beta"),))
    assert host.issue("beta").state == "open"
    host.run((done("beta-fp8"),))
    assert host.issue("beta").state == "closed"


def found(**fields: Any) -> Discovery:
    values: dict[str, Any] = {
        "candidates": (
            Candidate(origin="day0", name="NewForCausalLM", unresolved="nothing names a repo"),
            Candidate(origin="cookbook", name="beta", hf_repo_id="sample-org/beta"),
        ),
        "skipped": (
            SkippedCandidate(
                origin="day0", name="NewVisionModel", reason="vision_only", message="an encoder"
            ),
        ),
        "tracked": (TrackedCandidate(name="sample-org/old", title="Old"),),
    }
    return Discovery(**{**values, **fields})


def test_the_dashboard_says_what_became_of_everything_new(host: Host):
    host.run(THREE, extras=Extras(discovery=found()))
    body = host.issue("all").body
    for said in (
        "Unresolved (1)",
        "<code>NewForCausalLM</code> | no repository is certain: nothing names a repo |",
        "Skipped (1)",
        "<code>NewVisionModel</code> | an encoder |",
        "coverage document has already: 1.",
    ):
        assert said in body, said
    assert host.written(lambda: host.run(THREE, extras=Extras(discovery=found()))) == []


def test_a_run_that_looks_at_one_model_forgets_nothing(host: Host):
    host.run(THREE, (builders.deferred(),), extras=Extras(discovery=found()))
    assert host.written(lambda: host.run((THREE[0],))) == []
    settled = Candidate(origin="day0", name="NewForCausalLM", hf_repo_id="sample-org/alpha")
    host.run(
        (*THREE, model("Closed-Model", builders.missing("moe_x"))),
        extras=Extras(discovery=Discovery(candidates=(settled,))),
    )
    body = host.issue("all").body
    assert "Unresolved" not in body
    assert "Deferred" not in body


def test_where_new_models_could_not_be_looked_for_is_said_and_the_rest_stays(host: Host):
    host.run(THREE, extras=Extras(discovery=found()))
    broken = found(candidates=(), skipped=(), errors={"sglang": "no such commit"})
    host.run(THREE, extras=Extras(discovery=broken))
    body = host.issue("all").body
    assert "new models could not be looked for in sglang (no such commit)" in body
    assert "Unresolved (1)" in body
    assert "Skipped (1)" in body
    host.run(THREE, extras=Extras(discovery=found()))
    assert "could not be looked for" not in host.issue("all").body


def test_a_dry_run_plans_the_same_and_writes_nothing(host: Host):
    planned: list[PublishReport] = []
    assert host.written(lambda: planned.append(host.run(dry=True))) == []
    host.store = MemoryStore()
    assert planned[0].lines() == host.run().lines()


def test_a_state_that_can_not_be_stored_does_not_stop_the_issues(host: Host):
    host.store.refuses = "a rule forbids it"
    report = host.run()
    assert keys(host) == ["all", "alpha", "beta"]
    assert report.saved
    assert (report.saved.stored, report.saved.reason) == (False, "a rule forbids it")
    assert host.written(host.run) == []


def test_a_refused_write_leaves_the_others(host: Host):
    host.emulator.faults([Fault(method="POST", status=422, body='{"message": "Not today"}')])
    report = host.run()
    assert len(report.errors) == 1
    assert "Not today" in report.errors[0]
    assert len(host.issues()) == 2
    host.emulator.faults([])
    assert host.run().errors == ()
    assert keys(host) == ["all", "alpha", "beta"]


def test_people_who_leave_no_room_are_told_so(host: Host):
    host.run()
    number = host.issue("beta").number
    host.person("PATCH", f"/issues/{number}", {"body": "x" * 65_000})
    report = host.run()
    assert [("no room" in error) for error in report.errors] == [True]
    assert host.issues()[number].body == "x" * 65_000


def test_beside_long_text_of_people_rows_are_dropped(host: Host):
    host.run()
    found = host.issue("alpha")
    host.person("PATCH", f"/issues/{found.number}", {"body": found.body + "\n" + "x" * 40_000})
    host.run((model("alpha", *(builders.missing(f"moe_{n}") for n in range(600))),))
    body = host.issue("alpha").body
    assert body.endswith("x" * 40_000)
    assert "more left out" in body


def test_a_model_with_very_many_kernels_fits_and_says_what_is_left_out(host: Host):
    many = [builders.missing(f"moe_number_{n}") for n in range(900)]
    many += [builders.existing(f"rmsnorm_number_{n}") for n in range(100)]
    host.run((model("alpha", *many),))
    body = host.issue("alpha").body
    assert 50_000 < length(body) <= BODY_LIMIT
    assert "<code>moe_number_0</code>" in body
    left_out = [int(n) for n in re.findall(r"_(\d+) more left out", body)]
    assert left_out
    assert body.count("<code>moe_number_") >= 900 - max(left_out)
    assert host.written(lambda: host.run((model("alpha", *many),))) == []


def test_two_runs_at_once_end_with_one_issue_each(emulator: Emulator, monkeypatch: Any):
    """The other run does all its work between this run's looking and its first writing."""
    host, other = Host(emulator), Host(emulator)
    send = requests.adapters.HTTPAdapter.send
    state = {"done": False}

    def racing(self: Any, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> Any:
        if request.method == "POST" and not state["done"]:
            state["done"] = True
            other.run()
        return send(self, request, *args, **kwargs)

    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", racing)
    host.run()
    assert keys(host) == ["all", "alpha", "beta"]
    (duplicate,) = (i for i in host.issues().values() if i.state == "closed")
    assert duplicate.state_reason == "duplicate"
    (comment,) = host.comments(duplicate.number)
    assert "Duplicate of #1" in comment
    assert host.store.state.issues["tracking/sample-org/alpha"] == 1
    for again in (host, other):
        assert again.written(again.run) == []


@pytest.mark.parametrize("first", [(), THREE], ids=["first run", "update"])
def test_another_run_between_any_two_requests_changes_nothing_in_the_end(
    emulator: Emulator, monkeypatch: Any, first: Sequence[Inventory]
):
    """The other run does all its work there, with the same models and the same state."""
    second = (THREE[0], model("beta", builders.supported("moe_x")), done("gamma"))
    send = requests.adapters.HTTPAdapter.send
    left = {"requests": FOREVER}
    host = other = Host(emulator)

    def racing(self: Any, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> Any:
        left["requests"] -= 1
        if left["requests"] == 0:
            other.run(second)
        return send(self, request, *args, **kwargs)

    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", racing)
    host.run(first)
    before = len(emulator.log())
    host.run(second)
    requests_made, expected = len(emulator.log()) - before, seen(host)
    assert requests_made > 5
    for at in range(1, requests_made + 1):
        emulator.reset()
        store = MemoryStore()
        host, other = Host(emulator, store), Host(emulator, store)
        host.run(first)
        left["requests"] = at
        host.run(second)
        left["requests"] = FOREVER
        host.run(second)
        assert seen(host) == expected, f"before request {at}"
        assert host.written(partial(host.run, second)) == [], f"before request {at}"


def seen(host: Host) -> list[tuple[Any, ...]]:
    """The issues that are no duplicates, without their numbers, which depend on the race."""
    return sorted(
        (title, state, reason, labels, re.sub(r"#\d+|,\d+\]", "", body), comments)
        for title, state, reason, labels, body, comments in final(host)
        if reason != "duplicate"
    )


SCENARIOS: dict[str, tuple[Sequence[Inventory], Sequence[Inventory]]] = {
    "first run": ((), THREE),
    "update": (THREE, (model("beta", builders.supported("moe_x")),)),
    "finish": (THREE, (done("beta"),)),
    "reopen": ((model("beta", builders.missing("moe_x")), done("gamma")), (done("beta"),)),
}


class Killed(BaseException):
    """The process dies."""


@pytest.fixture
def killing(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Makes the process die before or after its n-th request, counted from `left`."""
    send = requests.adapters.HTTPAdapter.send
    plan: dict[str, Any] = {"left": FOREVER, "when": "before"}

    def mortal(self: Any, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> Any:
        plan["left"] -= 1
        if plan["left"] == 0 and plan["when"] == "before":
            raise Killed
        response = send(self, request, *args, **kwargs)
        if plan["left"] == 0:
            raise Killed
        return response

    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", mortal)
    return plan


def final(host: Host) -> list[tuple[Any, ...]]:
    return [
        (i.title, i.state, i.state_reason, i.labels, _undated(i.body), len(host.comments(n)))
        for n, i in sorted(host.issues().items())
    ]


def _undated(body: str) -> str:
    return re.sub(r'"written":"[^"]*"', "", body)


@pytest.mark.parametrize("scenario", SCENARIOS)
@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_at_any_request_and_started_again_it_ends_like_an_undisturbed_run(
    emulator: Emulator, killing: dict[str, Any], scenario: str, when: str
):
    first, second = SCENARIOS[scenario]
    host = Host(emulator)
    host.run(first)
    before = len(emulator.log())
    host.run(second)
    requests_made = len(emulator.log()) - before
    expected = final(host)
    assert requests_made > 5
    for cut in range(1, requests_made + 1):
        emulator.reset()
        host = Host(emulator)
        host.run(first)
        killing |= {"left": cut, "when": when}
        with pytest.raises(Killed):
            host.run(second)
        killing |= {"left": FOREVER}
        host.run(second)
        assert final(host) == expected, f"killed {when} request {cut}"
        assert host.written(partial(host.run, second)) == []


@pytest.mark.parametrize("when", ["before", "after"])
def test_when_github_dies_at_any_request_the_next_run_completes_the_work(
    emulator: Emulator, when: Any
):
    host = Host(emulator)
    host.run()
    requests_made, expected = len(emulator.log()), final(host)
    for cut in range(requests_made):
        emulator.reset()
        host = Host(emulator)
        emulator.faults(
            [
                Fault(how="hang up", when=when, skip=cut),
                Fault(how="hang up", skip=cut, times=FOREVER),
            ]
        )
        with suppress(PublishError):  # nothing could be read, so nothing was written
            report = host.run()
            assert report.errors != () or cut == requests_made - 1
        emulator.faults([])
        host.run()
        assert final(host) == expected, f"dead {when} request {cut + 1}"


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_one_fault_at_any_request_changes_nothing_in_the_end(emulator: Emulator, fault: Fault):
    """Every request of a run that opens, changes and closes issues, each in turn."""
    first = (model("beta", builders.missing("moe_x")), model("gamma"))
    second = (model("alpha"), model("beta", builders.supported("moe_x")), done("gamma"))
    host = Host(emulator)
    host.run(first)
    before = len(emulator.log())
    host.run(second)
    requests_made, expected = len(emulator.log()) - before, final(host)
    for cut in range(requests_made):
        emulator.reset()
        host = Host(emulator)
        host.run(first)
        emulator.faults([replace(fault, skip=cut)])
        report = host.run(second)
        emulator.faults([])
        assert report.errors == ()
        assert final(host) == expected, f"request {cut + 1} of {requests_made}"
        assert host.written(partial(host.run, second)) == []
