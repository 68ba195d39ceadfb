"""Times of a range as parameters: what they are called, how they are read, and which cannot be asked for."""

from datetime import datetime
from typing import Annotated

from litestar.openapi.spec import Example
from litestar.params import QueryParameter

from app.query.spec import read_instant
from app.query.zones import get_zone
from tenants.errors import InputRefused

EARLIEST_YEAR, LATEST_YEAR = 1970, 9000

# As text, because what is no time is refused by the name of the parameter, which is not that of the argument.
StartTime = Annotated[
    str | None,
    QueryParameter(
        name="from",
        description="A date, which is a day in the client's zone, or an RFC 3339 time; from then on.",
        examples=[Example(value="2026-11-01"), Example(value="2026-11-01T09:00:00Z")],
    ),
]
EndTime = Annotated[
    str | None,
    QueryParameter(
        name="to",
        description="A date, which is included, or an RFC 3339 time; before then.",
        examples=[Example(value="2026-11-30"), Example(value="2026-12-01T00:00:00Z")],
    ),
]


def read_times(start: str | None, end: str | None, client_zone: str) -> tuple[datetime | None, datetime | None]:
    """Read `from` and `to`.

    Units: UTC.
    Errors: InputRefused naming the parameter.
    """
    zone = get_zone(client_zone, field="tz")
    return (
        None if start is None else read_instant(start, zone, field="from", end_of_day=False),
        None if end is None else read_instant(end, zone, field="to", end_of_day=True),
    )


def check_time(name: str, given: datetime | None) -> datetime | None:
    """Refuse a time without an offset, and one that leads out of the calendar.

    Errors: InputRefused.
    """
    if given is not None and (given.tzinfo is None or not EARLIEST_YEAR <= given.year <= LATEST_YEAR):
        detail = "Give a time with an offset, as in 2026-11-01T00:00:00Z."
        raise InputRefused(detail, field=name, code="invalid_time")
    return given
