"""Purge what has been in quarantine for longer than anybody will look into it. Scheduled daily."""

from datetime import timedelta

from app.ingest.quarantine import PURGED_AT_ONCE, Selection, purge_quarantine
from app.workers.resources import WorkerResources
from app.workers.rounds import visit_clients
from tenants.placement import Purpose, TenantContext


async def purge_old_quarantine(resources: WorkerResources) -> int:
    """Delete refused events that are past their time, for every client; return how many."""
    old = Selection(end=resources.clock() - timedelta(days=resources.settings.quarantine_days))

    async def visit(client: TenantContext) -> int:
        deleted, batch = 0, PURGED_AT_ONCE
        while batch == PURGED_AT_ONCE:
            async with resources.databases.unit(client.placement, Purpose.WRITE) as unit:
                batch = await purge_quarantine(unit, old)
            deleted += batch
        return deleted

    return await visit_clients(resources, "purge_old_quarantine", visit)
