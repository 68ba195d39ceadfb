"""Forget event ids that are older than the window in which duplicates are recognised.

Scheduled daily. Deletes a few thousand at a time, so that ingest never waits long behind it.
"""

from datetime import UTC, date, datetime, time, timedelta

from app.workers.resources import WorkerResources
from app.workers.rounds import visit_clients
from tenants.placement import Purpose, TenantContext

BATCH = 5_000

PURGE = """
DELETE FROM {{schema}}.event_ids
WHERE id = ANY (ARRAY(SELECT id FROM {{schema}}.event_ids WHERE received_day < $1 LIMIT $2))
"""


_PURGE_REPEATS = """
DELETE FROM {{schema}}.event_repeats
WHERE ctid = ANY (ARRAY(SELECT ctid FROM {{schema}}.event_repeats WHERE received_at < $1 LIMIT $2))
"""


async def purge_event_ids(resources: WorkerResources) -> int:
    """Delete the ids that are past the window, for every client; return how many."""
    oldest = resources.clock().date() - timedelta(days=resources.settings.duplicate_window_days)

    async def visit(client: TenantContext) -> int:
        deleted = await _delete(resources, client, PURGE, oldest)
        await _delete(resources, client, _PURGE_REPEATS, datetime.combine(oldest, time(), UTC))
        return deleted

    return await visit_clients(resources, "purge_event_ids", visit)


async def _delete(resources: WorkerResources, client: TenantContext, sql: str, before: date) -> int:
    purge, deleted, batch = client.placement.render(sql), 0, BATCH
    while batch == BATCH:
        async with resources.databases.unit(client.placement, Purpose.WRITE) as unit:
            batch = int((await unit.execute(purge, before, BATCH)).rpartition(" ")[2])
        deleted += batch
    return deleted
