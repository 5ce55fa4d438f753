"""Nothing is imported that the command at hand does not use."""

import subprocess
import sys
from pathlib import Path

import pytest

from discover_models import demo

_LIST = """
import sys
from discover_models.cli import _guarded, app
sys.argv = ["discover-models", *sys.argv[1:]]
code = _guarded(app)
print(*sorted(m for m in sys.modules if "." not in m), sep="\\n", file=sys.stderr)
sys.exit(code)
"""
NEVER_OFFLINE = {"huggingface_hub", "httpx2", "github", "requests", "rich"}


def imported(*arguments: str) -> set[str]:
    command = [sys.executable, "-c", _LIST, *arguments]
    run = subprocess.run(command, check=True, capture_output=True, text=True)
    return set(run.stderr.split())


def test_help_imports_next_to_nothing() -> None:
    for unused in (NEVER_OFFLINE, {"yaml", "pydantic", "jinja2", "filelock", "asyncio"}):
        assert not imported("--help") & unused


@pytest.mark.parametrize("known", [False, True])
def test_an_offline_run_imports_no_client(tmp_path: Path, known: bool) -> None:
    workspace = demo.prepare(tmp_path / "workspace")
    run = ("--workspace", str(workspace), "--offline", "--configs", str(demo.CONFIGS),
           "--cache-dir", str(tmp_path / "cache"), "--hf-repo-id", demo.MODELS[0])  # fmt: skip
    if known:
        imported(*run)
    modules = imported(*run)
    assert not modules & NEVER_OFFLINE
    assert ("yaml" in modules) is not known


def test_merging_manifests_imports_neither_templates_nor_clients(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    modules = imported("merge", str(tmp_path / "one"), "--output", str(tmp_path / "all"))
    assert not modules & (NEVER_OFFLINE | {"yaml", "jinja2", "asyncio"})
