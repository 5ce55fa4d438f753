"""The store reads only manifests, writes them whole, and two writers lose nothing."""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from builders import existing, inventory, sample
from discover_models.domain.manifest import Manifest, from_inventory
from discover_models.errors import ManifestError
from discover_models.manifests import DEEPEST, dump, load, save, update

DAY = date(2026, 4, 27)
GOOD = dump(from_inventory(sample(), DAY))


def good(**changes: Any) -> dict[str, Any]:
    return {**json.loads(GOOD), **changes}


def entry(**changes: Any) -> dict[str, Any]:
    return {"definition_name": "x", "op_type": "gemm", "phase1_status": "new", **changes}


def text(value: Any) -> bytes:
    return json.dumps(value).encode()


BAD = {
    "truncated": (GOOD[: len(GOOD) // 2], "is not complete JSON"),
    "empty": (b"", "is not complete JSON"),
    "not UTF-8": (b'{"model_slug": "\xff"}', "is not UTF-8 (byte 16)"),
    "a list": (b"[]", "no JSON object"),
    "another contract": (b'{"name": "rmsnorm_h4096"}', "model_slug: Field required"),
    "kernels missing": (text({k: v for k, v in good().items() if k != "kernels"}), "kernels"),
    "kernels no list": (text(good(kernels={})), "kernels"),
    "a word for a flag": (text(good(kernels=[entry(fi_trace_template="true")])), "kernels.0.fi_t"),
    "an unknown status": (
        text(good(kernels=[entry(phase1_status="maybe")])),
        "'existing' or 'new'",
    ),
    "another date": (text(good(date="20260427")), "date"),
    "a name twice": (text(good(kernels=[entry(), entry()])), "lists 'x' twice"),
    "a key twice": (b'{"date": 1, "date": 2}', "'date' comes twice"),
    "deep in a parser's eyes": (b"[" * 100_000, "nested deeper"),
    "deep": (b'{"a":' * (DEEPEST + 1) + b"1" + b"}" * (DEEPEST + 1), "nested deeper"),
    "NaN": (b'{"a": NaN}', "NaN is not a JSON number"),
    "a number too large": (b'{"a": 1e999}', "too large"),
    "an integer too large": (b'{"a": ' + b"9" * 5000 + b"}", "is not usable JSON"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_file_is_one_sentence_with_its_name(case: str, tmp_path: Path) -> None:
    content, says = BAD[case]
    path = tmp_path / "onboard.json"
    path.write_bytes(content)
    with pytest.raises(ManifestError) as raised:
        load(path)
    message = str(raised.value)
    assert message.startswith(f"{path}: ")
    assert says in message
    assert "\n" not in message
    assert len(message) < 400 + len(str(path))


def test_a_missing_file_and_a_folder_are_one_sentence(tmp_path: Path) -> None:
    for path in (tmp_path / "none.json", tmp_path):
        with pytest.raises(ManifestError, match="can't be read"):
            load(path)


def test_a_bad_file_is_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "onboard.json"
    path.write_bytes(GOOD[:100])
    with pytest.raises(ManifestError):
        update(path, from_inventory(sample(), DAY), refresh=True)
    assert path.read_bytes() == GOOD[:100]


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "onboard.json"
    manifest = from_inventory(sample(), DAY)
    assert save(path, manifest) is True
    assert path.read_bytes() == GOOD
    assert dump(load(path)) == GOOD


def test_foreign_text_of_any_kind_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / "onboard.json"
    strange = {"\ud800": "lone \udfff surrogate", "": "✅\u2028\x00", "_fields_set": [None, 1.5]}
    path.write_bytes(text(good(phase4=strange, **{"self": 1, "model_config": {}})))
    assert json.loads(dump(load(path))) == good(phase4=strange, **{"self": 1, "model_config": {}})


def test_equal_bytes_are_not_written(tmp_path: Path) -> None:
    path = tmp_path / "onboard.json"
    save(path, from_inventory(sample(), DAY))
    before = path.stat()
    assert save(path, from_inventory(sample(), DAY)) is False
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_an_update_that_changes_nothing_leaves_another_s_formatting(tmp_path: Path) -> None:
    path = tmp_path / "onboard.json"
    formatted = json.dumps(good(), indent=7, sort_keys=True).encode()
    path.write_bytes(formatted)
    update(path, from_inventory(sample(), date(2026, 5, 4)), refresh=True)
    assert path.read_bytes() == formatted


def test_an_update_names_the_file_of_another_model(tmp_path: Path) -> None:
    path = tmp_path / "onboard.json"
    path.write_bytes(GOOD)
    other = from_inventory(inventory(model_slug="other"), DAY)
    with pytest.raises(ManifestError, match=r"onboard\.json: the manifest is of the model"):
        update(path, other, refresh=True)


def test_a_link_stays_a_link_and_the_mode_stays(tmp_path: Path) -> None:
    real, link = tmp_path / "real.json", tmp_path / "link.json"
    real.write_bytes(b"{}")
    real.chmod(0o640)
    link.symlink_to(real)
    save(link, from_inventory(sample(), DAY))
    assert link.is_symlink()
    assert real.read_bytes() == GOOD
    assert real.stat().st_mode & 0o777 == 0o640


def test_a_folder_that_can_t_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ManifestError, match="can't be written"):
        save(tmp_path / "file" / "onboard.json", from_inventory(sample(), DAY))


WRITER = """
import sys
from datetime import date
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from builders import existing, inventory
from discover_models.domain.manifest import from_inventory
from discover_models.manifests import update
for name in sys.argv[3:]:
    update(Path(sys.argv[2]), from_inventory(inventory(existing(name)), date(2026, 4, 27)),
           refresh=False)
"""
FLIPPER = """
import itertools, sys
from pathlib import Path
from discover_models.manifests import load, save
one, two = load(Path(sys.argv[2])), load(Path(sys.argv[3]))
print("ready", flush=True)
for manifest in itertools.cycle((one, two)):
    save(Path(sys.argv[1]), manifest)
"""


def python(code: str, *arguments: str, **options: Any) -> "subprocess.Popen[str]":
    return subprocess.Popen([sys.executable, "-c", code, *arguments], text=True, **options)


def test_writers_at_the_same_time_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "onboard.json"
    names = [[f"rmsnorm_h{writer}{i}" for i in range(8)] for writer in range(3)]
    here = str(Path(__file__).parent)
    writers = [python(WRITER, here, str(path), *mine) for mine in names]
    assert [w.wait(timeout=60) for w in writers] == [0, 0, 0]
    found = {k.definition_name for k in load(path).kernels}
    assert found == {name for mine in names for name in mine}


@pytest.mark.skipif(os.name == "nt", reason="kill -9")
def test_a_writer_killed_at_any_moment_leaves_a_whole_file(tmp_path: Path) -> None:
    path, one, two = (tmp_path / name for name in ("onboard.json", "one.json", "two.json"))
    big = [existing(f"rmsnorm_h{i}") for i in range(300)]
    save(one, from_inventory(inventory(*big), DAY))
    save(two, from_inventory(inventory(*big[:150]), DAY))
    save(path, load(one))
    whole = {one.read_bytes(), two.read_bytes()}
    seen: set[bytes] = set()
    clock = random.Random(7)
    for _ in range(12):
        writer = python(FLIPPER, str(path), str(one), str(two), stdout=subprocess.PIPE)
        assert writer.stdout is not None
        with contextlib.closing(writer.stdout) as out:
            assert out.readline() == "ready\n"
            time.sleep(clock.uniform(0.0, 0.06))
            os.kill(writer.pid, signal.SIGKILL)
        writer.wait()
        seen.add(path.read_bytes())
        assert seen <= whole
    save(path, Manifest.model_validate(good()))
    assert path.read_bytes() == GOOD
    assert not list(tmp_path.glob(".onboard.json.*.tmp")), "leftovers of the killed are removed"


def test_a_failed_write_leaves_the_old_file_and_no_leftover(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "onboard.json"
    save(path, from_inventory(sample(), DAY))

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ManifestError, match="No space left"):
        save(path, from_inventory(inventory(), DAY))
    assert path.read_bytes() == GOOD
    assert [p.name for p in tmp_path.iterdir() if p.name.endswith(".tmp")] == []
