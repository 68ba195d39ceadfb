"""The database and the schema that hold a client's data, and their walls. Steps of onboarding; undone by removal."""

import asyncpg
from sqlalchemy import update

from provisioning.databases_check import require_empty
from provisioning.hardening import harden_database, harden_server, soften_database
from provisioning.roles import lock_server
from provisioning.servers import NO_ROLES
from provisioning.work import Place, Skipped, Step, Work
from tenants.ids import quote
from tenants.models import PlacementRow

# What Postgres notes on a database whose dropping was cut off: it can only be dropped again.
_HALF_DROPPED = -2


async def ensure_database(work: Work) -> str:
    """Make the client's own database; one that a crash left half done is made anew."""
    place = await work.get_place()
    if not place.row.database_made:
        raise Skipped("an existing database is used")
    name = quote(place.row.database)
    async with work.on_server(place) as connection:
        limit = await _connection_limit(connection, place)
        if limit == _HALF_DROPPED:
            await connection.execute(f"DROP DATABASE {name}")
        if limit in {None, _HALF_DROPPED}:
            await connection.execute(f"CREATE DATABASE {name} TEMPLATE template0")
        await connection.execute(f"REVOKE CONNECT, TEMPORARY ON DATABASE {name} FROM PUBLIC")
    return "a database of its own"


async def drop_database(work: Work) -> None:
    """Drop the database if Grove made it, whoever is connected."""
    place = await work.find_place()
    if place is not None and place.row.database_made:
        async with work.on_server(place) as connection:
            await connection.execute(f"DROP DATABASE IF EXISTS {quote(place.row.database)} WITH (FORCE)")


async def ensure_schema(work: Work) -> str | None:
    """Make the client's schema, owned by its owner role.

    A given database is looked into once more: another client may have been given the same one in the meantime.
    """
    place = await work.get_place()
    async with work.in_database(place) as connection, connection.transaction():
        await lock_server(connection)
        made = await connection.fetchval("SELECT pg_catalog.to_regnamespace($1) IS NOT NULL", quote(place.row.schema))
        if place.row.server_made and not made:
            await require_empty(connection)
        await connection.execute(
            f"CREATE SCHEMA IF NOT EXISTS {quote(place.row.schema)} AUTHORIZATION {quote(place.row.owner_role)}"
        )
    return None


async def drop_schema(work: Work) -> None:
    """Drop the schema with all that is in it; where the whole database goes, that is left to it."""
    place = await work.find_place()
    if place is not None and not place.row.database_made:
        async with work.in_database(place) as connection:
            await connection.execute(f"DROP SCHEMA IF EXISTS {quote(place.row.schema)} CASCADE")


async def ensure_walls(work: Work) -> str:
    """Raise the walls of the client's database and record those that cannot be."""
    place = await work.get_place()
    async with work.in_database(place) as connection:
        missing = await _harden(connection, place)
    async with work.control.session() as session:
        query = update(PlacementRow).where(PlacementRow.client_id == work.client_id)
        await session.execute(query.values(unhardened=missing))
    return "all walls stand" if not missing else f"{len(missing)} walls could not be raised"


async def drop_walls(work: Work) -> None:
    """Give a given database back as it was; in others the walls are everybody's, or go with the database."""
    place = await work.find_place()
    if place is not None and place.row.server_made:
        async with work.in_database(place) as connection:
            await soften_database(connection)


async def _harden(connection: asyncpg.Connection, place: Place) -> list[str]:
    row, login = place.row, place.server.serve_login
    if login is None:
        return [NO_ROLES, *await harden_database(connection, connecting=[row.owner_role], seeing=[])]
    own = row.database_made or row.server_made
    seeing = [row.owner_role, login] if own else []
    missing = await harden_database(connection, connecting=[login, row.login_role], seeing=seeing)
    if not row.server_made:
        return missing + await harden_server(connection)
    return [*missing, "This server's other databases and roles are not Grove's, and are left as they are."]


async def _connection_limit(connection: asyncpg.Connection, place: Place) -> int | None:
    query = "SELECT datconnlimit FROM pg_catalog.pg_database WHERE datname = $1"
    limit: int | None = await connection.fetchval(query, place.row.database)
    return limit


DATABASE = Step("database", ensure_database, drop_database)
SCHEMA = Step("schema", ensure_schema, drop_schema)
WALLS = Step("hardening", ensure_walls, drop_walls)
