"""Weekly runs over the real releases: what FlashInfer would have been asked for, and when.

Every Monday from 2026-04-06 to 2026-11-02 the bot runs with what SGLang, FlashInfer and the
cookbook had released by then, against an emulated GitHub with its own repository and one of other
people. The dataset is the only one that the workspace has, of 2026-04-24. What must be filed was
read by hand (golden/kernel_requests.yaml). ``make replay`` runs this and prints every request.
"""

from __future__ import annotations

import html
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests as http
import yaml

from discover_models.domain.kernel import Inventory
from discover_models.pipeline import run
from discover_models.publish import markers
from discover_models.publish.issues import FoundIssue
from discover_models.publish.markers import Section
from discover_models.publish.requesting import RequestPlace
from discover_models.publish.run import PublishSettings, publish
from discover_models.settings import ModelRequest, RunOptions
from emulator.server import Emulator, Request
from hosts import KERNELS, REPOSITORY, REQUESTER, FakeTime, MemoryStore, connect

REAL = os.environ.get("DISCOVER_MODELS_WORKSPACE")
MOVING = ("flashinfer", "sglang", "sgl-cookbook")
WEEKS = [date(2026, 4, 6) + timedelta(weeks=n) for n in range(31)]
ORIGINS = {
    "sglang": "https://github.com/sgl-project/sglang",
    "flashinfer": "https://github.com/flashinfer-ai/flashinfer",
    "sgl-cookbook": "https://github.com/sgl-project/sgl-cookbook",
    "flashinfer-trace": "https://huggingface.co/datasets/flashinfer-ai/flashinfer-trace",
}
GOLDEN: dict[str, Any] = yaml.safe_load(
    (Path(__file__).parent / "golden/kernel_requests.yaml").read_text("utf-8")
)
FILED: dict[str, dict[str, Any]] = GOLDEN["filed"]

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(REAL is None, reason="DISCOVER_MODELS_WORKSPACE is not set"),
]


@dataclass
class History:
    """The workspace as it was on a day, and what a run over all models finds there."""

    workspace: Path
    cache: Path
    looks: dict[tuple[str, ...], tuple[Inventory, ...]] = field(
        default_factory=dict[tuple[str, ...], tuple[Inventory, ...]]
    )

    def commits(self, week: date) -> tuple[str, ...]:
        """The newest commit of each repository on the morning of that Monday."""
        before = f"--before={week.isoformat()}T06:00:00+00:00"
        return tuple(self.git(name, "rev-list", "-1", before, "--all").strip() for name in MOVING)

    def look(self, week: date) -> tuple[Inventory, ...]:
        commits = self.commits(week)
        if commits not in self.looks:
            for name, commit in zip(MOVING, commits, strict=True):
                self.git(name, "checkout", "--quiet", "--force", "--detach", commit)
            models = sorted(self.workspace.glob("hub/*/*/config.json"))
            result = run(
                RunOptions(
                    models=tuple(ModelRequest(hf_repo_id="/".join(m.parts[-3:-1])) for m in models),
                    offline=True,
                    workspace=self.workspace,
                    configs=self.workspace / "hub",
                    cache_dir=self.cache,
                ),
                lambda _line: None,
            )
            assert result.deferred == ()
            self.looks[commits] = result.inventories
        return self.looks[commits]

    def git(self, name: str, *args: str) -> str:
        command = ["git", "-C", str(self.workspace / name), *args]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> History:
    copy = tmp_path_factory.mktemp("workspace")
    for source in Path(REAL or "").iterdir():
        if source.name in MOVING:
            shutil.copytree(source, copy / source.name, symlinks=True)
        else:
            (copy / source.name).symlink_to(source.resolve())
    return History(copy, tmp_path_factory.mktemp("cache"))


@dataclass
class Week:
    """What happened in one run."""

    day: date
    writes: list[Request]
    filed: list[str]
    announced: dict[str, str]
    """What was said that FlashInfer has, by key."""

    @property
    def there(self) -> list[Request]:
        """What was written in the other people's repository."""
        return [w for w in self.writes if KERNELS in w.path]


@dataclass
class Bot:
    """The bot's weekly runs, with an account that may open issues in the other repository."""

    emulator: Emulator
    cap: int
    store: MemoryStore = field(default_factory=MemoryStore)
    weeks: list[Week] = field(default_factory=list[Week])
    comments: dict[str, int] = field(default_factory=dict[str, int])

    def run(self, day: date, inventories: Sequence[Inventory]) -> Week:
        now = datetime(day.year, day.month, day.day, 6, tzinfo=UTC)
        self.emulator.clock(now)
        before, known = len(self.emulator.writes()), set(self.requests())
        time = FakeTime()
        home, there = connect(self.emulator, time), self._there(time)
        report = publish(
            inventories,
            (),
            PublishSettings(repository=REPOSITORY, origins=ORIGINS, max_new_issues=0),
            home,
            self.store,
            now,
            requests=RequestPlace(
                there,
                KERNELS,
                can_file=True,
                authors=frozenset({REQUESTER}),
                max_new=self.cap,
            ),
        )
        home.close()
        there.close()
        assert report.errors == ()
        week = Week(
            day,
            self.emulator.writes()[before:],
            sorted(set(self.requests()) - known),
            dict(self._announced()),
        )
        self.weeks.append(week)
        return week

    def requests(self) -> dict[str, FoundIssue]:
        """The requests that are filed, by key; every one is of another kernel."""
        there = self._there(FakeTime())
        found: dict[str, FoundIssue] = {}
        for issue in there.everything():
            section = markers.parse(issue.body)
            assert isinstance(section, Section)
            assert section.marker.key not in found
            found[section.marker.key] = issue
        there.close()
        return found

    def _there(self, time: FakeTime) -> Any:
        return connect(self.emulator, time, token=REQUESTER, repository=KERNELS)

    def _announced(self) -> Iterator[tuple[str, str]]:
        for key, issue in self.requests().items():
            url = f"{self.emulator.url}/repos/{KERNELS}/issues/{issue.number}/comments"
            answer = http.get(url, headers={"Authorization": "token octo"})
            bodies = [comment["body"] for comment in answer.json()]
            new = bodies[self.comments.get(key, 0) :]
            self.comments[key] = len(bodies)
            assert len(new) <= 1
            if new:
                yield key, new[0]

    def when_filed(self) -> dict[str, date]:
        return {key: week.day for week in self.weeks for key in week.filed}

    def when_announced(self) -> dict[str, date]:
        """Also that nothing was said twice."""
        said = [(key, week.day) for week in self.weeks for key in week.announced]
        assert len(dict(said)) == len(said)
        return dict(said)


def report(bot: Bot, folder: Path) -> None:
    """Every request that was filed, for reading; the bodies go into a folder."""
    folder.mkdir()
    filed, said = bot.when_filed(), bot.when_announced()
    for key, issue in sorted(bot.requests().items()):
        (folder / f"{key}.md").write_text(f"# {issue.title}\n\n{issue.body}\n", "utf-8")
        rows = re.findall(r"^\| <code>(\w+)</code>", issue.body, re.MULTILINE)
        listed = issue.body.partition("### Affected model")[2].partition("###")[0]
        models = re.findall(r"^- \[<code>([^<]+)</code>\]", listed, re.MULTILINE)
        print(f"\n{filed[key]} {key}: {issue.title}")
        print(f"    there since {said.get(key, 'not yet')}; {len(rows)} definitions:")
        print(f"    {', '.join(rows)}")
        print(f"    {len(models)} models: {', '.join(models)}")
    print(f"\nbodies are in {folder}")


def quiet_weeks(bot: Bot, history: History) -> list[Week]:
    """The weeks in which nothing was released."""
    commits = [history.commits(week.day) for week in bot.weeks]
    return [bot.weeks[n] for n in range(1, len(commits)) if commits[n] == commits[n - 1]]


def test_every_model_from_the_first_week(
    history: History, emulator: Emulator, tmp_path: Path
) -> None:
    bot = Bot(emulator, cap=100)
    for day in WEEKS:
        bot.run(day, history.look(day))
    report(bot, tmp_path / "requests")

    assert bot.when_filed() == dict.fromkeys(FILED, WEEKS[0])
    arrived = {key: golden["arrives"] for key, golden in FILED.items() if golden["arrives"]}
    assert bot.when_announced() == arrived
    releases = {date(2026, 6, 1): "0.6.12", date(2026, 9, 28): "0.7.0"}
    for week in bot.weeks:
        commit = history.commits(week.day)[0]
        for text in week.announced.values():
            release = releases[week.day]
            said = html.unescape(text)
            assert f"as of <code>{release}</code> (commit <code>{commit[:12]}</code>)" in said
    quiet = quiet_weeks(bot, history)
    assert len(quiet) == len(WEEKS) - len(set(map(history.commits, WEEKS)))
    for week in quiet:
        assert week.there == []
        assert len(week.writes) <= 1  # the dashboard's sign of life
    for key, issue in bot.requests().items():
        assert issue.state == "open"
        assert str(history.workspace) not in issue.body
        assert ("lacks it" in issue.body or "has it now" not in issue.body) == (key not in arrived)


def test_models_as_sglang_gets_them(history: History, emulator: Emulator, tmp_path: Path) -> None:
    """At most three requests in a run; a model that comes later joins the request that is there."""
    bot = Bot(emulator, cap=3)
    first: dict[str, FoundIssue] = {}
    for day in WEEKS:
        bot.run(day, [i for i in history.look(day) if i.implementation is not None])
        first = bot.requests() | first
    report(bot, tmp_path / "requests")

    wanted = {key: golden["joins"] for key, golden in FILED.items() if golden["joins"]}
    filed = bot.when_filed()
    assert filed.keys() == wanted.keys()
    for key, day in filed.items():
        assert wanted[key] <= day <= wanted[key] + timedelta(weeks=2)
    assert all(len(week.filed) <= 3 for week in bot.weeks)
    last = bot.requests()
    for key in ("causal_conv1d", "gated_rmsnorm", "dsa_topk_indexer"):
        assert last[key].number == first[key].number
        assert last[key].title == first[key].title
    for key, newcomer in (
        ("causal_conv1d", "moonshotai/Kimi-K3"),
        ("gated_rmsnorm", "moonshotai/Kimi-K3"),
        ("dsa_topk_indexer", "deepseek-ai/DeepSeek-V4-Flash"),
    ):
        assert newcomer not in first[key].body
        assert newcomer in last[key].body
    for week in quiet_weeks(bot, history):
        assert len(week.there) == len(week.filed)
