"""How often models are downloaded from the Hub, kept for a week."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import date, timedelta
from pathlib import Path
from tempfile import NamedTemporaryFile

from pydantic import TypeAdapter, ValidationError

from discover_models.demand import Downloads
from discover_models.errors import ConfigError

KEPT = timedelta(days=7)
"""How long a count is good enough: it is over 30 days anyway."""
FILE = "downloads.json"

_Kept = dict[str, tuple[int, date]]
"""Count and day by repository in lower case."""
_FORMAT = TypeAdapter(_Kept)


def monthly_downloads(
    repo_ids: Iterable[str],
    ask: Callable[[Iterable[str]], Mapping[str, int | ConfigError]],
    cache: Path | None,
    today: date,
) -> tuple[Downloads, dict[str, str]]:
    """The counts of these repositories, and by repository why there is none.

    `ask` gives the counts of the repositories that `cache`, a folder, has none or only old ones
    of. Where it fails an old count is taken, with its day.
    """
    wanted = dict.fromkeys(repo_ids)
    kept = _read(cache)
    fresh = {name for name, (_, day) in kept.items() if timedelta() <= today - day <= KEPT}
    failed: dict[str, str] = {}
    for repo_id, count in ask([r for r in wanted if r.casefold() not in fresh]).items():
        if isinstance(count, int):
            kept[repo_id.casefold()] = (count, today)
        else:
            failed[repo_id] = str(count)
    _write(cache, kept)
    found = {key: kept[key] for key in (r.casefold() for r in wanted) if key in kept}
    days = sorted(day.isoformat() for _, day in found.values())
    return (
        Downloads(
            counts={key: count for key, (count, _) in found.items()},
            oldest=days[0] if days else "",
            newest=days[-1] if days else "",
        ),
        failed,
    )


def downloads_from_hub(
    repo_ids: Iterable[str],
    *,
    endpoint: str | None,
    token: str | None,
    cache: Path | None,
    today: date,
) -> tuple[Downloads, dict[str, str]]:
    """The counts of these repositories from the Hub or the cache; see `monthly_downloads`."""

    def ask(wanted: Iterable[str]) -> Mapping[str, int | ConfigError]:
        from discover_models.sources.hub import HubClient  # its client is big

        client = HubClient(cache_dir=Path(), endpoint=endpoint, token=token)
        return client.downloads_many(wanted)

    return monthly_downloads(repo_ids, ask, cache, today)


def _read(cache: Path | None) -> _Kept:
    """What the cache holds; nothing where it can't be used: it is only a cache."""
    if cache is None:
        return {}
    try:
        return _FORMAT.validate_json((cache / FILE).read_bytes())
    except (OSError, ValidationError):
        return {}


def _write(cache: Path | None, kept: _Kept) -> None:
    if cache is None:
        return
    text = json.dumps({name: [count, day.isoformat()] for name, (count, day) in kept.items()})
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with NamedTemporaryFile("w", encoding="utf-8", dir=cache, delete=False) as half:
            half.write(text)
        Path(half.name).replace(cache / FILE)
    except OSError:
        return  # the next run asks again
