"""Find a client and where its data lives; cached until a revocation says otherwise.

Called by authentication with a verified key's client id, and by jobs; reads the control plane.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any
from urllib.parse import quote as quote_url
from urllib.parse import urlsplit, urlunsplit

import msgspec
from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import JSON
from sqlalchemy.ext.asyncio import AsyncSession

from tenants.allowances import allowance_of
from tenants.control import ControlPlane
from tenants.errors import NotFound
from tenants.ids import TenantId
from tenants.models import Client, EventSchemaRow, EventSchemaVersion, Logo, PlacementRow, Server
from tenants.placement import Placement, PlacementKind, SourceMap, TenantContext
from tenants.revocations import RevocationFeed
from tenants.schemas import EventSchema, Schemas
from tenants.shared_lookups import SharedLookups
from tenants.vault import Vault
from tenants.visitors import rules_of

MAIN_SERVER = "main"

_VERSIONS = (
    select(func.json_object_agg(EventSchemaVersion.version, EventSchemaVersion.definition))
    .where(EventSchemaVersion.schema_id == EventSchemaRow.id)
    .scalar_subquery()
)
_SCHEMA_FIELDS = ("id", "name", "description", "version", "published")
_SCHEMA = func.json_build_object(
    *(part for name in _SCHEMA_FIELDS for part in (name, getattr(EventSchemaRow, name))), "versions", _VERSIONS
)
_SCHEMAS = select(func.json_agg(_SCHEMA, type_=JSON)).where(EventSchemaRow.client_id == Client.id).scalar_subquery()


def with_login(url: str, *, user: str, password: str, database: str | None = None) -> str:
    """Give a database URL another login and, if asked, another database."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    netloc = f"{quote_url(user, safe='')}:{quote_url(password, safe='')}@{host}"
    path = parts.path if database is None else "/" + quote_url(database, safe="")
    return urlunsplit(parts._replace(netloc=netloc, path=path))


def with_database(url: str, database: str) -> str:
    """Point a database URL at another database of the same server."""
    return urlunsplit(urlsplit(url)._replace(path="/" + quote_url(database, safe="")))


def serving_url(server: Server, *, main_url: str, vault: Vault, database: str | None = None) -> str:
    """Make the URL through which a server's clients are served.

    Shape: the server's serving login with its derived password; the given login itself where Grove may make no roles.
    """
    admin_url = administrator_url(server, main_url=main_url, vault=vault)
    if server.serve_login is None:
        return admin_url if database is None else with_database(admin_url, database)
    password = vault.password_for(f"serve/{server.name}")
    return with_login(admin_url, user=server.serve_login, password=password, database=database)


def administrator_url(server: Server, *, main_url: str, vault: Vault) -> str:
    """Make the URL with which bootstrap, migrations and sagas reach a server."""
    return main_url if server.admin_url_sealed is None else vault.open(server.admin_url_sealed)


class Registry:
    """Clients by id. `main_url` is `DATABASE_URL`; its login is replaced before any serving connection is made.

    Without a feed, or while it hears of no revocations, nothing is cached and nothing cached is believed.
    """

    def __init__(
        self, control: ControlPlane, *, vault: Vault, main_url: str, feed: RevocationFeed | None = None
    ) -> None:
        self._control = control
        self._feed = feed
        self._vault = vault
        self._main_url = main_url
        self._cache: dict[TenantId, TenantContext] = {}
        self._lookups: SharedLookups[TenantContext] = SharedLookups()

    async def get_client(self, tenant_id: TenantId) -> TenantContext:
        """Return a client, from the cache where possible.

        Errors: NotFound; StoreUnavailable if it must be looked up and cannot be.
        """
        feed = self._feed
        if feed is not None and feed.fresh and tenant_id in self._cache:
            return self._cache[tenant_id]
        generation = None if feed is None else feed.generation
        return await self._lookups.find((tenant_id, generation), partial(self._look_up, tenant_id, generation))

    async def _look_up(self, tenant_id: TenantId, generation: int | None) -> TenantContext:
        feed = self._feed
        async with self._control.session() as session:
            found = await self.load(session, tenant_id)
        # What was read before a revocation arrived may be out of date: use it once, do not keep it.
        if feed is not None and generation == feed.generation:
            self._cache[tenant_id] = found
        return found

    def peek(self, tenant_id: TenantId) -> TenantContext | None:
        """Return a client if it is cached; for what must not wait, such as an error's page."""
        return self._cache.get(tenant_id)

    async def load(self, session: AsyncSession, tenant_id: TenantId) -> TenantContext:
        """Read a client within a transaction.

        Errors: NotFound, also while its data has no place yet.
        """
        rows = await self._contexts(session, [tenant_id])
        if not rows:
            raise NotFound("No such client.")
        return rows[0]

    async def unscoped_clients(self, session: AsyncSession) -> list[TenantContext]:
        """Read every client that has a place; for migrations and schedules only."""
        return await self._contexts(session, None)

    def forget(self, tenant_id: TenantId) -> TenantContext | None:
        """Drop a client from the cache and return what was cached."""
        return self._cache.pop(tenant_id, None)

    async def _contexts(self, session: AsyncSession, ids: Sequence[TenantId] | None) -> list[TenantContext]:
        query = (
            select(Client, PlacementRow, Server, Logo.digest, _SCHEMAS)
            .join(PlacementRow, PlacementRow.client_id == Client.id)
            .join(Server, Server.name == PlacementRow.server)
            .outerjoin(Logo, (Logo.client_id == Client.id) & (Logo.url == Client.branding["logoUrl"].astext))
            .order_by(Client.id)
        )
        if ids is not None:
            query = query.where(Client.id.in_(ids))
        rows = (await session.execute(query)).all()
        return [self._context(*row) for row in rows]

    def _context(
        self, client: Client, row: PlacementRow, server: Server, logo: str | None, schemas: list[Any] | None
    ) -> TenantContext:
        return TenantContext(
            tenant_id=TenantId(client.id),
            name=client.name,
            status=client.status,
            timezone=client.timezone,
            domain=client.domain,
            branding=client.branding,
            grafana_org_id=client.grafana_org_id,
            dashboards=tuple(client.dashboards),
            logo=logo,
            schemas=_read_schemas(schemas or []),
            retention_days=client.retention_days,
            allowance=allowance_of(client),
            rules=rules_of(client.visitors),
            placement=self.placement(row, server, share=client.share),
        )

    def placement(self, row: PlacementRow, server: Server, *, share: int = 1) -> Placement:
        """Turn a stored placement into what the pools need."""
        source_url = None if row.source_url_sealed is None else self._vault.open(row.source_url_sealed)
        return Placement(
            tenant_id=TenantId(row.client_id),
            kind=PlacementKind(row.kind),
            server=row.server,
            database=row.database,
            serve_url=serving_url(server, main_url=self._main_url, vault=self._vault, database=row.database),
            schema=row.schema,
            owner_role=row.owner_role,
            writer_role=row.writer_role,
            reader_role=row.reader_role,
            login_role=row.login_role,
            source_url=source_url,
            source=None if row.source_map is None else msgspec.convert(row.source_map, SourceMap),
            share=share,
        )


def _read_schemas(rows: list[Any]) -> Schemas:
    schemas = msgspec.convert(rows, list[EventSchema], str_keys=True)
    return {schema.name: schema for schema in schemas}
