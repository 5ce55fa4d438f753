"""Short names of models, which are also names of files."""

import re
from collections import Counter
from collections.abc import Iterable

from discover_models.errors import UsageError

_SLUG = re.compile(r"[a-z0-9_][a-z0-9._-]{0,190}")


def slug_of(repo_id: str) -> str:
    """The repository's name in lower case, dots kept."""
    return repo_id.rpartition("/")[2].lower()


def check_slug(slug: str) -> str:
    """The slug itself.

    Raises:
        UsageError: it could not be a file name of its own.
    """
    if not _SLUG.fullmatch(slug) or ".." in slug:
        raise UsageError(
            f"{slug!r} is no model name: use lower-case letters, digits, dots, dashes and"
            " underscores, without / or .."
        )
    return slug


def distinct_slugs(repo_ids: Iterable[str], given: Iterable[str]) -> tuple[str, ...]:
    """A slug per repository: the given one, else its name; clashing names all carry the owner.

    Raises:
        UsageError: two would still be the same, or one could not be a file name.
    """
    pairs = list(zip(repo_ids, given, strict=True))
    wanted = [slug or slug_of(repo_id) for repo_id, slug in pairs]
    counts = Counter(wanted)
    slugs = tuple(
        check_slug(slug if counts[slug] == 1 else repo_id.lower().replace("/", "--"))
        for (repo_id, _), slug in zip(pairs, wanted, strict=True)
    )
    twice = next((slug for slug, count in Counter(slugs).items() if count > 1), None)
    if twice is not None:
        raise UsageError(f"{twice!r} would be the name of two models; give one another slug")
    return slugs
