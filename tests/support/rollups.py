"""A client of a test's Grove as the rollups see it, and panels' figures counted slowly from raw rows."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime

import asyncpg
import msgspec

from app.rollups.round import Done, catch_up, roll_up
from app.rollups.verify import Difference, find_differences
from app.settings import Settings
from tenants.control import ControlPlane
from tenants.databases import Databases, Observer, TenantConnection
from tenants.ids import TenantId
from tenants.placement import Purpose, TenantContext
from tenants.registry import Registry
from tenants.vault import Vault
from tests.support.grove import Grove


class Counted(msgspec.Struct, frozen=True):
    """A client whose rollups a test looks after itself; no worker does."""

    databases: Databases
    client: TenantContext

    async def catch_up(self, now: datetime) -> Done:
        """Roll up all that waits."""
        return await catch_up(self.databases, self.client, now=now)

    async def roll_up(self, max_events: int) -> Done:
        """Roll up a piece."""
        return await roll_up(self.databases, self.client, max_events=max_events)

    async def differences(self) -> list[Difference]:
        """Compare the rollups with a recount."""
        return await find_differences(self.databases, self.client)

    async def fetch(self, sql: str, *args: object) -> list[asyncpg.Record]:
        """Ask the client's tables something, as its reader."""
        async with self.databases.unit(self.client.placement, Purpose.READ) as db:
            return await db.fetch(self.client.placement.render(sql), *args)

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[TenantConnection]:
        """Open a transaction of the client's writer."""
        async with self.databases.unit(self.client.placement, Purpose.WRITE) as db:
            yield db


@asynccontextmanager
async def counted(grove: Grove, client_id: str) -> AsyncIterator[Counted]:
    """Open a client's databases the way a worker does."""
    async with counted_of(grove.settings, client_id, observe=grove.recorder.observe) as opened:
        yield opened


@asynccontextmanager
async def counted_of(settings: Settings, client_id: str, *, observe: Observer | None = None) -> AsyncIterator[Counted]:
    """Open a client's databases by the settings of its server."""
    control = ControlPlane(settings.main_url)
    databases = Databases(settings, observe=observe)
    try:
        registry = Registry(control, vault=Vault(settings.key_material), main_url=settings.main_url)
        async with control.session() as session:
            client = await registry.load(session, TenantId(client_id))
        yield Counted(databases, client)
    finally:
        await databases.close()
        await control.close()
