"""Which issues and pull requests might ask for a kernel already. Pure.

A possible match only holds a request back, so that a person decides; it never becomes the request.
So this rather finds one too many than one too few.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from discover_models.publish.issues import FoundIssue
from discover_models.publish.requests import Request

MOST = 5
"""Possible matches that a person is shown."""
_NAMED, _WORDS, _MODEL = 100, 10, 5

_COMMON = frozenset(
    re.split(
        r"\s+",
        "a an and api attention batch bf16 block by cache causal decode expert experts feature for"
        " from fp4 fp8 fused gpu in is kernel kernels kv layer mixture model models moe new of on"
        " or over paged prefill quantized request routed routing scale size states support the to"
        " token tokens top up with",
    )
)
"""Words that say nothing about which kernel is meant."""
_QUALITIES = re.compile(
    r"\d+(\.\d+)?[bmkt]|a\d+b|it|instruct|base|chat|hf|fp[48]|nvfp4|mxfp4|bf16|int[48]|awq|gptq"
)
"""Parts of a model's name that its other sizes and copies have otherwise."""


@dataclass(frozen=True)
class _Terms:
    names: frozenset[str]
    """APIs and definitions: whoever writes one means it."""
    key: frozenset[str]
    """Words of the request's key; a title with all of them means it."""
    words: frozenset[str]
    models: tuple[frozenset[str], ...]
    """Words of which all must be in a title that speaks of the model."""


def possible_matches(request: Request, issues: Sequence[FoundIssue]) -> tuple[FoundIssue, ...]:
    """At most `MOST`, the likeliest first: open before closed, then the newest."""
    terms = _terms(request)
    scored = [(score, i) for i in issues if (score := _score(terms, i)) > 0]
    scored.sort(key=lambda s: (-s[0], s[1].state != "open", -s[1].number))
    return tuple(issue for _, issue in scored[:MOST])


def _terms(request: Request) -> _Terms:
    apis = frozenset(api.rpartition(".")[2].casefold() for api in request.apis)
    definitions = frozenset(row.definition.casefold() for row in request.rows)
    said = _words(" ".join((request.key, request.kernel, request.limit)))
    return _Terms(
        # Where only a part is missing, the API is there and much is written about it.
        names=definitions if request.limit else definitions | apis,
        key=frozenset(re.split(r"[^a-z0-9]+", request.key.casefold())) - _COMMON - {""},
        words=frozenset(said) - _COMMON,
        models=tuple(map(_family, request.models)),
    )


def _family(repository: str) -> frozenset[str]:
    """The first two words of a model's name, as its sizes and successors share them."""
    parts = repository.rpartition("/")[2].casefold().split("-")
    words = [w for p in parts if not _QUALITIES.fullmatch(p) for w in re.findall(r"[a-z0-9]+", p)]
    return frozenset(words[:2])


def _score(terms: _Terms, issue: FoundIssue) -> int:
    text = f"{issue.title}\n{issue.body}".casefold()
    if any(re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text) for name in terms.names):
        return _NAMED
    title = set(_words(issue.title))
    shared = terms.words & title
    if len(shared) >= 2 or (terms.key and terms.key <= title):
        return _WORDS * max(len(shared), 1)
    named = any(model and model <= title for model in terms.models)
    return _MODEL if named and (shared or title & _ASKING) else 0


_ASKING = frozenset(("support", "kernel", "kernels", "add", "request", "feature"))


def _words(text: str) -> Iterable[str]:
    """Words in lower case, also those that a hyphen or a dot joins."""
    found = re.findall(r"[a-z0-9]+(?:[-_.][a-z0-9]+)*", text.casefold())
    for word in found:
        parts = re.split(r"[-_.]", word)
        yield from parts
        if len(parts) > 1:
            yield "".join(parts)
