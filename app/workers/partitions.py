"""Make the partitions that each client's events will need soon. Scheduled daily."""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.engine import make_url
from sqlalchemy.pool import NullPool

from app.workers.resources import WorkerResources
from app.workers.rounds import visit_clients
from migrations.partitions import ensure_partitions
from tenants.models import PlacementRow, Server
from tenants.placement import TenantContext
from tenants.registry import administrator_url, with_database


async def extend_partitions(resources: WorkerResources) -> int:
    """Make what is missing, for every client; return how many partitions were made."""

    async def visit(client: TenantContext) -> int:
        async with resources.control.session() as session:
            interval = (await session.execute(_interval_of(client))).scalar_one()
            server = await session.get_one(Server, client.placement.server)
        url = administrator_url(server, main_url=resources.settings.main_url, vault=resources.vault)
        engine = create_async_engine(
            make_url(with_database(url, client.placement.database)).set(drivername="postgresql+asyncpg"), poolclass=NullPool
        )
        return await ensure_partitions(
            engine, client.placement, interval=interval, retention_days=client.retention_days, now=resources.clock()
        )

    return await visit_clients(resources, "extend_partitions", visit)


def _interval_of(client: TenantContext):
    return select(PlacementRow.partition_interval).where(PlacementRow.client_id == client.tenant_id)
