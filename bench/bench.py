"""How fast the program is, measured against doing the same by hand, on a real workspace.

``make bench`` runs it. DISCOVER_MODELS_WORKSPACE names a folder with the four repositories and
``hub/ORG/MODEL/config.json``. It prints a Markdown table and writes bench/results.json. Times are
CPU seconds of the processes that were started, the best of a few runs: other work on the machine
disturbs them least. What counts is the ratios.
"""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

from discover_models.errors import SourceError
from discover_models.ops import SPECS
from discover_models.sources.answers import SglangAnswers
from discover_models.sources.cache import DiskCache
from discover_models.sources.sglang import SglangIndex
from discover_models.sources.source_spec import SourceName, SourceSpec
from discover_models.sources.workspace import LAYOUT, Workspace

HERE = Path(__file__).parent
PROGRAM = [sys.executable, "-m", "discover_models"]
ONE = "Qwen/Qwen3-235B-A22B"
SAMPLE = (
    ("rmsnorm_h4096", "flashinfer.norm.rmsnorm"),
    ("gqa_paged_decode_h8_kv1_d128_ps64", "flashinfer.decode.BatchDecodeWithPagedKVCacheWrapper"),
    ("top_k_sampling_from_probs_v151936", "flashinfer.sampling.top_k_sampling_from_probs"),
)
COUNTS = (1, 10, 100, 1000)


@dataclass(frozen=True)
class Cost:
    """What one process cost, with the processes that it started."""

    cpu: float
    wall: float
    megabytes: float


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    what: str
    figure: str
    goal: str


def main() -> None:
    workspace = Path(os.environ.get("DISCOVER_MODELS_WORKSPACE", "")).resolve()
    if not (workspace / "hub").is_dir():
        sys.exit("set DISCOVER_MODELS_WORKSPACE to a folder with the repositories and hub/")
    with tempfile.TemporaryDirectory(prefix="discover-models-bench-") as folder:
        rows = [*_runs(workspace, Path(folder)), *_growth(workspace, Path(folder)),
                *_indexes(workspace, Path(folder)), *_checkouts(workspace, Path(folder)),
                _help()]  # fmt: skip
    results = HERE / "results.json"
    results.write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n", "utf-8")
    print("| what | figure | goal |\n| --- | --- | --- |")
    for row in rows:
        print(f"| {row.what} | {row.figure} | {row.goal} |")


def _cost(command: Sequence[str]) -> Cost:
    start = time.monotonic()
    # Output is dropped; wait4 gives the cost of this child and of what it waited for.
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=_environment()
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{' '.join(command)} ended with {process.returncode}")
    wall = time.monotonic() - start
    return Cost(usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss / 1024)


def _environment() -> dict[str, str]:
    """Python keeps compiled modules, as it does for everybody who does not forbid it."""
    return {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}


def _best(command: Sequence[str], times: int = 5) -> Cost:
    return min((_cost(command) for _ in range(times)), key=lambda cost: cost.cpu)


def _command(workspace: Path, cache: str, *more: str) -> list[str]:
    return [*PROGRAM, "--workspace", str(workspace), "--offline", "--cache-dir", cache, *more]


def _repositories(workspace: Path) -> list[str]:
    found = sorted((workspace / "hub").glob("*/*/config.json"))
    return [f"{file.parts[-3]}/{file.parts[-2]}" for file in found]


def _listed(folder: Path, repositories: Sequence[str]) -> str:
    file = folder / "models.txt"
    file.write_text("\n".join(repositories) + "\n", "utf-8")
    return str(file)


# Whole runs ----------------------------------------------------------------------------------


def _runs(workspace: Path, folder: Path) -> Iterator[Row]:
    hand = [_best([str(HERE / "by_hand.sh"), str(workspace), name, api], 3) for name, api in SAMPLE]
    by_hand = sum(cost.cpu for cost in hand) / len(hand)
    yield Row("by hand, one definition", f"{by_hand * 1000:.0f} ms", "")
    configs = ("--configs", str(workspace / "hub"))
    one = (*configs, "--hf-repo-id", ONE, "--format", "json")
    count = _definitions(_command(workspace, str(folder / "cache"), *one))
    # In turn with the baseline, so that both find the machine equally busy.
    cold = _best(_command(workspace, "none", *one), 2)
    warm = _best(_command(workspace, str(folder / "cache"), *one))
    again = [_best([str(HERE / "by_hand.sh"), str(workspace), n, api], 3) for n, api in SAMPLE]
    by_hand = min(by_hand, sum(cost.cpu for cost in again) / len(again))
    hand_one = by_hand * count
    yield _against(f"one model ({count} definitions), nothing cached", cold.cpu, hand_one, "≥ 1×")
    yield _against(f"one model ({count} definitions), cached", warm.cpu, hand_one, "≥ 10×")
    repositories = _repositories(workspace)
    models = ("--models", _listed(folder, repositories), *configs)
    everything = _command(workspace, str(folder / "cache"), *models)
    total = _definitions([*everything, "--format", "json"])
    cost = _best(everything, 3)
    what = f"all {len(repositories)} models ({total} definitions), cached, per model"
    per_model = len(repositories)
    yield _against(what, cost.cpu / per_model, by_hand * total / per_model, "≥ 200×")


def _definitions(command: Sequence[str]) -> int:
    """How many definitions a run's report has; it fills the cache, too."""
    out = subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    report: Any = json.loads(out.stdout)
    models = cast("list[dict[str, Any]]", report if isinstance(report, list) else [report])
    return sum(len(model.get("kernels", ())) for model in models)


def _against(what: str, cpu: float, by_hand: float, goal: str) -> Row:
    figure = f"{cpu * 1000:.0f} ms; by hand {by_hand * 1000:.0f} ms: {by_hand / cpu:.1f}×"
    return Row(what, figure, goal)


# Growth --------------------------------------------------------------------------------------


def _growth(workspace: Path, folder: Path) -> Iterator[Row]:
    configs = folder / "configs"
    names = list(_varied(workspace, configs, max(COUNTS)))
    before: tuple[int, Cost] | None = None
    for count in COUNTS:
        listed = _listed(folder, names[:count])
        command = _command(workspace, str(folder / "cache"), "--models", listed,
                           "--configs", str(configs))  # fmt: skip
        _cost(command)  # answers that are new go into the cache first
        cost = _best(command, 2)
        figure = f"{cost.cpu:.2f} s, {cost.megabytes:.0f} MB"
        if before is not None:
            further = (cost.cpu - before[1].cpu) / (count - before[0]) * 1000
            figure += f"; {further:.1f} ms per further model"
        yield Row(f"{count} models", figure, "< 2 ms per further model, < 500 MB")
        before = (count, cost)


def _varied(workspace: Path, configs: Path, count: int) -> Iterator[str]:
    """Real configurations with other sizes, under invented names."""
    sources = [
        json.loads((workspace / "hub" / name / "config.json").read_text("utf-8"))
        for name in _repositories(workspace)
    ]
    for number in range(count):
        config = json.loads(json.dumps(sources[number % len(sources)]))
        text = config.get("text_config", config)
        for field in ("hidden_size", "intermediate_size", "moe_intermediate_size"):
            if isinstance(text.get(field), int):
                text[field] += 64 * (number // len(sources))
        place = configs / "invented" / f"model-{number}"
        place.mkdir(parents=True)
        (place / "config.json").write_text(json.dumps(config), "utf-8")
        yield f"invented/model-{number}"


# Indexes -------------------------------------------------------------------------------------


def _indexes(workspace: Path, folder: Path) -> Iterator[Row]:
    checkout = workspace / "sglang"
    index = SglangIndex.open(checkout, None)
    parsed = [f.path for f in (*index._reading.facts, *(index._reading.kernel or ()))]
    cold = _cpu(lambda: SglangIndex.open(checkout, None))
    parse = _cpu(lambda: [ast.parse((checkout / path).read_bytes()) for path in parsed])
    figure = f"{cold:.2f} s; reading and parsing its {len(parsed)} files {parse:.2f} s"
    yield Row("index of SGLang, cold", f"{figure}: {cold / parse:.2f}×", "≤ 2×")
    cache = DiskCache(folder / "index")
    first = SglangAnswers(checkout, None, cache)
    _ask(first)
    first.save()
    warm = _cpu(lambda: _ask(SglangAnswers(checkout, None, cache)), 5)
    yield Row("index of SGLang, warm, with all its answers", f"{warm * 1000:.0f} ms", "< 50 ms")


def _ask(answers: SglangAnswers) -> None:
    for api in sorted({api for spec in SPECS.values() for api in spec.apis}):
        try:
            answers.calls(api)
        except SourceError:
            continue


def _cpu(work: Callable[[], object], times: int = 2) -> float:
    """The least CPU seconds of a few times, child processes included."""
    spent: list[float] = []
    for _ in range(times):
        before = os.times()
        work()
        spent.append(sum(os.times()[:4]) - sum(before[:4]))
    return min(spent)


# Checkouts -----------------------------------------------------------------------------------


def _checkouts(workspace: Path, folder: Path) -> Iterator[Row]:
    """All four repositories over ``file://``, as plain full clones and as the program does it."""
    urls: dict[SourceName, str] = {name: (workspace / name).as_uri() for name in LAYOUT}
    plain = folder / "plain"
    clones = [["git", "clone", "-q", url, str(plain / name)] for name, url in urls.items()]
    by_git = _cpu(lambda: [subprocess.run(clone, check=True) for clone in clones], 1)
    ours = Workspace(folder / "ours")
    specs = [SourceSpec(name=name, url=url) for name, url in urls.items()]
    by_us = _cpu(lambda: ours.prepare(specs, None), 1)
    start = time.monotonic()
    refresh = _cpu(lambda: ours.prepare(specs, None), 1)
    wall = time.monotonic() - start
    sizes = [sum(_megabytes(root / name) for name in urls) for root in (plain, ours.root)]
    figure = (
        f"{sizes[0]:.1f} MB and {by_git:.2f} s of plain clones, {sizes[1]:.1f} MB and {by_us:.2f} s"
    )
    yield Row("checkout of all four", f"{figure}: {sizes[0] / sizes[1]:.1f}× fewer", "fewer")
    yield Row(
        "refresh with nothing new", f"{refresh:.2f} s CPU, {wall:.2f} s", "one round trip each"
    )


def _megabytes(clone: Path) -> float:
    """Size of the objects that were received."""
    packs = (clone / ".git" / "objects").rglob("*")
    return sum(file.stat().st_size for file in packs if file.is_file()) / 1e6


def _help() -> Row:
    cost = _best([*PROGRAM, "--help"])
    return Row("--help", f"{cost.cpu:.2f} s CPU, {cost.wall:.2f} s", "< 0.3 s")


if __name__ == "__main__":
    main()
