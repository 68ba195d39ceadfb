"""Days in a client's zone."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from app.ingest.days import find_day


@pytest.mark.parametrize(
    ("zone", "day", "begins", "hours"),
    [
        ("Europe/Paris", date(2026, 3, 1), "2026-02-28T23:00Z", 24),
        ("Europe/Paris", date(2026, 3, 29), "2026-03-28T23:00Z", 23),
        ("Europe/Paris", date(2026, 10, 25), "2026-10-24T22:00Z", 25),
        ("America/Havana", date(2026, 3, 8), "2026-03-08T05:00Z", 23),  # has no midnight
        ("America/Havana", date(2026, 11, 1), "2026-11-01T04:00Z", 25),  # has two
        ("Asia/Kathmandu", date(2026, 3, 1), "2026-02-28T18:15Z", 24),
    ],
)
def test_a_day_lasts_from_its_first_instant_until_the_next_ones(zone: str, day: date, begins: str, hours: int) -> None:
    first = datetime.fromisoformat(begins)
    last = first + timedelta(hours=hours) - timedelta(microseconds=1)
    found = find_day(first, ZoneInfo(zone))
    assert (found.date, found.begins_at, found.ends_at) == (day, first, first + timedelta(hours=hours))
    assert find_day(last, ZoneInfo(zone)) == found
    assert find_day(first - timedelta(microseconds=1), ZoneInfo(zone)).date == day - timedelta(days=1)
    assert found.begins_at.tzinfo is UTC
