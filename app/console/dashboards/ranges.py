"""The period of a dashboard: `from` and `to` as Grafana writes them in its addresses, in the client's zone.

Called by the routes, and by the gateway for what Grafana rounds; pure. `now-30d`, `now/d`, a date, an RFC 3339 time
or milliseconds since 1970.
"""

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from app.query.spec import MAX_DAYS, Period, read_period
from app.query.zones import day_start, local_day
from tenants.errors import InputRefused

# What the time picker offers: `from`, `to` and how it is called. Days are whole ones, with today, as in the API.
PRESETS = (
    ("now/d", "now/d", "Today"),
    ("now-24h", "now", "Last 24 hours"),
    ("now-6d/d", "now", "Last 7 days"),
    ("now-29d/d", "now", "Last 30 days"),
    ("now-89d/d", "now", "Last 90 days"),
    ("now-364d/d", "now", "Last 365 days"),
    ("now/w", "now/w", "This week"),
    ("now/M", "now/M", "This month"),
    ("now-1M/M", "now-1M/M", "Last month"),
)

_RELATIVE = re.compile(r"now(?:(?P<sign>[+-])(?P<count>\d{1,5})(?P<unit>[smhdwMy]))?(?:/(?P<round>[hdwMy]))?", re.ASCII)
_MILLISECONDS = re.compile(r"\d{1,14}", re.ASCII)
_STEPS = {
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(days=7),
}


def read_range(from_text: str, to_text: str, *, zone: ZoneInfo, now: datetime) -> Period:
    """Resolve the bounds of a dashboard.

    Shape: `to` rounded to a unit is the end of that unit; dates are whole days, as in the API's questions.
    Errors: InputRefused naming `from` or `to`.
    """
    from_at, to_at = (resolve_bound(text, field, zone, now) for text, field in ((from_text, "from"), (to_text, "to")))
    if from_at is None or to_at is None:
        # What is no relative time is read as the API reads it.
        texts = [_iso(at) if at is not None else text for at, text in ((from_at, from_text), (to_at, to_text))]
        return read_period(texts[0], texts[1], None, client_zone=zone.key, now=now)
    if not timedelta() < to_at - from_at <= timedelta(days=MAX_DAYS):
        message = f"The period must end after it starts, and may span {MAX_DAYS} days at most."
        raise InputRefused(message, field="from", code="invalid_period")
    return Period(from_at=from_at, to_at=to_at, zone=zone)


def resolve_bound(text: str, field: str, zone: ZoneInfo, now: datetime) -> datetime | None:
    """Read one bound, `from` or `to`; None for what is neither relative nor milliseconds.

    Errors: InputRefused naming the field.
    """
    try:
        if _MILLISECONDS.fullmatch(text):
            return datetime.fromtimestamp(int(text) / 1000, UTC)
        found = _RELATIVE.fullmatch(text)
        return None if found is None else _relative(found, zone, now, end=field == "to")
    except (ValueError, OverflowError) as error:
        raise InputRefused("This time is out of reach.", field=field, code="invalid_time") from error


def _relative(found: re.Match[str], zone: ZoneInfo, now: datetime, *, end: bool) -> datetime:
    at = now.astimezone(UTC)
    if found["unit"]:
        at = _moved(at, int(found["sign"] + found["count"]), found["unit"], zone)
    unit = found["round"]
    if unit is None:
        return at
    start = _floor(at, unit, zone)
    return _floor(_moved(start, 1, unit, zone), unit, zone) if end else start


def _moved(at: datetime, count: int, unit: str, zone: ZoneInfo) -> datetime:
    """Move by units; days and longer ones keep the time of day, and a month that is too short its last day."""
    if unit in "smh":
        return at + _STEPS[unit] * count
    local = at.astimezone(zone).replace(tzinfo=None)
    if unit in _STEPS:
        local += _STEPS[unit] * count
    else:
        months = local.year * 12 + local.month - 1 + count * (12 if unit == "y" else 1)
        first = local.replace(year=months // 12, month=months % 12 + 1, day=1)
        last_day = ((first + timedelta(days=31)).replace(day=1) - timedelta(days=1)).day
        local = first.replace(day=min(local.day, last_day))
    return local.replace(tzinfo=zone).astimezone(UTC)


def _floor(at: datetime, unit: str, zone: ZoneInfo) -> datetime:
    if unit == "h":
        return at.replace(minute=0, second=0, microsecond=0)
    day = local_day(at, zone)
    if unit == "w":
        day -= timedelta(days=day.weekday())
    elif unit in "My":
        day = day.replace(day=1, month=day.month if unit == "M" else 1)
    return day_start(day, zone)


def _iso(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")
