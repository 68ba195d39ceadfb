"""Cut off readers that run away: a login that is handed to dashboards may unset its own time limits.

Run beside the jobs by `app.workers.worker`: with the administrator's login on every server that holds clients, where
only the clients' login readers are looked at, by the pattern of their names; and in every attached database with the
login that reads it, which may end what is its own.
"""

import asyncio
import time
from contextlib import suppress

import asyncpg
import msgspec
import structlog
from sqlalchemy import select

from app.workers.resources import WorkerResources
from provisioning.roles import READER_TIMEOUT_S
from tenants.errors import GroveError
from tenants.models import PlacementRow, Server
from tenants.registry import administrator_url

LOOK_EVERY_S = 1.0
CONNECT_TIMEOUT_S = 5.0
# An attached database that is away is not asked for every second.
LOOKED_FOR_AGAIN_S = 30.0
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
# There, a transaction may be one of ours that reads long and in small parts, as an export does.
_CUT_OWN = """
SELECT a.usename AS login, a.pid,
       CASE WHEN a.query_start > clock_timestamp() - make_interval(secs => $1::float8 + $2::float8)
            THEN pg_catalog.pg_cancel_backend(a.pid) ELSE pg_catalog.pg_terminate_backend(a.pid) END AS cut
FROM pg_catalog.pg_stat_activity a
WHERE a.usename = current_user
  AND a.pid <> pg_catalog.pg_backend_pid()
  AND a.state = 'active'
  AND a.query_start < clock_timestamp() - make_interval(secs => $1::float8)
"""


class Limits(msgspec.Struct, frozen=True):
    """How long a reader's statement may run, and how much longer it and its transaction may last in the end."""

    statement_s: float = READER_TIMEOUT_S + 2  # its own limit comes first
    patience_s: float = 10


class _Post(msgspec.Struct, frozen=True):
    """Where to look, and with what."""

    name: str
    url: str
    sql: str


class Watchdog:
    """Looks at every server and attached database again and again, over one connection each."""

    def __init__(self, resources: WorkerResources, limits: Limits | None = None) -> None:
        self._resources = resources
        self._limits = limits or Limits()
        self._connections: dict[str, asyncpg.Connection] = {}
        self._absent: dict[str, float] = {}

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
            for name in list(self._connections):
                await self._leave(name)

    async def look(self) -> int:
        """Look everywhere once; return how many readers were cut off."""
        try:
            posts = await self._posts()
        except GroveError:
            return 0
        for name in self._connections.keys() - {post.name for post in posts}:
            await self._leave(name)
        now = time.monotonic()
        present = [post for post in posts if self._absent.get(post.url, 0.0) <= now]
        return sum(await asyncio.gather(*(self._look_at(post) for post in present)))

    async def _posts(self) -> list[_Post]:
        resources = self._resources
        main, vault = resources.settings.main_url, resources.vault
        attached = select(PlacementRow.client_id, PlacementRow.source_url_sealed)
        async with resources.control.session() as session:
            servers = (await session.scalars(select(Server))).all()
            rows = (await session.execute(attached.where(PlacementRow.source_url_sealed.is_not(None)))).all()
        posts = [_Post(row.name, administrator_url(row, main_url=main, vault=vault), _CUT) for row in servers]
        sources = [(client_id, vault.open(sealed)) for client_id, sealed in rows if sealed is not None]
        return posts + [_Post(f"attached/{client_id}", url, _CUT_OWN) for client_id, url in sources]

    async def _look_at(self, post: _Post) -> int:
        try:
            connection = self._connections.get(post.name)
            if connection is None or connection.is_closed():
                connection = await asyncpg.connect(
                    post.url, timeout=CONNECT_TIMEOUT_S, command_timeout=CONNECT_TIMEOUT_S, statement_cache_size=0,
                    server_settings={"application_name": "grove"},
                )  # fmt: skip
                self._connections[post.name] = connection
            found = await connection.fetch(post.sql, self._limits.statement_s, self._limits.patience_s)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError) as error:
            log.warning("watchdog_blind", server=post.name, error=type(error).__name__)
            if post.sql is _CUT_OWN:
                self._absent[post.url] = time.monotonic() + LOOKED_FOR_AGAIN_S
            return 0
        for row in found:
            log.warning("reader_cut_off", server=post.name, login=row["login"], done=row["cut"])
        return len(found)

    async def _leave(self, name: str) -> None:
        with suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError):
            await self._connections.pop(name).close(timeout=1)
