"""Database roles: the serving login of a server, and the four roles of a client.

Called by `provisioning.servers` and by the steps of onboarding and removal, with an administrator's connection.
"""

import asyncpg
import msgspec

from provisioning.scram import scram_verifier
from provisioning.sqltext import literal
from tenants.ids import quote
from tenants.models import PlacementRow

# Owners and serving logins keep what the walls take from everybody: sight of the catalogs, which migrations need.
CATALOG_GROUP = "grove_catalogs"
# From this version on a grant can say that a role may be taken but gives nothing by itself.
_FIRST_WITH_SET_GRANTS = 160000
# What a login reader may unset, so that the watchdog comes after it.
READER_TIMEOUT_S = 30
_LOGIN_SETTINGS = {
    "default_transaction_read_only": "on",
    "statement_timeout": f"{READER_TIMEOUT_S}s",
    "lock_timeout": "2s",
    "idle_in_transaction_session_timeout": "30s",
    "work_mem": "16MB",
    "timezone": "UTC",
}
LOGIN_CONNECTIONS = 10


class LoginReader(msgspec.Struct, frozen=True):
    """A login that reads only. `search_path` is the schema it sees without naming it."""

    name: str
    password: str
    search_path: str


async def lock_server(connection: asyncpg.Connection) -> None:
    """Keep other changes of roles and rights on this server waiting until the transaction ends."""
    await connection.execute("SELECT pg_catalog.pg_advisory_xact_lock(7454721938276435046)")


async def role_exists(connection: asyncpg.Connection, name: str) -> bool:
    """Tell whether a role exists."""
    return bool(await connection.fetchval("SELECT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = $1)", name))


async def may_make_roles(connection: asyncpg.Connection) -> bool:
    """Tell whether the login behind a connection may make roles."""
    query = "SELECT rolsuper OR rolcreaterole FROM pg_catalog.pg_roles WHERE rolname = current_user"
    return bool(await connection.fetchval(query))


async def is_superuser(connection: asyncpg.Connection) -> bool:
    """Tell whether the login behind a connection is a superuser."""
    return bool(await connection.fetchval("SELECT pg_catalog.current_setting('is_superuser')::bool"))


async def ensure_role(connection: asyncpg.Connection, name: str) -> None:
    """Make a role that cannot log in and gives nothing to its members by itself."""
    if not await role_exists(connection, name):
        await connection.execute(f"CREATE ROLE {quote(name)} NOLOGIN NOINHERIT")


async def ensure_serving_login(connection: asyncpg.Connection, name: str, password: str) -> None:
    """Make the login through which a server's clients are served: it owns nothing and inherits nothing."""
    await ensure_role(connection, name)
    await connection.execute(f"ALTER ROLE {quote(name)} LOGIN NOINHERIT PASSWORD {literal(scram_verifier(password))}")


async def ensure_owner(connection: asyncpg.Connection, name: str, *, shared: bool) -> None:
    """Make a client's owner role, which the administrator may take for migrations.

    In a shared database it sees the catalogs through a group: an access list with an entry per client would not fit
    into a row of `pg_class`.
    """
    await ensure_role(connection, name)
    if shared and await is_superuser(connection) and await role_exists(connection, CATALOG_GROUP):
        await connection.execute(f"ALTER ROLE {quote(name)} INHERIT; GRANT {quote(CATALOG_GROUP)} TO {quote(name)}")
    await ensure_administrable(connection, name)


async def ensure_administrable(connection: asyncpg.Connection, name: str) -> None:
    """Let the administrator act as a role; a superuser may anyway."""
    if not await is_superuser(connection):
        await connection.execute(f"GRANT {quote(name)} TO CURRENT_USER")


async def ensure_membership(connection: asyncpg.Connection, roles: list[str], login: str) -> None:
    """Let a serving login take roles for a transaction, and have nothing of them otherwise."""
    version = await connection.fetchval("SELECT pg_catalog.current_setting('server_version_num')::int")
    how = " WITH INHERIT FALSE, SET TRUE" if version >= _FIRST_WITH_SET_GRANTS else ""
    names = ", ".join(quote(role) for role in roles)
    await connection.execute(f"GRANT {names} TO {quote(login)}{how}")


async def ensure_login_reader(connection: asyncpg.Connection, login: LoginReader) -> None:
    """Make a login that reads only, with limits; it may unset them, which the watchdog makes up for."""
    role = quote(login.name)
    await ensure_role(connection, login.name)
    await connection.execute(
        f"ALTER ROLE {role} LOGIN NOINHERIT CONNECTION LIMIT {LOGIN_CONNECTIONS} "
        f"PASSWORD {literal(scram_verifier(login.password))}"
    )
    for name, value in _LOGIN_SETTINGS.items():
        await connection.execute(f"ALTER ROLE {role} SET {name} = {literal(value)}")
    await connection.execute(f"ALTER ROLE {role} SET search_path = {quote(login.search_path)}")


async def close_login(connection: asyncpg.Connection, name: str) -> None:
    """Shut a login and end its sessions."""
    if await role_exists(connection, name):
        await connection.execute(f"ALTER ROLE {quote(name)} NOLOGIN")
        await connection.execute(
            "SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity WHERE usename = $1", name
        )


async def drop_role(connection: asyncpg.Connection, name: str) -> None:
    """Drop a role and the rights it holds in this database and on the server; one that is gone is fine."""
    if await role_exists(connection, name):
        await ensure_administrable(connection, name)
        await connection.execute(f"DROP OWNED BY {quote(name)}; DROP ROLE {quote(name)}")


def client_roles(row: PlacementRow) -> list[str]:
    """List a client's own roles, the login first."""
    return [row.login_role, row.reader_role, row.writer_role, row.owner_role]
