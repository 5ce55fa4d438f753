"""From when on something counts as new."""

import re
from datetime import UTC, datetime, timedelta

from discover_models.errors import UsageError

_AGO = re.compile(r"(\d{1,6})\s+(minute|hour|day|week|month|year)s?\s+ago", re.IGNORECASE)
_DAYS = {"day": 1, "week": 7, "month": 30, "year": 365}
_SECONDS = {"minute": 60, "hour": 3600}


def parse_since(text: str, now: datetime) -> datetime:
    """The moment that ``--since`` names, in UTC.

    Takes ``30 days ago`` (a month counts 30 days, a year 365), a date (00:00 UTC of that day;
    git itself would fill in the present time of day) or a date with a time (UTC without an
    offset). `UsageError` for anything else.
    """
    moment = _ago(text.strip(), now) or _iso(text.strip())
    if moment is None:
        raise UsageError(
            f"--since {text!r} is neither a date (2026-01-31) nor an age (30 days ago)"
        )
    return moment


def _ago(text: str, now: datetime) -> datetime | None:
    match = _AGO.fullmatch(text)
    if match is None:
        return None
    count, unit = int(match[1]), match[2].lower()
    seconds = count * (_SECONDS.get(unit) or _DAYS[unit] * 86400)
    try:
        return now.astimezone(UTC) - timedelta(seconds=seconds)
    except OverflowError:
        return datetime.min.replace(tzinfo=UTC)


def _iso(text: str) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
