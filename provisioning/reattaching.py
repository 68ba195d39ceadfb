"""Take a changed URL of the database that was given for a client: another password, host or login, the same data.

Called by `provisioning.apply`; nothing of the client is made anew but its read-only login, where it has one.
"""

from urllib.parse import unquote, urlsplit

import asyncpg
import msgspec
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import undefer

from provisioning.audit import Actor, record
from provisioning.databases_check import check_database_url, look_into, may_write
from provisioning.requests import NewPlacement
from provisioning.roles import may_make_roles
from provisioning.scram import random_password
from provisioning.sources import make_login
from tenants.errors import DatabaseRefused, InputRefused
from tenants.ids import opaque_name
from tenants.models import PlacementRow, Server
from tenants.placement import PlacementKind, SourceMap
from tenants.registry import with_login
from tenants.revocations import revoke
from tenants.vault import Vault

_FIELD = "/placement/url"
_MISSING = """
SELECT pg_catalog.to_regnamespace(pg_catalog.quote_ident($1)) IS NULL
    OR EXISTS (SELECT FROM pg_catalog.unnest($2::text[]) AS name
               WHERE name NOT IN (SELECT rolname FROM pg_catalog.pg_roles))
"""


async def examine_url(session: AsyncSession, client_id: str, url: str, *, vault: Vault) -> bool:
    """Tell whether a URL is another one than the client's, having looked into its database if so.

    Shape: needs an administrator's session; false while the client has no place yet.
    Errors: DatabaseRefused, InputRefused (`/placement/url`).
    """
    row = await _get_row(session, client_id)
    if row is None or url == await _given_url(session, row, vault):
        return False
    if row.source_map is not None:
        source = msgspec.convert(row.source_map, SourceMap)
        described = NewPlacement(
            kind=row.kind, url=url, schema=source.schema, source_timezone=source.timezone,
            tables=dict(source.tables), columns={table: dict(names) for table, names in source.columns.items()},
        )  # fmt: skip
        await check_database_url(url, described)
    else:
        async with look_into(url, field=_FIELD) as connection:
            await _require_same(connection, row, await session.get_one(Server, row.server))
    return True


async def take_url(session: AsyncSession, client_id: str, url: str, actor: Actor, *, vault: Vault) -> bool:
    """Keep a changed URL, encrypted, and tell every process; tell whether it differed.

    Errors: as `examine_url`.
    """
    if not await examine_url(session, client_id, url, vault=vault):
        return False
    row = await session.get_one(PlacementRow, client_id)
    if row.source_map is not None:
        await _take_source(row, url, vault)
    else:
        server = await session.get_one(Server, row.server)
        server.admin_url_sealed = vault.seal(url)
        row.database = unquote(urlsplit(url).path.removeprefix("/"))
    revoke(session, "client", client_id)
    record(session, actor, "client.url", client_id)
    await session.flush()
    return True


async def _get_row(session: AsyncSession, client_id: str) -> PlacementRow | None:
    options = [undefer(PlacementRow.source_admin_url_sealed)]
    return await session.get(PlacementRow, client_id, options=options, populate_existing=True)


async def _given_url(session: AsyncSession, row: PlacementRow, vault: Vault) -> str:
    sealed = row.source_admin_url_sealed or row.source_url_sealed
    if row.kind == PlacementKind.DATABASE and row.server_made:
        sealed = (await session.get_one(Server, row.server)).admin_url_sealed
    if sealed is None:
        raise InputRefused("Grove made this client's database; a client is moved, not changed.", field=_FIELD)
    return vault.open(sealed)


async def _require_same(connection: asyncpg.Connection, row: PlacementRow, server: Server) -> None:
    """Refuse a database that lacks what onboarding made, or a login that may not use it."""
    roles = [row.owner_role, row.writer_role, row.reader_role, row.login_role, server.serve_login]
    if await connection.fetchval(_MISSING, row.schema, [role for role in roles if role is not None]):
        raise DatabaseRefused("This is not the client's database: it lacks what Grove made there.", field=_FIELD)
    owns = await connection.fetchval("SELECT pg_catalog.pg_has_role(current_user, $1, 'MEMBER')", row.owner_role)
    if not owns or (server.serve_login is not None and not await may_make_roles(connection)):
        raise DatabaseRefused("This user may not act for the client's roles there.", field=_FIELD)


async def _take_source(row: PlacementRow, url: str, vault: Vault) -> None:
    """Read through the given login if it can only read; else through one of our own, of the same name as before."""
    async with look_into(url, field=_FIELD) as connection:
        if not await may_write(connection):
            row.source_url_sealed, row.source_admin_url_sealed, row.source_role = vault.seal(url), None, None
            return
        name, password = row.source_role or opaque_name(), random_password()
        if row.source_role is not None and row.source_url_sealed is not None:
            password = unquote(urlsplit(vault.open(row.source_url_sealed)).password or "")
        source_url = with_login(url, user=name, password=password)
        await make_login(connection, source_url, msgspec.convert(row.source_map, SourceMap))
        row.source_role, row.source_url_sealed = name, vault.seal(source_url)
        row.source_admin_url_sealed = vault.seal(url)
