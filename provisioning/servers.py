"""Servers that hold clients, and the login through which each is served.

Called by bootstrap (`main`), by the CLI and by onboarding; the serving login owns nothing and can read no client.
"""

from pathlib import Path

import asyncpg
from sqlalchemy import inspect, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.audit import Actor, record
from provisioning.databases_check import look_into
from provisioning.hardening import harden_database, harden_server
from provisioning.roles import (
    CATALOG_GROUP,
    ensure_role,
    ensure_serving_login,
    is_superuser,
    lock_server,
    may_make_roles,
)
from provisioning.validation import DATABASE_URL_SHAPE, is_database_url, is_server_name
from provisioning.work import administrator
from tenants.control import SERVING_LOGIN, ControlPlane
from tenants.errors import AlreadyTaken, DatabaseRefused, InputRefused
from tenants.ids import quote
from tenants.models import PlacementRow, Server
from tenants.registry import MAIN_SERVER
from tenants.vault import Vault

NO_ROLES = "The login of the given URL may make no roles, so it serves the client itself and sees all that it may see."

_STARTED_AT = "SELECT pg_catalog.pg_postmaster_start_time()"
_GRANTS = Path(__file__).parent / "sql" / "serving_grants.sql"


async def ensure_main_server(control: ControlPlane, *, vault: Vault) -> list[str]:
    """Make the serving login of `main`, its rights on the control plane, and the walls of that database.

    Shape: `control` is the administrator's; call it after `upgrade_control_plane`, at every start. Returns what could
    not be hardened, one sentence each.
    Errors: DatabaseRefused where another administrator's serving login is in the way.
    """
    async with administrator(control.url) as connection:
        walled = await may_make_roles(connection)
        if walled:
            missing = await _ensure_serving(connection, vault.password_for(f"serve/{MAIN_SERVER}"), control_plane=True)
        else:
            login = await connection.fetchval("SELECT current_user")
            missing = [NO_ROLES, *await harden_database(connection, connecting=[login], seeing=[])]
    serve_login = SERVING_LOGIN if walled else None
    query = insert(Server).values(name=MAIN_SERVER, admin_url_sealed=None, serve_login=serve_login)
    async with control.session() as session:
        await session.execute(query.on_conflict_do_update(index_elements=["name"], set_={"serve_login": serve_login}))
    return missing


async def add_server(session: AsyncSession, name: str, admin_url: str, actor: Actor, *, vault: Vault) -> None:
    """Register a further server, on which `placement.server` may then put clients.

    Shape: needs an administrator's session. Its database holds the clients of kind `schema`.
    Errors: InputRefused (`/name`, `/url`), AlreadyTaken (`/name`, `/url`), DatabaseRefused (`/url`).
    """
    if not is_server_name(name):
        raise InputRefused("A server's name has lower-case letters, digits and hyphens.", field="/name")
    if await session.get(Server, name) is not None:
        raise AlreadyTaken("There is a server of this name.", field="/name")
    if not is_database_url(admin_url):
        raise InputRefused(DATABASE_URL_SHAPE, field="/url")
    async with look_into(admin_url, field="/url") as connection:
        if not await may_make_roles(connection):
            raise DatabaseRefused("A server's login must be allowed to make roles.", field="/url")
        await _require_new(session, connection, vault)
        await _ensure_serving(connection, vault.password_for(f"serve/{name}"), control_plane=False)
    session.add(Server(name=name, admin_url_sealed=vault.seal(admin_url), serve_login=SERVING_LOGIN))
    record(session, actor, "server.add", None, server=name)
    await session.flush()


async def _require_new(session: AsyncSession, connection: asyncpg.Connection, vault: Vault) -> None:
    """Refuse a server that is registered under another name: its serving login would lose its password.

    A server is known by the microsecond at which it was started, which every login may ask for.
    """
    started_at = await connection.fetchval(_STARTED_AT)
    known = {MAIN_SERVER: await session.scalar(text(_STARTED_AT))}
    others = select(Server).where(Server.serve_login == SERVING_LOGIN, Server.admin_url_sealed.is_not(None))
    for server in (await session.execute(others)).scalars():
        async with administrator(vault.open(server.admin_url_sealed or b"")) as other:
            known[server.name] = await other.fetchval(_STARTED_AT)
    for name, at in known.items():
        if at == started_at:
            raise AlreadyTaken(f"This server is registered already, as {name}.", field="/url")


async def _ensure_serving(connection: asyncpg.Connection, password: str, *, control_plane: bool) -> list[str]:
    async with connection.transaction():
        await lock_server(connection)
        try:
            await ensure_serving_login(connection, SERVING_LOGIN, password)
        except asyncpg.InsufficientPrivilegeError as error:
            detail = f"There is a login {SERVING_LOGIN} on this server already, which the given login may not change."
            raise DatabaseRefused(detail) from error
        if await is_superuser(connection):
            await ensure_role(connection, CATALOG_GROUP)
        if control_plane:
            await connection.execute(_serving_grants(SERVING_LOGIN))
    seeing = [CATALOG_GROUP, SERVING_LOGIN] if await is_superuser(connection) else []
    missing = await harden_database(connection, connecting=[SERVING_LOGIN], seeing=seeing)
    return missing + await harden_server(connection)


def _serving_grants(login: str) -> str:
    """Write the rights of the serving login anew, so that what it once had is not kept."""
    columns = ", ".join(quote(prop.columns[0].name) for prop in inspect(PlacementRow).column_attrs if not prop.deferred)
    fixed = _GRANTS.read_text(encoding="utf-8").replace("{{login}}", quote(login))
    return (
        f"REVOKE ALL ON ALL TABLES IN SCHEMA grove FROM {quote(login)}; "
        f"GRANT SELECT ({columns}) ON grove.placements TO {quote(login)};\n{fixed}"
    )
