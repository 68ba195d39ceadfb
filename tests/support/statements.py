"""Every distinct statement that the suite runs for a client, tried again under the roles of another one.

Each Grove of the suite has a `Recorder`; at its end, what no other Grove has tried yet is replayed against a stranger.
"""

import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import asyncpg

from tenants.ids import function_prefix, quote
from tenants.placement import Placement, Purpose
from tenants.registry import with_database

_MOMENT = re.compile(r"'\d{4}-\d\d-\d\dT[0-9:.]+Z'")
# Templates of statements that were refused to a stranger somewhere in this run of the suite.
proven: set[str] = set()


class Recorded(NamedTuple):
    """A statement as a client's unit of work ran it."""

    placement: Placement
    purpose: Purpose
    sql: str
    args: Sequence[Any]


class Breach(NamedTuple):
    """A statement that was not refused as it should be: under which role, and what happened instead."""

    role: str
    sql: str
    result: str


class Recorder:
    """Notes the first of each kind of statement. Statements that name no schema of a client are kept apart."""

    def __init__(self) -> None:
        self.recorded: dict[str, Recorded] = {}
        self.elsewhere: set[str] = set()

    def observe(self, placement: Placement, purpose: Purpose, sql: str, args: Sequence[Any]) -> None:
        """Take note of a statement."""
        schema = _schema_of(placement, purpose)
        if quote(schema) in sql:
            template = sql.replace(function_prefix(schema), "{{fn}}").replace(quote(schema), "{{schema}}")
            template = _MOMENT.sub("'…'", template)
            self.recorded.setdefault(f"{purpose.name}: {template}", Recorded(placement, purpose, sql, args))
        else:
            self.elsewhere.add(sql)

    @property
    def unproven(self) -> dict[str, Recorded]:
        """What nobody has replayed yet."""
        return {template: said for template, said in self.recorded.items() if template not in proven}


async def replay(admin_url: str, recorded: Iterable[Recorded], strangers: Iterable[Placement]) -> list[Breach]:
    """Try statements under every role of strangers, and under the serving login alone; each try is taken back.

    Shape: empty if each was refused for want of permission. Statements whose client is gone are passed over.
    """
    roles = {role for stranger in strangers for role in _roles_of(stranger)}
    breaches = []
    for said in recorded:
        try:
            connection = await _connect(admin_url, said)
        except asyncpg.InvalidCatalogNameError:
            continue
        try:
            for role in sorted({*roles, urlsplit(said.placement.serve_url).username or ""}):
                breaches += await _try(connection, role, said)
        finally:
            connection.terminate()
    return breaches


async def prove(admin_url: str, recorder: Recorder, strangers: Iterable[Placement]) -> None:
    """Replay what nobody has yet, and remember that it was refused.

    Errors: AssertionError, with what was not.
    """
    there = {
        where: await _is_there(admin_url, said)
        for where, said in {_where(said): said for said in recorder.unproven.values()}.items()
    }
    unproven = {template: said for template, said in recorder.unproven.items() if there[_where(said)]}
    breaches = await replay(admin_url, unproven.values(), strangers)
    assert breaches == []
    proven.update(unproven)


async def _is_there(admin_url: str, said: Recorded) -> bool:
    """Whether the schema that a statement is about still exists."""
    try:
        connection = await _connect(admin_url, said)
    except asyncpg.InvalidCatalogNameError:
        return False
    try:
        _, schema = _where(said)
        return bool(await connection.fetchval("SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1)", schema))
    finally:
        await connection.close()


def _where(said: Recorded) -> tuple[str, str]:
    """Name the database and the schema that a statement is about."""
    url = said.placement.source_url if said.purpose is Purpose.SOURCE else said.placement.serve_url
    return urlsplit(url or "").path.lstrip("/"), _schema_of(said.placement, said.purpose)


async def _connect(admin_url: str, said: Recorded) -> asyncpg.Connection:
    database, _ = _where(said)
    return await asyncpg.connect(with_database(admin_url, database), statement_cache_size=0)


async def _try(connection: asyncpg.Connection, role: str, said: Recorded) -> list[Breach]:
    with suppress(asyncpg.PostgresError):
        await connection.prepare(said.sql)  # as administrator: the driver learns types that roles may not look up
    transaction = connection.transaction()
    await transaction.start()
    result = "it ran"
    try:
        await connection.execute(f"SET LOCAL ROLE {quote(role)}")
        await connection.fetch(said.sql, *said.args)
    except asyncpg.InsufficientPrivilegeError as error:
        result = str(error)
    except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
        result = f"{type(error).__name__}: {error}"
    await transaction.rollback()
    return [] if result.startswith("permission denied") else [Breach(role, said.sql, result)]


def _roles_of(placement: Placement) -> list[str]:
    return [placement.owner_role, placement.writer_role, placement.reader_role, placement.login_role]


def _schema_of(placement: Placement, purpose: Purpose) -> str:
    if purpose is Purpose.SOURCE and placement.source is not None:
        return placement.source.schema
    return placement.schema
