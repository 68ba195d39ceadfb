"""Open a client's database as its administrator, for regular jobs that change tables."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.ext.asyncio import AsyncEngine

from app.workers.resources import WorkerResources
from migrations.engines import COMMAND_TIMEOUT_S, administrator_engine
from tenants.models import Server
from tenants.placement import TenantContext
from tenants.registry import administrator_url, with_database


@asynccontextmanager
async def engine_of(
    resources: WorkerResources, client: TenantContext, *, command_timeout_s: float = COMMAND_TIMEOUT_S
) -> AsyncIterator[AsyncEngine]:
    """Make an engine on a client's database for a while."""
    async with resources.control.session() as session:
        server = await session.get_one(Server, client.placement.server)
    url = administrator_url(server, main_url=resources.settings.main_url, vault=resources.vault)
    engine = administrator_engine(with_database(url, client.placement.database), command_timeout_s=command_timeout_s)
    try:
        yield engine
    finally:
        await engine.dispose()
