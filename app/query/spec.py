"""What is asked for: a period in a zone, a place in a list; read from the text of a request.

Called by the routes; pure. Everything that a caller can get wrong is refused here, naming the parameter.
"""

import re
from datetime import UTC, date, datetime, timedelta
from typing import Annotated
from zoneinfo import ZoneInfo

import msgspec

from app.query.zones import day_start, get_zone, local_day
from tenants.errors import InputRefused

DEFAULT_DAYS = 30
MAX_DAYS = 3_660
EARLIEST_YEAR, LATEST_YEAR = 1970, 2200

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
# An unescaped "+" in a query string arrives as a space; it can mean nothing else in front of an offset.
_TIME = re.compile(r"(\d{4}-\d{2}-\d{2})[Tt](\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?)([Zz]|[+\- ]\d{2}:\d{2})", re.ASCII)
_MICROSECOND = timedelta(microseconds=1)


class Period(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch of time and the zone whose days and hours it is cut into.

    Units: `from_at` (inclusive) and `to_at` (exclusive) are aware UTC.
    """

    from_at: datetime
    to_at: datetime
    zone: ZoneInfo


class Position(msgspec.Struct, frozen=True, array_like=True):
    """The sort key of a session in its list; as a cursor, the last one of the page before."""

    started_at: Annotated[datetime, msgspec.Meta(tz=True)]
    session_id: Annotated[str, msgspec.Meta(pattern=r"^[^\x00]*$")]


def read_period(
    from_text: str | None, to_text: str | None, tz: str | None, *, client_zone: str, now: datetime
) -> Period:
    """Resolve the parameters `from`, `to` and `tz`.

    Shape: a plain date is a day of the zone, and as `to` that whole day is included; a time ends the period before
    that instant. Without `to` the period ends with today; without `from` it starts so that it covers 30 days.
    Errors: InputRefused naming `from`, `to` or `tz`.
    """
    zone = get_zone(client_zone if tz is None else tz, field="tz")
    if to_text is None:
        to_at = day_start(local_day(now, zone) + timedelta(days=1), zone)
    else:
        to_at = read_instant(to_text, zone, field="to", end_of_day=True)
    if from_text is None:
        last_day = local_day(to_at - _MICROSECOND, zone)
        from_at = day_start(last_day - timedelta(days=DEFAULT_DAYS - 1), zone)
    else:
        from_at = read_instant(from_text, zone, field="from", end_of_day=False)
    _check_order(from_at, to_at, field="to" if from_text is None else "from")
    return Period(from_at=from_at, to_at=to_at, zone=zone)


def period_before(period: Period) -> Period:
    """Return the period of the same length that ends where this one begins; of as many days, if these are whole."""
    zone = period.zone
    first, last = local_day(period.from_at, zone), local_day(period.to_at, zone)
    from_at = period.from_at - (period.to_at - period.from_at)
    if (day_start(first, zone), day_start(last, zone)) == (period.from_at, period.to_at):
        from_at = day_start(first - (last - first), zone)
    return Period(from_at=from_at, to_at=period.from_at, zone=zone)


def read_instant(text: str, zone: ZoneInfo, *, field: str, end_of_day: bool) -> datetime:
    """Read a time, or a date as the instant at which it begins or ends in a zone.

    Units: UTC.
    Errors: InputRefused naming `field`.
    """
    try:
        at = _parse(text, zone, end_of_day=end_of_day)
    except (ValueError, OverflowError):
        at = None
    if at is None or not EARLIEST_YEAR <= at.year <= LATEST_YEAR:
        message = (
            "Give a date such as 2026-03-29 or an RFC 3339 time such as 2026-03-29T00:00:00Z, "
            f"from {EARLIEST_YEAR} to {LATEST_YEAR}."
        )
        raise InputRefused(message, field=field, code="invalid_time")
    return at


def _parse(text: str, zone: ZoneInfo, *, end_of_day: bool) -> datetime | None:
    if _DATE.fullmatch(text) is not None:
        day = date.fromisoformat(text)
        return day_start(day + timedelta(days=1) if end_of_day else day, zone)
    time = _TIME.fullmatch(text)
    if time is None:
        return None
    offset = time[3].upper().replace(" ", "+")
    return datetime.fromisoformat(f"{time[1]}T{time[2]}{offset}").astimezone(UTC)


def _check_order(from_at: datetime, to_at: datetime, *, field: str) -> None:
    if from_at >= to_at:
        message = "The period must start before it ends."
    elif to_at - from_at > timedelta(days=MAX_DAYS):
        message = f"The period may span {MAX_DAYS} days at most."
    else:
        return
    raise InputRefused(message, field=field, code="invalid_period")
