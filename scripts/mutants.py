"""Break the rules on purpose, one change at a time, and list the changes that no test notices.

    python scripts/mutants.py --to build/mutants src/discover_models/ops/*.py

mutmut makes the changes and the switch between them. Its own loop is not used: it collects the
tests again for each change, and its processes begin with the caches of a run without any change,
so that whatever a cache or a table holds can never be seen to change. Here the tests are collected
once, a process is forked for each change and begins with empty caches, and a change to what runs
while modules are loaded has a process from the start.

Writes `results.json` (mutant to outcome) and `survivors.txt` (each change that stayed unnoticed).
"""

import argparse
import ast
import difflib
import functools
import gc
import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from _pytest.runner import runtestprotocol
from hypothesis.internal.conjecture.engine import ConjectureRunner
from mutmut.mutation import trampoline
from mutmut.mutation.file_mutation import mutate_file_contents
from mutmut.utils.format_utils import get_mutant_name, mangled_name_from_mutant_name

ROOT = Path(__file__).parents[1]
TESTS = (
    "tests/ops",
    "tests/domain",
    "tests/reading",
    "tests/publish/test_plan.py",
    "tests/publish/test_possible_matches.py",
    "tests/test_classify.py",
    "tests/test_depth.py",
    "tests/test_golden.py",
    "tests/test_requirements.py",
    "tests/test_formulas.py",
    "tests/test_manifests.py",
    "tests/test_merge.py",
)
OF_LOADING = (("tests/test_reference.py",), ("tests/ops", "tests/test_formulas.py"))
"""Tests of what is there once modules are loaded, the quickest first."""
QUICKLY = ("-p", "no:cacheprovider", "--assert=plain")
"""That a test fails is enough: nobody reads why."""
_ACTIVE = "MUTANT_UNDER_TEST"
_MEMORY = 3 * 1024**3
_GRACE = 5.0
"""Seconds beside three times what the tests take without a change."""
_LOADING = 600.0
"""Seconds for tests with a change to what runs while modules are loaded; they take some ten."""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("files", nargs="+", type=Path, help="modules whose functions are changed")
    parser.add_argument("--to", type=Path, required=True, help="folder for the results")
    parser.add_argument(
        "--tests", nargs="+", default=list(TESTS), help="files and folders of tests"
    )
    parser.add_argument("--again", type=Path, help="results of an earlier run: survivors only")
    parser.add_argument("--seconds", type=float, default=60, help="of tests for one change")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    arguments = parser.parse_args()
    arguments.to.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        tree = Path(folder)
        _copy(tree)
        changes = {name: diff for file in arguments.files for name, diff in _change(tree, file)}
        if arguments.again:
            before = json.loads(arguments.again.read_text())
            changes = {name: diff for name, diff in changes.items() if before.get(name) != "killed"}
        outcomes = _run(tree, sorted(changes), arguments)
    (arguments.to / "results.json").write_text(json.dumps(outcomes, indent=1, sort_keys=True))
    rest = sorted(name for name, outcome in outcomes.items() if outcome != "killed")
    text = "\n".join(f"### {name}: {outcomes[name]}\n{changes[name]}" for name in rest)
    (arguments.to / "survivors.txt").write_text(text)
    for module, counts in sorted(_per_module(outcomes).items()):
        print(module, dict(sorted(counts.items())))
    print("all", dict(sorted(Counter(outcomes.values()).items())))


def _per_module(outcomes: dict[str, str]) -> dict[str, Counter[str]]:
    counts: dict[str, Counter[str]] = {}
    for name, outcome in outcomes.items():
        counts.setdefault(name.rpartition(".")[0], Counter())[outcome] += 1
    return counts


def _copy(tree: Path) -> None:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).is_file():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, tree / name)


def _change(tree: Path, file: Path) -> Iterator[tuple[str, str]]:
    """Put a module with all its changes in the module's place; gives each one's name and diff."""
    inside = file.resolve().relative_to(ROOT)
    source = (ROOT / inside).read_text()
    mutated = mutate_file_contents(str(inside), _with_decorators_apart(source))
    (tree / inside).write_text(mutated.code)
    functions = {
        node.name: ast.unparse(node).splitlines()
        for node in ast.walk(ast.parse(mutated.code))
        if isinstance(node, ast.FunctionDef)
    }
    for name in mutated.mutant_names:
        before = functions[f"{mangled_name_from_mutant_name(name)}__mutmut_orig"][1:]
        after = functions[name][1:]
        if _without_casts(before) == _without_casts(after):
            continue
        lines = difflib.unified_diff(before, after, n=1, lineterm="")
        yield get_mutant_name(inside, name), "\n".join(list(lines)[2:]) + "\n"


def _without_casts(lines: list[str]) -> list[str]:
    """The first argument of `cast` is for the type checker alone."""
    return [re.sub(r"\bcast\((None|'[^']*'), ", "cast(", line) for line in lines]


def _with_decorators_apart(source: str) -> str:
    """The same module with `name = decorator(name)` behind a function instead of `@decorator`
    before it: mutmut leaves decorated functions, and so every property, as they are."""
    lines = source.splitlines()
    functions = [it for it in ast.walk(ast.parse(source)) if isinstance(it, ast.FunctionDef)]
    for function in sorted(functions, key=lambda it: it.lineno, reverse=True):
        if not function.decorator_list:
            continue
        inner = function.name
        for decorator in reversed(function.decorator_list):
            inner = f"{ast.unparse(decorator)}({inner})"
        indent = " " * function.col_offset
        lines.insert(function.end_lineno or 0, f"{indent}{function.name} = {inner}")
        del lines[function.decorator_list[0].lineno - 1 : function.lineno - 1]
    return "\n".join(lines) + "\n"


def _run(tree: Path, names: list[str], arguments: argparse.Namespace) -> dict[str, str]:
    """Outcome of each change; the work is shared out over processes."""
    jobs: list[tuple[subprocess.Popen[bytes], Path]] = []
    for job in range(arguments.jobs):
        plan = tree / f"plan-{job}.json"
        plan.write_text(
            json.dumps({"names": names[job :: arguments.jobs], "seconds": arguments.seconds})
        )
        command = [sys.executable, "-m", "pytest", "-p", "mutants", *QUICKLY]
        environment = {**os.environ, "MUTANTS_PLAN": str(plan), _ACTIVE: "stats"}
        environment["PYTHONPATH"] = os.pathsep.join([str(tree / "src"), str(tree / "scripts")])
        log = (arguments.to / f"job-{job}.log").open("wb")
        process = subprocess.Popen(
            [*command, *arguments.tests], cwd=tree, env=environment, stdout=log, stderr=log
        )
        jobs.append((process, plan.with_suffix(".outcomes")))
    outcomes: dict[str, str] = {}
    for process, written in jobs:
        if process.wait() != 0:
            raise SystemExit(f"A run without any change failed; see {arguments.to}/job-*.log")
        outcomes |= json.loads(written.read_text())
    return outcomes


# From here on: what runs inside pytest.


_HITS: set[str] = set()
"""Functions, `module.name`, that ran since this was emptied."""


def _hit(name: str, caller: str | None = None) -> None:
    _HITS.add(name)


def _as_found(_: object) -> None:
    """A failing example need not be made small."""


if "MUTANTS_PLAN" in os.environ:
    setattr(ConjectureRunner, "shrink_interesting_examples", _as_found)  # noqa: B010
    setattr(trampoline, "record_trampoline_hit", _hit)  # noqa: B010  pyright knows no such export


def pytest_runtestloop(session: pytest.Session) -> bool | None:
    """Try each change of the plan in a process of its own instead of running the tests once."""
    if "MUTANTS_PLAN" not in os.environ:
        return None
    if session.testsfailed:
        raise session.Interrupted("the tests could not be collected")
    plan = Path(os.environ["MUTANTS_PLAN"])
    wanted = json.loads(plan.read_text())
    loading = set(_HITS)
    reached, seconds = _reach(session)
    print(f"{len(seconds)} tests in {sum(seconds.values()):.0f} s", flush=True)
    outcomes: dict[str, str] = {}
    noticed: dict[str, list[pytest.Item]] = {}
    for name in wanted["names"]:
        begin = time.monotonic()
        function = mangled_name_from_mutant_name(name)
        before = noticed.setdefault(function, [])
        tests = _choose(reached.get(function, []), seconds, wanted["seconds"])
        tests.sort(key=lambda test: before.index(test) if test in before else len(before))
        usual = sum(seconds[test.nodeid] for test in tests)
        outcome, by = _try(name, tests, usual)
        if by is not None and by not in before:
            before.append(by)
        if outcome != "killed" and function in loading:
            outcome = _try_from_the_start(name)
        outcomes[name] = outcome
        print(f"{name} {outcome} {len(tests)} tests {time.monotonic() - begin:.1f} s", flush=True)
    plan.with_suffix(".outcomes").write_text(json.dumps(outcomes))
    return True


def _reach(session: pytest.Session) -> tuple[dict[str, list[pytest.Item]], dict[str, float]]:
    """Which tests run a function, and the seconds that each test takes."""
    reached: dict[str, list[pytest.Item]] = {}
    seconds: dict[str, float] = {}
    for item in session.items:
        _empty_caches()
        _HITS.clear()
        begin = time.monotonic()
        if not _passes(item):
            raise session.Interrupted(f"{item.nodeid} fails without any change")
        seconds[item.nodeid] = time.monotonic() - begin
        for function in _HITS:
            reached.setdefault(function, []).append(item)
    return reached, seconds


def _passes(item: pytest.Item) -> bool:
    """Run one test with fixtures of its own."""
    reports = runtestprotocol(item, log=False, nextitem=None)
    failed = [report.longreprtext for report in reports if report.failed]
    if failed and os.environ[_ACTIVE] == "stats":
        print(*failed, sep="\n")
    return not failed


def _choose(
    tests: list[pytest.Item], seconds: dict[str, float], allowed: float
) -> list[pytest.Item]:
    """The quickest tests that together take no longer than allowed."""
    chosen: list[pytest.Item] = []
    for test in sorted(tests, key=lambda test: seconds[test.nodeid]):
        allowed -= seconds[test.nodeid]
        if allowed < 0:
            break
        chosen.append(test)
    return chosen


def _try(name: str, tests: list[pytest.Item], usual: float) -> tuple[str, pytest.Item | None]:
    """The outcome, and which test noticed: it is likely to notice the function's next change."""
    if not tests:
        return "not reached", None
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_REAL, 3 * usual + _GRACE)
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
        os.environ[_ACTIVE] = name
        _empty_caches()
        for place, test in enumerate(tests):
            if not _passes(test):
                os.write(writer, str(place).encode())
                os._exit(1)
        os._exit(0)
    os.close(writer)
    _, status = os.waitpid(child, 0)
    with open(reader, "rb") as told:
        place = told.read()
    by = tests[int(place)] if place else None
    return "survived" if status == 0 else "killed", by


def _try_from_the_start(name: str) -> str:
    environment = {**os.environ, _ACTIVE: name}
    del environment["MUTANTS_PLAN"]
    command = [sys.executable, "-m", "pytest", "-x", *QUICKLY]
    for tests in OF_LOADING:
        try:
            subprocess.run(
                [*command, *tests],
                env=environment,
                capture_output=True,
                check=True,
                timeout=_LOADING,
            )
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
            return "killed"
    return "survived"


_CACHES: list[Any] = []


def _empty_caches() -> None:
    if not _CACHES:
        kind: type = type(functools.lru_cache(str))
        everything: list[Any] = gc.get_objects()
        _CACHES.extend(thing for thing in everything if isinstance(thing, kind))
    for cache in _CACHES:
        cache.cache_clear()


if __name__ == "__main__":
    main()
