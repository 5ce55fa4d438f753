"""The host project's own onboarding pull requests, rebuilt from its history.

Needs DISCOVER_MODELS_BENCH_MIRROR, a git directory of flashinfer-bench, besides the workspace.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType

import pytest
from markdown_it import MarkdownIt

pytestmark = pytest.mark.real


def script() -> ModuleType:
    file = Path(__file__).parents[2] / "scripts" / "replay_onboarding.py"
    spec = importlib.util.spec_from_file_location("replay_onboarding", file)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up there
    spec.loader.exec_module(module)
    return module


# Read by hand: pull request → verdicts that are wrong, by question, and how many definitions.
READ = {
    # All names and axes are right; two rows of Qwen2.5 72B still say that two of them are missing.
    358: {"dataset": 4, "link": 4, "count": 4, "status": 2},
    # Rows are marked as present before any definition file is there.
    382: {"dataset": 5, "link": 5, "count": 5, "status": 5},
    # Definitions without a row, of a model that is not in the document.
    202: {"dataset": 2, "link": 2},
    # 512 experts at EP=1 are not 128.
    232: {"dataset": 4, "link": 4, "count": 2, "name": 1},
    # The count line is one behind.
    344: {"count": 2},
}


def test_what_was_read_by_hand() -> None:
    workspace = os.environ.get("DISCOVER_MODELS_WORKSPACE")
    folder = os.environ.get("DISCOVER_MODELS_BENCH_MIRROR")
    if not workspace or not folder:
        pytest.skip("DISCOVER_MODELS_WORKSPACE or DISCOVER_MODELS_BENCH_MIRROR is not set")
    replay = script()
    mirror = replay.Mirror(Path(folder))
    seen: dict[int, dict[str, int]] = {}
    for commit in replay.commits(mirror):
        if replay.change_of(mirror, commit).number not in READ:
            continue
        root = Path(workspace).resolve()
        change, checked = replay.replay(mirror, commit, root, root / "hub")
        body = replay.onboarding_body(checked, replay.LIMIT)
        assert len(body) <= replay.LIMIT
        assert "<table>" in MarkdownIt("gfm-like", {"linkify": False}).render(body)
        found: dict[str, int] = {}
        for row in checked.checklist.rows:
            for check in row.of("wrong"):
                found[check.key] = found.get(check.key, 0) + 1
        seen[change.number] = found
    assert seen == READ
