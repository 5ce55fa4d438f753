"""Events of pull requests and comments, through the action, against GitHub's emulator."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt

from action.fake_runner import FakeRunner
from action.recorded import RECORDED
from discover_models import demo
from discover_models.action import run_action
from discover_models.publish import markers
from discover_models.publish.comments import PostedComment
from discover_models.publish.pulls import GitHubPulls
from emulator.faults import FAULTS
from emulator.server import FOREVER, Emulator, Fault
from hosts import BOT, REPOSITORY, FakeTime
from hub_server import HubServer, Repository, running

DOC = "docs/model_coverage.mdx"
DATASET = "flashinfer-ai/flashinfer-trace"
LINK = f"https://huggingface.co/datasets/{DATASET}/discussions/7"
HEAD = "| Definition | Op Type | Status |\n|---|---|:---:|\n"
COLLECTED = "rmsnorm_h3840"
PRESENT = "gemm_n3840_k3840"
ABSENT = "gqa_paged_decode_h15_kv3_d128_ps1"
ROWS = {COLLECTED: "rmsnorm", PRESENT: "gemm", ABSENT: "gqa_paged"}


def document(**signs: str) -> str:
    """The coverage document with these rows; the count line agrees."""
    rows = "".join(f"| `{name}` | {ROWS[name]} | {sign} |\n" for name, sign in signs.items())
    present = sum(sign != "❌" for sign in signs.values())
    return f"## Demo 8B\n\n{HEAD}{rows}\n**Coverage**: {present} / {len(signs)} definitions.\n"


@dataclass
class Host:
    emulator: Emulator
    runner: FakeRunner
    hub: HubServer
    sources: Path
    time: FakeTime = field(default_factory=lambda: FakeTime(now=1_790_000_000.0))
    log: list[str] = field(default_factory=list[str])

    def run(self, event: str, payload: dict[str, Any], **inputs: str) -> int:
        self.log.clear()
        file = self.runner.folder / "files" / "event.json"
        file.write_text(json.dumps(payload), "utf-8")
        for name in ("output", "summary"):
            (self.runner.folder / "files" / name).unlink(missing_ok=True)
        names = ("sglang", "flashinfer", "sgl-cookbook", "flashinfer-trace")
        given = {
            "configs": str(demo.CONFIGS),
            "github-token": Emulator.token(BOT),
            "sources": "\n".join(f"{name}={(self.sources / name).as_uri()}" for name in names),
            **{name.replace("_", "-"): value for name, value in inputs.items()},
        }
        environment = self.runner.environment(
            event,
            given,
            GITHUB_REPOSITORY=REPOSITORY,
            GITHUB_API_URL=self.emulator.url,
            GITHUB_EVENT_PATH=str(file),
            HF_ENDPOINT=self.hub.url,
        )
        code = run_action(environment, self.log.append, self.time.timing())
        assert Emulator.leaks(self.log) == []
        return code

    def pull(self, number: int, action: str = "opened", login: str = "octo", **inputs: str) -> int:
        """A recorded event, with this pull request and author in it."""
        name = f"pull_request {action}"
        payload = RECORDED.get(name, RECORDED["pull_request opened"])
        pull = payload["pull_request"]
        user = pull["user"] | {"login": login}
        told = pull | {"number": number, "user": user, "title": "$(id)"}
        event = payload | {"action": action, "number": number, "pull_request": told}
        return self.run("pull_request_target", event, **inputs)

    def say(self, number: int, body: str, association: str = "MEMBER", comment: int = 99) -> int:
        payload = RECORDED["issue_comment created"]
        more = {"id": comment, "body": body, "author_association": association}
        event = payload | {
            "issue": payload["issue"] | {"number": number},
            "comment": payload["comment"] | more,
        }
        return self.run("issue_comment", event)

    def comments(self, number: int) -> tuple[PostedComment, ...]:
        with closing(self._github()) as github:
            return github.posted(number)

    def only(self, number: int) -> str:
        (comment,) = self.comments(number)
        assert comment.author == BOT
        return comment.body

    def writes(self) -> int:
        return len(self.emulator.writes())

    def _github(self) -> GitHubPulls:
        token = Emulator.token(BOT)
        return GitHubPulls(REPOSITORY, token, self.time.timing(), api_url=self.emulator.url)

    def open(self, files: Mapping[str, str | None], body: str = "", **more: str) -> int:
        self.emulator.push(REPOSITORY, "change", files)
        return self.emulator.pull(REPOSITORY, "change", body, **more)


@pytest.fixture
def host(emulator: Emulator, tmp_path: Path) -> Any:
    (tmp_path / "run").mkdir()
    sources = tmp_path / "sources"
    sources.mkdir()
    demo.prepare(sources)
    before = document(**{COLLECTED: "✅", PRESENT: "❌", ABSENT: "❌"})
    emulator.push(REPOSITORY, "main", {DOC: before, "README.md": "x"})
    with running() as hub:
        yield Host(emulator, FakeRunner(tmp_path / "run"), hub, sources)


RIGHT = {COLLECTED: "✅", PRESENT: "🟡", ABSENT: "❌"}
EARLY = {COLLECTED: "✅", PRESENT: "🟡", ABSENT: "✅"}


def test_a_right_change_gets_one_line(host: Host) -> None:
    number = host.open({DOC: document(**RIGHT)})
    assert host.pull(number) == 0, host.log
    assert host.runner.outputs == {"changed": "true"}
    section = markers.parse(host.only(number))
    assert isinstance(section, markers.Section)
    line, _ = section.text.split("\n<!-- discover-models:facts")
    assert line.startswith("✅ All is right")
    assert PRESENT in line
    assert "\n" not in line.strip()


def test_opened_synchronised_edited_and_closed(host: Host) -> None:
    number = host.open({DOC: document(**EARLY)}, "Marks it as covered.")
    assert host.pull(number) == 0, host.log
    first = host.only(number)
    assert "no pull request of the dataset is linked" in first
    assert "<summary>Inventory of <code>demo-org/Demo-8B</code>" in first

    writes = host.writes()
    assert host.pull(number, "synchronize") == 0, host.log
    assert host.writes() == writes
    assert host.runner.outputs == {"changed": "false"}

    axes = {"num_qo_heads": 15, "num_kv_heads": 3, "head_dim": 128, "page_size": 1}
    content = {
        "name": ABSENT,
        "op_type": "gqa_paged",
        "axes": {name: {"type": "const", "value": value} for name, value in axes.items()},
    }
    host.hub.datasets[DATASET, "refs/pr/7"] = Repository(
        {
            f"definitions/gqa_paged/{ABSENT}.json": json.dumps(content).encode(),
            f"workloads/gqa_paged/{ABSENT}.jsonl": b"{}\n",
        }
    )
    host.emulator.write(REPOSITORY, "PATCH", f"/pulls/{number}", {"body": f"See {LINK}."}, "octo")
    assert host.pull(number, "edited") == 0, host.log
    assert host.only(number).splitlines()[1].startswith("✅ All is right"), host.only(number)

    host.emulator.push(REPOSITORY, "change", {DOC: document(**{**EARLY, COLLECTED: "🟡"})})
    assert host.pull(number, "synchronize") == 0, host.log
    assert "**Something is wrong with 1 of 3 claimed definitions**" in host.only(number)

    writes = host.writes()
    host.emulator.write(REPOSITORY, "PATCH", f"/pulls/{number}", {"state": "closed"}, "octo")
    assert host.pull(number, "closed") == 0
    assert host.pull(number, "synchronize") == 0
    assert host.writes() == writes


def test_a_definition_that_contradicts_its_name_in_the_linked_pull_request(host: Host) -> None:
    content = {"name": ABSENT, "op_type": "gemm", "axes": {"num_qo_heads": {"value": 16}}}
    path = f"definitions/gqa_paged/{ABSENT}.json"
    host.hub.datasets[DATASET, "refs/pr/7"] = Repository({path: json.dumps(content).encode()})
    number = host.open({DOC: document(**EARLY)}, LINK)
    assert host.pull(number) == 0, host.log
    body = host.only(number)
    assert "its op_type is gemm, not gqa&#95;paged" in body or "gqa_paged" in body
    assert "num_qo_heads is 16, and its name says 15" in body


def test_a_linked_pull_request_that_is_gone_is_not_known(host: Host) -> None:
    number = host.open({DOC: document(**EARLY)}, LINK)
    assert host.pull(number) == 0, host.log
    body = host.only(number)
    assert "❔ **Dataset:** pull request 7 of the dataset could not be read" in body
    assert "❌ **Dataset" not in body


def test_nothing_claimed_nothing_said(host: Host) -> None:
    for files in ({"README.md": "y"}, {DOC: document(**RIGHT) + "\nA sentence.\n"}):
        host.emulator.reset()
        host.emulator.push(REPOSITORY, "main", {DOC: document(**RIGHT), "README.md": "x"})
        number = host.open(files)
        assert host.pull(number) == 0, host.log
        assert host.comments(number) == ()
        assert any(line.startswith("::notice::") for line in host.log)


def test_with_the_label_the_text_claims_too(host: Host) -> None:
    number = host.open({"README.md": "y"}, f"Collects `{ABSENT}` and `README.md` for `demo`.")
    assert host.pull(number) == 0, host.log
    assert host.comments(number) == ()
    label = {"labels": ["Kernel-Inventory"]}
    host.emulator.write(REPOSITORY, "POST", f"/issues/{number}/labels", label, "octo")
    assert host.pull(number, "labeled") == 0, host.log
    body = host.only(number)
    assert "**Nothing is wrong with 1 claimed definition, but other files are changed too**" in body
    assert ABSENT in body


def test_what_is_no_longer_claimed_is_said_in_the_old_comment(host: Host) -> None:
    number = host.open({DOC: document(**RIGHT)})
    assert host.pull(number) == 0, host.log
    before = document(**{COLLECTED: "✅", PRESENT: "❌", ABSENT: "❌"})
    host.emulator.push(REPOSITORY, "change", {DOC: before, "README.md": "y"})
    assert host.pull(number, "synchronize") == 0, host.log
    assert "claims nothing" in host.only(number)


def test_a_forks_change_is_read_as_data(host: Host) -> None:
    number = host.open({DOC: document(**RIGHT)}, login="stranger", fork="stranger/bench")
    assert host.pull(number, login="stranger") == 0, host.log
    assert "✅ All is right" in host.only(number)
    assert {r.login for r in host.emulator.log()} == {BOT}
    assert not any("stranger/bench" in r.path for r in host.emulator.log())


def test_a_refused_comment_goes_to_the_job_summary(host: Host) -> None:
    number = host.open({DOC: document(**RIGHT)}, login="stranger", fork="stranger/bench")
    refusal = json.dumps({"message": "Resource not accessible by integration"})
    fault = Fault(method="POST", path="/comments$", status=403, body=refusal, times=FOREVER)
    host.emulator.faults([fault])
    assert host.pull(number, login="stranger") == 0, host.log
    assert "✅ All is right" in host.runner.summary
    (warning,) = (line for line in host.log if line.startswith("::warning::"))
    assert "Resource not accessible" in warning
    assert host.runner.outputs == {"changed": "false"}


def test_a_dry_run_says_it_in_the_job_summary(host: Host) -> None:
    number = host.open({DOC: document(**RIGHT)})
    assert host.pull(number, dry_run="true") == 0, host.log
    assert "✅ All is right" in host.runner.summary
    assert host.writes() == 0


def test_three_hundred_files(host: Host) -> None:
    many = {f"definitions/gemm/gemm_n{n}_k64.json": "{" for n in range(299)}
    number = host.open({DOC: document(**RIGHT), **many})
    assert host.pull(number) == 0, host.log
    pages = [r for r in host.emulator.log() if "/files?" in r.path]
    assert len(pages) == 3
    assert sum("/contents/definitions/" in r.path for r in host.emulator.log()) == 60
    body = host.only(number)
    assert len(body) <= 65_536
    assert "and 296 more" in body


def test_the_bots_own_pull_request(host: Host) -> None:
    number = host.open({DOC: document(**EARLY)})
    asked = len(host.emulator.log())
    assert host.pull(number, login=BOT) == 0
    assert len(host.emulator.log()) == asked


def test_two_runs_at_once_leave_one_comment(host: Host) -> None:
    number = host.open({DOC: document(**RIGHT)})
    assert host.pull(number) == 0, host.log
    path = f"/issues/{number}/comments"
    # The other run's comment is not in the list yet when this one decides and posts.
    host.emulator.faults([Fault(method="GET", path=path, status=200, body="[]", times=2)])
    assert host.pull(number) == 0, host.log
    assert "✅ All is right" in host.only(number)
    assert [r.method for r in host.emulator.writes()] == ["POST", "POST", "DELETE"]


def test_a_lost_answer_is_not_posted_twice(host: Host) -> None:
    number = host.open({DOC: document(**RIGHT)})
    host.emulator.faults([Fault(when="after", method="POST", path="/comments$", status=502)])
    assert host.pull(number) == 0, host.log
    assert "✅ All is right" in host.only(number)


def test_one_fault_at_any_request_changes_nothing_in_the_end(host: Host) -> None:
    """Of the checklist's requests to GitHub; `make torture` tries each fault at each."""
    main = document(**{COLLECTED: "✅", PRESENT: "❌", ABSENT: "❌"})

    def checked(*faults: Fault) -> tuple[str, int]:
        """What the comment says and the number of requests."""
        host.emulator.reset()
        host.emulator.push(REPOSITORY, "main", {DOC: main})
        number = host.open({DOC: document(**EARLY)}, "Marks it as covered.")
        host.emulator.faults(faults)
        before = len(host.emulator.log())
        assert host.pull(number) == 0, (faults, host.log)
        host.emulator.faults(())
        asked = len(host.emulator.log()) - before
        said = re.sub(r'"written":"[^"]*"', "", host.only(number))
        if "DISCOVER_MODELS_EXAMPLES" in os.environ:
            writes = host.writes()
            assert host.pull(number, "synchronize") == 0, (faults, host.log)
            assert host.writes() == writes
        return said, asked

    expected, asked = checked()
    assert asked > 4
    pairs = [(n % asked, fault) for n, fault in enumerate(FAULTS.values())]
    if "DISCOVER_MODELS_EXAMPLES" in os.environ:
        pairs = [(n, fault) for n in range(asked) for fault in FAULTS.values()]
    print(f"{asked} requests, {len(pairs)} runs with a fault")
    for number, fault in pairs:
        assert checked(replace(fault, skip=number))[0] == expected, (number, fault)


HOSTILE = (
    "<!-- discover-models:end -->",
    "<img src=x onerror=alert(1)>",
    "@everyone",
    "octo/bench#1",
    "::error::forged",
    "[click](https://evil.example)",
    "{{ 7*7 }}",
    "${{ secrets.GITHUB_TOKEN }}",
    "\\| x",
    "../../../etc/passwd",
)


def test_a_hostile_diff_changes_nothing_but_words(host: Host) -> None:
    rows = "".join(f"| `{text}` | {text} | ✅ |\n" for text in HOSTILE)
    text = f"## Demo 8B\n\n{HEAD}{rows}\n**Coverage**: 1 / 2\n\n## {HOSTILE[1]}\n\n{HEAD}{rows}"
    files = {
        DOC: text,
        "definitions/gemm/@everyone <!-- x.json": "{}",
        "definitions/gemm/::error::.json": "{}",
        "definitions/gemm/gemm_n1_k1.json": json.dumps({"name": HOSTILE, "op_type": HOSTILE[1]}),
    }
    number = host.open(files, f"{LINK} {' '.join(HOSTILE)}")
    assert host.pull(number) == 0, host.log
    body = host.only(number)
    assert isinstance(markers.parse(body), markers.Section)
    html = MarkdownIt("gfm-like").render(body)
    assert "<img src=x" not in body.replace("&lt;img", "")
    assert 'href="https://evil.example' not in html
    for word in ("@everyone", "octo/bench#1", "::error::"):
        assert word not in body
    assert "49" not in body
    table = html.partition("</table>")[0]
    assert table.count("<tr>") == len(HOSTILE) + 2
    commands = [line for line in host.log if line.startswith("::")]
    assert all(line.startswith(("::add-mask::", "::notice::")) for line in commands)
    assert not any("passwd" in r.path for r in host.emulator.log())
    assert not any("passwd" in path for path in host.hub.paths())
    written = [p for p in host.runner.workspace.rglob("*") if "gemm_n1_k1" in p.name]
    assert written == []


def test_a_command_is_answered_once(host: Host) -> None:
    number = host.open({"README.md": "y"})
    assert host.say(number, "/discover-models demo-8b\nplease") == 0, host.log
    body = host.only(number)
    assert "demo-org/Demo-8B" in body
    assert PRESENT in body
    assert host.runner.outputs == {"changed": "true"}
    assert host.say(number, "/discover-models demo-8b\nplease") == 0, host.log
    assert host.only(number) == body
    assert host.say(number, "/discover-models demo-8b", comment=100) == 0, host.log
    assert len(host.comments(number)) == 2


def test_a_command_that_can_not_be_answered_says_why(host: Host) -> None:
    number = host.open({"README.md": "y"})
    assert host.say(number, "/discover-models no-such-model") == 0, host.log
    assert "no-such-model" in host.only(number)
    assert host.say(number, "/discover-models x absent-org/Absent", comment=2) == 0, host.log
    assert "No inventory of" in host.comments(number)[1].body


@pytest.mark.parametrize(
    "body", ["/discover-models $(id)", "/discover-models", "/discover-models a/../../b @everyone"]
)
def test_a_hostile_command_gets_the_usage(host: Host, body: str) -> None:
    number = host.open({"README.md": "y"})
    assert host.say(number, body) == 0, host.log
    answer = host.only(number)
    assert "Write /discover-models MODEL" in answer
    assert "@everyone" not in answer
    assert list(host.runner.workspace.iterdir()) == []


def test_nobody_else_gets_anything_done(host: Host) -> None:
    number = host.open({"README.md": "y"})
    asked = len(host.emulator.log())
    for association in ("NONE", "CONTRIBUTOR", "FIRST_TIME_CONTRIBUTOR"):
        assert host.say(number, "/discover-models demo-8b", association) == 0
        assert host.runner.outputs == {"changed": "false"}
    assert len(host.emulator.log()) == asked
    assert list(host.runner.workspace.iterdir()) == []
