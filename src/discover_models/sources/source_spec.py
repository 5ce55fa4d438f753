"""Which repository, from where, at which revision."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal, get_args
from urllib.parse import urlsplit

from discover_models.domain.frozen import Frozen
from discover_models.errors import UsageError
from discover_models.sources.git import is_revision

SourceName = Literal["sglang", "flashinfer", "sgl-cookbook", "flashinfer-trace"]
SOURCE_NAMES: tuple[SourceName, ...] = get_args(SourceName)

_PRINTABLE = re.compile(r"[!-~]+")


class SourceSpec(Frozen):
    """One of the four repositories as it is wanted."""

    name: SourceName
    url: str
    """``https://…`` or ``file://…``, without credentials."""
    revision: str = ""
    """Branch, tag or full commit id; empty for the remote's default branch."""


DEFAULT_SOURCES: tuple[SourceSpec, ...] = (
    SourceSpec(name="sglang", url="https://github.com/sgl-project/sglang"),
    SourceSpec(name="flashinfer", url="https://github.com/flashinfer-ai/flashinfer"),
    SourceSpec(name="sgl-cookbook", url="https://github.com/sgl-project/sgl-cookbook"),
    SourceSpec(
        name="flashinfer-trace",
        url="https://huggingface.co/datasets/flashinfer-ai/flashinfer-trace",
    ),
)


def parse_source(text: str) -> SourceSpec:
    """A setting ``NAME=URL[@REVISION]``; `UsageError` says what is wrong with it.

    The last ``@`` starts the revision; one that belongs to a path is written ``%40``. An
    absolute path stands for its ``file://`` URL.
    """
    name, equals, rest = text.partition("=")
    if not equals:
        raise UsageError(f"--source {text!r} is not NAME=URL[@REVISION]")
    known: dict[str, SourceName] = {n: n for n in SOURCE_NAMES}
    if name not in known:
        raise UsageError(f"--source names {name!r}; there are {', '.join(SOURCE_NAMES)}")
    if not rest.startswith(("https://", "file://", "/")):
        raise UsageError(f"--source {name}: a URL starts with https:// or file://")
    authority_end = rest.find("/", rest.find("://") + 3) if "://" in rest else 0
    at = rest.rfind("@")
    split = at if at > authority_end >= 0 else len(rest)
    url, revision = rest[:split], rest[split + 1 :]
    if split < len(rest) and not is_revision(revision):
        raise UsageError(f"--source {name}: {revision!r} is no branch, tag or commit id")
    return SourceSpec(name=known[name], url=_checked(name, url), revision=revision)


def _checked(name: str, url: str) -> str:
    """The URL, if it is one that git may be given."""
    if url.startswith("/"):
        return Path(url).as_uri()
    parts = _split(url)
    if parts is None or not _PRINTABLE.fullmatch(url):
        raise UsageError(f"--source {name}: this is no URL (https://… or file://…)")
    if "@" in parts[1]:
        raise UsageError(f"--source {name}: a URL must not hold credentials")
    if parts[0] == "https" and not parts[1]:
        raise UsageError(f"--source {name}: the URL names no host")
    return url


def _split(url: str) -> tuple[str, str] | None:
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    return parts.scheme, parts.netloc


def merge_sources(settings: tuple[str, ...]) -> tuple[SourceSpec, ...]:
    """The default sources with those that ``--source`` settings replace; the last one wins."""
    given = {spec.name: spec for spec in map(parse_source, settings)}
    return tuple(given.get(spec.name, spec) for spec in DEFAULT_SOURCES)
