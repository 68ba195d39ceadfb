"""Make a database ready for Grove: control plane, serving login, job queue, clients' schemas, first platform key.

Called by `grove serve` before it starts anything, and by `grove migrate`. One caller at a time; the others wait, and
then find everything done.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import msgspec
import structlog

from app.settings import Settings
from app.workers.grafana import look_after_platform
from app.workers.resources import grafana_of
from app.workers.schema import ensure_job_tables
from migrations.control_plane import upgrade_control_plane
from migrations.fanout import FanoutReport, migrate_clients
from provisioning.grafana.client import GrafanaAdmin
from provisioning.keys import ensure_first_platform_key
from provisioning.platform_reader import ensure_platform_reader
from provisioning.servers import ensure_main_server
from provisioning.work import Means
from tenants.clock import Clock, utc_now
from tenants.control import ControlPlane
from tenants.errors import GrafanaUnavailable, StoreUnavailable
from tenants.models import Server
from tenants.registry import MAIN_SERVER
from tenants.vault import Vault

# Any number will do as long as no other program on the database takes the same one.
_LOCK = 0x67726F7662
CONNECT_TIMEOUT_S = 10
GRAFANA_TIMEOUT_S = 10
PLATFORM_TIMEOUT_S = 30
LOCK_TIMEOUT_MS = 10 * 60_000

log = structlog.get_logger()


class BootstrapResult(msgspec.Struct, frozen=True, kw_only=True):
    """What a start found and did.

    Shape: `platform_key` is set when it was just made, and can be read nowhere else; `unhardened` says in sentences
    what the given database did not allow; `clients` tells of the migration of the clients' schemas.
    """

    platform_key: str | None = None
    unhardened: list[str] = []
    clients: FanoutReport | None = None


async def bootstrap(settings: Settings, *, clock: Clock = utc_now) -> BootstrapResult:
    """Do all of it; what is done already is left alone.

    Errors: StoreUnavailable if the database cannot be reached; GrafanaUnfit. A client that cannot be migrated stops
    nobody, and neither does a Grafana that is away.
    """
    control, vault = ControlPlane(settings.main_url), Vault(settings.key_material)
    grafana = grafana_of(settings)
    try:
        grafana_answers = grafana is not None and await _look_at_grafana(grafana)
        async with _alone(settings.main_url):
            await upgrade_control_plane(control)
            unhardened = await ensure_main_server(control, vault=vault)
            async with control.session() as session:
                login = (await session.get_one(Server, MAIN_SERVER)).serve_login
            await ensure_job_tables(settings.main_url, serving_login=login)
            await ensure_platform_reader(settings.main_url, vault=vault)
            if grafana_answers:
                means = Means(control=control, vault=vault, main_url=settings.main_url, clock=clock, grafana=grafana)
                await look_after_platform(means, within_s=PLATFORM_TIMEOUT_S)
            clients = await migrate_clients(control, vault=vault, main_url=settings.main_url)
            async with control.session() as session:
                key = await ensure_first_platform_key(session, now=clock())
    finally:
        await control.close()
        if grafana is not None:
            await grafana.close()
    for laggard in clients.laggards:
        log.warning("client_not_migrated", client_id=laggard.client_id, revision=laggard.revision, error=laggard.error)
    return BootstrapResult(platform_key=key, unhardened=unhardened, clients=clients)


async def _look_at_grafana(grafana: GrafanaAdmin) -> bool:
    """Name the version of Grafana and what is not known about it, and refuse one that should not be used.

    Shape: False where Grafana is away.
    """
    try:
        async with asyncio.timeout(GRAFANA_TIMEOUT_S):
            version = await grafana.check_version()
    except (GrafanaUnavailable, TimeoutError) as error:
        log.warning("grafana_away", error=type(error).__name__)
        return False
    if version.fault is not None:
        log.warning("grafana_allowed_by_setting", version=version.text, detail=version.fault)
    elif version.note is not None:
        log.warning("grafana_not_measured", version=version.text, detail=version.note)
    return True


@asynccontextmanager
async def _alone(url: str) -> AsyncIterator[None]:
    """Hold the lock of all that prepare this database; it goes with its connection."""
    settings = {"application_name": "grove", "lock_timeout": str(LOCK_TIMEOUT_MS)}
    try:
        connection = await asyncpg.connect(
            url, timeout=CONNECT_TIMEOUT_S, statement_cache_size=0, server_settings=settings
        )
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
        raise StoreUnavailable("The database of DATABASE_URL cannot be reached, or refuses the login.") from error
    try:
        await connection.execute("SELECT pg_advisory_lock($1)", _LOCK)
        yield
    finally:
        await connection.close()
