"""What a checkout of SGLang can serve, read once for each state of its files."""

from __future__ import annotations

from pathlib import Path

from discover_models.domain.listing import ArchitectureListing
from discover_models.sources.answers import Answers, Kind, sglang_key
from discover_models.sources.cache import DiskCache
from discover_models.sources.contents import Contents

_LISTING: Kind[ArchitectureListing] = Kind(ArchitectureListing)


def listed_architectures(
    checkout: Path, commit: str | None, cache: DiskCache | None = None
) -> ArchitectureListing:
    """Every registered architecture; takes half a minute where nothing was kept.

    Raises SourceError where the checkout has no package of models.
    """
    key = sglang_key(Contents(checkout)) if cache is not None else None
    answers = Answers("sglang-architectures", key, commit, cache)
    try:
        return answers.ask("listing", _LISTING, lambda: _read(checkout, commit))
    finally:
        answers.save()


def _read(checkout: Path, commit: str | None) -> ArchitectureListing:
    # Only a state of the files that is new needs what follows classes.
    from discover_models.sources.sglang_models.checkout import SglangSource
    from discover_models.sources.sglang_models.listing import list_architectures

    return list_architectures(SglangSource(checkout, commit))
