"""Places for a client's data, made by hand: in a schema, in a database of its own, in an attached legacy database.

Used by tests that need a client's tables and roles without the saga that makes them for real clients.
"""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import asyncpg
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import create_async_engine

from migrations.tenant_plane import upgrade_tenant
from tenants.ids import TenantId, opaque_name, quote
from tenants.placement import Placement, PlacementKind, SourceMap, TenantContext
from tenants.registry import with_database, with_login


async def own_placement(
    admin_url: str, *, client_id: str = "maple", kind: PlacementKind = PlacementKind.SCHEMA
) -> Placement:
    """Make the roles, the schema and the tables of a client, in a database of its own if asked."""
    name = opaque_name()
    url = await make_database(admin_url) if kind is PlacementKind.DATABASE else admin_url
    password = secrets.token_urlsafe()
    placement = Placement(
        tenant_id=TenantId(client_id),
        kind=kind,
        server="main",
        database=urlsplit(url).path.lstrip("/"),
        serve_url=with_login(url, user=f"{name}_serve", password=password),
        schema=name,
        owner_role=f"{name}_o",
        writer_role=f"{name}_w",
        reader_role=f"{name}_r",
        login_role=f"{name}_l",
    )
    await _make_roles(url, placement, password)
    engine = create_async_engine(make_url(url).set(drivername="postgresql+asyncpg"))
    try:
        await upgrade_tenant(engine, placement)
    finally:
        await engine.dispose()
    return placement


@asynccontextmanager
async def placed(
    admin_url: str, *, client_id: str = "maple", kind: PlacementKind = PlacementKind.SCHEMA
) -> AsyncIterator[Placement]:
    """Make a client's place and remove it in the end."""
    placement = await own_placement(admin_url, client_id=client_id, kind=kind)
    try:
        yield placement
    finally:
        await remove_placement(admin_url, placement)


async def external_placement(
    admin_url: str, tables: str, source: SourceMap, *, client_id: str = "maple"
) -> tuple[Placement, str]:
    """Make a legacy database with the given tables and a login that may only read it.

    Shape: the placement, and the URL with which the database's owner writes to it. `tables` is DDL.
    """
    owner_url = await make_database(admin_url)
    login, password = f"{opaque_name()}_legacy", secrets.token_urlsafe()
    schema = quote(source.schema)
    connection = await asyncpg.connect(owner_url)
    try:
        await connection.execute(
            f"CREATE SCHEMA IF NOT EXISTS {schema}; SET search_path TO {schema}; {tables};"
            f"CREATE ROLE {quote(login)} LOGIN PASSWORD '{password}';"
            f"GRANT USAGE ON SCHEMA {schema} TO {quote(login)};"
            f"GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {quote(login)}"
        )
    finally:
        await connection.close()
    own = await own_placement(admin_url, client_id=client_id)
    placement = Placement(
        tenant_id=own.tenant_id,
        kind=PlacementKind.EXTERNAL,
        server=own.server,
        database=own.database,
        serve_url=own.serve_url,
        schema=own.schema,
        owner_role=own.owner_role,
        writer_role=own.writer_role,
        reader_role=own.reader_role,
        login_role=own.login_role,
        source_url=with_login(owner_url, user=login, password=password),
        source=source,
    )
    return placement, owner_url


async def remove_placement(admin_url: str, placement: Placement) -> None:
    """Drop everything that was made for a placement."""
    for url in filter(None, [placement.source_url, placement.serve_url]):
        database = urlsplit(url).path.lstrip("/")
        if database != urlsplit(admin_url).path.lstrip("/"):
            await _run(admin_url, f"DROP DATABASE IF EXISTS {quote(database)} WITH (FORCE)")
    if placement.kind is not PlacementKind.DATABASE:
        await _run(admin_url, f"DROP SCHEMA IF EXISTS {quote(placement.schema)} CASCADE")
    logins = [urlsplit(url).username or "" for url in filter(None, [placement.source_url, placement.serve_url])]
    roles = [placement.owner_role, placement.writer_role, placement.reader_role, placement.login_role, *logins]
    await _run(admin_url, f"DROP ROLE IF EXISTS {', '.join(quote(role) for role in roles)}")


async def make_database(admin_url: str) -> str:
    """Make an empty database and return the administrator's URL for it."""
    name = opaque_name()
    await _run(admin_url, f"CREATE DATABASE {quote(name)}")
    return with_database(admin_url, name)


def context_of(placement: Placement, *, timezone: str = "UTC") -> TenantContext:
    """Make the client whose data lies in a placement."""
    return TenantContext(
        tenant_id=placement.tenant_id,
        name=str(placement.tenant_id).title(),
        status="active",
        timezone=timezone,
        domain=None,
        branding={},
        retention_days=730,
        placement=placement,
    )


async def _make_roles(url: str, placement: Placement, password: str) -> None:
    roles = [placement.owner_role, placement.writer_role, placement.reader_role, placement.login_role]
    served = f"{quote(placement.writer_role)}, {quote(placement.reader_role)}"
    login = quote(urlsplit(placement.serve_url).username or "")
    await _run(
        url,
        *(f"CREATE ROLE {quote(role)} NOLOGIN" for role in roles),
        f"CREATE SCHEMA {quote(placement.schema)} AUTHORIZATION {quote(placement.owner_role)}",
        f"CREATE ROLE {login} LOGIN NOINHERIT PASSWORD '{password}'",
        f"GRANT {served} TO {login}",
    )


async def _run(url: str, *statements: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()
