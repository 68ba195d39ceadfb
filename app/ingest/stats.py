"""Count a client's events in a few figures: `GET /api/events/stats`.

Called by the route; reads rollups and outcome counts, and the events themselves for what these do not hold.
"""

from datetime import datetime, timedelta
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta

from app.ingest.outcomes import Outcome, sum_outcomes
from app.ingest.statements import statement
from app.ingest.steps import FUTURE_ALLOWED
from tenants.databases import TenantConnection

_HOUR = timedelta(hours=1)


class LastEvent(msgspec.Struct, frozen=True, kw_only=True):
    """The event of a range that happened last."""

    event_id: UUID
    name: str
    schema: str | None
    occurred_at: datetime
    received_at: datetime


class EventStats(msgspec.Struct, frozen=True, kw_only=True):
    """A client's events in a few figures."""

    received: Annotated[int, Meta(description="How many were ever received.")]
    totals: Annotated[
        dict[str, int], Meta(description="What became of them: stored, duplicate, quarantined, filtered.")
    ]
    start: datetime = msgspec.field(name="from")
    end: datetime = msgspec.field(name="to")
    by_type: Annotated[dict[str, int], Meta(description="Stored events that happened in the range, by name.")]
    by_schema: Annotated[dict[str, int], Meta(description="Those of them that name a schema, by its name.")]
    refused: Annotated[dict[str, int], Meta(description="Events received in hours of the range and refused, by code.")]
    last_hour: Annotated[int, Meta(description="Stored events that happened within the last hour.")]
    last_event: Annotated[LastEvent | None, Meta(description="The one of the range that happened last.")]


async def count_stats(db: TenantConnection, start: datetime, end: datetime, *, now: datetime) -> EventStats:
    """Count what happened in a range, which begins on an hour."""
    outcomes = await db.fetch(statement(db.placement, "stats_outcomes"), start, end)
    types = await db.fetch(statement(db.placement, "stats_types"), start, end)
    schemas = await db.fetch(statement(db.placement, "stats_schemas"), start, end)
    last = await db.fetchrow(statement(db.placement, "stats_last"), start, end)
    totals = sum_outcomes(outcomes)
    return EventStats(
        received=sum(totals.values()),
        totals=totals,
        start=start,
        end=end,
        by_type={row["name"]: row["n"] for row in types},
        by_schema={row["name"]: row["n"] for row in schemas},
        refused={
            row["reason"]: row["of_range"]
            for row in outcomes
            if row["outcome"] == Outcome.QUARANTINED and row["of_range"]
        },
        last_hour=await db.fetchval(statement(db.placement, "stats_hour"), now - _HOUR, now + FUTURE_ALLOWED),
        last_event=None if last is None else LastEvent(**dict(last)),
    )
