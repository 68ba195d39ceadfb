"""The answers about web events, as they leave. Made from rows by `app.api.web_analytics`."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Annotated, Any, Self

import msgspec
from msgspec import Meta, Struct

from app.query.spec import Period

Count = Annotated[int, Meta(ge=0)]
Percent = Annotated[float, Meta(ge=0, le=100)]


class WebDay(Struct, frozen=True, kw_only=True):
    """A day of the zone that was asked for."""

    day: date
    events: Count
    page_views: Count
    visitors: Count


class WebPage(Struct, frozen=True, kw_only=True):
    """A page and who saw it."""

    page: str
    views: Count
    visitors: Count


class SummaryAnswer(Struct, frozen=True, kw_only=True):
    """What happened in a period: in all, per day, and on the pages with the most views."""

    from_at: Annotated[datetime, Meta(description="Start of the period in UTC, inclusive.")] = msgspec.field(
        name="from"
    )
    to_at: Annotated[datetime, Meta(description="End of the period in UTC, exclusive.")] = msgspec.field(name="to")
    tz: Annotated[str, Meta(description="The zone whose days are meant.")]
    events: Count
    page_views: Count
    visitors: Annotated[Count, Meta(description="Different visitors, exactly.")]
    sessions: Annotated[Count, Meta(description="Sessions that started in the period.")]
    days: list[WebDay]
    pages: list[WebPage]


class RealtimeAnswer(Struct, frozen=True, kw_only=True):
    """Who is there now."""

    at: datetime
    visitors: Annotated[Count, Meta(description="Different visitors of the last five minutes.")]


class WebFunnelStep(Struct, frozen=True, kw_only=True):
    """A step of a funnel."""

    name: str
    entries: Annotated[Count, Meta(description="Visitors who got here.")]
    drop_off_rate: Annotated[Percent, Meta(description="Percent of the step before who did not; 0 for the first.")]


class WebFunnelAnswer(Struct, frozen=True, kw_only=True):
    """How far visitors got, each step after the one before."""

    total_entries: Count
    steps: list[WebFunnelStep]
    overall_conversion_rate: Annotated[Percent, Meta(description="Percent of the first step who did the last.")]

    @classmethod
    def of(cls, names: Sequence[str], reached: Sequence[int]) -> Self:
        """Make the answer from how many visitors reached each step."""
        before = [reached[0], *reached]
        steps = [
            WebFunnelStep(name=name, entries=n, drop_off_rate=_percent(last - n, last))
            for name, n, last in zip(names, reached, before, strict=False)
        ]
        rate = _percent(reached[-1], reached[0])
        return cls(total_entries=reached[0], steps=steps, overall_conversion_rate=rate)


def make_summary(
    period: Period, totals: Mapping[str, Any], days: Sequence[Mapping[str, Any]], pages: Sequence[Mapping[str, Any]]
) -> SummaryAnswer:
    """Put a summary together."""
    return SummaryAnswer(
        from_at=period.from_at,
        to_at=period.to_at,
        tz=period.zone.key,
        **dict(totals),
        days=[WebDay(**dict(row)) for row in days],
        pages=[WebPage(**dict(row)) for row in pages],
    )


def _percent(part: int, whole: int) -> float:
    return round(100 * part / whole, 2) if whole else 0.0
