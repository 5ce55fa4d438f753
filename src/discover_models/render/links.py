"""Permalinks: only to public hosts, at full commit ids."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

from discover_models.domain.evidence import Evidence

if TYPE_CHECKING:  # most runs write no manifest
    from discover_models.domain.manifest import ManifestKernel

_PUBLIC = {
    "github.com": re.compile(r"/[\w.-]+/[\w.-]+"),
    "huggingface.co": re.compile(r"/(datasets/)?[\w.-]+/[\w.-]+"),
}
_COMMIT = re.compile(r"[0-9a-f]{40}")
_ANY_ISSUE = re.compile(r"https?://[\w.:-]+/[\w.-]+/[\w.-]+/(?:issues|pull)/\d+", re.ASCII)
_GITHUB_ISSUE = re.compile(r"https://github\.com/([\w.-]+/[\w.-]+)/(?:issues|pull)/(\d+)", re.ASCII)
_REPOSITORY_ID = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)


def public_origin(url: str) -> str | None:
    """The page of a repository that everyone may see the address of, or None.

    Local paths, credentials, ports, queries and hosts other than the two public ones give None.
    """
    try:
        parts = urlsplit(url)
        bare = parts.netloc == parts.hostname and not parts.query and not parts.fragment
    except ValueError:
        return None
    path = parts.path.rstrip("/").removesuffix(".git")
    pattern = _PUBLIC.get(parts.hostname or "")
    if parts.scheme != "https" or not bare or not pattern or not pattern.fullmatch(path):
        return None
    return f"https://{parts.hostname}{path}"


def permalink(evidence: Evidence, origins: Mapping[str, str]) -> str | None:
    """The address of a line at its commit; None where it has none to show."""
    origin = public_origin(origins.get(evidence.repository, ""))
    if origin is None or not _COMMIT.fullmatch(evidence.commit or ""):
        return None
    if {"", ".", ".."} & set(evidence.path.split("/")):
        return None  # a browser would leave the commit, or the repository
    line = f"#L{evidence.line}" if evidence.line else ""
    return f"{origin}/blob/{evidence.commit}/{quote(evidence.path)}{line}"


def model_page(hf_repo_id: str) -> str | None:
    """The model's page on the Hub; None for what is no repository id."""
    if not _REPOSITORY_ID.fullmatch(hf_repo_id):
        return None
    return f"https://huggingface.co/{hf_repo_id}"


def request_link(entry: ManifestKernel, *, host: str = "github.com") -> tuple[str, str] | None:
    """Text and address of the FlashInfer request for a definition; None where it has none.

    Through the host ``redirect.github.com`` a link leaves no trace in the issue that it names.
    """
    match = _GITHUB_ISSUE.fullmatch(str(entry.foreign().get("fi_issue_url", "")))
    if match is None:
        return None
    return f"request {match[2]} in {match[1]}", match[0].replace("github.com", host, 1)


def quiet(url: str, redirect: bool) -> str | None:
    """The address of an issue, on github.com one that leaves no trace there; None for others."""
    match = _GITHUB_ISSUE.fullmatch(url)
    if match is None:
        return url if _ANY_ISSUE.fullmatch(url) else None
    return url.replace("github.com", "redirect.github.com", 1) if redirect else url


def place(evidence: Evidence) -> str:
    """``path:line``, or the path alone."""
    return f"{evidence.path}:{evidence.line}" if evidence.line else evidence.path
