"""Destroy the salts of days that are over, of clients whose visitors stay away too. Scheduled hourly."""

from zoneinfo import ZoneInfo

from app.ingest.salts import destroy_salts
from app.workers.resources import WorkerResources
from app.workers.rounds import visit_clients
from tenants.placement import TenantContext


async def destroy_old_salts(resources: WorkerResources) -> int:
    """Destroy them for every client; return how many there were."""

    async def visit(client: TenantContext) -> int:
        today = resources.clock().astimezone(ZoneInfo(client.timezone)).date()
        return await destroy_salts(resources.databases, client.placement, today=today)

    return await visit_clients(resources, "destroy_old_salts", visit)
