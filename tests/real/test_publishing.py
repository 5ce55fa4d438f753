"""The action on the real repositories: what a first run opens, and what FlashInfer changes."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests.adapters

from action.fake_runner import FakeRunner
from discover_models import action, pipeline
from discover_models.domain.manifest import Manifest
from discover_models.publish import markers
from discover_models.publish.markers import Section
from discover_models.publish.state import StateBranch
from emulator.server import Emulator
from hosts import KERNELS, REPOSITORY, connect
from publish.test_action import Host

REAL = os.environ.get("DISCOVER_MODELS_WORKSPACE")
GOLDEN = Path(__file__).parent / "golden" / "discover_2026-02-10.tsv"
SINCE = "2026-02-10"
CAP = 10
"""The default of max-new-issues."""
GROUPS = {
    "moonshotai/kimi-k2.5": ("kimi-k2.5",),
    "zai-org/glm-5": ("glm-5", "glm-5-fp8", "glm-5-nvfp4"),
    "zai-org/glm-5.1-fp8": ("glm-5.1-fp8",),
}
"""What the window's models belong together: GLM-5 and its two quantised copies, by their names."""
MOVED = {
    # include/flashinfer/utils.cuh:161, in DISPATCH_GQA_GROUP_SIZE: 0.7.0 ends with 8.
    "CUDA-core decode takes group size 16": re.compile(
        r"gqa_paged_decode_(h16_kv1|h32_kv2|h48_kv3|h64_kv4|h96_kv6|h128_kv8)_.*"
    ),
    # flashinfer/norm/__init__.py:569, rmsnorm_sigmoid_gate is new: a part of these norms, which is
    # said beside them, though none of them is that kernel.
    "a norm with a sigmoid gate": re.compile(r"gated_(group_)?rmsnorm_.*"),
}
"""What `git diff` of FlashInfer 0.7.0 and 0.7.2 says, and the definitions that it is about.

What else the program cites of FlashInfer for the models here says the same of their sizes in both,
though lines moved and some checks were rewritten.
"""

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(REAL is None, reason="DISCOVER_MODELS_WORKSPACE is not set"),
]


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real workspace, with a FlashInfer of its own that may be moved."""
    copy = tmp_path_factory.mktemp("workspace")
    for source in Path(REAL or "").iterdir():
        if source.name == "flashinfer":
            shutil.copytree(source, copy / source.name, symlinks=True)
        else:
            (copy / source.name).symlink_to(source.resolve())
    return copy


@dataclass
class Bot:
    """The action's runs on one emulated repository, over the real workspace."""

    host: Host
    folder: Path
    models: list[str] = field(default_factory=list[str])

    def release(self, name: str) -> None:
        """Move FlashInfer to the commit whose message names a release."""
        found = self._git("log", "--all", "--format=%H", f"--grep=flashinfer-python {name}")
        self._git("checkout", "--quiet", "--force", "--detach", found.split()[0])

    def _git(self, *args: str) -> str:
        command = ["git", "-C", str(self.folder / "flashinfer"), *args]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def know_every_model(self) -> None:
        """Have the configuration name every model whose config.json is at hand."""
        files = sorted(self.folder.glob("hub/*/*/config.json"))
        self.models = ["/".join(path.parts[-3:-1]) for path in files]
        lines = (f"  {name.split('/')[1].lower()}: {name}\n" for name in self.models)
        self.host.configure("".join(["models:\n", *lines]))

    def run(self, **inputs: str) -> list[str]:
        """The requests of a scheduled run that wrote, and `push` if it moved the state branch."""
        shutil.rmtree(self.folder / "kernel-inventory", ignore_errors=True)
        writes, head = len(self.host.emulator.writes()), self._head()
        code = self.host.run(
            since=SINCE,
            configs=str(self.folder / "hub"),
            workspace=str(self.folder),
            kernel_request_repo=KERNELS,
            **inputs,
        )
        assert code == 0, self.host.log
        written = [f"{w.method} {w.path}" for w in self.host.emulator.writes()[writes:]]
        return written + (["push"] if self._head() != head else [])

    def _head(self) -> str:
        folder = self.host.server / f"{REPOSITORY}.git"
        command = ["git", "-C", str(folder), "rev-parse", "--quiet", "--verify", "kernel-inventory"]
        return subprocess.run(command, check=False, capture_output=True, text=True).stdout

    def plan(self, *actions: str) -> set[str]:
        """Keys of the last run's plan for issues here."""
        record = self.folder / "kernel-inventory" / "run.json"
        plan: list[dict[str, Any]] = json.loads(record.read_text("utf-8"))["plan"]
        kept = [p for p in plan if p["kind"] in ("tracking", "dashboard")]
        return {p["key"] for p in kept if p["action"] in actions}

    def issues(self) -> dict[int, tuple[str, str, str, str, tuple[str, ...]]]:
        """Everything of every issue but the times at which it was written."""
        with closing(connect(self.host.emulator, self.host.time)) as github:
            found = github.issues()
        undated = {i.number: re.sub(r'"written":"[^"]*"', "", i.body) for i in found}
        return {i.number: (i.title, i.state, i.author, undated[i.number], i.labels) for i in found}

    def keys(self) -> dict[int, str]:
        """What each issue is for."""
        sections = {n: markers.parse(body) for n, (_, _, _, body, _) in self.issues().items()}
        return {n: s.marker.key for n, s in sections.items() if isinstance(s, Section)}

    def manifests(self) -> list[Manifest]:
        """What the state branch holds."""
        folder = ["git", "-C", str(self.host.server / f"{REPOSITORY}.git")]
        names = [name for name in self.host.stored() if name.startswith("manifests/")]
        show = [[*folder, "show", f"kernel-inventory:{name}"] for name in names]
        read = (subprocess.run(c, check=True, capture_output=True).stdout for c in show)
        return [Manifest.model_validate_json(data) for data in read]


@pytest.fixture
def bot(emulator: Emulator, workspace: Path, tmp_path: Path) -> Bot:
    server = tmp_path / "server"
    repository = server / f"{REPOSITORY}.git"
    subprocess.run(["git", "init", "-q", "--bare", str(repository)], check=True, timeout=30)
    (tmp_path / "run").mkdir()
    runner = FakeRunner(tmp_path / "run")
    document = runner.workspace / "docs" / "model_coverage.mdx"
    document.parent.mkdir()
    shutil.copy(workspace / "flashinfer-bench" / "docs" / "model_coverage.mdx", document)
    found = Bot(Host(emulator, runner, server), workspace)
    found.release("0.7.2")
    return found


def key(manifest: Manifest) -> str:
    assert manifest.group
    return manifest.group.lower()


def candidates() -> set[str]:
    """Repositories that the cookbook brought into the window, from the list made by hand."""
    lines = GOLDEN.read_text("utf-8").splitlines()
    rows = [line.split("\t") for line in lines if not line.startswith("#")]
    return {name for _, origin, name, *_ in rows if origin == "cookbook"}


def test_the_first_run_opens_what_the_window_brought_and_the_second_writes_nothing(bot: Bot):
    at_hand = {"/".join(p.parts[-3:-1]) for p in bot.folder.glob("hub/*/*/config.json")}
    written = bot.run()
    assert written == [f"POST /repos/{REPOSITORY}/issues"] * (len(GROUPS) + 1) + ["push"]
    assert set(bot.keys().values()) == {"all", *GROUPS}
    grouped: dict[str, list[str]] = {}
    for manifest in bot.manifests():
        grouped.setdefault(key(manifest), []).append(manifest.model_slug)
    assert {group: tuple(sorted(slugs)) for group, slugs in grouped.items()} == GROUPS
    repositories = {m.hf_repo_id for m in bot.manifests()}
    assert repositories == candidates() & at_hand
    (board,) = (body for title, _, _, body, _ in bot.issues().values() if "dashboard" in title)
    for name in candidates() - at_hand:  # offline, so nobody can look at them
        assert f"no configuration could be read; tried {name} |" in board

    assert bot.run() == []
    assert bot.plan("unchanged") == {"all", *GROUPS}


def test_every_model_gets_its_issue_and_a_flashinfer_that_moved_changes_those_it_should(bot: Bot):
    bot.release("0.7.0")
    bot.know_every_model()
    bot.run()
    everything = {key(m) for m in bot.manifests()}
    assert len(bot.models) == len({m.hf_repo_id for m in bot.manifests()})
    opened = bot.plan("create")
    assert len(opened) == CAP + 1
    assert "all" in opened
    assert bot.plan("held back") == everything - opened
    assert bot.run() == []  # in one day no more than the cap are opened

    bot.run(max_new_issues="1000")
    assert set(bot.keys().values()) == {"all", *everything}
    expected = about_to_change(bot)
    number = {of: n for n, of in bot.keys().items()}

    bot.release("0.7.2")
    written = bot.run(max_new_issues="1000")
    patched = {w for w in written if w != "push"}
    issues = {f"PATCH /repos/{REPOSITORY}/issues/{number[of]}" for of in expected}
    print(f"{len(bot.models)} models, {len(everything)} groups, {len(expected)} change")
    assert patched - {f"PATCH /repos/{REPOSITORY}/issues/{number['all']}"} == issues
    assert bot.run(max_new_issues="1000") == []


def about_to_change(bot: Bot) -> set[str]:
    """Groups that need, outside the dataset, what differs in FlashInfer 0.7.2."""
    needed = {
        (key(m), k.definition_name)
        for m in bot.manifests()
        for k in m.kernels
        if k.required and k.phase1_status == "new"
    }
    reasons = {why: {g for g, n in needed if about.fullmatch(n)} for why, about in MOVED.items()}
    assert all(reasons.values()), reasons
    return set().union(*reasons.values())


class Killed(BaseException):
    """The process dies."""


@pytest.fixture
def dying(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Sets after how many requests and pushes from now the process dies; 0 for never."""
    left = [0]
    send, save = requests.adapters.HTTPAdapter.send, StateBranch.save

    def mortal(do: Callable[..., Any]) -> Callable[..., Any]:
        def done(*args: Any, **kwargs: Any) -> Any:
            result = do(*args, **kwargs)
            left[0] -= 1
            if left[0] == 0:
                raise Killed
            return result

        return done

    monkeypatch.setattr(requests.adapters.HTTPAdapter, "send", mortal(send))
    monkeypatch.setattr(StateBranch, "save", mortal(save))
    return lambda cut: left.__setitem__(0, cut)


@pytest.fixture
def remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sources are looked at once: how often they are is not what is tested."""
    results: list[pipeline.RunResult] = []

    def looked(*args: Any, **kwargs: Any) -> pipeline.RunResult:
        if not results:
            results.append(pipeline.run(*args, **kwargs))
        return results[0]

    monkeypatch.setattr(action, "run", looked)


@pytest.mark.usefixtures("remembered")
def test_killed_after_any_request_and_run_again_it_ends_like_an_undisturbed_run(
    bot: Bot, dying: Callable[[int], None]
):
    bot.run()
    cuts, whole = len(bot.host.emulator.log()) + 1, bot.issues()  # and the push
    stored = bot.manifests()
    assert cuts > 4 * len(GROUPS)
    for cut in range(1, cuts + 1):
        bot.host.emulator.reset()
        shutil.rmtree(bot.host.server / f"{REPOSITORY}.git")
        command = ["git", "init", "-q", "--bare", str(bot.host.server / f"{REPOSITORY}.git")]
        subprocess.run(command, check=True, timeout=30)
        dying(cut)
        with pytest.raises(Killed):
            bot.run()
        dying(0)
        bot.run()
        assert bot.issues() == whole, f"killed after request {cut} of {cuts}"
        assert bot.manifests() == stored, f"killed after request {cut} of {cuts}"
        assert bot.run() == [], f"killed after request {cut} of {cuts}"
