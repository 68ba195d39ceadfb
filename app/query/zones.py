"""Days and hours of a time zone, worked out in one place: Python's zone data.

Called by the spec and by the questions that count by day or hour. The database is only given times in UTC, so
a day is the same day whatever zone data an attached server has, and one with 23 or 25 hours is no special case.
"""

from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from tenants.errors import InputRefused
from tenants.zones import zone_names

_DAY = timedelta(days=1)
_MICROSECOND = timedelta(microseconds=1)
_SECOND = timedelta(seconds=1)


def get_zone(name: str, *, field: str) -> ZoneInfo:
    """Return a zone of the IANA database by its exact name.

    Errors: InputRefused naming `field`.
    """
    if name not in zone_names():
        message = "Unknown time zone; give an IANA name such as Europe/Berlin."
        raise InputRefused(message, field=field, code="unknown_timezone")
    return ZoneInfo(name)


def day_start(day: date, zone: ZoneInfo) -> datetime:
    """Return the instant at which a day begins in a zone.

    Units: UTC. Where midnight is skipped the day begins with the first time after the gap; where it happens twice,
    with its first.
    """
    return datetime.combine(day, time.min, zone).astimezone(UTC)


def local_day(at: datetime, zone: ZoneInfo) -> date:
    """Return the date that an instant has in a zone."""
    return at.astimezone(zone).date()


def list_days(from_at: datetime, to_at: datetime, zone: ZoneInfo) -> list[tuple[date, datetime]]:
    """List the days that a range touches, each with the instant at which it begins.

    Shape: in order; the first may begin before the range. A day that a zone left out (Apia, 30 December 2011) is
    not listed.
    """
    first, last = local_day(from_at, zone), local_day(to_at - _MICROSECOND, zone)
    dates = [first + _DAY * n for n in range((last - first).days + 2)]
    starts = [(day, day_start(day, zone)) for day in dates]
    return [(day, start) for (day, start), (_, end) in pairwise(starts) if start < end]


def list_shifts(from_at: datetime, to_at: datetime, zone: ZoneInfo) -> list[tuple[datetime, timedelta]]:
    """List the distances to UTC that a zone has within a range, each with the instant since when.

    Shape: the first entry is for the start of the range; more than one only where clocks change within it.
    """
    instants = [from_at, *(start for _, start in list_days(from_at, to_at, zone) if start > from_at), to_at]
    shifts = [(from_at, _shift(from_at, zone))]
    for before, after in pairwise(instants):
        if _shift(before, zone) != _shift(after, zone):
            changed_at = _find_change(before, after, zone)
            shifts.append((changed_at, _shift(changed_at, zone)))
    return shifts


def _shift(at: datetime, zone: ZoneInfo) -> timedelta:
    return at.astimezone(zone).utcoffset() or timedelta()


def _find_change(before: datetime, after: datetime, zone: ZoneInfo) -> datetime:
    """Narrow down, to the second that zone data knows, when the clocks change between two instants."""
    low, high = before.replace(microsecond=0), after
    while high - low > _SECOND:
        middle = low + _SECOND * ((high - low) // (2 * _SECOND) or 1)
        if _shift(middle, zone) == _shift(before, zone):
            low = middle
        else:
            high = middle
    return low + _SECOND
