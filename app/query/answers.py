"""The answers to questions about chatbots, as they leave: every field says what it means.

Made by `app.query.results`, given out by the routes. Names are in camel case, because existing services already
read these paths so. Rates are percent, rounded to two places, and 0 where there is nothing to divide by.
"""

from datetime import date, datetime
from enum import StrEnum
from typing import Annotated

import msgspec
from msgspec import Meta

Count = Annotated[int, Meta(ge=0)]
Percent = Annotated[float, Meta(ge=0)]


class SessionOutcome(StrEnum):
    """How far a session got: the first of these that holds."""

    ACCEPTED = "accepted"
    CALLBACK = "callback"
    CONTINUED = "continued"
    REQUESTED = "requested"
    OPENED = "opened"
    LOADED = "loaded"


class _Camel(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    pass


class PeriodAnswer(_Camel, frozen=True, kw_only=True):
    """What was asked, as it was understood."""

    client_id: Annotated[str, Meta(description="The client whose data this is.")]
    from_at: Annotated[datetime, Meta(description="Start of the period in UTC, inclusive.")] = msgspec.field(
        name="from"
    )
    to_at: Annotated[datetime, Meta(description="End of the period in UTC, exclusive.")] = msgspec.field(name="to")
    tz: Annotated[str, Meta(description="The zone whose days and hours are meant.")]


class StepCounts(_Camel, frozen=True, kw_only=True):
    """Sessions that started in a period, and how many of them reached each step, whenever they did."""

    sessions: Annotated[Count, Meta(description="Sessions that started: at their page load, else at their first step.")]
    page_loads: Annotated[Count, Meta(description="Sessions with a page load.")]
    widget_opens: Annotated[Count, Meta(description="Sessions that opened the widget.")]
    human_requests: Annotated[Count, Meta(description="Sessions that asked for a human.")]
    accepts: Annotated[Count, Meta(description="Sessions that accepted a human.")]
    callbacks: Annotated[Count, Meta(description="Sessions that asked to be called back.")]
    continues: Annotated[Count, Meta(description="Sessions that went on with the bot.")]


class FunnelStep(_Camel, frozen=True, kw_only=True):
    """One step of the funnel."""

    name: Annotated[
        str, Meta(description="`pageLoads`, `widgetOpens`, `humanRequests`, `accepts`, `callbacks` or `continues`.")
    ]
    count: Annotated[
        Count, Meta(description="Sessions with this step. Steps are counted each for itself: none implies another.")
    ]
    rate_of_previous: Annotated[
        Percent,
        Meta(
            description="Percent of the step before; of the human requests for accepts, callbacks and continues; of "
            "itself for the first. Above 100 where sessions have this step without the one before."
        ),
    ]
    rate_of_first: Annotated[Percent, Meta(description="Percent of the page loads; above 100 where some are missing.")]


class AcceptVsCallback(_Camel, frozen=True, kw_only=True):
    """What visitors who asked for a human chose."""

    accepts: Annotated[Count, Meta(description="Sessions that accepted a human.")]
    callbacks: Annotated[Count, Meta(description="Sessions that asked to be called back.")]
    accept_rate: Annotated[Percent, Meta(description="Accepts in percent of accepts and callbacks together.")]
    callback_rate: Annotated[Percent, Meta(description="Callbacks in percent of accepts and callbacks together.")]


class FunnelAnswer(PeriodAnswer, frozen=True, kw_only=True):
    """How far the sessions of a period got."""

    sessions: Annotated[Count, Meta(description="Sessions that started: at their page load, else at their first step.")]
    steps: Annotated[list[FunnelStep], Meta(description="Always the same six steps in this order.")]
    accept_vs_callback: AcceptVsCallback


class DayCounts(StepCounts, frozen=True, kw_only=True):
    """One day."""

    date: Annotated[date, Meta(description="The day in the zone.")]


class DailyAnswer(PeriodAnswer, frozen=True, kw_only=True):
    """The steps per day."""

    days: Annotated[
        list[DayCounts], Meta(description="Every day that the period touches, in order; also those without sessions.")
    ]


class HourCounts(StepCounts, frozen=True, kw_only=True):
    """One hour of day, over all days of the period."""

    hour: Annotated[int, Meta(ge=0, le=23, description="Hour of day in the zone.")]


class HourlyAnswer(PeriodAnswer, frozen=True, kw_only=True):
    """The steps per hour of day."""

    hours: Annotated[list[HourCounts], Meta(description="The hours 0 to 23.")]
    peak_hour: Annotated[
        int | None, Meta(description="The hour with most sessions, the earliest of equals; null without sessions.")
    ]


class DayLeads(_Camel, frozen=True, kw_only=True):
    """The leads of one day."""

    date: Annotated[date, Meta(description="The day in the zone.")]
    leads: Annotated[Count, Meta(description="Leads captured on it.")]


class SourceLeads(_Camel, frozen=True, kw_only=True):
    """The leads from one source."""

    source: Annotated[str | None, Meta(description="The source; null where none was recorded.")]
    leads: Annotated[Count, Meta(description="Leads captured from it.")]


class LeadsAnswer(PeriodAnswer, frozen=True, kw_only=True):
    """The leads that were captured in a period."""

    available: Annotated[
        bool,
        Meta(description="False where the client's database has no readable leads; all figures of leads are 0 then."),
    ]
    remark: Annotated[str | None, Meta(description="What is missing where not everything is there.")]
    leads: Annotated[Count, Meta(description="Leads captured in the period.")]
    days: Annotated[
        list[DayLeads], Meta(description="Every day that the period touches, in order; also those without leads.")
    ]
    sources: Annotated[list[SourceLeads], Meta(description="The most frequent sources, at most 100, most leads first.")]
    other_sources: Annotated[Count, Meta(description="Leads from sources that are not listed.")]
    sessions: Annotated[Count, Meta(description="Sessions that started in the period.")]
    converted_sessions: Annotated[Count, Meta(description="Those of them that left a lead, then or later.")]
    conversion_rate: Annotated[Percent, Meta(description="Converted sessions in percent of sessions.")]


class SessionRow(_Camel, frozen=True, kw_only=True):
    """One session; a step that did not happen is null."""

    session_id: Annotated[str, Meta(description="The session's id as the site sent it.")]
    started_at: Annotated[datetime, Meta(description="Its page load, else its first step.")]
    page_loaded: datetime | None
    widget_opened: datetime | None
    requested_human: datetime | None
    pressed_accept: datetime | None
    pressed_callback: datetime | None
    pressed_continue: datetime | None
    duration_s: Annotated[float, Meta(ge=0, description="Seconds from its start to its last known activity.")]
    outcome: Annotated[
        SessionOutcome,
        Meta(
            description="How far it got, the first that holds: `accepted`, `callback`, `continued`, `requested` (a "
            "human, without a choice after it), `opened` (the widget), `loaded` (the page only)."
        ),
    ]


class TableCheck(_Camel, frozen=True, kw_only=True):
    """One of the four chatbot tables."""

    name: Annotated[str, Meta(description="`UserEvents`, `Leads`, `ChatLog` or `AgentConnection`.")]
    required: Annotated[bool, Meta(description="Whether questions can be answered without it.")]
    found: Annotated[bool, Meta(description="Whether it is there and can be read.")]
    rows: Annotated[int | None, Meta(description="Its rows; null where they could not be counted.")]
    newest: Annotated[datetime | None, Meta(description="The latest time in it; null without rows.")]
    remarks: Annotated[list[str], Meta(description="What is missing or cannot be used.")]


class CheckAnswer(_Camel, frozen=True, kw_only=True):
    """What a client's data source says when asked."""

    client_id: Annotated[str, Meta(description="The client whose data source this is.")]
    placement: Annotated[str, Meta(description="`schema`, `database` or `external` (an attached database).")]
    tz: Annotated[str, Meta(description="The client's zone.")]
    source_timezone: Annotated[str, Meta(description="The zone in which times without one are read.")]
    ok: Annotated[bool, Meta(description="Whether questions can be answered.")]
    reachable: Annotated[bool, Meta(description="Whether the database answered.")]
    latency_ms: Annotated[float | None, Meta(description="Milliseconds of one round trip; null if unreachable.")]
    tables: list[TableCheck]
    newest_event: Annotated[datetime | None, Meta(description="The latest time in any of the tables.")]
    problem: Annotated[str | None, Meta(description="What is wrong, in one sentence; null if nothing is.")]
