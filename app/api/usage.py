"""Tell what became of the events that a client sent: counts per key, hour, outcome and reason.

Reads the outcome counts that ingest writes in the transaction of each flush, so every event that was answered
is in here once.
"""

from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Router, get
from litestar.di import NamedDependency

from app.api.dependencies import DEPENDENCIES
from app.api.times import EndTime, StartTime, check_time, read_times
from tenants.clock import Clock
from tenants.databases import Databases
from tenants.errors import InputRefused, WrongState
from tenants.ids import TenantId
from tenants.models import Client
from tenants.placement import Purpose
from tenants.registry import Registry

MAX_RANGE = timedelta(days=31)
DEFAULT_RANGE = timedelta(hours=24)

_COUNTS = """
SELECT hour, key_id, outcome, reason, sum(n)::bigint AS n
FROM {{schema}}.outcome_counts
WHERE hour >= $1 AND hour < $2
GROUP BY hour, key_id, outcome, reason
HAVING sum(n) <> 0
ORDER BY hour, key_id, outcome, reason
"""


class OutcomeCount(msgspec.Struct, frozen=True):
    """How many events had one outcome for one reason."""

    outcome: Annotated[str, msgspec.Meta(description="stored, duplicate, quarantined or filtered", examples=["stored"])]
    reason: Annotated[str, msgspec.Meta(description="The code of a quarantined or filtered event, else empty.")]
    count: int


class UsageHour(msgspec.Struct, frozen=True):
    """What one key sent in one hour; `received` is the sum of `outcomes`."""

    hour: Annotated[datetime, msgspec.Meta(description="When the hour begins, UTC.")]
    key_id: UUID
    received: int
    outcomes: list[OutcomeCount]


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """A client's usage in a range; `received` is the sum over `data`, and the sum of `outcomes`."""

    start: datetime = msgspec.field(name="from")
    end: datetime = msgspec.field(name="to")
    received: int
    outcomes: dict[str, int]
    data: list[UsageHour]


def usage_of(rows: list[Any], start: datetime, end: datetime) -> Usage:
    """Put rows (hour, key_id, outcome, reason, n; sorted) together."""
    hours: list[UsageHour] = []
    totals: dict[str, int] = {}
    for (hour, key_id), counts in groupby(rows, key=lambda row: (row["hour"], row["key_id"])):
        outcomes = [OutcomeCount(row["outcome"], row["reason"], row["n"]) for row in counts]
        hours.append(UsageHour(hour, key_id, sum(each.count for each in outcomes), outcomes))
        for each in outcomes:
            totals[each.outcome] = totals.get(each.outcome, 0) + each.count
    return Usage(start=start, end=end, received=sum(totals.values()), outcomes=totals, data=hours)


def resolve_range(start: datetime | None, end: datetime | None, now: datetime) -> tuple[datetime, datetime]:
    """Fill in and check a range.

    Shape: begins on the hour, because counts are kept per hour.
    Errors: InputRefused.
    """
    check_time("from", start)
    check_time("to", end)
    end = (end or now).astimezone(UTC)
    start = (start or end - DEFAULT_RANGE).astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    if start >= end or end - start > MAX_RANGE + timedelta(hours=1):
        detail = "`from` must lie before `to`, and 31 days before it at most."
        raise InputRefused(detail, field="from", code="bad_range")
    return start, end


@get(
    "/api/v1/clients/{client_id:str}/usage",
    tags=["Clients"],
    summary="Count what became of a client's events",
    description="Per key and hour, how many events had which outcome for which reason. The counts add up to what was "
    "received. They begin with the hour of `from` (a day before `to` unless it is given) and end with the one that "
    "begins before `to` (now).",
)
async def read_usage(
    managed: NamedDependency[Client],
    registry: NamedDependency[Registry],
    databases: NamedDependency[Databases],
    clock: NamedDependency[Clock],
    start: StartTime = None,
    end: EndTime = None,
) -> Usage:
    """Answer with the counts of a range."""
    if managed.status == "provisioning":
        detail = "The client is still being made."
        raise WrongState(detail)
    since, until = resolve_range(*read_times(start, end, managed.timezone), clock())
    placement = (await registry.get_client(TenantId(managed.id))).placement
    async with databases.unit(placement, Purpose.READ) as unit:
        rows = await unit.fetch(placement.render(_COUNTS), since, until)
    return usage_of(rows, since, until)


handlers = [Router("/", route_handlers=[read_usage], dependencies=DEPENDENCIES)]
