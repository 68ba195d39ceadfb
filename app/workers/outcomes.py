"""Compact outcome counts: one row per flush becomes one row per key, hour, outcome and reason; and tell the platform.

Scheduled. Only hours that ended an hour ago are touched, so that a flush whose answer was lost still
finds its own rows when it asks whether it was committed.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import delete
from sqlalchemy.dialects.postgresql import insert

from app.workers.resources import WorkerResources
from app.workers.rounds import visit_clients
from tenants.databases import TenantConnection
from tenants.models import OutcomeHour
from tenants.placement import Purpose, TenantContext

AGE = timedelta(hours=1)
# How far back hours are told anew, and how long they are kept.
TOLD = timedelta(hours=6)
KEPT = timedelta(days=90)

_TOLD = """
SELECT hour, outcome, sum(n)::bigint AS n
FROM {{schema}}.outcome_counts
WHERE hour >= $1 OR hour = ANY ($2::timestamptz[])
GROUP BY hour, outcome
ORDER BY hour, outcome
"""

# One statement: a row is either still its flush's or already in the sum, whoever reads and whatever crashes. Among its
# hours are older ones that changed because events that were received in them left quarantine.
_COMPACT = """
WITH moved AS (
    DELETE FROM {{schema}}.outcome_counts WHERE flush <> 0 AND hour < $1
    RETURNING hour, key_id, outcome, reason, n
)
INSERT INTO {{schema}}.outcome_counts AS kept (flush, hour, key_id, outcome, reason, n)
SELECT 0, hour, key_id, outcome, reason, sum(n) FROM moved GROUP BY hour, key_id, outcome, reason
ON CONFLICT (flush, hour, key_id, outcome, reason) DO UPDATE SET n = kept.n + excluded.n
RETURNING kept.hour
"""


async def compact_outcomes(resources: WorkerResources) -> int:
    """Compact every client's counts; return the rows written."""
    before = resources.clock().replace(minute=0, second=0, microsecond=0) - AGE

    async def visit(client: TenantContext) -> int:
        async with resources.databases.unit(client.placement, Purpose.WRITE) as unit:
            rows = await unit.fetch(client.placement.render(_COMPACT), before)
            if rows:  # told before this commits: cut off in between, they are compacted and told again
                hours = sorted({row["hour"] for row in rows})
                await _tell(resources, unit, since=resources.clock(), hours=hours)
        return len(rows)

    return await visit_clients(resources, "compact_outcomes", visit)


async def tell_outcomes(resources: WorkerResources) -> int:
    """Copy every client's counts of the last hours to where the platform's dashboard reads them; return the rows.

    Counts go by when events were received, so an older hour changes only by a replay from quarantine; such hours are
    told when they are compacted.
    """
    now = resources.clock()

    async def visit(client: TenantContext) -> int:
        async with resources.databases.unit(client.placement, Purpose.READ) as unit:
            return await _tell(resources, unit, since=now - TOLD)

    async with resources.control.session() as session:
        await session.execute(delete(OutcomeHour).where(OutcomeHour.hour < now - KEPT))
    return await visit_clients(resources, "tell_outcomes", visit)


async def _tell(
    resources: WorkerResources, unit: TenantConnection, *, since: datetime, hours: Sequence[datetime] = ()
) -> int:
    rows = await unit.fetch(unit.placement.render(_TOLD), since, [*hours])
    if rows:
        query = insert(OutcomeHour).values([{"client_id": unit.placement.tenant_id, **row} for row in rows])
        keys = ["client_id", "hour", "outcome"]
        async with resources.control.session() as session:
            await session.execute(query.on_conflict_do_update(index_elements=keys, set_={"n": query.excluded.n}))
    return len(rows)
