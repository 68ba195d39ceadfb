"""Cut off readers that run away: a login that is handed to dashboards may unset its own time limits.

Run beside the jobs by `app.workers.worker`, with the administrator's login on every server that holds clients. Looked
at are only the clients' login readers, by the pattern of their names.
"""

import asyncio
from contextlib import suppress

import asyncpg
import msgspec
import structlog
from sqlalchemy import select

from app.workers.resources import WorkerResources
from provisioning.roles import READER_TIMEOUT_S
from tenants.errors import GroveError
from tenants.models import Server
from tenants.registry import administrator_url

LOOK_EVERY_S = 1.0
CONNECT_TIMEOUT_S = 5.0
log = structlog.get_logger()

# A statement is cancelled first; what goes on all the same, or holds a transaction open, loses its connection.
_CUT = """
SELECT a.usename AS login, a.pid,
       CASE WHEN a.state = 'active'
                 AND a.query_start > clock_timestamp() - make_interval(secs => $1::float8 + $2::float8)
                 AND a.xact_start > clock_timestamp() - make_interval(secs => $1::float8 + $2::float8)
            THEN pg_catalog.pg_cancel_backend(a.pid) ELSE pg_catalog.pg_terminate_backend(a.pid) END AS cut
FROM pg_catalog.pg_stat_activity a
WHERE a.usename ~ '^t_[a-z0-9]{16}_l$'
  AND a.backend_type = 'client backend'
  AND (a.state = 'active' AND a.query_start < clock_timestamp() - make_interval(secs => $1::float8)
       OR a.xact_start < clock_timestamp() - make_interval(secs => $1::float8 + $2::float8))
"""


class Limits(msgspec.Struct, frozen=True):
    """How long a reader's statement may run, and how much longer it and its transaction may last in the end."""

    statement_s: float = READER_TIMEOUT_S + 2  # its own limit comes first
    patience_s: float = 10


class Watchdog:
    """Looks at every server again and again, over one connection each."""

    def __init__(self, resources: WorkerResources, limits: Limits | None = None) -> None:
        self._resources = resources
        self._limits = limits or Limits()
        self._connections: dict[str, asyncpg.Connection] = {}

    async def run(self) -> None:
        """Watch until cancelled; a server that is away is looked for again with each round."""
        try:
            while True:
                try:
                    await self.look()
                except Exception:
                    log.exception("watchdog_failed")  # and looks again: nobody else does
                await asyncio.sleep(LOOK_EVERY_S)
        finally:
            for connection in self._connections.values():
                with suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError):
                    await connection.close(timeout=1)

    async def look(self) -> int:
        """Look at every server once; return how many readers were cut off."""
        try:
            servers = await self._servers()
        except GroveError:
            return 0
        return sum([await self._look_at(name, url) for name, url in servers.items()])

    async def _servers(self) -> dict[str, str]:
        resources = self._resources
        async with resources.control.session() as session:
            rows = (await session.scalars(select(Server))).all()
        main = resources.settings.main_url
        return {row.name: administrator_url(row, main_url=main, vault=resources.vault) for row in rows}

    async def _look_at(self, server: str, url: str) -> int:
        try:
            connection = self._connections.get(server)
            if connection is None or connection.is_closed():
                connection = await asyncpg.connect(
                    url, timeout=CONNECT_TIMEOUT_S, command_timeout=CONNECT_TIMEOUT_S, statement_cache_size=0,
                    server_settings={"application_name": "grove"},
                )  # fmt: skip
                self._connections[server] = connection
            found = await connection.fetch(_CUT, self._limits.statement_s, self._limits.patience_s)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
            log.warning("watchdog_blind", server=server, error=type(error).__name__)
            return 0
        for row in found:
            log.warning("reader_cut_off", server=server, login=row["login"], done=row["cut"])
        return len(found)
