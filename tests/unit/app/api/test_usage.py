"""Ranges and sums of usage."""

from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID

import pytest

from app.api.usage import resolve_range, usage_of
from tenants.errors import InputRefused

NOW = datetime(2026, 11, 21, 10, 30, tzinfo=UTC)
HOUR = datetime(2026, 11, 21, 9, tzinfo=UTC)
A, B = UUID(int=1), UUID(int=2)


def row(hour: datetime, key: UUID, outcome: str, reason: str, n: int) -> dict[str, object]:
    return {"hour": hour, "key_id": key, "outcome": outcome, "reason": reason, "n": n}


def test_counts_add_up_per_key_and_hour_and_in_all() -> None:
    later = HOUR + timedelta(hours=1)
    rows = [
        row(HOUR, A, "quarantined", "too_old", 2),
        row(HOUR, A, "quarantined", "wrong_type", 1),
        row(HOUR, A, "stored", "", 5),
        row(HOUR, B, "stored", "", 7),
        row(later, A, "duplicate", "", 4),
    ]
    usage = usage_of(rows, HOUR, NOW)
    received = [(each.hour, each.key_id, each.received) for each in usage.data]
    assert received == [(HOUR, A, 8), (HOUR, B, 7), (later, A, 4)]
    assert usage.outcomes == {"quarantined": 3, "stored": 12, "duplicate": 4}
    assert usage.received == sum(usage.outcomes.values()) == 19


def test_no_events_give_zeros() -> None:
    usage = usage_of([], HOUR, NOW)
    assert (usage.received, usage.outcomes, usage.data) == (0, {}, [])


def test_the_default_is_the_last_day_from_a_full_hour_on() -> None:
    assert resolve_range(None, None, NOW) == (datetime(2026, 11, 20, 10, tzinfo=UTC), NOW)


def test_a_range_in_another_zone_begins_on_an_hour_of_utc() -> None:
    india = timezone(timedelta(hours=5, minutes=30))
    start, _ = resolve_range(datetime(2026, 11, 20, 10, tzinfo=india), None, NOW)
    assert start == datetime(2026, 11, 20, 4, tzinfo=UTC)


@pytest.mark.parametrize(
    ("start", "end"),
    [
        (NOW, NOW - timedelta(days=1)),
        (NOW - timedelta(days=40), NOW),
        (datetime(2026, 11, 20, 10), None),  # noqa: DTZ001 - what is to be refused
        (None, datetime(1, 1, 1, tzinfo=UTC)),
        (datetime(9999, 12, 30, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)),
    ],
)
def test_a_range_that_makes_no_sense_is_refused(start: datetime, end: datetime | None) -> None:
    with pytest.raises(InputRefused):
        resolve_range(start, end, NOW)
