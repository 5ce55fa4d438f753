"""The audit of the real coverage document against the list that was read by hand."""

import hashlib
import os
from pathlib import Path
from typing import Any

import pytest
import yaml

from discover_models.audit.findings import Report
from discover_models.audit.run import AuditResult, run_audit
from discover_models.settings import RunOptions

pytestmark = pytest.mark.real
GOLDEN: dict[str, Any] = yaml.safe_load(
    (Path(__file__).parents[1] / "golden" / "coverage_document.yaml").read_text("utf-8")
)


@pytest.fixture(scope="module")
def result() -> AuditResult:
    path = os.environ.get("DISCOVER_MODELS_WORKSPACE")
    if not path:
        pytest.skip("DISCOVER_MODELS_WORKSPACE is not set")
    document = Path(path) / GOLDEN["document"]["path"]
    if not document.is_file():
        pytest.skip(f"{document} is not there")
    if hashlib.sha256(document.read_bytes()).hexdigest() != GOLDEN["document"]["sha256"]:
        pytest.skip("the coverage document is not the one that was read by hand")
    options = RunOptions(
        coverage_doc=document, workspace=Path(path), configs=Path(path) / "hub", offline=True
    )
    return run_audit(options, lambda _: None)


def found(report: Report, level: str) -> dict[tuple[int, str], str]:
    return {(f.line, f.rule): f.right for f in report.of(level)}


def listed(key: str) -> dict[tuple[int, str], str]:
    return {(m["line"], m["rule"]): m.get("corrected", m.get("right")) or "" for m in GOLDEN[key]}


def test_all_mistakes_are_found_and_not_one_more(result: AuditResult) -> None:
    assert found(result.report, "mistake") == listed("mistakes")


def test_all_doubts_are_found_and_not_one_more(result: AuditResult) -> None:
    expected = {place: str(right) for place, right in listed("doubts").items()}
    assert found(result.report, "doubt") == expected


def test_lines_that_follow(result: AuditResult) -> None:
    assert sorted((f.line, f.found, f.right) for f in result.report.follow_ups) == sorted(
        (f["line"], f["found"], f["right"]) for f in GOLDEN["follow"]
    )


def test_titles_mean_the_configurations_that_were_read(result: AuditResult) -> None:
    assert {title: list(ids) for title, ids in result.report.models.items()} == GOLDEN["models"]
    unnamed = {i.title for i in result.report.not_checked if i.reason.startswith("name: ")}
    assert unnamed == set(GOLDEN["without_configuration"])


def test_the_patch_says_what_the_list_says(result: AuditResult) -> None:
    added = [line for line in result.patch.splitlines() if line.startswith("+")]
    for mistake in GOLDEN["mistakes"]:
        right = str(mistake.get("corrected", mistake.get("right")) or "")
        assert any(right in line for line in added), mistake
    removed = [line for line in result.patch.splitlines() if line.startswith("-")]
    assert len(added) == len(removed)
