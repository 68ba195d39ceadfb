"""What jobs and commands work with; built once per process.

Opened by `app.workers.worker` and by the commands. They use `DATABASE_URL` itself for operations and migrations, and
the serving login, under each client's own roles, for that client's data.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import msgspec
from redis.asyncio import Redis

from app.settings import Settings
from provisioning.domains import Witnesses
from provisioning.grafana.client import GrafanaAdmin
from provisioning.runner import OperationRunner
from tenants.clock import Clock, utc_now
from tenants.control import ControlPlane
from tenants.databases import Databases, Observer
from tenants.registry import Registry
from tenants.revocations import RevocationFeed
from tenants.vault import Vault

REDIS_TIMEOUT_S = 0.1


class WorkerResources(msgspec.Struct, frozen=True, kw_only=True):
    """What a process that may act as administrator holds open; `feed` only announces."""

    settings: Settings
    clock: Clock
    control: ControlPlane
    vault: Vault
    registry: Registry
    databases: Databases
    feed: RevocationFeed
    runner: OperationRunner
    witnesses: Witnesses


@asynccontextmanager
async def open_worker_resources(
    settings: Settings, *, clock: Clock = utc_now, observe: Observer | None = None
) -> AsyncIterator[WorkerResources]:
    """Make the pools, which connect at their first use, and close them in the end."""
    control, vault = ControlPlane(settings.main_url), Vault(settings.key_material)
    databases = Databases(settings, observe=observe)
    redis, grafana = _redis(settings.redis_url), grafana_of(settings)
    feed = RevocationFeed(control, redis)
    try:
        yield WorkerResources(
            settings=settings,
            clock=clock,
            control=control,
            vault=vault,
            registry=Registry(control, vault=vault, main_url=settings.main_url),
            databases=databases,
            feed=feed,
            runner=OperationRunner(
                control,
                vault=vault,
                main_url=settings.main_url,
                clock=clock,
                announce=feed.announce,
                grafana=grafana,
            ),
            witnesses=Witnesses(own_host=urlsplit(settings.base_url).hostname),
        )
    finally:
        await databases.close()
        await control.close()
        if grafana is not None:
            await grafana.close()
        if redis is not None:
            await redis.aclose()


def _redis(url: str | None) -> Redis | None:
    if url is None:
        return None
    return Redis.from_url(url, socket_timeout=REDIS_TIMEOUT_S, socket_connect_timeout=REDIS_TIMEOUT_S)


def grafana_of(settings: Settings) -> GrafanaAdmin | None:
    """Make the client of the Grafana that the settings name; None without one. Close it after use."""
    if settings.grafana_url is None or settings.grafana_admin_password is None:
        return None
    return GrafanaAdmin(
        settings.grafana_url,
        settings.grafana_admin_password,
        allow_version=settings.grafana_allow_version,
        database_host=settings.grafana_database_host,
    )
