"""Pools of connections to the clients' databases, and units of work in them.

A unit of work is one transaction under one role of one client: the database itself refuses everything
else. Called by ingest and query; ingest, query and attached sources have pools of their own.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from typing import Any, Protocol

import asyncpg

from tenants.errors import QueryTimedOut, StoreUnavailable
from tenants.held_up import HELD_UP, HeldUp
from tenants.ids import quote
from tenants.placement import Placement, PlacementKind, Purpose

CONNECT_TIMEOUT_S = 5.0
ACQUIRE_TIMEOUT_S = 5.0
IDLE_CLOSE_S = 60.0
# How much longer than its longest statement a unit of work may take, with all that it waits for.
GRACE_S = 3.0
# How long whoever uses a pool that nobody needs any more may go on.
RETIRE_S = 30.0
CLOSE_S = 1.0

# What a server says when it is away, stopping, starting or full; anything else is a fault of the statement.
UNAVAILABLE = (
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.CannotConnectNowError,
    asyncpg.TooManyConnectionsError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.InsufficientResourcesError,
    asyncpg.LockNotAvailableError,
    OSError,
    TimeoutError,
)


class Limits(Protocol):
    """What the pools need to know from the settings."""

    @property
    def ingest_connections(self) -> int:
        """Connections per database for ingest."""

    @property
    def query_connections(self) -> int:
        """Connections per database for questions."""


Observer = Callable[[Placement, Purpose, str, Sequence[Any]], None]

# Per purpose: how long a statement may run and how long it may wait for a lock, in milliseconds.
_TIMEOUTS_MS = {Purpose.READ: (10_000, 2_000), Purpose.SOURCE: (10_000, 2_000), Purpose.WRITE: (10_000, 1_000)}

# Element types of the arrays that statements of ours may take or return; text[] the driver knows.
_ARRAYS = (
    *("bool", "int2", "int4", "int8", "float4", "float8", "numeric", "bytea", "uuid"),
    *("date", "timestamp", "timestamptz", "json", "jsonb"),
)


class PooledConnection(asyncpg.Connection):  # type: ignore[misc]
    """A connection that needs no reset between uses: everything a unit of work sets is `SET LOCAL`."""

    def get_reset_query(self) -> str:
        """Ask for nothing, which saves a round trip per unit of work."""
        return ""

    async def copy_rows(self, said: str, types: Iterable[str], rows: Iterable[Sequence[Any]]) -> None:
        """Run statements, the last of which is a binary `COPY` from here, in one round trip.

        Shape: rows have these types. The driver's own way looks at the table instead, under whatever role is set, and
        remembers one shape for each client's table.
        """
        shape = await self._get_statement(f"SELECT {', '.join(f'NULL::{name}' for name in types)}", None)
        await self._protocol.copy_in(said, None, None, rows, shape, None)


async def _learn_arrays(connection: Any) -> None:
    """Have the driver look up array types while the connection is still its login's.

    It reads the catalogs for each type it meets first, which a client's role may not.
    """
    await connection.fetchrow(f"SELECT {', '.join(f'NULL::{name}[]' for name in _ARRAYS)}")


class TenantConnection:
    """One transaction under one role of one client.

    Every statement passes here, so that an observer (a test of the walls) sees each of them. What opens the transaction
    goes with the first one.
    """

    def __init__(self, raw: Any, placement: Placement, purpose: Purpose, begin: str, observe: Observer | None) -> None:
        self._raw = raw
        self.placement = placement
        self.purpose = purpose
        self._begin: str | None = begin
        self._observe = observe

    async def fetch(self, sql: str, *args: Any, timeout_s: float | None = None) -> list[asyncpg.Record]:
        """Run a query and return all its rows; it may take `timeout_s`, else what the pool allows."""
        await self._open(sql, args)
        rows: list[asyncpg.Record] = await self._raw.fetch(sql, *args, timeout=timeout_s)
        return rows

    async def fetchrow(self, sql: str, *args: Any) -> asyncpg.Record | None:
        """Run a query and return its first row."""
        await self._open(sql, args)
        row: asyncpg.Record | None = await self._raw.fetchrow(sql, *args)
        return row

    async def fetchval(self, sql: str, *args: Any) -> Any:
        """Run a query and return the first column of its first row."""
        await self._open(sql, args)
        return await self._raw.fetchval(sql, *args)

    async def fetch_first(self, most: int, sql: str, *args: Any) -> list[asyncpg.Record]:
        """Run a query and return its first rows; those that come after are never sent."""
        await self._open(sql, args)
        cursor = await self._raw.cursor(sql, *args)
        rows: list[asyncpg.Record] = await cursor.fetch(most)
        return rows

    async def execute(self, sql: str, *args: Any, timeout_s: float | None = None) -> str:
        """Run a statement and return its command tag; it may take `timeout_s`, else what the pool allows."""
        await self._open(sql, args)
        tag: str = await self._raw.execute(sql, *args, timeout=timeout_s)
        return tag

    async def copy(self, table: str, columns: Mapping[str, str], rows: Iterable[Sequence[Any]]) -> None:
        """Append rows to a table of this client with binary `COPY`; `columns` maps names to types."""
        target = f"{quote(self.placement.schema)}.{quote(table)}"
        said = f"COPY {target} ({', '.join(map(quote, columns))}) FROM STDIN"
        self._note(said, ())
        begin, self._begin = "" if self._begin is None else f"{self._begin}; ", None
        await self._raw.copy_rows(f"{begin}{said} (FORMAT binary)", columns.values(), rows)

    async def cursor(
        self, sql: str, *args: Any, prefetch: int = 1000, timeout_s: float | None = None
    ) -> AsyncIterator[asyncpg.Record]:
        """Stream a query's rows, `prefetch` at a time; each time may take `timeout_s`, else what the pool allows."""
        await self._open(sql, args)
        async for row in self._raw.cursor(sql, *args, prefetch=prefetch, timeout=timeout_s):
            yield row

    async def end(self) -> None:
        """Commit what was said, if anything was."""
        if self._begin is None:
            await self._raw.execute("COMMIT")

    async def _open(self, sql: str, args: Sequence[Any]) -> None:
        self._note(sql, args)
        if self._begin is not None:
            begin, self._begin = self._begin, None
            await self._raw.execute(begin, timeout=CONNECT_TIMEOUT_S)

    def _note(self, sql: str, args: Sequence[Any]) -> None:
        if self._observe is not None:
            self._observe(self.placement, self.purpose, sql, args)


class Databases:
    """The pools: one per login and purpose, made at first use.

    Connections are opened when needed and closed when idle for a minute; an empty pool costs nothing and stays.
    """

    def __init__(self, limits: Limits, *, observe: Observer | None = None) -> None:
        self._limits = limits
        self._observe = observe
        self._pools: dict[tuple[str, Purpose], asyncpg.Pool] = {}
        self._held_up = HeldUp(limits.ingest_connections)

    @asynccontextmanager
    async def unit(
        self,
        placement: Placement,
        purpose: Purpose,
        *,
        statement_timeout_ms: int | None = None,
        snapshot: bool = False,
    ) -> AsyncIterator[TenantConnection]:
        """Run a block as one transaction under the client's role; commit at its end.

        Shape: with `snapshot` all its statements see the same state of the database, and there may be any number
        of them; without it all of them together may take as long as one, and GRACE_S.
        Errors: StoreUnavailable if the database is away or hangs; QueryTimedOut if a statement was cut off.
        """
        limit_s = None if snapshot else (statement_timeout_ms or _TIMEOUTS_MS[purpose][0]) / 1000 + GRACE_S
        try:
            async with (
                asyncio.timeout(limit_s) as deadline,
                self._turn(placement, purpose),
                (await self._pool(placement, purpose)).acquire(timeout=ACQUIRE_TIMEOUT_S) as raw,
            ):
                begin = begin_statement(placement, purpose, statement_timeout_ms, snapshot=snapshot)
                unit = TenantConnection(raw, placement, purpose, begin, self._observe)
                try:
                    yield unit
                    await unit.end()
                except BaseException as error:
                    late = deadline.expired() or isinstance(error, TimeoutError)
                    if purpose is Purpose.WRITE and (late or isinstance(error, HELD_UP)):
                        self._held_up.note(placement, held_up=True)
                    await _roll_back(raw, at_once=late)
                    raise
                if purpose is Purpose.WRITE:
                    self._held_up.note(placement, held_up=False)
        except asyncpg.QueryCanceledError as error:
            raise QueryTimedOut from error
        except UNAVAILABLE as error:
            raise StoreUnavailable from error

    def _turn(self, placement: Placement, purpose: Purpose) -> AbstractAsyncContextManager[None]:
        if purpose is not Purpose.WRITE:
            return nullcontext()
        return self._held_up.turn(placement, timeout_s=ACQUIRE_TIMEOUT_S)

    async def _pool(self, placement: Placement, purpose: Purpose) -> asyncpg.Pool:
        url = placement.source_url if purpose is Purpose.SOURCE else placement.serve_url
        if url is None:
            message = "only an attached client has a source"
            raise ValueError(message)
        pool = self._pools.get((url, purpose))
        if pool is None:
            # It connects to nothing yet; of two that are made at once, one is kept.
            pool = self._pools.setdefault((url, purpose), await self._make(url, purpose))
        return pool

    async def _make(self, url: str, purpose: Purpose) -> asyncpg.Pool:
        write = purpose is Purpose.WRITE
        return await asyncpg.create_pool(
            url,
            connection_class=PooledConnection,
            init=None if purpose is Purpose.SOURCE else _learn_arrays,
            min_size=0,
            max_size=self._limits.ingest_connections if write else self._limits.query_connections,
            max_inactive_connection_lifetime=IDLE_CLOSE_S,
            timeout=CONNECT_TIMEOUT_S,
            command_timeout=_TIMEOUTS_MS[purpose][0] / 1000 + 5,
            server_settings={"application_name": "grove", "timezone": "UTC"},
        )

    async def forget(self, placement: Placement, *, now: Placement | None = None) -> None:
        """Close the pools that only this client used and, in its place of `now`, no longer uses.

        What runs in them may end first, within RETIRE_S.
        """
        urls = own_urls(placement) - (set() if now is None else own_urls(now))
        if now is None:
            self._held_up.note(placement, held_up=False)
        await self._close([key for key in self._pools if key[0] in urls], limit_s=RETIRE_S)

    async def close(self) -> None:
        """Close every pool; what still runs after CLOSE_S is cut off."""
        await self._close(list(self._pools), limit_s=CLOSE_S)

    async def _close(self, keys: Iterable[tuple[str, Purpose]], *, limit_s: float) -> None:
        await asyncio.gather(*(_close_pool(self._pools.pop(key), limit_s) for key in keys))


def begin_statement(
    placement: Placement, purpose: Purpose, statement_timeout_ms: int | None = None, *, snapshot: bool = False
) -> str:
    """Write what opens a unit of work: transaction, role and limits, in one text.

    Only identifiers from the registry and numbers of our own are put in.
    """
    statement_ms, lock_ms = _TIMEOUTS_MS[purpose]
    mode = " ISOLATION LEVEL REPEATABLE READ" if snapshot else ""
    mode += "" if purpose is Purpose.WRITE else " READ ONLY"
    role = "" if purpose is Purpose.SOURCE else f"SET LOCAL ROLE {quote(placement.role_for(purpose))}; "
    return (
        f"BEGIN{mode}; {role}"
        f"SET LOCAL statement_timeout = {statement_timeout_ms or statement_ms}; "
        f"SET LOCAL lock_timeout = {lock_ms}; SET LOCAL idle_in_transaction_session_timeout = 15000"
    )


def own_urls(placement: Placement) -> set[str]:
    """List the URLs that no other client is served by: of its own or an attached database."""
    urls = {placement.source_url, placement.serve_url if placement.kind == PlacementKind.DATABASE else None}
    return {url for url in urls if url is not None}


async def _close_pool(pool: asyncpg.Pool, limit_s: float) -> None:
    """Close a pool when nobody uses it any more, at the latest after a while."""
    try:
        async with asyncio.timeout(limit_s):
            await pool.close()
    except UNAVAILABLE:  # past the limit, or a connection that did not end well: what is left is cut off
        pool.terminate()


async def _roll_back(raw: Any, *, at_once: bool) -> None:
    """Roll back; a connection that cannot even do that, or not in time, is closed, and the pool replaces it."""
    if at_once:
        raw.terminate()
        return
    try:
        await raw.execute("ROLLBACK", timeout=CONNECT_TIMEOUT_S)
    except (*UNAVAILABLE, asyncpg.PostgresError):
        raw.terminate()
