"""Remove what is older than each client keeps. Scheduled daily.

Events go by the partition, and what was counted of them goes in the same transaction, so that an answer equals a
recount at any moment. Outcome counts stay: they are the books. So do the chatbot's tables, whose rows are about people
who wrote or left their address, and not about events.
"""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.rollups.prune import prune_rollups
from app.workers.engines import engine_of
from app.workers.resources import WorkerResources
from app.workers.rounds import visit_clients
from migrations.partitions import Partition, drop_partition, read_partitions
from tenants.ids import quote
from tenants.models import Client
from tenants.placement import TenantContext

# Of a longer partition what is over goes by rows; a shorter one is soon dropped whole, which costs nothing.
SHORT = timedelta(days=31)
# So much of it goes in one transaction, where much is over at once.
PIECE = timedelta(days=31)
TIMEOUT_S = 600

_OLDEST = "SELECT min(occurred_at) FROM {table} WHERE occurred_at < :before"
_DELETE = "DELETE FROM {table} WHERE occurred_at < :before"


async def apply_retention(resources: WorkerResources) -> int:
    """Remove what is over, for every client; return how many partitions were dropped and events deleted."""
    async with resources.control.session() as session:
        waiting = set(await session.scalars(select(Client.id).where(Client.prune_after > resources.clock())))

    async def visit(client: TenantContext) -> int:
        if client.tenant_id in waiting:
            return 0
        async with engine_of(resources, client, command_timeout_s=TIMEOUT_S) as engine:
            return await remove_old(engine, client, now=resources.clock())

    return await visit_clients(resources, "apply_retention", visit)


async def remove_old(engine: AsyncEngine, client: TenantContext, *, now: datetime) -> int:
    """Remove what a client no longer keeps; return how many partitions were dropped and events deleted.

    Shape: what happened within the retention stays, and of a partition that is SHORT all until it is over.
    Errors: DBAPIError, if `events` was in use all the time.
    """
    oldest = (now - timedelta(days=client.retention_days)).astimezone(ZoneInfo(client.timezone))
    before = oldest.replace(hour=0, minute=0, second=0, microsecond=0)
    async with engine.connect() as connection:
        present = await read_partitions(connection, client.placement)
    done = 0
    for partition in present:
        if partition.end <= before:
            done += await _drop(engine, client, partition)
        elif partition.start < before and partition.end - partition.start > SHORT:
            done += await _delete(engine, client, partition, before)
    return done


async def _drop(engine: AsyncEngine, client: TenantContext, partition: Partition) -> int:
    async with engine.begin() as connection:
        await _forget(connection, client, partition.end)
        await drop_partition(connection, client.placement, partition)
    return 1


async def _delete(engine: AsyncEngine, client: TenantContext, partition: Partition, before: datetime) -> int:
    """Delete the events of a partition that are over, piece by piece; return how many."""
    table, deleted = f"{quote(client.placement.schema)}.{quote(partition.name)}", 0
    while True:
        async with engine.begin() as connection:
            oldest = await connection.scalar(text(_OLDEST.format(table=table)), {"before": before})
            if oldest is None:
                return deleted
            end = min(before, oldest + PIECE)
            await _forget(connection, client, end)
            deleted += (await connection.execute(text(_DELETE.format(table=table)), {"before": end})).rowcount


async def _forget(connection: AsyncConnection, client: TenantContext, before: datetime) -> None:
    """Become the owner, and drop what was counted of events before a time."""
    await connection.execute(text(f"SET LOCAL ROLE {quote(client.placement.owner_role)}"))
    await prune_rollups(connection, client.placement, before)
