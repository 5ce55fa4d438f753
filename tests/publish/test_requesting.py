"""One test per row of the truth table for requests in docs/publishing.md, against two repositories.

The bot's own token is good for its repository alone; `requester` is an account without any right
in the other one, where everybody may open issues.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests as http

import builders
from discover_models.domain.depth import Depth, Provider
from discover_models.domain.kernel import ClassifiedKernel, Deferred, Inventory, Lack
from discover_models.publish.github import DryRun, GitHubIssues
from discover_models.publish.issues import Backend, FoundIssue
from discover_models.publish.requesting import RequestPlace
from discover_models.publish.run import PublishReport, PublishSettings, publish
from emulator.server import FOREVER, Emulator, Fault
from hosts import BOT, KERNELS, REPOSITORY, REQUESTER, FakeTime, MemoryStore, connect

SETTINGS = PublishSettings(repository=REPOSITORY, origins=builders.ORIGINS)
TABLE = Path(__file__).parents[2] / "docs" / "publishing.md"


def model(name: str, *kernels: ClassifiedKernel, **fields: Any) -> Inventory:
    return builders.inventory(*kernels, model_slug=name, hf_repo_id=f"sample-org/{name}", **fields)


def lacking(name: str, request: str, **fields: Any) -> ClassifiedKernel:
    lack = Lack(request=request, kernel=f"Zeta {request}", apis=(f"flashinfer.{request}",))
    return builders.missing(name, fi_lack=lack, **fields)


ALPHA = model("Alpha", lacking("zeta_a", "zeta"))
BETA = model("Beta", lacking("zeta_a", "zeta"), lacking("zeta_b", "zeta"))
ARRIVED = model("Alpha", builders.supported("zeta_a", "moe"))


@dataclass
class Host:
    """Both repositories, the bot's state and the time of its runs."""

    emulator: Emulator
    store: MemoryStore = field(default_factory=MemoryStore)
    now: datetime = field(default_factory=lambda: datetime.now(UTC))
    token: str = REQUESTER

    def run(
        self,
        *inventories: Inventory,
        deferred: Sequence[Deferred] = (),
        dry: bool = False,
        **place: Any,
    ) -> PublishReport:
        time = FakeTime()
        own = connect(self.emulator, time)
        there = connect(self.emulator, time, token=self.token or BOT, repository=KERNELS)
        fields: dict[str, Any] = {
            "repository": KERNELS,
            "can_file": bool(self.token),
            "authors": frozenset(filter(None, (self.token, BOT))),
            "server_url": "https://github.com",
        }
        backends: tuple[Backend, Backend] = (own, there)
        if dry:
            backends = (
                DryRun(own, BOT, lambda: self.now),
                DryRun(there, self.token, lambda: self.now),
            )
        try:
            return publish(
                inventories or (ALPHA,),
                deferred,
                SETTINGS,
                backends[0],
                self.store,
                self.now,
                requests=RequestPlace(backends[1], **{**fields, **place}),
            )
        finally:
            own.close()
            there.close()

    def issues(self, repository: str = KERNELS) -> list[FoundIssue]:
        with closing(connect(self.emulator, FakeTime(), repository=repository)) as github:
            return list(github.everything())

    def dashboard(self) -> FoundIssue:
        (found,) = (i for i in self.issues(REPOSITORY) if "dashboard" in i.title)
        return found

    def do(self, login: str, method: str, path: str, payload: dict[str, Any]) -> dict[str, Any]:
        answer = http.request(
            method,
            f"{self.emulator.url}/repos/{path}",
            json=payload,
            headers={"Authorization": f"token {login}"},
        )
        assert answer.ok, answer.text
        return answer.json()

    def open(self, title: str, body: str = "") -> int:
        """An issue of somebody else in the other repository."""
        return self.do("stranger", "POST", f"{KERNELS}/issues", {"title": title, "body": body})[
            "number"
        ]

    def tick(self, login: str, key: str = "kernel-request/zeta") -> None:
        found = self.dashboard()
        pattern = rf"\[ \](.*<!-- discover-models:box approve/{key} -->)"
        body, done = re.subn(pattern, r"[x]\1", found.body)
        assert done == 1, found.body
        self.do(login, "PATCH", f"{REPOSITORY}/issues/{found.number}", {"body": body})

    def comments(self, number: int) -> list[str]:
        url = f"{self.emulator.url}/repos/{KERNELS}/issues/{number}/comments"
        answer = http.get(url, headers={"Authorization": "token octo"})
        return [c["body"] for c in answer.json()]

    def urls(self, name: str = "fi_issue_url") -> dict[str, str]:
        return {
            f"{slug} {k.definition_name}": k.foreign()[name]
            for slug, m in self.store.state.manifests.items()
            for k in m.kernels
            if name in k.foreign()
        }

    def said(self, report: PublishReport) -> list[tuple[str, str]]:
        kinds = ("kernel-request", "trace-request")
        changes = (o.change for o in report.outcomes if o.change.kind in kinds)
        return [(c.action, c.reason) for c in changes]

    def action(self, report: PublishReport) -> str:
        ((action, _),) = self.said(report)
        return action


@pytest.fixture
def host(emulator: Emulator) -> Host:
    return Host(emulator)


def url(number: int) -> str:
    return f"https://github.com/{KERNELS}/issues/{number}"


def test_what_nobody_asks_for_is_filed(host: Host):
    report = host.run(ALPHA, BETA)
    assert report.errors == ()
    (issue,) = host.issues()
    assert issue.title == "[Feature]: Zeta zeta for Alpha"
    assert (issue.author, issue.labels, issue.state) == (REQUESTER, (), "open")
    assert set(host.urls().values()) == {url(issue.number)}
    assert sorted(host.urls()) == ["Alpha zeta_a", "Beta zeta_a", "Beta zeta_b"]
    assert url(issue.number).replace("github.com", "redirect.github.com") in host.dashboard().body
    writes = len(host.emulator.writes())
    assert host.action(host.run(ALPHA, BETA)) == "unchanged"
    assert len(host.emulator.writes()) == writes


def test_a_request_has_the_headings_of_the_form_and_says_what_was_searched(host: Host):
    at = builders.evidence("sglang", "python/sglang/srt/models/alpha.py", 12)
    host.run(ALPHA.model_copy(update={"implementation": at}))
    (issue,) = host.issues()
    assert re.findall(r"^### (.*)$", issue.body, re.MULTILINE) == [
        "Problem",
        "Requested outcome",
        "Target hardware",
        "Inference engine",
        "Affected model or model family",
        "Workload and configuration",
        "Current workaround",
        "Impact",
        "Acceptance criteria",
        "Related work, dependencies, or suggested scope",
    ]
    sglang = f"https://github.com/sgl-project/sglang/blob/{builders.SHAS['sglang']}"
    assert f"{sglang}/python/sglang/srt/models/alpha.py#L12" in issue.body
    assert "flashinfer.fused_moe.moe</code>: not there" in issue.body
    assert "0 open and closed issues and pull requests" in issue.body
    assert "hidden_size=4096" in issue.body


def test_nothing_from_outside_does_anything_in_a_request(host: Host):
    bad = "x|y @someone #1 <!-- discover-models:end --> `code`"
    evil = model("Alpha", lacking("zeta_a", "zeta", notes=()), summary=bad)
    lack = Lack(request="zeta", kernel=bad, apis=("flashinfer.zeta",))
    kernel = evil.kernels[0].model_copy(update={"fi_lack": lack})
    at = builders.evidence("flashinfer", "file:///etc/passwd", None, looked_for=bad)
    kernel = kernel.model_copy(update={"evidence": (*kernel.evidence, at)})
    host.run(evil.model_copy(update={"kernels": (kernel,)}))
    (issue,) = host.issues()
    assert "@someone" not in issue.body
    assert not re.search(r"(?<!&)#1", issue.body)
    assert "](file:" not in issue.body
    assert issue.body.count("<!-- discover-models:end") == 1


def test_a_persons_address_is_the_request(host: Host):
    host.run(ALPHA, max_new=0)
    manifest = host.store.state.manifests["Alpha"]
    (kernel,) = manifest.kernels
    noted = type(kernel).of(kernel.known(), {"fi_issue_url": "https://example.org/42"})
    changed = type(manifest).of({**manifest.known(), "kernels": (noted,)}, {})
    host.store.state = host.store.state.model_copy(update={"manifests": {"Alpha": changed}})
    assert host.action(host.run(ALPHA, BETA)) == "unchanged"
    assert host.issues() == []
    assert set(host.urls().values()) == {"https://example.org/42"}
    assert len(host.urls()) == 3


def test_the_configurations_request_is_the_request(host: Host):
    assert host.action(host.run(known={"Zeta": url(99)})) == "unchanged"
    assert host.issues() == []
    assert host.urls() == {"Alpha zeta_a": url(99)}


def test_a_later_model_is_added_to_the_same_request(host: Host):
    host.run(ALPHA)
    (before,) = host.issues()
    assert host.action(host.run(ALPHA, BETA)) == "update"
    (after,) = host.issues()
    assert after.title == before.title
    assert "zeta_b" in after.body
    assert "sample-org/Beta" in after.body
    assert set(host.urls().values()) == {url(after.number)}
    assert len(host.urls()) == 3


def test_what_is_in_doubt_is_not_added_to_a_request(host: Host):
    host.run(ALPHA)
    doubtful = lacking("zeta_b", "zeta", notes=("its limit was not checked",))
    assert host.action(host.run(ALPHA, model("Beta", doubtful))) == "unchanged"
    assert host.action(host.run(ARRIVED, model("Beta", doubtful))) == "update"
    (issue,) = host.issues()
    assert "zeta_b" not in issue.body
    assert len(host.comments(issue.number)) == 1


def test_text_around_a_request_stays(host: Host):
    host.run(ALPHA)
    (issue,) = host.issues()
    path = f"{KERNELS}/issues/{issue.number}"
    host.do("octo", "PATCH", path, {"body": "Mine.\n\n" + issue.body, "title": "Renamed"})
    host.run(ALPHA, BETA)
    (after,) = host.issues()
    assert after.body.startswith("Mine.\n\n<!--")
    assert after.title == "Renamed"


def test_that_the_kernel_arrived_is_said_once(host: Host):
    host.run(ALPHA)
    (issue,) = host.issues()
    assert host.action(host.run(ARRIVED)) == "update"
    (comment,) = host.comments(issue.number)
    assert "FlashInfer has this now" in comment
    assert builders.SHAS["flashinfer"][:12] in comment
    (after,) = host.issues()
    assert (after.state, "has it now" in after.body) == ("open", True)
    problem = after.body.partition("### Problem")[2].partition("###")[0]
    assert problem.strip().startswith("FlashInfer has everything that is asked for here now")
    assert "no stable public API" not in problem
    assert host.action(host.run(ARRIVED)) == "unchanged"
    host.run(ALPHA)  # it is missing again, and comes back
    host.run(ARRIVED)
    assert len(host.comments(issue.number)) == 1


def test_what_arrived_in_part_is_not_said_to_be_there(host: Host):
    host.run(BETA)
    (issue,) = host.issues()
    there = model("Beta", builders.supported("zeta_a", "moe"), lacking("zeta_b", "zeta"))
    assert host.action(host.run(there)) == "update"
    assert host.comments(issue.number) == []
    (after,) = host.issues()
    assert "has it now" in after.body
    assert "lacks it" in after.body


def test_what_is_undecided_now_has_not_arrived(host: Host):
    host.run(ALPHA)
    (issue,) = host.issues()
    host.run(model("Alpha", builders.undecided("zeta_a", "moe")))
    assert host.comments(issue.number) == []


@pytest.mark.parametrize("login", ["octo", REQUESTER])
def test_a_closed_request_is_left_alone(host: Host, login: str):
    host.run(ALPHA)
    (issue,) = host.issues()
    host.do(login, "PATCH", f"{KERNELS}/issues/{issue.number}", {"state": "closed"})
    writes = [w for w in host.emulator.writes() if KERNELS in w.path]
    for inventories in ((ALPHA, BETA), (ARRIVED,)):
        assert host.action(host.run(*inventories)) == "unchanged"
    assert [w for w in host.emulator.writes() if KERNELS in w.path] == writes
    assert [i.state for i in host.issues()] == ["closed"]


@pytest.mark.parametrize("damage", ["twice", "newer"])
def test_a_request_that_can_not_be_read_is_left_alone(host: Host, damage: str):
    host.run(ALPHA)
    (issue,) = host.issues()
    body = (
        f"{issue.body}\n{issue.body}"
        if damage == "twice"
        else issue.body.replace("begin v1", "begin v9")
    )
    host.do(REQUESTER, "PATCH", f"{KERNELS}/issues/{issue.number}", {"body": body})
    assert host.action(host.run(ALPHA, BETA)) == "refused"
    assert [i.body for i in host.issues()] == [body]


def test_a_deleted_request_is_not_filed_again(host: Host):
    host.run(ALPHA)
    (issue,) = host.issues()
    host.emulator.delete(KERNELS, issue.number)
    assert host.action(host.run(ALPHA, BETA)) == "unchanged"
    assert host.issues() == []


def test_a_request_is_found_again_without_the_state(host: Host):
    host.run(ALPHA)
    (issue,) = host.issues()
    host.store.state = type(host.store.state)()
    assert host.action(host.run(ALPHA)) == "unchanged"
    assert [i.number for i in host.issues()] == [issue.number]
    assert host.urls() == {"Alpha zeta_a": url(issue.number)}


def test_switched_off_nothing_is_read_or_filed(host: Host):
    assert host.action(host.run(mode="off")) == "unchanged"
    assert not [r for r in host.emulator.log() if KERNELS in r.path]
    assert "Zeta" in host.dashboard().body


@pytest.mark.parametrize("source", ["flashinfer", "sglang"])
def test_after_a_failed_source_nothing_is_filed(host: Host, source: str):
    other = model("Other", source_errors={source: "no network"})
    ((action, reason),) = host.said(host.run(ALPHA, other))
    assert (action, source in reason) == ("held back", True)
    assert host.issues() == []


def test_of_a_model_that_was_deferred_nothing_is_filed(host: Host):
    host.run(ALPHA, max_new=0)
    deferred = builders.deferred(hf_repo_id="sample-org/Alpha", model_slug="Alpha")
    ((action, _),) = host.said(host.run(model("Else"), deferred=[deferred]))
    assert action == "held back"
    assert host.issues() == []


def test_a_repository_that_can_not_be_searched_gets_nothing(host: Host):
    host.emulator.faults([Fault(path=KERNELS, status=500, times=FOREVER)])
    report = host.run(ALPHA)
    assert "held back" in [action for action, _ in host.said(report)]
    assert len(report.errors) == 1
    host.emulator.faults([])
    assert host.issues() == []
    host.emulator.faults([Fault(path=KERNELS, status=404, times=FOREVER)])
    host.token = ""
    report = host.run(ALPHA)
    host.emulator.faults([])
    assert report.errors == ()


def test_a_possible_match_holds_it_back_until_somebody_decides(host: Host):
    number = host.open("Zeta kernel?")
    report = host.run(ALPHA)
    assert host.action(report) == "held back"
    assert host.urls() == {}
    dashboard = host.dashboard().body
    assert f"https://redirect.github.com/{KERNELS}/issues/{number}" in dashboard
    assert "[ ] approve" in dashboard
    writes = len(host.emulator.writes())
    host.run(ALPHA)
    assert len(host.emulator.writes()) == writes
    host.tick("maintainer")
    assert host.action(host.run(ALPHA)) == "create"
    filed = host.issues()[-1]
    assert f"https://redirect.github.com/{KERNELS}/issues/{number}" in filed.body
    assert host.urls() == {"Alpha zeta_a": url(filed.number)}
    assert "[x] approve" not in host.dashboard().body


def test_a_pull_request_is_a_possible_match(host: Host):
    payload = {"title": "feat: zeta kernel", "head": "zeta", "base": "main"}
    number = host.do("octo", "POST", f"{KERNELS}/pulls", payload)["number"]
    assert host.action(host.run(ALPHA)) == "held back"
    link = f"[pull request {number}](https://redirect.github.com/{KERNELS}/pull/{number})"
    assert link in host.dashboard().body


def test_with_approve_everything_waits_for_a_tick(host: Host):
    ((action, reason),) = host.said(host.run(ALPHA, mode="approve"))
    assert (action, reason) == ("held back", "it waits for approval")
    host.tick("maintainer")
    assert host.action(host.run(ALPHA, mode="approve")) == "create"


def _nobody(_github: GitHubIssues, _login: str) -> bool:
    return False


@pytest.mark.parametrize("ticker", ["bot alone", "stranger too", "unknown"])
def test_a_tick_of_anybody_else_counts_for_nothing(
    host: Host, ticker: str, monkeypatch: pytest.MonkeyPatch
):
    host.run(ALPHA, mode="approve")
    if ticker == "bot alone":
        host.tick(BOT)
    elif ticker == "stranger too":
        host.tick("maintainer")
        monkeypatch.setattr(GitHubIssues, "may_write", _nobody)
    else:
        host.tick("maintainer")
        host.emulator.faults([Fault(path="/graphql", status=403, times=FOREVER)])
    for _ in range(2):  # neither now nor after the dashboard was written with the tick in it
        ((action, reason),) = host.said(host.run(ALPHA, mode="approve"))
        assert (action, "ticked" in reason) == ("held back", True)
    assert host.issues() == []


def test_an_approval_is_remembered_until_it_is_filed(host: Host):
    host.run(ALPHA, mode="approve")
    host.tick("maintainer")
    ((action, reason),) = host.said(host.run(ALPHA, mode="approve", max_new=0))
    assert (action, "at most 0" in reason) == ("held back", True)
    assert host.store.state.approved == ("approve/kernel-request/zeta",)
    assert host.action(host.run(ALPHA, mode="approve")) == "create"
    assert host.store.state.approved == ()


def test_an_approval_is_withdrawn_by_taking_the_tick_away(host: Host):
    host.run(ALPHA, mode="approve")
    host.tick("maintainer")
    host.run(ALPHA, mode="approve", max_new=0)
    found = host.dashboard()
    body = found.body.replace("[x] approve", "[ ] approve")
    host.do("maintainer", "PATCH", f"{REPOSITORY}/issues/{found.number}", {"body": body})
    assert host.action(host.run(ALPHA, mode="approve")) == "held back"
    assert host.store.state.approved == ()


def test_what_a_person_should_look_at_first_waits_for_a_tick(host: Host):
    lack = Lack(request="zeta", kernel="Zeta", unread="only names were looked for in FlashInfer 9")
    doubtful = model("Alpha", builders.missing("zeta_a", fi_lack=lack))
    ((action, reason),) = host.said(host.run(doubtful))
    assert (action, "only names were looked for" in reason) == ("held back", True)
    assert host.issues() == []
    host.tick("maintainer")
    assert host.action(host.run(doubtful)) == "create"


def test_what_serves_the_model_today_is_linked_and_what_is_there_of_it_named(host: Host):
    at = builders.evidence("sglang", "python/sglang/srt/layers/zeta.py", 7)
    depth = Depth(served_by=(Provider(name="SGLang", function="sglang.zeta", evidence=(at,)),))
    lack = Lack(request="zeta", kernel="zeta", near=("half of it: flashinfer.half",))
    host.run(model("Alpha", builders.missing("zeta_a", fi_lack=lack, depth=depth)))
    (issue,) = host.issues()
    workaround = issue.body.partition("### Current workaround")[2].partition("###")[0]
    sglang = f"https://github.com/sgl-project/sglang/blob/{builders.SHAS['sglang']}"
    assert f"[<code>sglang.zeta</code>]({sglang}/python/sglang/srt/layers/zeta.py#L7)" in workaround
    assert "half of it: <code>flashinfer.half</code>" in issue.body
    assert "### Inference engine\n\nSGLang\n" in issue.body


def test_of_a_model_that_sglang_does_not_know_no_engine_is_claimed(host: Host):
    host.run(ALPHA)
    (issue,) = host.issues()
    assert "### Inference engine\n\nOther or unknown" in issue.body
    assert "Not known: SGLang has no class" in issue.body


def test_without_a_token_a_person_gets_text_and_link(host: Host):
    host.token = ""
    report = host.run(ALPHA)
    assert report.errors == ()
    ((action, reason),) = host.said(report)
    assert (action, "no token" in reason) == ("held back", True)
    assert host.issues() == []
    for issue in host.issues(REPOSITORY):
        (link,) = re.findall(rf"\((https://github\.com/{KERNELS}/issues/new\?[^)]*)\)", issue.body)
        assert len(link) < 8000
        query = parse_qs(urlsplit(link).query)
        assert query["title"] == ["[Feature]: Zeta zeta for Alpha"]
        assert "### Problem" in query["body"][0]
        assert "### Problem" in issue.body
    writes = len(host.emulator.writes())
    host.run(ALPHA)
    assert len(host.emulator.writes()) == writes


def test_a_link_stays_short_and_whole_however_many_definitions_there_are(host: Host):
    host.token = ""
    host.run(model("Alpha", *(lacking(f"zeta_{'x' * 60}_{n}", "zeta") for n in range(200))))
    (link,) = re.findall(
        r"\((https://github\.com/[^)]*/issues/new\?[^)]*)\)", host.dashboard().body
    )
    assert len(link) < 8000
    assert "left out" in parse_qs(urlsplit(link).query)["body"][0]


def test_over_the_cap_it_is_held_back(host: Host):
    five = model("Alpha", *(lacking(f"zeta_{n}", f"zeta{n}") for n in range(5)))
    assert [a for a, _ in host.said(host.run(five, max_new=3))].count("create") == 3
    assert len(host.issues()) == 3
    assert [a for a, _ in host.said(host.run(five, max_new=3))].count("create") == 0
    host.now += timedelta(days=2)
    host.run(five, max_new=3)
    assert len(host.issues()) == 5


def test_a_token_without_the_right_is_an_error_and_nothing_else_is_lost(host: Host):
    host.token = BOT  # the workflow's own, which is not installed there
    report = host.run(ALPHA)
    assert len(report.errors) == 1
    assert "403" in report.errors[0]
    assert host.issues() == []
    assert host.dashboard()
    assert host.store.state.manifests


def test_of_several_of_ours_the_oldest_counts_and_none_is_closed(host: Host):
    host.run(ALPHA)
    (issue,) = host.issues()
    twin = {"title": issue.title, "body": issue.body}
    host.do(REQUESTER, "POST", f"{KERNELS}/issues", twin)
    host.run(ALPHA, BETA)
    assert [(i.state, "zeta_b" in i.body) for i in host.issues()] == [
        ("open", True),
        ("open", False),
    ]


def test_a_strangers_marker_is_no_request_of_ours(host: Host):
    host.run(ALPHA)
    (issue,) = host.issues()
    host.emulator.delete(KERNELS, issue.number)
    host.store.state = type(host.store.state)()
    host.open("Something", issue.body)
    assert host.action(host.run(ALPHA)) == "held back"  # it names the API: a possible match


def test_a_lost_answer_files_nothing_twice(host: Host):
    host.emulator.faults(
        [Fault(method="POST", path=f"{KERNELS}/issues$", when="after", status=502)]
    )
    assert host.run(ALPHA).errors == ()
    assert len(host.issues()) == 1


def test_a_death_before_the_state_is_saved_files_nothing_twice(host: Host):
    host.store.refuses = "rules"
    host.run(ALPHA)
    host.store.refuses = ""
    host.run(ALPHA)
    assert len(host.issues()) == 1


def test_a_dry_run_files_nothing_and_says_the_same(host: Host):
    report = host.run(ALPHA, dry=True)
    assert host.action(report) == "create"
    assert host.issues() == []
    assert host.emulator.writes() == []


def test_trace_templates_are_asked_for_only_when_switched_on(host: Host):
    lacks = model("Alpha", builders.supported("gqa_a", fi_trace_template=False))
    assert host.said(host.run(lacks)) == []
    host.run(lacks, trace=True)
    (issue,) = host.issues()
    assert "gqa_a" in issue.body
    assert host.urls("fi_trace_template_request_url") == {"Alpha gqa_a": url(issue.number)}
    there = model("Alpha", builders.supported("gqa_a"))
    host.run(there, trace=True)
    assert "trace template" in host.comments(issue.number)[0]


def test_every_row_of_the_table_has_a_test():
    text = (
        TABLE.read_text("utf-8")
        .partition("## The truth table of requests")[2]
        .partition("\n## ")[0]
    )
    rows = [line for line in text.splitlines() if re.match(r"\| \d+ \|", line)]
    assert len(rows) >= 18
    for row in rows:
        for name in re.findall(r"`(\w+)`", row.rsplit("|", 2)[1]):
            assert f"test_{name}" in globals(), name
