"""Which issues and pull requests hold a request back."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from discover_models.publish.issues import FoundIssue
from discover_models.publish.possible_matches import possible_matches
from discover_models.publish.requests import Request, Row

ROW = Row("gdn_decode_qk4_v8_d64_k_last", "gdn", {}, ("Qwen/Qwen3.5-35B-A3B",), "", "", "missing")


def request(**fields: Any) -> Request:
    values: dict[str, Any] = {
        "kind": "kernel-request",
        "key": "gdn",
        "kernel": "gated delta rule, K-last state",
        "limit": "",
        "apis": ("flashinfer.gdn_decode.gated_delta_rule_decode_pretranspose",),
        "rows": (ROW,),
        "fresh": (ROW,),
        "models": ROW.models,
        "barred": "",
        "urls": (),
    }
    return Request(**{**values, **fields})


def issue(title: str, body: str = "", number: int = 1, **fields: Any) -> FoundIssue:
    values: dict[str, Any] = {"author": "someone", "state": "open"}
    created = datetime(2026, 5, 1, tzinfo=UTC)
    return FoundIssue(
        number=number, title=title, body=body, created_at=created, **{**values, **fields}
    )


@pytest.mark.parametrize(
    "found",
    [
        issue("[Feature] GDN decode kernel"),
        issue("Support Gated Delta-Rule linear attention"),
        issue("anything", "needs gated_delta_rule_decode_pretranspose on SM120"),
        issue("anything", "gdn_decode_qk4_v8_d64_k_last is slow"),
        issue("feat: support Qwen3.5 hybrid models"),
        issue("[Kernel] gdn prefill", state="closed", is_pull=True),
    ],
)
def test_what_may_ask_for_it_is_shown(found: FoundIssue):
    assert possible_matches(request(), [found]) == (found,)


@pytest.mark.parametrize(
    "found",
    [
        issue("MLA decode is slow on H100"),
        issue("Qwen3.5 output is garbled"),
        issue("bump version"),
        issue("Support Qwen3-Next", "see gdn_decode_qk4_v8_d64_k_last_fused"),
    ],
)
def test_what_asks_for_something_else_is_not(found: FoundIssue):
    assert possible_matches(request(), [found]) == ()


def test_where_a_part_is_missing_the_name_of_the_api_means_nothing():
    found = issue("crash", "in gated_delta_rule_decode_pretranspose")
    assert possible_matches(request(key="gdn.head-size", limit="head size"), [found]) == ()


def test_at_most_five_are_shown_the_likeliest_first():
    found = [issue(f"gdn {n}", number=n) for n in range(1, 8)]
    found.append(issue("old", "gated_delta_rule_decode_pretranspose", number=8, state="closed"))
    numbers = [i.number for i in possible_matches(request(), found)]
    assert numbers == [8, 7, 6, 5, 4]
