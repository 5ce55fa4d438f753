"""Publishing from the real repositories: what a first run opens, and what FlashInfer changes."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from discover_models.domain.kernel import Inventory
from discover_models.domain.manifest import ManifestKernel, from_inventory
from discover_models.pipeline import RunResult, run
from discover_models.publish.run import (
    Extras,
    Priority,
    PublishReport,
    PublishSettings,
    publish,
)
from discover_models.settings import ModelRequest, RunOptions
from emulator.server import Emulator
from hosts import REPOSITORY, FakeTime, MemoryStore, connect

REAL = os.environ.get("DISCOVER_MODELS_WORKSPACE")
SINCE = datetime(2026, 2, 10, tzinfo=UTC)
SECONDS = 420.0
"""For everything here; two looks at all models take most of it."""
CAP = 10

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


def commit(workspace: Path, release: str) -> str:
    """The commit of FlashInfer whose message names a release."""
    found = git(workspace, "log", "--all", "--format=%H", f"--grep=flashinfer-python {release}")
    return found.split()[0]


def git(workspace: Path, *args: str) -> str:
    command = ["git", "-C", str(workspace / "flashinfer"), *args]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def look(workspace: Path, cache: Path, release: str, models: Sequence[str] = ()) -> RunResult:
    git(workspace, "checkout", "--quiet", "--force", "--detach", commit(workspace, release))
    return run(
        RunOptions(
            models=tuple(ModelRequest(hf_repo_id=name) for name in models),
            discover=True,
            since=SINCE,
            offline=True,
            workspace=workspace,
            configs=workspace / "hub",
            coverage_doc=workspace / "flashinfer-bench/docs/model_coverage.mdx",
            cache_dir=cache,
        ),
        lambda _line: None,
    )


@dataclass
class Bot:
    """The bot's runs on one emulated repository."""

    emulator: Emulator
    store: MemoryStore

    def publish(self, result: RunResult, cap: int = CAP) -> tuple[PublishReport, list[str]]:
        """What a run reports and which requests it wrote with."""
        before = len(self.emulator.writes())
        backend = connect(self.emulator, FakeTime())
        found = result.discovery.candidates if result.discovery else ()
        day0 = {c.hf_repo_id: Priority(day0=c.origin == "day0") for c in found if c.hf_repo_id}
        report = publish(
            result.inventories,
            result.deferred,
            PublishSettings(
                repository=REPOSITORY, origins=dict(result.origins), max_new_issues=cap
            ),
            backend,
            self.store,
            datetime.now(UTC),
            Extras(priorities=day0, discovery=result.discovery),
        )
        backend.close()
        return report, [f"{w.method} {w.path}" for w in self.emulator.writes()[before:]]

    def keys(self, report: PublishReport, *actions: str) -> set[str]:
        return {o.change.key for o in report.outcomes if o.change.action in actions}


def said(inventories: Sequence[Inventory]) -> dict[str, set[str]]:
    """What is said of each group's kernels, apart from where it was read."""
    found: dict[str, set[str]] = {}
    for inventory in inventories:
        manifest = from_inventory(inventory, SINCE.date())
        kernels = {fact(inventory.hf_repo_id, kernel) for kernel in manifest.kernels}
        unmapped = {f"{u.what} {u.reason}" for u in manifest.unmapped}
        found.setdefault(inventory.group.lower(), set()).update(kernels | unmapped)
    return found


def fact(model: str, kernel: ManifestKernel) -> str:
    fields = kernel.model_dump(exclude={"evidence", "tests", "changed", "formulas", "source"})
    return f"{model} {fields}"


def in_order(result: RunResult) -> list[str]:
    """Groups with anything left to do: those with a day-0 model first, then by name."""
    found = result.discovery.candidates if result.discovery else ()
    day0 = {c.hf_repo_id for c in found if c.origin == "day0"}
    new = {i.group.lower() for i in result.inventories if i.hf_repo_id in day0}
    kernels = ((i.group.lower(), k) for i in result.inventories for k in i.kernels)
    left = {group for group, kernel in kernels if kernel.phase1_status == "new"}
    return sorted(left, key=lambda group: (group not in new, group))


def test_the_first_runs_and_a_flashinfer_that_moved(
    workspace: Path, emulator: Emulator, tmp_path: Path
):
    started = time.monotonic()
    models = ["/".join(p.parts[-3:-1]) for p in sorted(workspace.glob("hub/*/*/config.json"))]
    old = look(workspace, tmp_path, "0.7.0", models)
    new = look(workspace, tmp_path, "0.7.2", models)
    looked = time.monotonic() - started
    groups = set(said(old.inventories))
    assert len(groups) > CAP

    bot = Bot(emulator, MemoryStore())
    report, written = bot.publish(old)
    assert report.errors == ()
    opened = bot.keys(report, "create")
    assert opened == {"all", *in_order(old)[:CAP]}
    assert bot.keys(report, "held back") == set(in_order(old)) - opened
    print(f"{len(models)} models, {len(groups)} groups, {len(written)} writes")

    again, written = bot.publish(old)
    assert written == []
    assert again.saved is None

    # Afterwards all models have their issue: only so can all show that they change or not.
    bot.publish(old, cap=1000)
    assert bot.publish(old, cap=1000)[1] == []
    before, after = said(old.inventories), said(new.inventories)
    expected = {key for key in groups if before[key] != after[key]}
    report, written = bot.publish(new, cap=1000)
    assert report.errors == ()
    changed = bot.keys(report, "update", "close", "create") - {"all"}
    print(f"0.7.0 to 0.7.2 changes {len(changed)} of {len(groups)}: {sorted(changed)}")
    assert changed == expected
    assert bot.publish(new, cap=1000)[1] == []
    spent = time.monotonic() - started
    print(f"looking took {looked:.0f} s, publishing {spent - looked:.0f} s")
    assert spent < SECONDS
