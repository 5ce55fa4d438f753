"""Whatever a file from outside holds, it is read or refused in one sentence."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from torture.mangle import BOMBS, mangled, mangled_json
from torture.readers import EXPECTED, READERS, Reader

EXAMPLES = int(os.environ.get("DISCOVER_MODELS_EXAMPLES", "25"))
"""Broken files for each kind; `make torture` sets more, other ones at each run."""
LONG = "DISCOVER_MODELS_EXAMPLES" in os.environ
MEMORY = 1_500_000_000
"""Bytes of address space that a reader of a bomb may take, the interpreter included."""
SECONDS = 120.0
"""After that a reader counts as hanging; the slowest takes a few."""


def tried(reader: Reader, root: Path, data: bytes) -> str:
    """The sentence that the reader refuses the data with; empty when it takes it."""
    reader.write(root, data)
    try:
        reader.read(root)
    except EXPECTED as error:
        return str(error)
    return ""


@pytest.mark.parametrize("name", READERS)
def test_the_good_ones_are_read(name: str, tmp_path: Path) -> None:
    reader = READERS[name]
    reader.prepare(tmp_path)
    assert [tried(reader, tmp_path, seed) for seed in reader.seeds] == [""] * len(reader.seeds)


@pytest.mark.parametrize("name", READERS)
def test_broken_files(name: str, tmp_path: Path) -> None:
    reader = READERS[name]
    reader.prepare(tmp_path)
    broken = mangled(reader.seeds)
    files = broken | mangled_json(reader.seeds) if reader.is_json else broken

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        derandomize=not LONG,
        phases=[Phase.generate] if LONG else [Phase.generate, Phase.shrink],
    )
    @given(files | st.binary(max_size=200))
    def check(data: bytes) -> None:
        sentence = tried(reader, tmp_path, data)
        assert "Traceback" not in sentence
        assert len(sentence) < 2000

    check()


@pytest.mark.parametrize("name", READERS)
def test_bombs(name: str, tmp_path: Path) -> None:
    """In a process of its own with little memory: it must end by itself and without a trace."""
    code = (
        "import resource, sys; from pathlib import Path;"
        f"resource.setrlimit(resource.RLIMIT_AS, ({MEMORY}, {MEMORY}));"
        "from torture.bombs import explode; explode(sys.argv[1], Path(sys.argv[2]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, name, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
        capture_output=True,
        text=True,
        timeout=SECONDS * len(BOMBS),
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.count("\n") == len(BOMBS)
    assert not list(tmp_path.rglob("stolen"))
