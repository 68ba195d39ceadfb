"""The walls within one database: what everybody may do by default in Postgres, taken away, and checked.

Called by `provisioning.servers` for the main database and by onboarding for each client's own; needs a superuser, and
says in words what it could not do. Source: the verified defences of the security page.
"""

from functools import cache
from pathlib import Path

import asyncpg

from provisioning.roles import is_superuser, lock_server
from tenants.ids import quote

# Maintenance databases that exist on every server and hold nothing; everybody may connect to them by default.
MAINTENANCE = ("postgres", "template1")
_SUSPECTS = ("dblink", "postgres_fdw", "file_fdw", "adminpack", "plpython3u", "plperlu", "pltclu", "plsh", "plpythonu")


_OWNED = "SELECT pg_catalog.pg_has_role(datdba, 'USAGE') FROM pg_catalog.pg_database WHERE datname = $1"


@cache
def _sql(name: str) -> str:
    return (Path(__file__).parent / "sql" / f"{name}.sql").read_text(encoding="utf-8")


async def harden_database(connection: asyncpg.Connection, *, connecting: list[str], seeing: list[str]) -> list[str]:
    """Raise the walls in the database of a connection and return those that are missing, one sentence each.

    Shape: `connecting` are the logins that may go on connecting; `seeing` the roles that keep sight of the catalogs,
    which migrations and drivers need. Idempotent; writes nothing where all is in place.
    """
    async with connection.transaction():
        await lock_server(connection)
        await connection.execute("SET LOCAL client_min_messages = error")
        database = await connection.fetchval("SELECT pg_catalog.current_database()")
        for login in connecting:
            await _ensure_connect(connection, database, login)
        if await find_missing_walls(connection):
            await _take_from_everybody(connection, database)
        for role in seeing:
            await _ensure_sight(connection, role)
    return await find_missing_walls(connection)


async def soften_database(connection: asyncpg.Connection) -> None:
    """Give everybody back what Postgres gives by default: for a given database that its owner takes back."""
    async with connection.transaction():
        await lock_server(connection)
        await connection.execute("SET LOCAL client_min_messages = error")
        database = await connection.fetchval("SELECT pg_catalog.current_database()")
        statements = []
        if await connection.fetchval(_OWNED, database):
            statements.append(f"GRANT CONNECT, TEMPORARY ON DATABASE {quote(database)} TO PUBLIC")
        if await is_superuser(connection):
            statements += [f"GRANT SELECT ON {name} TO PUBLIC" for name in await _names(connection, "relations_closed")]
            statements += [
                f"GRANT EXECUTE ON FUNCTION {name} TO PUBLIC" for name in await _names(connection, "functions_closed")
            ]
            statements.append("GRANT USAGE ON LANGUAGE plpgsql TO PUBLIC")
        if statements:
            await connection.execute(";\n".join(statements))


async def harden_server(connection: asyncpg.Connection) -> list[str]:
    """Shut the maintenance databases to all but the logins that exist already, and list what stays open.

    Databases of others are left as they are, and named.
    """
    async with connection.transaction():
        await lock_server(connection)
        if await is_superuser(connection):
            for database in await connection.fetch(_sql("databases_open")):
                if database["datname"] in MAINTENANCE:
                    await _shut_maintenance(connection, database["datname"])
    rows = await connection.fetch(_sql("databases_open"))
    return [f"Everybody on this server may connect to its database {row['datname']}." for row in rows]


async def find_missing_walls(connection: asyncpg.Connection) -> list[str]:
    """List the walls that the database of a connection lacks, one sentence each."""
    rights = await connection.fetchrow(_sql("rights_of_everybody"))
    relations, functions = await _names(connection, "relations_open"), await _names(connection, "functions_open")
    extensions = await connection.fetch(
        "SELECT extname FROM pg_catalog.pg_extension WHERE extname = ANY ($1::text[]) ORDER BY 1", _SUSPECTS
    )
    missing = [sentence for held, sentence in zip(rights, _RIGHTS, strict=True) if held]
    if relations:
        missing.append(f"Everybody may read {len(relations)} system catalogs and views, such as {relations[0]}.")
    if functions:
        missing.append(f"Everybody may call {len(functions)} functions that tell of or act on others' objects.")
    return missing + [f"The extension {row['extname']} reaches out of the database." for row in extensions]


_RIGHTS = (
    "Everybody on this server may connect to the database.",
    "Everybody may make temporary tables.",
    "Everybody may make objects in schema public.",
    "Everybody may run blocks of PL/pgSQL.",
)


async def _ensure_connect(connection: asyncpg.Connection, database: str, login: str) -> None:
    query = (
        "SELECT EXISTS (SELECT FROM pg_catalog.pg_database d, pg_catalog.aclexplode(d.datacl) a "
        "JOIN pg_catalog.pg_roles r ON r.oid = a.grantee "
        "WHERE d.datname = $1 AND r.rolname = $2 AND a.privilege_type = 'CONNECT')"
    )
    if not await connection.fetchval(query, database, login):
        await connection.execute(f"GRANT CONNECT ON DATABASE {quote(database)} TO {quote(login)}")


async def _take_from_everybody(connection: asyncpg.Connection, database: str) -> None:
    statements = []
    if await connection.fetchval(_OWNED, database):
        statements.append(f"REVOKE CONNECT, TEMPORARY ON DATABASE {quote(database)} FROM PUBLIC")
    if await is_superuser(connection):
        statements += [f"REVOKE SELECT ON {name} FROM PUBLIC" for name in await _names(connection, "relations_open")]  # noqa: S608 - from the catalog itself
        statements += [
            f"REVOKE EXECUTE ON FUNCTION {name} FROM PUBLIC" for name in await _names(connection, "functions_open")
        ]
        statements.append("REVOKE USAGE ON LANGUAGE plpgsql FROM PUBLIC")
        if await connection.fetchval("SELECT pg_catalog.to_regnamespace('public') IS NOT NULL"):
            statements.append("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    if statements:
        await connection.execute(";\n".join(statements))


async def _ensure_sight(connection: asyncpg.Connection, role: str) -> None:
    sees = await connection.fetchval("SELECT pg_catalog.has_table_privilege($1, 'pg_catalog.pg_class', 'SELECT')", role)
    if not sees and await is_superuser(connection):
        names = await _names(connection, "relations_seen_by_owners")
        await connection.execute(f"GRANT SELECT ON {', '.join(names)} TO {quote(role)}")


async def _shut_maintenance(connection: asyncpg.Connection, database: str) -> None:
    """Keep the logins of others in: this server may be theirs, too."""
    for row in await connection.fetch(_sql("logins_of_others"), database):
        await connection.execute(f"GRANT CONNECT ON DATABASE {quote(database)} TO {quote(row['rolname'])}")
    await connection.execute(f"REVOKE CONNECT, TEMPORARY ON DATABASE {quote(database)} FROM PUBLIC")


async def _names(connection: asyncpg.Connection, query: str) -> list[str]:
    return [row["name"] for row in await connection.fetch(_sql(query))]
