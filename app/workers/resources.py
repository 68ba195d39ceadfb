"""What every job works with; built once per worker process by `app.workers.worker`.

Workers use `DATABASE_URL` itself for operations and migrations, and the serving login, under each client's own
roles, for that client's data.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
from redis.asyncio import Redis

from app.settings import Settings
from tenants.clock import Clock, utc_now
from tenants.control import ControlPlane
from tenants.databases import Databases
from tenants.registry import Registry
from tenants.revocations import RevocationFeed
from tenants.vault import Vault


class WorkerResources(msgspec.Struct, frozen=True, kw_only=True):
    """Opened at a worker's start, closed at its end."""

    settings: Settings
    clock: Clock
    control: ControlPlane
    vault: Vault
    registry: Registry
    databases: Databases
    feed: RevocationFeed


@asynccontextmanager
async def open_resources(settings: Settings, *, clock: Clock = utc_now) -> AsyncIterator[WorkerResources]:
    """Open the pools of a process that may act as administrator; nothing connects before its first use."""
    control = ControlPlane(settings.main_url)
    vault = Vault(settings.key_material)
    redis = None if settings.redis_url is None else Redis.from_url(settings.redis_url, socket_timeout=0.1, socket_connect_timeout=0.1)
    databases = Databases(settings)
    try:
        yield WorkerResources(
            settings=settings,
            clock=clock,
            control=control,
            vault=vault,
            registry=Registry(control, vault=vault, main_url=settings.main_url),
            databases=databases,
            feed=RevocationFeed(control, redis),
        )
    finally:
        await databases.close()
        await control.close()
        if redis is not None:
            await redis.aclose()
