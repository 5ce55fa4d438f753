"""The runner's protocol, read back as the runner reads it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from action.fake_runner import read_outputs
from discover_models.domain.kernel import Deferred
from discover_models.render.groups import GROUPS
from discover_models.render.summary import LIMIT, Summary, job_summary
from discover_models.run_record import Model, RunRecord
from discover_models.runner import Log, give_back, write_outputs

HOSTILE = [
    "::set-output name=x::y",
    "a\n::error::forged",
    "a\r\n::stop-commands::x",
    "##[group]x",
    "x<<EOF\ny\nEOF\nchanged=true",
    "\u2028::warning::x",
    "\udc80",
    "%0A::error::x",
]


@given(
    st.dictionaries(st.sampled_from("abc"), st.text(max_size=50) | st.sampled_from(HOSTILE[:-2]))
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_outputs_are_read_back_as_written(tmp_path: Path, values: dict[str, str]) -> None:
    file = tmp_path / "output"
    file.write_text("before=1\n", "utf-8")
    write_outputs(file, values)
    clean = {k: v.replace("\r\n", "\n").replace("\r", "\n") for k, v in values.items()}
    found = read_outputs(file)
    assert found.pop("before") == "1"
    assert {k: v.replace("\r\n", "\n").replace("\r", "\n") for k, v in found.items()} == clean


def test_delimiters_can_not_be_guessed(tmp_path: Path) -> None:
    write_outputs(tmp_path / "one", {"a": "x"})
    write_outputs(tmp_path / "two", {"a": "x"})
    assert (tmp_path / "one").read_text("utf-8") != (tmp_path / "two").read_text("utf-8")


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_becomes_a_command(text: str) -> None:
    lines: list[str] = []
    log = Log(lines.append)
    log.say(text)
    log.annotate("warning", text)
    said, annotated = lines
    assert "::" not in said
    assert "##[" not in said
    assert annotated.startswith("::warning::")
    assert "::" not in annotated.removeprefix("::warning::")
    assert not any("\n" in line or "\r" in line for line in lines)


def test_secrets_are_masked_and_left_out() -> None:
    lines: list[str] = []
    log = Log(lines.append, ("canary", "canary-longer", ""))
    log.mask()
    assert lines == ["::add-mask::canary-longer", "::add-mask::canary"]
    log.annotate("error", "with canary-longer and canary")
    assert lines[2] == "::error::with *** and ***"


def record(models: int, deferred: int = 0) -> RunRecord:
    keys: list[str] = [*GROUPS, "unmapped"]
    counts = dict.fromkeys(keys, 1)
    return RunRecord(
        version="1",
        event="schedule",
        job="scheduled",
        repository="octo/bench",
        dry_run=False,
        started="2026-01-01T00:00:00+00:00",
        seconds={},
        requests=0,
        published=True,
        models=tuple(
            Model(slug=f"m{n}", repository=f"o/m{n}", revision=None, counts=counts)
            for n in range(models)
        ),
        deferred=tuple(
            Deferred(
                model_slug=f"d{n}",
                hf_repo_id=f"o/d{n}",
                reason="network",
                message="| @everyone #1 <!-- ::error:: `" + "x" * 200,
            )
            for n in range(deferred)
        ),
    )


def test_the_summary_holds_the_report_while_github_takes_it() -> None:
    summary = Summary(record=record(2), published=True, note="")
    assert "THE REPORT" in job_summary(summary, "THE REPORT")
    long = job_summary(summary, "é" * LIMIT)
    assert len(long.encode()) <= LIMIT
    assert "too long for this page" in long
    assert "m1" in long


def test_the_summary_drops_whole_rows_and_says_how_many() -> None:
    text = job_summary(Summary(record=record(3, 3000), published=True, note=""), "report")
    assert len(text.encode()) <= LIMIT
    shown = text.count("<code>o/d")
    assert 0 < shown < 3000
    assert f"_{3000 - shown} more left out" in text
    assert all(line.count("|") == 4 for line in text.splitlines() if "<code>o/d" in line)


@pytest.mark.skipif(os.name == "nt" or os.geteuid() != 0, reason="needs root")
def test_what_was_written_belongs_to_the_checkouts_owner(tmp_path: Path) -> None:
    checkout = tmp_path / "checkout"
    (checkout / "tmp" / "deep").mkdir(parents=True)
    (checkout / "tmp" / "deep" / "file").write_text("x")
    outside = tmp_path / "outside"
    outside.write_text("x")
    (checkout / "tmp" / "link").symlink_to(outside)
    os.chown(checkout, 1234, 1235)
    give_back(checkout / "tmp", like=checkout)
    owned = [checkout / "tmp", checkout / "tmp" / "deep" / "file", checkout / "tmp" / "link"]
    assert {(p.lstat().st_uid, p.lstat().st_gid) for p in owned} == {(1234, 1235)}
    assert outside.stat().st_uid == 0
