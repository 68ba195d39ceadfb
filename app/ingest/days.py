"""Days in a client's zone. Pure; called by whatever begins or ends with a visitor's day."""

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import msgspec

_ONE_DAY = timedelta(days=1)
_QUARTER_S = 15 * 60


class Day(msgspec.Struct, frozen=True):
    """A day of a zone, which lasts from one instant (UTC) until before another."""

    date: date
    begins_at: datetime
    ends_at: datetime


def find_day(at: datetime, zone: ZoneInfo) -> Day:
    """Find the day of a time in a zone; of a time's quarter of an hour, for no zone has its midnight within one."""
    return _day_of_quarter(int(at.timestamp()) // _QUARTER_S, zone)


@lru_cache(maxsize=4096)
def _day_of_quarter(quarter: int, zone: ZoneInfo) -> Day:
    found = datetime.fromtimestamp(quarter * _QUARTER_S, zone).date()
    return Day(found, _beginning(found, zone), _beginning(found + _ONE_DAY, zone))


def _beginning(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time.min, zone).astimezone(UTC)
