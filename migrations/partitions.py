"""Keep a client's `events` partitioned by time: make what is coming, drop what is over.

Called by onboarding and by daily jobs. The interval is a property of the client, because thousands of small clients
must not mean a million partitions. Both take the lock that nobody else can share, but never wait for it long.
"""

import asyncio
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta

import msgspec
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from tenants.ids import quote
from tenants.placement import Placement

# From few relations to many.
INTERVALS = ("year", "month", "week")
AHEAD = timedelta(days=45)
# While one waits for the lock on `events`, all that comes after waits too: ingest is held up for so long at most.
LOCK_TIMEOUT_MS = 100
LOCK_TRIES = 30
LOCK_PAUSE_S = 0.5
_LOCK_NOT_AVAILABLE = "55P03"

# Bounds are read as they are written: in the zone and style of the same session.
_PARTITIONS = """
SELECT c.relname, substring(b.bound FROM $$FROM \\('([^']+)'\\)$$)::timestamptz AS starts,
    substring(b.bound FROM $$TO \\('([^']+)'\\)$$)::timestamptz AS ends
FROM pg_catalog.pg_inherits AS i
JOIN pg_catalog.pg_class AS c ON c.oid = i.inhrelid
CROSS JOIN LATERAL pg_catalog.pg_get_expr(c.relpartbound, c.oid) AS b (bound)
WHERE i.inhparent = CAST(:parent AS regclass)
ORDER BY starts
"""


class Partition(msgspec.Struct, frozen=True):
    """A partition of `events`: from `start` to before `end`."""

    name: str
    start: datetime
    end: datetime


def interval_around(interval: str, at: datetime) -> tuple[datetime, datetime]:
    """Find the year, month or week (from Monday, UTC) that a time lies in: start and end."""
    day = at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    if interval == "week":
        start = day - timedelta(days=day.weekday())
        return start, start + timedelta(days=7)
    if interval == "month":
        start = day.replace(day=1)
        return start, (start + timedelta(days=31)).replace(day=1)
    start = day.replace(month=1, day=1)
    return start, start.replace(year=start.year + 1)


def missing_partitions(
    present: Iterable[Partition], interval: str, first: datetime, last: datetime
) -> Iterator[Partition]:
    """List the partitions that it takes to cover two times, beside those that are there.

    Shape: where a client's interval has changed, the first ones of the new interval fill what the old ones leave.
    """
    at, taken = interval_around(interval, first)[0], sorted(present, key=lambda partition: partition.start)
    while at <= last:
        around = next((partition for partition in taken if partition.start <= at < partition.end), None)
        if around is not None:
            at = around.end
            continue
        end = min([interval_around(interval, at)[1], *(partition.start for partition in taken if partition.start > at)])
        yield Partition(_name(at, end), at, end)
        at = end


def _name(start: datetime, end: datetime) -> str:
    if (start, end) == interval_around("year", start):
        return f"events_{start:%Y}"
    if (start, end) == interval_around("month", start):
        return f"events_{start:%Y_%m}"
    return f"events_{start:%Y_%m_%d}"


async def read_partitions(connection: AsyncConnection, placement: Placement) -> list[Partition]:
    """List the partitions of a client's events, the earliest first."""
    rows = await connection.execute(text(_PARTITIONS), {"parent": f"{quote(placement.schema)}.events"})
    return [Partition(name, start, end) for name, start, end in rows]


async def ensure_partitions(
    engine: AsyncEngine, placement: Placement, *, interval: str, retention_days: int, now: datetime
) -> int:
    """Make the partitions from the retention ago to a while ahead; return how many were missing.

    Errors: DBAPIError, if `events` was in use all the time.
    """
    first, schema = now - timedelta(days=retention_days), quote(placement.schema)
    async with engine.begin() as connection:
        present = await read_partitions(connection, placement)
        missing = list(missing_partitions(present, interval, first, now + AHEAD))
        if missing:
            await connection.execute(text(f"SET LOCAL ROLE {quote(placement.owner_role)}"))
            await _lock_briefly(connection, [
                f"CREATE TABLE IF NOT EXISTS {schema}.{quote(partition.name)} PARTITION OF {schema}.events "
                f"FOR VALUES FROM ('{partition.start.isoformat()}') TO ('{partition.end.isoformat()}')"
                for partition in missing
            ])  # fmt: skip
    return len(missing)


async def drop_partition(connection: AsyncConnection, placement: Placement, partition: Partition) -> None:
    """Drop a partition in the transaction of its owner that is open; commit soon, because ingest waits from then on.

    Errors: DBAPIError, if `events` was in use all the time; then nothing is dropped.
    """
    await _lock_briefly(connection, [f"DROP TABLE {quote(placement.schema)}.{quote(partition.name)}"])


async def _lock_briefly(connection: AsyncConnection, statements: list[str]) -> None:
    """Run statements that need `events` for themselves in a moment when nobody uses it for long."""
    await connection.execute(text(f"SET LOCAL lock_timeout = {LOCK_TIMEOUT_MS}"))
    for tries_left in reversed(range(LOCK_TRIES)):
        try:
            async with connection.begin_nested():
                for statement in statements:
                    await connection.execute(text(statement))
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) != _LOCK_NOT_AVAILABLE or not tries_left:
                raise
            await asyncio.sleep(LOCK_PAUSE_S)
        else:
            return
