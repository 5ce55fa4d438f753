from datetime import UTC, datetime, timedelta

import pytest

from discover_models.errors import UsageError
from discover_models.sources.since import parse_since

NOW = datetime(2026, 4, 27, 15, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-04-01", datetime(2026, 4, 1, tzinfo=UTC)),
        ("2026-04-01T10:00:00+02:00", datetime(2026, 4, 1, 8, tzinfo=UTC)),
        ("2026-04-01T10:00", datetime(2026, 4, 1, 10, tzinfo=UTC)),
        ("30 days ago", NOW - timedelta(days=30)),
        ("1 day ago", NOW - timedelta(days=1)),
        ("2 Weeks ago", NOW - timedelta(days=14)),
        ("6 hours ago", NOW - timedelta(hours=6)),
        ("999999 years ago", datetime.min.replace(tzinfo=UTC)),
    ],
)
def test_moments(text: str, moment: datetime) -> None:
    assert parse_since(text, NOW) == moment


@pytest.mark.parametrize("text", ["", "yesterday", "30 days", "2026-13-01", "-1 days ago", "9e9"])
def test_what_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--since"):
        parse_since(text, NOW)
