"""Judge a given database URL before anything is made: reachable, Postgres, empty or with the chatbot tables.

Called by onboarding within the request, and by `provisioning.servers`; only reads.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg

from provisioning.requests import NewPlacement
from provisioning.roles import may_make_roles
from provisioning.validation import CHAT_TABLES
from tenants.databases import UNAVAILABLE
from tenants.errors import DatabaseRefused
from tenants.placement import PlacementKind, SourceMap

TIMEOUT_S = 5
_FIELD = "/placement/url"
_SQL = Path(__file__).parent / "sql"
_MOMENTS = {"timestamp without time zone", "timestamp with time zone"}
_REQUIRED = "UserEvents"
_NOT_TIMES = {"sessionId"}
_STRANGER = "What answers at this address is no PostgreSQL server."
_AWAY = "There is no database to be reached at this address."
# The first that fits counts: the client library's errors are kinds of one another.
_REASONS: tuple[tuple[type[Exception] | tuple[type[Exception], ...], str], ...] = (
    (asyncpg.InvalidAuthorizationSpecificationError, "The database refuses this user name or password."),
    (asyncpg.InvalidCatalogNameError, "There is no database of this name on that server."),
    (asyncpg.InsufficientPrivilegeError, "This user may not connect to the database."),
    (asyncpg.PostgresError, "The database does not accept connections at the moment."),
    (asyncpg.ClientConfigurationError, "A parameter of this URL has a value that makes no sense."),
    ((ConnectionRefusedError, TimeoutError), _AWAY),
    ((ConnectionError, asyncpg.InterfaceError, asyncpg.InternalClientError), _STRANGER),
    ((OSError, ValueError), _AWAY),
)  # fmt: skip


async def check_database_url(url: str, placement: NewPlacement) -> None:
    """Judge the URL of a placement of kind `database` (must be empty) or `external` (must have the tables).

    Errors: DatabaseRefused naming `/placement/url`, in words without driver text.
    """
    async with look_into(url, field=_FIELD) as connection:
        if placement.kind == PlacementKind.EXTERNAL:
            await _check_source(connection, source_map(placement))
        else:
            await require_empty(connection)


@asynccontextmanager
async def look_into(url: str, *, field: str) -> AsyncIterator[asyncpg.Connection]:
    """Connect to a database that was given, with short limits, in words that the giver understands.

    Errors: DatabaseRefused.
    """
    limits = {"application_name": "grove", "statement_timeout": f"{TIMEOUT_S}s", "lock_timeout": "2s"}
    try:
        connection = await asyncpg.connect(
            url, timeout=TIMEOUT_S, command_timeout=TIMEOUT_S, statement_cache_size=0, server_settings=limits
        )
    except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, ValueError) as error:
        reason = next(text for kinds, text in _REASONS if isinstance(error, kinds))
        raise DatabaseRefused(reason, field=field) from error
    try:
        yield connection
    except asyncpg.InsufficientPrivilegeError as error:
        raise DatabaseRefused("This user may not do there what Grove needs.", field=field) from error
    except (asyncpg.QueryCanceledError, *UNAVAILABLE) as error:
        raise DatabaseRefused("The database stopped answering while it was looked into.", field=field) from error
    finally:
        connection.terminate()


def source_map(placement: NewPlacement) -> SourceMap:
    """Turn the description of an external database into what is stored."""
    return SourceMap(
        schema=placement.schema or "public",
        timezone=placement.source_timezone or "UTC",
        tables=placement.tables,
        columns=placement.columns,
    )


async def may_write(connection: asyncpg.Connection) -> bool:
    """Tell whether the login behind a connection could change anything in its database."""
    return bool(await connection.fetchval((_SQL / "writable.sql").read_text(encoding="utf-8")))


async def require_empty(connection: asyncpg.Connection) -> None:
    """Refuse a database that holds anything, or in which nothing can be made.

    Errors: DatabaseRefused.
    """
    found = await connection.fetchval((_SQL / "contents.sql").read_text(encoding="utf-8"))
    if found is not None:
        raise DatabaseRefused(f"The database must be empty, but it holds {found}.", field=_FIELD)
    if not await connection.fetchval(
        "SELECT pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE')"
    ):
        raise DatabaseRefused("This user may make nothing in the database.", field=_FIELD)


async def _check_source(connection: asyncpg.Connection, source: SourceMap) -> None:
    names = {source.tables.get(table, table): table for table in CHAT_TABLES}
    query = (_SQL / "source_columns.sql").read_text(encoding="utf-8")
    rows = await connection.fetch(query, source.schema, list(names))
    found: dict[str, dict[str, asyncpg.Record]] = {}
    for row in rows:
        found.setdefault(names[row["table_name"]], {})[row["column_name"]] = row
    for table in [_REQUIRED, *source.tables, *source.columns]:
        if table not in found:
            theirs = source.tables.get(table, table)
            raise DatabaseRefused(f'Schema {source.schema} has no table "{theirs}" that this user sees.', field=_FIELD)
    _check_columns(_REQUIRED, CHAT_TABLES[_REQUIRED], found[_REQUIRED], source)
    for table, mapped in source.columns.items():
        _check_columns(table, tuple(mapped), found[table], source)
    if await may_write(connection) and not await may_make_roles(connection):
        detail = "This user can write and cannot make a read-only login; give the URL of a login that only reads."
        raise DatabaseRefused(detail, field=_FIELD)


def _check_columns(table: str, wanted: tuple[str, ...], found: dict[str, asyncpg.Record], source: SourceMap) -> None:
    renamed = source.columns.get(table, {})
    missing = [renamed.get(name, name) for name in wanted if renamed.get(name, name) not in found]
    if missing:
        raise DatabaseRefused(f'Table "{table}" lacks the columns {", ".join(missing)}.', field=_FIELD)
    for name in wanted:
        column = found[renamed.get(name, name)]
        if not column["readable"]:
            raise DatabaseRefused(f'This user may not read column "{name}" of "{table}".', field=_FIELD)
        if table == _REQUIRED and name not in _NOT_TIMES and column["type"] not in _MOMENTS:
            detail = f'Column "{name}" of "{table}" is {column["type"]}; it must be a timestamp.'
            raise DatabaseRefused(detail, field=_FIELD)
