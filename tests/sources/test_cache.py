"""What is kept between runs gives the answers that reading again would give, or none."""

import os
import subprocess
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from textwrap import dedent

import pytest

from discover_models.domain.kernel import CallLookup
from discover_models.errors import SourceError
from discover_models.sources import cache as cache_module
from discover_models.sources import sglang_scan
from discover_models.sources.answers import FlashInferAnswers, SglangAnswers
from discover_models.sources.cache import KEEP_SECONDS, DiskCache
from discover_models.sources.contents import Contents
from discover_models.sources.python_uses import ModuleFacts
from discover_models.sources.sglang import SglangIndex

RMSNORM = "flashinfer.norm.rmsnorm"
FILES = {
    "python/sglang/__init__.py": "",
    "python/sglang/srt/layers/norm.py": "from flashinfer.norm import rmsnorm\nrmsnorm(x)\n",
    "python/sglang/srt/layers/other.py": "from flashinfer.rope import apply\napply(x)\n",
    "python/sglang/srt/exporter.py": "from flashinfer.page import append as put\n",
    "python/sglang/srt/importer.py": "from sglang.srt.exporter import put\nput(x)\n",
    "python/sglang/srt/plain.py": "x = 1\n",
    "README": "a text\n",
}
FLASHINFER = {
    "flashinfer/__init__.py": "from .norm import rmsnorm\n",
    "flashinfer/norm.py": "def rmsnorm(x):\n    return x\n",
    "include/limits.cuh": "constexpr int LIMIT = 8;\n",
    "tests/test_norm.py": "import flashinfer\nflashinfer.rmsnorm(1)\n",
}


def git(folder: Path, *args: str) -> str:
    identity = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false")
    command = ["git", "-C", str(folder), *identity, *args]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(dedent(text), "utf-8")


def commit(folder: Path, files: dict[str, str]) -> str:
    write(folder, files)
    if not (folder / ".git").exists():
        git(folder, "init", "-q")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "state")
    return git(folder, "rev-parse", "HEAD")


@pytest.fixture(name="checkout")
def _checkout(tmp_path: Path) -> Path:
    folder = tmp_path / "sglang"
    folder.mkdir()
    commit(folder, FILES)
    return folder


@pytest.fixture(name="cache")
def _cache(tmp_path: Path) -> DiskCache:
    return DiskCache(tmp_path / "cache")


@pytest.fixture(name="parsed")
def _parsed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the files that are parsed from here on; the scan itself is the real one."""
    names: list[str] = []
    real = sglang_scan._scan

    def scan(path: str, source: bytes) -> ModuleFacts:
        names.append(path.rpartition("/")[2])
        return real(path, source)

    monkeypatch.setattr(sglang_scan, "_scan", scan)
    return names


def asked(checkout: Path, cache: DiskCache | None, *apis: str) -> list[CallLookup]:
    head = git(checkout, "rev-parse", "HEAD")
    answers = SglangAnswers(checkout, head, cache)
    found = [answers.calls(api) for api in apis or (RMSNORM, "flashinfer.page.append")]
    answers.save()
    return found


def test_an_unchanged_checkout_is_not_parsed_again(
    checkout: Path, cache: DiskCache, parsed: list[str]
) -> None:
    first = asked(checkout, cache)
    assert first == asked(checkout, None)
    assert all(lookup.used for lookup in first)
    parsed.clear()
    assert asked(checkout, cache) == first
    assert parsed == []


def test_a_question_that_is_new_needs_no_file_again(
    checkout: Path, cache: DiskCache, parsed: list[str]
) -> None:
    asked(checkout, cache)
    parsed.clear()
    assert asked(checkout, cache, "flashinfer.rope.apply")[0].used
    assert parsed == []


def test_a_new_commit_re_reads_only_what_changed(
    checkout: Path, cache: DiskCache, parsed: list[str]
) -> None:
    asked(checkout, cache)
    parsed.clear()
    commit(checkout, {"python/sglang/srt/layers/norm.py": "from flashinfer.norm import rmsnorm\n"})
    found = asked(checkout, cache)
    assert parsed == ["norm.py"]
    assert not found[0].used
    assert found == asked(checkout, None)


def test_evidence_names_the_commit_that_is_there_now(checkout: Path, cache: DiskCache) -> None:
    asked(checkout, cache)
    head = commit(checkout, {"README": "another text\n"})
    (lookup,) = asked(checkout, cache, RMSNORM)
    assert {e.commit for e in lookup.evidence} == {head}


def test_what_files_import_from_each_other_is_seen_when_one_changes(
    checkout: Path, cache: DiskCache
) -> None:
    asked(checkout, cache)
    commit(checkout, {"python/sglang/srt/exporter.py": "from flashinfer.cascade import m as put\n"})
    assert [a.used for a in asked(checkout, cache, "flashinfer.cascade.m")] == [True]
    assert [a.used for a in asked(checkout, cache, "flashinfer.page.append")] == [False]


def test_work_that_is_not_committed_counts(checkout: Path, cache: DiskCache) -> None:
    asked(checkout, cache)
    file = checkout / "python/sglang/srt/layers/norm.py"
    before = file.stat()
    # The same size and time: only the content tells, and git looks at it.
    file.write_text("from flashinfer.norm import rmsnorn\nrmsnorn(x)\n", "utf-8")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert [a.used for a in asked(checkout, cache, RMSNORM)] == [False]
    (checkout / "python/sglang/untracked.py").write_text(FILES[
        "python/sglang/srt/layers/norm.py"], "utf-8")  # fmt: skip
    assert [a.used for a in asked(checkout, cache, RMSNORM)] == [True]


@pytest.mark.parametrize("flag", ["--assume-unchanged", "--skip-worktree"])
def test_files_that_git_does_not_look_at_are_read(
    checkout: Path, cache: DiskCache, flag: str
) -> None:
    asked(checkout, cache)
    git(checkout, "update-index", flag, "python/sglang/srt/layers/norm.py")
    write(checkout, {"python/sglang/srt/layers/norm.py": "x = 2\n"})
    assert [a.used for a in asked(checkout, cache, RMSNORM)] == [False]


def test_a_folder_without_git_is_cached_by_what_it_holds(tmp_path: Path, cache: DiskCache) -> None:
    write(tmp_path / "plain", FILES)

    def used() -> bool:
        answers = SglangAnswers(tmp_path / "plain", None, cache)
        found = answers.calls(RMSNORM).used
        answers.save()
        return found

    assert used()
    assert used()
    write(tmp_path / "plain", {"python/sglang/srt/layers/norm.py": "x = 2\n"})
    assert not used()


def test_what_can_not_be_decided_stays_undecided(checkout: Path, cache: DiskCache) -> None:
    commit(checkout, {"python/sglang/srt/broken.py": "import flashinfer\nsome_api((\n"})
    for _ in range(2):
        with pytest.raises(SourceError, match="can't be parsed"):
            asked(checkout, cache, "flashinfer.some_api")
        asked(checkout, cache)


def test_a_checkout_without_sglang_is_an_error_each_time(tmp_path: Path, cache: DiskCache) -> None:
    commit(tmp_path / "empty", {"README": ""})
    for _ in range(2):
        with pytest.raises(SourceError, match="no SGLang package"):
            SglangAnswers(tmp_path / "empty", None, cache)


def entries(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "cache").glob("*.entry"))


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda content: b"",
    "cut": lambda content: content[:-9],
    "altered": lambda content: content.replace(b"rmsnorm", b"rmsnor_"),
    "foreign": lambda content: b"\x80\x04\x95pickle",
    "no content": lambda content: b"\n".join(content.split(b"\n")[:2]),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_entry_is_made_again(
    tmp_path: Path,
    checkout: Path,
    cache: DiskCache,
    damage: Callable[[bytes], bytes],
    parsed: list[str],
) -> None:
    first = asked(checkout, cache)
    whole = {path: path.read_bytes() for path in entries(tmp_path)}
    assert len(whole) == 2
    for path, content in whole.items():
        path.write_bytes(damage(content))
    parsed.clear()
    assert asked(checkout, cache) == first
    assert "norm.py" in parsed
    assert {path: path.read_bytes() for path in entries(tmp_path)} == whole


def test_an_entry_of_another_shape_is_made_again(checkout: Path, cache: DiskCache) -> None:
    first = asked(checkout, cache)
    name, key = "sglang", f"{key_of(checkout)} {checkout}"
    assert cache.load(name, key) is not None
    for content in (b"[1]", b'{"calls %s": {"value": {"api": 1}}}' % RMSNORM.encode(), b"{"):
        cache.store(name, key, content)
        cache.store("sglang-files", "", content)
        assert asked(checkout, cache) == first


def key_of(checkout: Path) -> str | None:
    from discover_models.sources.sglang_files import searched_files

    return Contents(checkout).key(searched_files(checkout))


def test_entries_of_other_code_are_not_used(
    checkout: Path, cache: DiskCache, parsed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked(checkout, cache)
    parsed.clear()
    monkeypatch.setattr(cache_module, "_code", lambda: "an older version")
    asked(checkout, cache)
    assert "norm.py" in parsed


def test_a_linked_entry_is_not_followed(tmp_path: Path, cache: DiskCache) -> None:
    cache.store("name", "key", b"1")
    (entry,) = entries(tmp_path)
    moved = entry.rename(tmp_path / "elsewhere")
    entry.symlink_to(moved)
    assert cache.load("name", "key") is None


def test_a_folder_that_can_not_be_written_costs_nothing_but_time(
    tmp_path: Path, checkout: Path
) -> None:
    (tmp_path / "file").write_text("", "utf-8")
    assert asked(checkout, DiskCache(tmp_path / "file" / "cache")) == asked(checkout, None)


def test_old_entries_go(tmp_path: Path, cache: DiskCache) -> None:
    cache.store("old", "key", b"1")
    (old,) = entries(tmp_path)
    left = tmp_path / "cache" / "unfinished.tmp"
    left.write_bytes(b"")
    long_ago = old.stat().st_mtime - KEEP_SECONDS - 60
    os.utime(old, (long_ago, long_ago))
    os.utime(left, (long_ago, long_ago))
    cache.store("new", "key", b"2")
    assert [p.name.partition("-")[0] for p in (tmp_path / "cache").iterdir()] == ["new"]


def test_what_is_used_stays(tmp_path: Path, cache: DiskCache) -> None:
    cache.store("used", "key", b"1")
    (used,) = entries(tmp_path)
    nearly = used.stat().st_mtime - KEEP_SECONDS + 60
    os.utime(used, (nearly, nearly))
    assert cache.load("used", "key") == b"1"
    assert used.stat().st_mtime > nearly + 60


def test_beyond_the_limit_the_least_used_go(
    tmp_path: Path, cache: DiskCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache_module, "KEEP_BYTES", 500)
    for age, name in enumerate(("third", "second", "first")):
        cache.store(name, "key", b"x" * 100)
        (path,) = (tmp_path / "cache").glob(f"{name}-*")
        used = path.stat().st_mtime - 100 + age
        os.utime(path, (used, used))
    cache.store("last", "key", b"x" * 100)
    names = {p.name.partition("-")[0] for p in entries(tmp_path)}
    assert "last" in names
    assert "third" not in names


def _one_process(place: str) -> list[CallLookup]:
    folder = Path(place)
    return asked(folder / "sglang", DiskCache(folder / "cache"))


def test_processes_share_a_cache(tmp_path: Path, checkout: Path) -> None:
    with ProcessPoolExecutor(max_workers=2) as pool:
        results = list(pool.map(_one_process, [str(tmp_path)] * 6))
    assert all(result == asked(checkout, None) for result in results)
    assert not list((tmp_path / "cache").glob("*.tmp"))


def test_two_runs_keep_each_others_answers(
    checkout: Path, cache: DiskCache, parsed: list[str]
) -> None:
    head = git(checkout, "rev-parse", "HEAD")
    one, other = (SglangAnswers(checkout, head, cache) for _ in range(2))
    one.calls(RMSNORM)
    other.calls("flashinfer.rope.apply")
    one.save()
    other.save()
    parsed.clear()
    (checkout / "python/sglang/srt/plain.py").touch()
    asked(checkout, cache, RMSNORM, "flashinfer.rope.apply")
    assert parsed == []


# FlashInfer -----------------------------------------------------------------------------------


def test_flashinfer_is_asked_once(tmp_path: Path, cache: DiskCache) -> None:
    checkout = tmp_path / "flashinfer"
    head = commit(checkout, FLASHINFER)

    def answers() -> FlashInferAnswers:
        return FlashInferAnswers(checkout, head, cache)

    first = answers()
    found = first.find(RMSNORM)
    cited = first.cites("include/limits.cuh", "LIMIT")
    first.save()
    assert found.found
    assert [test.path for test in found.tests] == ["tests/test_norm.py"]
    again = answers()
    assert (again.find(RMSNORM), again.cites("include/limits.cuh", "LIMIT")) == (found, cited)
    assert "_index" not in vars(again)


def test_a_changed_header_is_cited_anew(tmp_path: Path, cache: DiskCache) -> None:
    checkout = tmp_path / "flashinfer"
    head = commit(checkout, FLASHINFER)
    before = FlashInferAnswers(checkout, head, cache)
    assert before.matches("include/limits.cuh", r"LIMIT = (\d+)") == ("8",)
    before.save()
    write(checkout, {"include/limits.cuh": "\nconstexpr int LIMIT = 16;\n"})
    after = FlashInferAnswers(checkout, head, cache)
    assert after.matches("include/limits.cuh", r"LIMIT = (\d+)") == ("16",)
    cited = after.cites("include/limits.cuh", "LIMIT")
    assert cited is not None
    assert cited.line == 2
    assert after.cites("include/none.cuh", "nowhere") is None
    write(checkout, {"include/deep/limits.cuh": "// moved: SIZE = 4\n"})
    moved = FlashInferAnswers(checkout, head, cache).cites("include/limits.cuh", "SIZE = 4")
    assert moved is not None
    assert (moved.path, moved.found) == ("include/deep/limits.cuh", True)


def test_a_changed_test_is_seen(tmp_path: Path, cache: DiskCache) -> None:
    checkout = tmp_path / "flashinfer"
    head = commit(checkout, FLASHINFER)
    before = FlashInferAnswers(checkout, head, cache)
    assert before.find(RMSNORM).tests
    before.save()
    write(checkout, {"tests/test_norm.py": "pass\n"})
    assert not FlashInferAnswers(checkout, head, cache).find(RMSNORM).tests


def test_answers_are_those_of_the_index(checkout: Path, cache: DiskCache) -> None:
    asked(checkout, cache)
    head = git(checkout, "rev-parse", "HEAD")
    index = SglangIndex.open(checkout, head)
    assert asked(checkout, cache, RMSNORM) == [index.calls(RMSNORM)]
