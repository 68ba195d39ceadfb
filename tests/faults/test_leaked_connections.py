"""A connection is left within a transaction, by a frozen process or by a caller that went away: it is reaped."""

import asyncio
import time
from collections.abc import AsyncIterator

import asyncpg
import pytest

from app.embedded.postgres import EmbeddedPostgres
from tenants.databases import Databases, begin_statement
from tenants.errors import StoreUnavailable
from tenants.ids import quote
from tenants.placement import Placement, PlacementKind, Purpose
from tests.support.history import fetch_in
from tests.support.placements import placed
from tests.support.pools import open_databases
from tests.support.waiting import until

pytestmark = pytest.mark.fault(10)

REAPED_WITHIN_S = 30.0
CONNECTIONS = 3


@pytest.fixture
async def placement(durable_postgres: EmbeddedPostgres) -> AsyncIterator[Placement]:
    """The place of a client with a database of its own, who may have all connections to it."""
    async with placed(durable_postgres.url, kind=PlacementKind.DATABASE) as made:
        yield made


@pytest.fixture
async def databases() -> AsyncIterator[Databases]:
    """The pools."""
    async with open_databases(ingest=CONNECTIONS, query=CONNECTIONS) as opened:
        yield opened


async def test_the_transaction_of_a_process_that_froze_is_ended_with_its_locks(
    durable_postgres: EmbeddedPostgres, placement: Placement, databases: Databases
) -> None:
    frozen = await asyncpg.connect(placement.serve_url)
    await frozen.execute(begin_statement(placement, Purpose.WRITE))
    await frozen.execute(f"LOCK TABLE {quote(placement.schema)}.event_ids IN ACCESS EXCLUSIVE MODE")
    pid = frozen.get_server_pid()
    with pytest.raises(StoreUnavailable):
        await claim_nothing(databases, placement)

    async def is_gone() -> bool:
        return not await fetch_in(durable_postgres.url, "", "SELECT FROM pg_stat_activity WHERE pid = $1", pid)

    await until(is_gone, within_s=REAPED_WITHIN_S)
    await claim_nothing(databases, placement)
    frozen.terminate()


async def test_callers_that_go_away_or_hang_give_their_connections_back(
    durable_postgres: EmbeddedPostgres, placement: Placement, databases: Databases
) -> None:
    leaving = [asyncio.create_task(linger(databases, placement, 10_000)) for _ in range(3)]
    await until(lambda: in_transaction(durable_postgres, placement, 3), within_s=5)
    for task in leaving:
        task.cancel()
    await asyncio.wait(leaving)
    started = time.monotonic()
    hanging = await asyncio.gather(*(linger(databases, placement, 500) for _ in range(3)), return_exceptions=True)
    assert {type(each) for each in hanging} == {StoreUnavailable}
    await asyncio.gather(*(claim_nothing(databases, placement) for _ in range(9)))
    assert time.monotonic() - started < REAPED_WITHIN_S
    await until(lambda: in_transaction(durable_postgres, placement, 0), within_s=5)
    assert len(await connections(durable_postgres, placement)) <= CONNECTIONS


async def claim_nothing(databases: Databases, placement: Placement) -> None:
    """Write as a flush does."""
    async with databases.unit(placement, Purpose.WRITE) as unit:
        await unit.execute(placement.render("DELETE FROM {{schema}}.event_ids WHERE false"))


async def linger(databases: Databases, placement: Placement, statement_timeout_ms: int) -> None:
    """Stay within a unit of work for ever."""
    async with databases.unit(placement, Purpose.WRITE, statement_timeout_ms=statement_timeout_ms) as unit:
        await unit.fetchval("SELECT 1")
        await asyncio.Event().wait()


async def connections(postgres: EmbeddedPostgres, placement: Placement) -> list[asyncpg.Record]:
    """List the client's connections."""
    login = placement.serve_url.partition("//")[2].partition(":")[0]
    return await fetch_in(postgres.url, "", "SELECT state FROM pg_stat_activity WHERE usename = $1", login)


async def in_transaction(postgres: EmbeddedPostgres, placement: Placement, wanted: int) -> bool:
    """Tell whether so many of them stand in a transaction."""
    states = [row["state"] for row in await connections(postgres, placement)]
    return states.count("idle in transaction") == wanted
