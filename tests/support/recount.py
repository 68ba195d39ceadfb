"""The answers about chatbots once more, counted slowly and obviously: one session at a time, in plain Python.

Used by tests that compare what the database answers; shares no code with `app.query`.
"""

from collections import Counter
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

STEPS = ("pageLoaded", "widgetOpened", "requestedHuman", "pressedAccept", "pressedCallback", "pressedContinue")
COUNT_OF = dict(
    zip(STEPS, ("page_loads", "widget_opens", "human_requests", "accepts", "callbacks", "continues"), strict=True)
)


class ChatSession(NamedTuple):
    """One row of "UserEvents": the times in the order of STEPS."""

    session_id: str
    times: tuple[datetime | None, ...]
    updated_at: datetime

    @property
    def started_at(self) -> datetime | None:
        """Its page load, else its earliest step."""
        return self.times[0] or min((time for time in self.times if time is not None), default=None)


class Lead(NamedTuple):
    """One row of "Leads"."""

    session_id: str
    source: str | None
    created_at: datetime


class Recount:
    """Counts over given rows, in a period and a zone."""

    def __init__(
        self, sessions: list[ChatSession], leads: list[Lead], from_at: datetime, to_at: datetime, zone: ZoneInfo
    ) -> None:
        self.started = [
            (session.started_at, session)
            for session in sessions
            if session.started_at is not None and from_at <= session.started_at < to_at
        ]
        self.all_leads = leads
        self.leads = [lead for lead in leads if from_at <= lead.created_at < to_at]
        self.zone = zone
        self.dates = _dates(from_at, to_at, zone)

    def totals(self) -> dict[str, int]:
        """Count the steps."""
        return _count([session for _, session in self.started])

    def daily(self) -> list[tuple[date, dict[str, int]]]:
        """Count the steps per day."""
        return [
            (day, _count([session for at, session in self.started if at.astimezone(self.zone).date() == day]))
            for day in self.dates
        ]

    def hourly(self) -> list[dict[str, int]]:
        """Count the steps per hour of day."""
        return [
            _count([session for at, session in self.started if at.astimezone(self.zone).hour == hour])
            for hour in range(24)
        ]

    def leads_daily(self) -> list[tuple[date, int]]:
        """Count the leads per day."""
        days = [lead.created_at.astimezone(self.zone).date() for lead in self.leads]
        return [(day, days.count(day)) for day in self.dates]

    def leads_by_source(self) -> Counter[str | None]:
        """Count the leads by source; a blank one is none."""
        return Counter((lead.source or "").strip(" ") or None for lead in self.leads)

    def converted(self) -> int:
        """Count the sessions that left a lead."""
        return len(
            [1 for _, session in self.started if session.session_id in {lead.session_id for lead in self.all_leads}]
        )

    def listed(self) -> list[ChatSession]:
        """Sort the sessions, the latest first."""
        ordered = sorted(self.started, key=lambda pair: (pair[0], pair[1].session_id), reverse=True)
        return [session for _, session in ordered]


def _count(sessions: list[ChatSession]) -> dict[str, int]:
    counts = {"sessions": len(sessions)}
    for number, step in enumerate(STEPS):
        counts[COUNT_OF[step]] = len([1 for session in sessions if session.times[number] is not None])
    return counts


def _dates(from_at: datetime, to_at: datetime, zone: ZoneInfo) -> list[date]:
    """Walk through the period and note every date that a clock on the wall shows."""
    seen, at = set(), from_at
    while at < to_at:
        seen.add(at.astimezone(zone).date())
        at += timedelta(minutes=15)
    seen.add((to_at - timedelta(microseconds=1)).astimezone(zone).date())
    return sorted(seen)


def wall_time(at: datetime, zone: ZoneInfo) -> datetime:
    """Write a time down as a legacy database does: without its zone."""
    return at.astimezone(zone).replace(tzinfo=None, fold=0)


def read_wall_time(written: datetime, zone: ZoneInfo) -> datetime:
    """Read it back as PostgreSQL does: of two possible times the later one, after the clocks were set back."""
    first, second = written.replace(tzinfo=zone, fold=0), written.replace(tzinfo=zone, fold=1)
    if (first.utcoffset() or timedelta()) > (second.utcoffset() or timedelta()):
        return second.astimezone(UTC)
    return first.astimezone(UTC)
