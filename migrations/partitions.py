"""Keep a client's `events` partitioned by time: make what is coming, tell what is over.

Called by onboarding and by a daily job. The interval is a property of the client (year or month), because
thousands of small clients must not mean a million partitions.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from tenants.ids import quote
from tenants.placement import Placement

AHEAD = timedelta(days=45)


def partition_bounds(interval: str, first: datetime, last: datetime) -> Iterator[tuple[str, datetime, datetime]]:
    """List the partitions that cover two times: name suffix, start, end (UTC, half-open)."""
    year, month = first.year, first.month if interval == "month" else 1
    while True:
        start = datetime(year, month, 1, tzinfo=UTC)
        if start > last:
            return
        if interval == "month":
            year, month = (year + 1, 1) if month == 12 else (year, month + 1)  # noqa: PLR2004 - December
            suffix = f"{start:%Y_%m}"
        else:
            year += 1
            suffix = f"{start:%Y}"
        yield suffix, start, datetime(year, month, 1, tzinfo=UTC)


async def ensure_partitions(
    engine: AsyncEngine, placement: Placement, *, interval: str, retention_days: int, now: datetime
) -> int:
    """Make the partitions from the retention ago to a while ahead; return how many were missing."""
    schema, made = quote(placement.schema), 0
    async with engine.begin() as connection:
        await connection.execute(text(f"SET LOCAL ROLE {quote(placement.owner_role)}"))
        await connection.execute(text("SET LOCAL lock_timeout = 3000"))
        rows = await connection.execute(
            text("SELECT c.relname FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid "
                 "WHERE i.inhparent = CAST(:parent AS regclass)"),
            {"parent": f"{schema}.events"},
        )  # fmt: skip
        present = set(rows.scalars())
        for suffix, start, end in partition_bounds(interval, now - timedelta(days=retention_days), now + AHEAD):
            if f"events_{suffix}" not in present:
                name = quote(f"events_{suffix}")
                await connection.execute(
                    text(f"CREATE TABLE {schema}.{name} PARTITION OF {schema}.events "
                         f"FOR VALUES FROM ('{start.isoformat()}') TO ('{end.isoformat()}')")
                )  # fmt: skip
                made += 1
    return made
