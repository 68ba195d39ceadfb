"""Try to cross every wall with every role of a client, list each attempt, and say what could not be hardened.

Steps of `client.isolation_check`; a schema made for the check plays the other client, beside a real one if there is.
"""

from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import unquote, urlsplit

import asyncpg
import msgspec
from sqlalchemy import select

from provisioning.attempts import (
    Attempt,
    Targets,
    attempts_of_any_role,
    attempts_of_login,
    attempts_of_readers,
    attempts_of_serving_login,
    attempts_of_source,
    attempts_of_writer,
)
from provisioning.work import Place, Step, Work, administrator, undo_nothing
from tenants.ids import quote
from tenants.models import PlacementRow, Server
from tenants.placement import Placement
from tenants.registry import with_database, with_login

DENIED = "denied"
LEAKED = "leaked"

# What a wall says: no privilege, no such login; or that there is nothing there to reach.
_WALL_STATES = {"42501", "28000", "28P01", "3D000"}
_ABSENT_STATES = {"42P01", "3F000", "42883", "42704", "58P01", "0A000"}
_TIMEOUT_S = 5
_MAINTENANCE = ("postgres", "template1")


class Tried(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt and what came of it."""

    role: str
    wall: str
    attempt: str
    outcome: str
    detail: str
    expected: str = DENIED


async def ensure_probe(work: Work) -> str:
    """Make a schema that plays another client; its name follows from the operation, so that it is always found."""
    place = await work.get_place()
    schema = quote(_probe_name(work))
    async with work.in_database(place) as connection:
        await connection.execute(
            f"CREATE SCHEMA IF NOT EXISTS {schema}; "
            f"CREATE TABLE IF NOT EXISTS {schema}.events AS SELECT 'of another client'::text AS name"
        )
    return "another client's schema, made for this check"


async def drop_probe(work: Work) -> None:
    """Drop the schema that played another client."""
    place = await work.find_place()
    if place is not None:
        async with work.in_database(place) as connection:
            await connection.execute(f"DROP SCHEMA IF EXISTS {quote(_probe_name(work))} CASCADE")


async def try_walls(work: Work) -> str:
    """Make every attempt and put them, with a summary, into the operation's result."""
    place = await work.get_place()
    placement = work.placement(place)
    async with work.in_database(place) as connection:
        targets = await _targets(work, place, connection)
        tried = await _try_roles(work, place, placement, targets)
    tried += await _try_other_databases(work, place, placement)
    if placement.source_url is not None:
        tried += await _try_source(placement)
    leaks = sum(one.outcome != DENIED for one in tried)
    summary = {"attempts": len(tried), "leaks": leaks, "unhardened": place.row.unhardened}
    work.result = {"attempts": msgspec.to_builtins(tried), "summary": summary}
    return f"{len(tried)} attempts, {leaks} leaks, {len(place.row.unhardened)} walls that could not be raised"


async def _clean_up(work: Work) -> str | None:
    await drop_probe(work)
    return None


async def _try_roles(work: Work, place: Place, own: Placement, targets: Targets) -> list[Tried]:
    everybody, readers = attempts_of_any_role(targets), attempts_of_readers(own)
    tried: list[Tried] = []
    async with _connected(own.serve_url) as connection:
        tried += await _try_all(connection, "writer", own.writer_role, everybody + attempts_of_writer(own))
        tried += await _try_all(connection, "reader", own.reader_role, everybody + readers)
        tried += await _try_all(connection, "serving login", None, attempts_of_serving_login(own, targets))
    login_url = _login_url(work, place, own)
    async with _connected(login_url) as connection:
        every = everybody + readers + attempts_of_login(own, targets)
        tried += await _try_all(connection, "login reader", None, every)
    return tried


async def _try_other_databases(work: Work, place: Place, own: Placement) -> list[Tried]:
    """Try to connect to the maintenance databases and to those of other clients."""
    others = [name for name in await _other_databases(work, place) if name != own.database]
    logins = [
        ("serving login", own.serve_url, _MAINTENANCE),
        ("login reader", _login_url(work, place, own), (*_MAINTENANCE, *others)),
    ]
    return [
        await _try_to_connect(role, with_database(url, database), _called(database))
        for role, url, databases in logins
        for database in databases
        if database != own.database
    ]


async def _try_source(own: Placement) -> list[Tried]:
    if own.source is None or own.source_url is None:
        return []
    given = unquote(urlsplit(own.source_url).path.removeprefix("/"))
    table = own.source.tables.get("UserEvents", "UserEvents")
    async with _connected(own.source_url) as connection:
        owner = await connection.fetchval(
            "SELECT pg_catalog.pg_get_userbyid(datdba) FROM pg_catalog.pg_database WHERE datname = $1", given
        )
        attempts = attempts_of_source(own.source.schema, table, owner)
        return await _try_all(connection, "source login", None, attempts)


async def _try_all(
    connection: asyncpg.Connection, role: str, take: str | None, attempts: Iterable[Attempt]
) -> list[Tried]:
    return [await _try(connection, role, take, attempt) for attempt in attempts]


async def _try(connection: asyncpg.Connection, role: str, take: str | None, attempt: Attempt) -> Tried:
    await connection.execute("BEGIN READ WRITE" + ("" if take is None else f"; SET LOCAL ROLE {quote(take)}"))

    async def cross() -> str:
        return f"it answered {await connection.execute(attempt.sql)}"

    try:
        outcome, detail = await _outcome(cross)
    finally:
        await connection.execute("ROLLBACK")
    return Tried(role=role, wall=attempt.wall, attempt=attempt.attempt, outcome=outcome, detail=detail)


async def _try_to_connect(role: str, url: str, called: str) -> Tried:
    async def cross() -> str:
        async with _connected(url):
            return "it was let in"

    outcome, detail = await _outcome(cross)
    return Tried(role=role, wall="other databases", attempt=f"connect to {called}", outcome=outcome, detail=detail)


async def _outcome(cross: Callable[[], Coroutine[Any, Any, str]]) -> tuple[str, str]:
    """Run an attempt; whatever is not plainly a denial counts as a leak."""
    try:
        return LEAKED, await cross()
    except asyncpg.PostgresError as error:
        if error.sqlstate in _WALL_STATES:
            return DENIED, "permission denied"
        if error.sqlstate in _ABSENT_STATES:
            return DENIED, "there is nothing of the kind"
        return LEAKED, f"neither done nor denied: {type(error).__name__}"


async def _targets(work: Work, place: Place, connection: asyncpg.Connection) -> Targets:
    probe = _probe_name(work)
    return Targets(
        probe_schema=probe,
        probe_oid=await connection.fetchval("SELECT $1::text::regclass::oid::int8", f"{quote(probe)}.events"),
        administrator=await connection.fetchval("SELECT current_user"),
        administrator_pid=connection.get_server_pid(),
        neighbour=await _find_neighbour(work, place),
    )


async def _find_neighbour(work: Work, place: Place) -> Placement | None:
    """Find another client whose schema is in the same database."""
    query = (
        select(PlacementRow, Server)
        .join(Server, Server.name == PlacementRow.server)
        .where(
            PlacementRow.server == place.row.server,
            PlacementRow.database == place.row.database,
            PlacementRow.client_id != work.client_id,
            PlacementRow.revision.is_not(None),
        )
        .order_by(PlacementRow.client_id)
        .limit(1)
    )
    async with work.control.session() as session:
        found = (await session.execute(query)).first()
    return None if found is None else work.placement(Place(found[0], found[1]))


async def _other_databases(work: Work, place: Place) -> list[str]:
    """List the databases on the same server in which other clients live, and the server's own."""
    query = select(PlacementRow.database).where(PlacementRow.server == place.row.server).distinct().limit(20)
    async with work.control.session() as session:
        databases = set((await session.scalars(query)).all())
    return sorted(databases | {unquote(urlsplit(work.administrator_url(place)).path.removeprefix("/"))})


def _called(database: str) -> str:
    """Name a database without telling a client's."""
    return database if database in _MAINTENANCE else "another client's database"


def _login_url(work: Work, place: Place, own: Placement) -> str:
    if place.row.login_password_sealed is None:
        return own.serve_url
    return with_login(own.serve_url, user=own.login_role, password=work.vault.open(place.row.login_password_sealed))


@asynccontextmanager
async def _connected(url: str) -> AsyncIterator[asyncpg.Connection]:
    """Connect as a client's role would, with short limits."""
    async with administrator(url) as connection:
        await connection.execute(f"SET statement_timeout = '{_TIMEOUT_S}s'; SET lock_timeout = '1s'")
        yield connection


def _probe_name(work: Work) -> str:
    return f"t_{work.operation_id.hex[:16]}"


ISOLATION_CHECK = (
    Step("probe", ensure_probe, drop_probe),
    Step("attempts", try_walls, undo_nothing),
    Step("clean_up", _clean_up, undo_nothing),
)
