"""Times of a range as parameters: what they are called, and which cannot be asked for."""

from datetime import datetime
from typing import Annotated

from litestar.params import QueryParameter

from tenants.errors import InputRefused

EARLIEST_YEAR, LATEST_YEAR = 1970, 9000

StartTime = Annotated[datetime | None, QueryParameter(name="from", description="RFC 3339; from this time on.")]
EndTime = Annotated[datetime | None, QueryParameter(name="to", description="RFC 3339; before this time.")]


def check_time(name: str, given: datetime | None) -> datetime | None:
    """Refuse a time without an offset, and one that leads out of the calendar.

    Errors: InputRefused.
    """
    if given is not None and (given.tzinfo is None or not EARLIEST_YEAR <= given.year <= LATEST_YEAR):
        detail = "Give a time with an offset, as in 2026-11-01T00:00:00Z."
        raise InputRefused(detail, field=name, code="invalid_time")
    return given
