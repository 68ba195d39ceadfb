"""What the steps of one operation share: whom it is about, its secrets, and ways to the databases.

Made by the runner for each run; used by every step.
"""

from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import msgspec
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import undefer

from migrations.engines import administrator_engine
from provisioning.grafana.client import GrafanaAdmin
from provisioning.sealed import open_secrets
from provisioning.templates import Templates
from tenants.clock import Clock
from tenants.control import ControlPlane
from tenants.models import Operation, PlacementRow, Server
from tenants.placement import Placement
from tenants.registry import Registry, administrator_url, with_database
from tenants.vault import Vault

CONNECT_TIMEOUT_S = 5
COMMAND_TIMEOUT_S = 60


class Skipped(Exception):
    """A step has nothing to do; the text says why."""


class Place(msgspec.Struct, frozen=True):
    """A client's recorded place and the server it is on."""

    row: PlacementRow
    server: Server

    @property
    def walled(self) -> bool:
        """Whether Grove made roles of its own there; otherwise the given login is everything."""
        return self.server.serve_login is not None


class Means(msgspec.Struct, frozen=True, kw_only=True):
    """What a runner works with. `control` and `main_url` are the administrator's.

    Shape: `grafana` is None where there is none; `templates` are the dashboards to use instead of the shipped ones.
    """

    control: ControlPlane
    vault: Vault
    main_url: str
    clock: Clock
    grafana: GrafanaAdmin | None = None
    templates: Templates | None = None


class Work:
    """One operation being carried out. `result` is stored with the step that sets it; `attempts` counts runs so far.

    `grafana_org` is the client's organisation, once this run has made sure of it; new is one that this run made.
    """

    def __init__(self, row: Operation, means: Means) -> None:
        self.operation_id = row.id
        self.client_id = row.client_id or ""
        self.order = row.input
        self.attempts = row.attempts
        self.secrets = open_secrets(row.sealed, means.vault)
        self.control = means.control
        self.vault = means.vault
        self.main_url = means.main_url
        self.clock = means.clock
        self.grafana = means.grafana
        self.templates = means.templates
        self.grafana_org: int | None = None
        self.grafana_org_is_new = False
        self.result: dict[str, Any] | None = None

    async def find_place(self) -> Place | None:
        """Read the client's recorded place; None before it is recorded and after it is removed."""
        async with self.control.session() as session:
            return await find_place(session, self.client_id)

    async def get_place(self) -> Place:
        """Read the client's recorded place, which an earlier step made."""
        place = await self.find_place()
        if place is None:
            message = "the client's place is not recorded"
            raise LookupError(message)
        return place

    def placement(self, place: Place) -> Placement:
        """Turn a recorded place into what migrations and pools take."""
        return Registry(self.control, vault=self.vault, main_url=self.main_url).placement(place.row, place.server)

    def administrator_url(self, place: Place, *, database: str | None = None) -> str:
        """Make the administrator's URL to the place's database, or to the one its server's URL names."""
        url = administrator_url(place.server, main_url=self.main_url, vault=self.vault)
        return url if database is None else with_database(url, database)

    @asynccontextmanager
    async def on_server(self, place: Place) -> AsyncIterator[asyncpg.Connection]:
        """Connect as administrator to the database that the server's own URL names."""
        async with administrator(self.administrator_url(place)) as connection:
            yield connection

    @asynccontextmanager
    async def in_database(self, place: Place) -> AsyncIterator[asyncpg.Connection]:
        """Connect as administrator to the client's database."""
        async with administrator(self.administrator_url(place, database=place.row.database)) as connection:
            yield connection

    @asynccontextmanager
    async def engine(self, place: Place) -> AsyncIterator[AsyncEngine]:
        """Open an engine as administrator on the client's database, for the migrations."""
        engine = administrator_engine(self.administrator_url(place, database=place.row.database))
        try:
            yield engine
        finally:
            await engine.dispose()


class Step(msgspec.Struct, frozen=True):
    """One step of an operation.

    Shape: `ensure` may run any number of times and returns what to show, or raises Skipped; `undo` takes all of it
    back, also what a crash left half done.
    """

    name: str
    ensure: Callable[[Work], Coroutine[Any, Any, str | None]]
    undo: Callable[[Work], Coroutine[Any, Any, None]]


async def find_place(session: AsyncSession, client_id: str) -> Place | None:
    """Read a client's recorded place with its sealed columns, which only administrators may read."""
    sealed = [undefer(PlacementRow.login_password_sealed), undefer(PlacementRow.source_admin_url_sealed)]
    row = await session.get(PlacementRow, client_id, options=sealed, populate_existing=True)
    return None if row is None else Place(row, await session.get_one(Server, row.server))


@asynccontextmanager
async def administrator(url: str) -> AsyncIterator[asyncpg.Connection]:
    """Connect as administrator, with limits on every wait; each statement commits by itself."""
    settings = {"application_name": "grove", "lock_timeout": "5000", "statement_timeout": "60000"}
    connection = await asyncpg.connect(
        url, timeout=CONNECT_TIMEOUT_S, command_timeout=COMMAND_TIMEOUT_S, statement_cache_size=0,
        server_settings=settings,
    )  # fmt: skip
    try:
        yield connection
    finally:
        try:
            await connection.close(timeout=CONNECT_TIMEOUT_S)
        except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
            connection.terminate()


async def undo_nothing(_work: Work) -> None:
    """Leave it to another step's undo."""
