"""Migrate all clients: side by side, resumable, with a report of those that lag behind.

Called by `grove migrate` and at start; each client is migrated by `migrations.tenant_plane` in one transaction.
"""

import asyncio
from collections.abc import Callable

import asyncpg
import msgspec
import structlog
from alembic.util import CommandError
from sqlalchemy import func, select, update
from sqlalchemy.exc import SQLAlchemyError

from migrations.engines import administrator_engine
from migrations.tenant_plane import head_revision, upgrade_tenant
from tenants.control import ControlPlane
from tenants.models import PlacementRow, Server
from tenants.registry import Registry, administrator_url, with_database
from tenants.vault import Vault, VaultError

log = structlog.get_logger()
# What can befall one client without being a fault of the run; a revision of a newer Grove is a CommandError.
FAILURES = (
    SQLAlchemyError, CommandError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError, TimeoutError, VaultError,
)  # fmt: skip

Progress = Callable[[str], None]


class Laggard(msgspec.Struct, frozen=True, kw_only=True):
    """A client that is not at the newest revision, and why (None in a dry run)."""

    client_id: str
    revision: str | None
    error: str | None = None


class FanoutReport(msgspec.Struct, frozen=True, kw_only=True):
    """What a run found and did. `clients` = `current` + `migrated` + laggards."""

    head: str
    clients: int
    current: int
    migrated: list[str]
    laggards: list[Laggard]


async def migrate_clients(
    control: ControlPlane,
    *,
    vault: Vault,
    main_url: str,
    parallel: int = 4,
    dry_run: bool = False,
    on_done: Progress | None = None,
) -> FanoutReport:
    """Bring every client that lags behind to the newest revision; one client's failure stops no other.

    Shape: `control` and `main_url` are the administrator's; a dry run lists the laggards and touches nothing;
    `on_done` hears of each client as it is finished. Clients that are up to date cost one query in all.
    """
    head = head_revision()
    behind, clients = await _find_behind(control, head)
    if dry_run:
        laggards = [Laggard(client_id=row.client_id, revision=row.revision) for row, _ in behind]
        return FanoutReport(head=head, clients=clients, current=clients - len(behind), migrated=[], laggards=laggards)
    fanout = _Fanout(control, vault=vault, main_url=main_url, parallel=parallel, on_done=on_done)
    found = await asyncio.gather(*(fanout.migrate(row, server) for row, server in behind))
    return FanoutReport(
        head=head,
        clients=clients,
        current=clients - len(behind),
        migrated=[row.client_id for (row, _), laggard in zip(behind, found, strict=True) if laggard is None],
        laggards=[laggard for laggard in found if laggard is not None],
    )


class _Fanout:
    def __init__(
        self, control: ControlPlane, *, vault: Vault, main_url: str, parallel: int, on_done: Progress | None
    ) -> None:
        self._control = control
        self._vault = vault
        self._main_url = main_url
        self._registry = Registry(control, vault=vault, main_url=main_url)
        self._slots = asyncio.Semaphore(parallel)
        self._on_done = on_done

    async def migrate(self, row: PlacementRow, server: Server) -> Laggard | None:
        """Migrate one client and record its revision; return it as a laggard if that fails."""
        async with self._slots:
            try:
                await self._migrate(row, server)
            except FAILURES as error:
                log.warning("migration_failed", client=row.client_id, error=_describe(error))
                return Laggard(client_id=row.client_id, revision=row.revision, error=_describe(error))
            finally:
                if self._on_done is not None:
                    self._on_done(row.client_id)
        return None

    async def _migrate(self, row: PlacementRow, server: Server) -> None:
        url = administrator_url(server, main_url=self._main_url, vault=self._vault)
        engine = administrator_engine(with_database(url, row.database))
        try:
            revision = await upgrade_tenant(engine, self._registry.placement(row, server))
        finally:
            await engine.dispose()
        async with self._control.session() as session:
            query = update(PlacementRow).where(PlacementRow.client_id == row.client_id)
            await session.execute(query.values(revision=revision))


async def _find_behind(control: ControlPlane, head: str) -> tuple[list[tuple[PlacementRow, Server]], int]:
    """Read the places that are not at the newest revision, and count all; those never migrated are onboarding's."""
    known = PlacementRow.revision.is_not(None)
    query = (
        select(PlacementRow, Server)
        .join(Server, Server.name == PlacementRow.server)
        .where(known, PlacementRow.revision != head)
        .order_by(PlacementRow.client_id)
    )
    async with control.session() as session:
        clients = await session.scalar(select(func.count()).select_from(PlacementRow).where(known))
        return [(row, server) for row, server in (await session.execute(query)).all()], clients or 0


def _describe(error: BaseException) -> str:
    """Name an error without quoting the driver, whose text may hold addresses and statements."""
    state = getattr(getattr(error, "orig", error), "sqlstate", None)
    return f"{type(error).__name__} (SQLSTATE {state})" if isinstance(state, str) else type(error).__name__
