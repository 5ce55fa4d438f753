"""The check of exchanges must itself be able to fail."""

from __future__ import annotations

import json
from typing import Any

import pytest

from emulator.contract import problems

ISSUES = "https://api.github.com/repos/octo/bench/issues"


def found(method: str, url: str, body: Any = None, status: int = 404, answer: Any = None) -> str:
    request = None if body is None else json.dumps(body)
    return "; ".join(problems(method, url, request, status, json.dumps(answer or {}).encode()))


@pytest.mark.parametrize(
    ("method", "url", "body", "complaint"),
    [
        ("GET", f"{ISSUES}?state=all&direction=asc&per_page=100", None, ""),
        ("GET", f"{ISSUES}?state=every", None, "not allowed"),
        ("GET", f"{ISSUES}?filter_by=me", None, "unknown query"),
        ("POST", ISSUES, {"title": "x", "labels": ["a"]}, ""),
        ("POST", ISSUES, {"body": "x"}, "title"),
        ("POST", ISSUES, {"title": "x", "state": "open"}, "unknown field"),
        ("POST", ISSUES, None, "body is required"),
        ("PATCH", f"{ISSUES}/1", {"state_reason": "duplicate"}, ""),
        ("PATCH", f"{ISSUES}/1", {"state_reason": "boring"}, "state_reason"),
        ("DELETE", f"{ISSUES}/1", None, "no such operation"),
        ("GET", "https://api.github.com/search/issues?q=x", None, "no such operation"),
    ],
)
def test_requests(method: str, url: str, body: Any, complaint: str):
    text = found(method, url, body)
    assert complaint in text if complaint else text == ""


def test_answers():
    assert "required" in found("GET", f"{ISSUES}/1", status=200, answer={"number": 1})
    assert "not described" in found("GET", f"{ISSUES}/1", status=299)
    assert "not JSON" in "".join(problems("GET", f"{ISSUES}/1", None, 200, b"<html>"))
