"""The answers about web events, as they leave. Made from rows by `app.query.web_results`."""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Annotated, Self

from msgspec import Meta, Struct, field

Count = Annotated[int, Meta(ge=0)]
Percent = Annotated[float, Meta(ge=0, le=100)]
Seconds = Annotated[float, Meta(ge=0)]


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


class WebRevenue(Struct, frozen=True, kw_only=True):
    """What orders in one currency came to."""

    currency: Annotated[str | None, Meta(description="ISO 4217; null where none was told.", examples=["EUR"])]
    orders: Annotated[Count, Meta(description="Orders with an amount in it.")]
    amount: float


class WebConversions(Struct, frozen=True, kw_only=True):
    """Orders: the events `purchase`, each order once however often it was told."""

    count: Annotated[Count, Meta(description="Orders.")]
    sessions: Annotated[Count, Meta(description="Sessions among those of this answer that ordered.")]
    rate: Annotated[Percent, Meta(description="These in percent of the sessions.")]
    revenue: Annotated[list[WebRevenue], Meta(description="Before refunds, per currency; these are never added.")]


class WebTotals(Struct, frozen=True, kw_only=True):
    """What happened in a period."""

    from_at: Annotated[datetime, Meta(description="Start of the period in UTC, inclusive.")] = field(name="from")
    to_at: Annotated[datetime, Meta(description="End of the period in UTC, exclusive.")] = field(name="to")
    events: Count
    page_views: Count
    visitors: Annotated[Count, Meta(description="Different visitors, exactly.")]
    sessions: Annotated[Count, Meta(description="Sessions that started in the period.")]
    bounce_rate: Annotated[Percent, Meta(description="Percent of the sessions that saw one page and no other.")]
    average_duration_s: Annotated[Seconds, Meta(description="From a session's first event to its last.")]
    conversions: WebConversions


class WebGroup(Struct, frozen=True, kw_only=True):
    """Sessions that have something in common."""

    name: str
    sessions: Count
    share: Annotated[Percent, Meta(description="Percent of all sessions.")]
    bounce_rate: Percent
    average_duration_s: Seconds


class SummaryAnswer(WebTotals, frozen=True, kw_only=True):
    """What happened in a period: in all, per day, on the pages with the most views, and where it came from."""

    tz: Annotated[str, Meta(description="The zone whose days are meant.")]
    previous: Annotated[WebTotals, Meta(description="The period of the same length before this one.")]
    days: list[WebDay]
    pages: list[WebPage]
    channels: Annotated[
        list[WebGroup],
        Meta(
            description="How sessions came: `direct`, `organic search`, `paid search`, `organic social`, `referral`, "
            "`email`, …; `internal` from the site itself, after a break; `unknown` before channels were told."
        ),
    ]
    referrers: Annotated[list[WebGroup], Meta(description="Other sites with a link that sessions came by.")]
    countries: list[WebGroup]
    devices: list[WebGroup]
    browsers: list[WebGroup]


class WebMinute(Struct, frozen=True, kw_only=True):
    """A minute, counted back from now."""

    at: Annotated[datetime, Meta(description="When it began.")]
    events: Count
    page_views: Count
    visitors: Count


class RecentGroup(WebGroup, frozen=True, kw_only=True):
    """Sessions that have something in common, and their visitors."""

    visitors: Count


class RecentAnswer(Struct, frozen=True, kw_only=True):
    """What happened within the last 30 minutes."""

    events: Count
    page_views: Count
    visitors: Count
    sessions: Annotated[Count, Meta(description="Sessions in which something happened, with all that they saw before.")]
    bounce_rate: Annotated[Percent, Meta(description="Percent of these that saw one page and no other until now.")]
    average_duration_s: Annotated[Seconds, Meta(description="From a session's first event to its last until now.")]
    conversions: WebConversions
    minutes: Annotated[list[WebMinute], Meta(description="All 30, the earliest first.")]
    pages: list[WebPage]
    channels: list[RecentGroup]
    referrers: list[RecentGroup]
    countries: list[RecentGroup]
    devices: list[RecentGroup]
    browsers: list[RecentGroup]


class RealtimeAnswer(Struct, frozen=True, kw_only=True):
    """Who is there now, and what happened of late."""

    at: datetime
    visitors: Annotated[Count, Meta(description="Different visitors of the last five minutes.")]
    last_30_minutes: RecentAnswer


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
            WebFunnelStep(name=name, entries=n, drop_off_rate=percent(last - n, last))
            for name, n, last in zip(names, reached, before, strict=False)
        ]
        rate = percent(reached[-1], reached[0])
        return cls(total_entries=reached[0], steps=steps, overall_conversion_rate=rate)


def percent(part: int, whole: int) -> float:
    """Write a part in percent, 0 of nothing."""
    return round(100 * part / whole, 2) if whole else 0.0
