"""Make the partitions that each client's events will need soon. Scheduled daily."""

from sqlalchemy import select

from app.workers.resources import WorkerResources
from app.workers.rounds import visit_clients
from migrations.engines import administrator_engine
from migrations.partitions import ensure_partitions
from tenants.models import PlacementRow, Server
from tenants.placement import TenantContext
from tenants.registry import administrator_url, with_database


async def extend_partitions(resources: WorkerResources) -> int:
    """Make what is missing, for every client; return how many partitions were made."""

    async def visit(client: TenantContext) -> int:
        interval, url = await _place_of(resources, client)
        engine = administrator_engine(url)
        try:
            return await ensure_partitions(
                engine,
                client.placement,
                interval=interval,
                retention_days=client.retention_days,
                now=resources.clock(),
            )
        finally:
            await engine.dispose()

    return await visit_clients(resources, "extend_partitions", visit)


async def _place_of(resources: WorkerResources, client: TenantContext) -> tuple[str, str]:
    """Read a client's partition interval and where an administrator finds its database."""
    query = select(PlacementRow.partition_interval).where(PlacementRow.client_id == client.tenant_id)
    async with resources.control.session() as session:
        interval = (await session.execute(query)).scalar_one()
        server = await session.get_one(Server, client.placement.server)
    url = administrator_url(server, main_url=resources.settings.main_url, vault=resources.vault)
    return interval, with_database(url, client.placement.database)
