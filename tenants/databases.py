"""Pools of connections to the clients' databases, and units of work in them.

A unit of work is one transaction under one role of one client: the database itself refuses everything
else. Called by ingest and query; ingest, query and attached sources have pools of their own.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager, nullcontext, suppress
from functools import partial
from typing import Any, Protocol

import asyncpg

from tenants.connections import Connections
from tenants.errors import QueryTimedOut, StoreUnavailable
from tenants.fair_share import FairShare
from tenants.held_up import HELD_UP, HeldUp
from tenants.ids import quote
from tenants.outages import Outages
from tenants.placement import Placement, PlacementKind, Purpose
from tenants.poolers import Poolers
from tenants.priorities import CROWDED, QUESTION, Priority, find_priority

CONNECT_TIMEOUT_S = 5.0
ACQUIRE_TIMEOUT_S = 5.0
# How much longer than its longest statement a unit of work may take, with all that it waits for.
GRACE_S = 3.0
# How long whoever uses a pool that nobody needs any more may go on.
RETIRE_S = 30.0
CLOSE_S = 1.0

# A server's process keeps what it learnt of each client's tables (0.2 MB where it writes) and planned of its functions
# (2 MB and more where it reads) for as long as its connection lasts, so none serves more different clients than that.
# Where one is busy, a second gets to know its clients: four for writing have room for 2,000 with a good third to spare.
MOST_CLIENTS = {Purpose.READ: 40, Purpose.SOURCE: 20, Purpose.WRITE: 700}

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
# What it says when statements that we prepared are no longer there: somebody else has had the connection.
FORGOTTEN = (asyncpg.InvalidSQLStatementNameError, asyncpg.DuplicatePreparedStatementError)
STATEMENTS_KEPT = 100


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

# What part of a database's connections one of its clients may hold at once. Questions keep a processor busy.
_MOST_OF_ONE = {Purpose.READ: 8, Purpose.WRITE: 2}

# Element types of the arrays that statements of ours may take or return; text[] the driver knows.
_ARRAYS = (
    *("bool", "int2", "int4", "int8", "float4", "float8", "numeric", "bytea", "uuid"),
    *("date", "timestamp", "timestamptz", "json", "jsonb"),
)


class PooledConnection(asyncpg.Connection):  # type: ignore[misc]
    """A connection that can open a unit of work and copy into it at once."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._shapes: dict[tuple[str, ...], Any] = {}
        self.priority: Priority | None = None

    async def copy_rows(self, said: str, types: tuple[str, ...], rows: Iterable[Sequence[Any]]) -> None:
        """Run statements, the last of which is a binary `COPY` from here, in one round trip.

        Shape: rows have these types. The driver's own way looks at the table instead, under whatever role is set, and
        remembers one shape for each client's table.
        """
        shape = self._shapes.get(types)
        if shape is None:
            asked = f"SELECT {', '.join(f'NULL::{name}' for name in types)}"
            shape = self._shapes[types] = await self._get_statement(asked, None, use_cache=False)
        await self._protocol.copy_in(said, None, None, rows, shape, None)


async def _learn_arrays(connection: Any) -> None:
    """Have the driver look up array types while the connection is still its login's.

    It reads the catalogs for each type it meets first, which a client's role may not.
    """
    async with connection.transaction():  # behind a pooler, of one server's connection
        await connection.fetchrow(f"SELECT {', '.join(f'NULL::{name}[]' for name in _ARRAYS)}")


async def _give_way(connection: PooledConnection, url: str) -> None:
    """Have questions give way to events on this machine; processes that helped with one would not."""
    connection.priority = find_priority(url, connection.get_server_pid())
    if connection.priority is not None:
        await connection.execute("SET max_parallel_workers_per_gather = 0")


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
        await self._raw.copy_rows(f"{begin}{said} (FORMAT binary)", tuple(columns.values()), rows)

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
        self._pools: dict[tuple[str, Purpose], Connections] = {}
        self._shares: dict[tuple[str, Purpose], FairShare] = {}
        self._held_up = HeldUp(limits.ingest_connections)
        self._poolers = Poolers(timeout_s=CONNECT_TIMEOUT_S)
        self._outages = Outages()
        self._closed = False

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
        Errors: StoreUnavailable if the database is away or hangs; QueryTimedOut if a statement was cut off; QueueFull
        if too much of this client waits.
        """
        limit_s = None if snapshot else (statement_timeout_ms or _TIMEOUTS_MS[purpose][0]) / 1000 + GRACE_S
        try:
            async with (
                asyncio.timeout(limit_s) as deadline,
                self._turn(placement, purpose) as share,
                self._pool(placement, purpose).use(placement.schema) as raw,
            ):
                if raw.priority is not None:
                    raw.priority.lower(CROWDED if share.is_crowded(placement.tenant_id) else QUESTION)
                begin = begin_statement(placement, purpose, statement_timeout_ms, snapshot=snapshot)
                unit = TenantConnection(raw, placement, purpose, begin, self._observe)
                try:
                    yield unit
                    await unit.end()
                except BaseException as error:
                    late = deadline.expired() or isinstance(error, TimeoutError)
                    if purpose is Purpose.WRITE and (late or isinstance(error, HELD_UP)):
                        self._held_up.note(placement, held_up=True)
                    await _roll_back(raw, at_once=late or isinstance(error, FORGOTTEN))
                    raise
                if purpose is Purpose.WRITE:
                    self._held_up.note(placement, held_up=False)
        except asyncpg.QueryCanceledError as error:
            raise QueryTimedOut from error
        except (*UNAVAILABLE, *FORGOTTEN) as error:
            raise StoreUnavailable(retry_after_s=self._outages.note_away(placement.tenant_id)) from error
        self._outages.note_there(placement.tenant_id)

    @asynccontextmanager
    async def _turn(self, placement: Placement, purpose: Purpose) -> AsyncIterator[FairShare]:
        """Wait for the client's turn on the connections that it shares with others."""
        write = purpose is Purpose.WRITE
        async with self._held_up.turn(placement, timeout_s=ACQUIRE_TIMEOUT_S) if write else nullcontext():
            key = _url_of(placement, purpose), purpose
            share = self._shares.get(key)
            if share is None:
                share = self._shares[key] = self._make_share(placement, purpose)
            async with share.turn(placement.tenant_id, placement.share, timeout_s=ACQUIRE_TIMEOUT_S):
                yield share

    def _make_share(self, placement: Placement, purpose: Purpose) -> FairShare:
        connections = self._most(purpose)
        if purpose is Purpose.SOURCE or placement.kind is PlacementKind.DATABASE:  # nobody else is there
            return FairShare(connections, most=connections)
        return FairShare(connections, most=max(1, connections // _MOST_OF_ONE[purpose]))

    def _most(self, purpose: Purpose) -> int:
        return self._limits.ingest_connections if purpose is Purpose.WRITE else self._limits.query_connections

    def _pool(self, placement: Placement, purpose: Purpose) -> Connections:
        url = _url_of(placement, purpose)
        pool = self._pools.get((url, purpose))
        if pool is None:
            if self._closed:
                raise StoreUnavailable
            connect = partial(_connect, url, purpose, self._poolers)
            pool = Connections(connect, most=self._most(purpose), most_clients=MOST_CLIENTS[purpose])
            self._pools[url, purpose] = pool
        return pool

    def give_up(self, placement: Placement) -> StoreUnavailable:
        """Note that somebody would not wait for a client's database any longer; return what to tell who asks."""
        return StoreUnavailable(retry_after_s=self._outages.note_away(placement.tenant_id))

    async def forget(self, placement: Placement, *, now: Placement | None = None) -> None:
        """Close the pools that only this client used and, in its place of `now`, no longer uses.

        What runs in them may end first, within RETIRE_S.
        """
        urls = own_urls(placement) - (set() if now is None else own_urls(now))
        if now is None:
            self._held_up.note(placement, held_up=False)
            self._outages.note_there(placement.tenant_id)
        await self._close([key for key in self._pools if key[0] in urls], limit_s=RETIRE_S)

    async def close(self) -> None:
        """Close every pool, and make none any more; what still runs after CLOSE_S is cut off."""
        self._closed = True
        await self._close(list(self._pools), limit_s=CLOSE_S)

    async def _close(self, keys: Iterable[tuple[str, Purpose]], *, limit_s: float) -> None:
        keys = list(keys)
        for key in keys:
            self._shares.pop(key, None)
        await asyncio.gather(*(self._pools.pop(key).close(limit_s) for key in keys))


def _url_of(placement: Placement, purpose: Purpose) -> str:
    url = placement.source_url if purpose is Purpose.SOURCE else placement.serve_url
    if url is None:
        message = "only an attached client has a source"
        raise ValueError(message)
    return url


async def _connect(url: str, purpose: Purpose, poolers: Poolers) -> asyncpg.Connection:
    pooled = await poolers.stand_before(url)
    connection = await asyncpg.connect(
        url,
        connection_class=PooledConnection,
        statement_cache_size=0 if pooled else STATEMENTS_KEPT,
        timeout=CONNECT_TIMEOUT_S,
        command_timeout=_TIMEOUTS_MS[purpose][0] / 1000 + 5,
        server_settings={"application_name": "grove", "timezone": "UTC"},
    )
    try:
        if purpose is Purpose.READ and not pooled:
            await _give_way(connection, url)
        if purpose is not Purpose.SOURCE:
            await _learn_arrays(connection)
    except BaseException:
        connection.terminate()
        raise
    return connection


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


async def _roll_back(raw: Any, *, at_once: bool) -> None:
    """Roll back; a connection that cannot even do that, or not in time, is closed, and is replaced."""
    if at_once:
        raw.terminate()
        return
    rolled_back = False
    try:
        with suppress(*UNAVAILABLE, asyncpg.PostgresError):
            await raw.execute("ROLLBACK", timeout=CONNECT_TIMEOUT_S)
            rolled_back = True
    finally:
        # Also when this was cancelled: what is still on its way to the server would be committed by the next unit.
        if not rolled_back:
            raw.terminate()
