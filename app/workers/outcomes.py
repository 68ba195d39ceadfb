"""Compact outcome counts: one row per flush becomes one row per key, hour, outcome and reason.

Scheduled hourly. Only hours that ended an hour ago are touched, so that a flush whose answer was lost still
finds its own rows when it asks whether it was committed.
"""

from datetime import timedelta

from app.workers.resources import WorkerResources
from app.workers.rounds import visit_clients
from tenants.placement import Purpose, TenantContext

AGE = timedelta(hours=1)

# One statement: a row is either still its flush's or already in the sum, whoever reads and whatever crashes.
_COMPACT = """
WITH moved AS (
    DELETE FROM {{schema}}.outcome_counts WHERE flush <> 0 AND hour < $1
    RETURNING hour, key_id, outcome, reason, n
)
INSERT INTO {{schema}}.outcome_counts AS kept (flush, hour, key_id, outcome, reason, n)
SELECT 0, hour, key_id, outcome, reason, sum(n) FROM moved GROUP BY hour, key_id, outcome, reason
ON CONFLICT (flush, hour, key_id, outcome, reason) DO UPDATE SET n = kept.n + excluded.n
"""


async def compact_outcomes(resources: WorkerResources) -> int:
    """Compact every client's counts; return the rows written."""
    before = resources.clock().replace(minute=0, second=0, microsecond=0) - AGE

    async def visit(client: TenantContext) -> int:
        async with resources.databases.unit(client.placement, Purpose.WRITE) as unit:
            tag = await unit.execute(client.placement.render(_COMPACT), before)
        return int(tag.rpartition(" ")[2])

    return await visit_clients(resources, "compact_outcomes", visit)
