"""Turn rows into answers: fill the empty buckets, work out the rates.

Called by `app.query.run`; pure.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from app.query.answers import (
    AcceptVsCallback,
    DailyAnswer,
    DayCounts,
    DayLeads,
    FunnelAnswer,
    FunnelStep,
    HourCounts,
    HourlyAnswer,
    LeadsAnswer,
    SessionOutcome,
    SessionRow,
    SourceLeads,
    TableCheck,
)
from app.query.spec import Period
from app.query.zones import list_days
from tenants.sources import CHAT_TABLES, LEADS, SESSIONS, SourceShape

Row = Mapping[str, Any]

COUNTS = ("sessions", "page_loads", "widget_opens", "human_requests", "accepts", "callbacks", "continues")

# Name in the answer, count, and the count of the step before.
_FUNNEL = (
    ("pageLoads", "page_loads", "page_loads"),
    ("widgetOpens", "widget_opens", "page_loads"),
    ("humanRequests", "human_requests", "widget_opens"),
    ("accepts", "accepts", "human_requests"),
    ("callbacks", "callbacks", "human_requests"),
    ("continues", "continues", "human_requests"),
)

_OUTCOMES = (
    ("pressed_accept", SessionOutcome.ACCEPTED),
    ("pressed_callback", SessionOutcome.CALLBACK),
    ("pressed_continue", SessionOutcome.CONTINUED),
    ("requested_human", SessionOutcome.REQUESTED),
    ("widget_opened", SessionOutcome.OPENED),
)


def percent(part: int, whole: int) -> float:
    """Work out a rate; of nothing it is 0."""
    return round(100 * part / whole, 2) if whole else 0.0


def describe_period(client_id: str, period: Period) -> dict[str, Any]:
    """Name the fields that every answer about a period begins with."""
    return {"client_id": client_id, "from_at": period.from_at, "to_at": period.to_at, "tz": period.zone.key}


def make_funnel(client_id: str, period: Period, row: Row) -> FunnelAnswer:
    """Make the funnel of one row of counts."""
    accepts, callbacks = row["accepts"], row["callbacks"]
    return FunnelAnswer(
        **describe_period(client_id, period),
        sessions=row["sessions"],
        steps=[
            FunnelStep(
                name=name,
                count=row[count],
                rate_of_previous=percent(row[count], row[previous]),
                rate_of_first=percent(row[count], row["page_loads"]),
            )
            for name, count, previous in _FUNNEL
        ],
        accept_vs_callback=AcceptVsCallback(
            accepts=accepts,
            callbacks=callbacks,
            accept_rate=percent(accepts, accepts + callbacks),
            callback_rate=percent(callbacks, accepts + callbacks),
        ),
    )


def make_daily(client_id: str, period: Period, rows: Iterable[Row]) -> DailyAnswer:
    """Make the days of a period; `day` numbers them from 1."""
    counts = {row["day"]: _counts(row) for row in rows}
    days = [DayCounts(date=day, **counts.get(number, _NOTHING)) for number, day in enumerate(_dates(period), start=1)]
    return DailyAnswer(**describe_period(client_id, period), days=days)


def make_hourly(client_id: str, period: Period, rows: Iterable[Row]) -> HourlyAnswer:
    """Make the 24 hours of day, and find the busiest."""
    counts = {row["hour"]: _counts(row) for row in rows}
    hours = [HourCounts(hour=hour, **counts.get(hour, _NOTHING)) for hour in range(24)]
    busiest = max(hours, key=lambda hour: (hour.sessions, -hour.hour))
    peak_hour = busiest.hour if busiest.sessions else None
    return HourlyAnswer(**describe_period(client_id, period), hours=hours, peak_hour=peak_hour)


def make_leads(client_id: str, period: Period, rows: Sequence[Row], shape: SourceShape) -> LeadsAnswer:
    """Make the answer about leads of rows of four kinds: day, source, sessions, converted."""
    kinds: dict[str, list[Row]] = {"day": [], "source": [], "sessions": [], "converted": []}
    for row in rows:
        kinds[row["kind"]].append(row)
    per_day = {row["day"]: row["n"] for row in kinds["day"]}
    sources = [SourceLeads(source=row["source"], leads=row["n"]) for row in kinds["source"]]
    leads, sessions, converted = sum(per_day.values()), kinds["sessions"][0]["n"], kinds["converted"][0]["n"]
    remarks = shape.remarks.get(LEADS)
    return LeadsAnswer(
        **describe_period(client_id, period),
        available=LEADS in shape.tables,
        remark=f'The table "{LEADS}" {", ".join(remarks)}.' if remarks else None,
        leads=leads,
        days=[DayLeads(date=day, leads=per_day.get(n, 0)) for n, day in enumerate(_dates(period), start=1)],
        sources=sources,
        other_sources=leads - sum(source.leads for source in sources),
        sessions=sessions,
        converted_sessions=converted,
        conversion_rate=percent(converted, sessions),
    )


def make_session(row: Row) -> SessionRow:
    """Make one line of the list of sessions."""
    outcome = next((outcome for step, outcome in _OUTCOMES if row[step] is not None), SessionOutcome.LOADED)
    return SessionRow(
        session_id=row["session_id"],
        started_at=row["started_at"],
        page_loaded=row["page_loaded"],
        widget_opened=row["widget_opened"],
        requested_human=row["requested_human"],
        pressed_accept=row["pressed_accept"],
        pressed_callback=row["pressed_callback"],
        pressed_continue=row["pressed_continue"],
        duration_s=(row["ended_at"] - row["started_at"]).total_seconds(),
        outcome=outcome,
    )


def make_tables(shape: SourceShape, rows: Iterable[Row]) -> list[TableCheck]:
    """Say of each table whether it is there; what was not counted is null."""
    counted = {row["table"]: row for row in rows if row["table"] in shape.tables}
    return [
        TableCheck(
            name=table,
            required=table == SESSIONS,
            found=table in shape.tables,
            rows=counted[table]["n"] if table in counted else None,
            newest=counted[table]["newest"] if table in counted else None,
            remarks=list(shape.remarks.get(table, ())),
        )
        for table in CHAT_TABLES
    ]


def _counts(row: Row) -> dict[str, int]:
    return {name: row[name] for name in COUNTS}


_NOTHING = dict.fromkeys(COUNTS, 0)


def _dates(period: Period) -> list[Any]:
    return [day for day, _ in list_days(period.from_at, period.to_at, period.zone)]
