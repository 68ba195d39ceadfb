"""Tables of several clients of a database are locked: its other clients need not wait behind them."""

import asyncio
import time

import asyncpg
import msgspec
import pytest

from app.embedded.postgres import EmbeddedPostgres
from tenants.databases import Databases
from tenants.errors import StoreUnavailable
from tenants.ids import quote
from tenants.placement import Placement, Purpose
from tests.support.placements import own_placement, remove_placement
from tests.support.pools import open_databases

pytestmark = pytest.mark.fault(7)

LOCKED = 2
# Until each has waited for its lock once, all connections may be theirs.
FIRST_WAIT_S = 1.5
MEASURED_S = 4.0


async def test_locked_clients_leave_connections_to_the_others(durable_postgres: EmbeddedPostgres) -> None:
    home, *locked = await place_clients(durable_postgres.url)
    async with open_databases(ingest=LOCKED) as databases:
        waits = await write_beside(databases, home, locked, durable_postgres.url)
    for each in (*locked, home):
        await remove_placement(durable_postgres.url, each)
    assert max(waits) < 0.5


async def write_beside(databases: Databases, home: Placement, locked: list[Placement], admin_url: str) -> list[float]:
    """Lock all but one, and return how long each write of that one took meanwhile."""
    holder = await asyncpg.connect(admin_url)
    await write(databases, home)
    await holder.execute("BEGIN")
    for each in locked:
        await holder.execute(f"LOCK TABLE {quote(each.schema)}.event_ids")
    stuck = [asyncio.create_task(keep_trying(databases, each)) for each in locked]
    await asyncio.sleep(FIRST_WAIT_S)
    waits, ends_at = [], time.monotonic() + MEASURED_S
    while time.monotonic() < ends_at:
        started = time.monotonic()
        await write(databases, home)
        waits.append(time.monotonic() - started)
        await asyncio.sleep(0.01)
    assert not any(task.done() for task in stuck), "the lock was meant to outlast the measurement"
    await holder.execute("ROLLBACK")
    async with asyncio.timeout(10):
        await asyncio.gather(*stuck)
    started = time.monotonic()
    await asyncio.gather(*(write(databases, each) for each in locked))
    assert time.monotonic() - started < 1
    await holder.close()
    return waits


async def place_clients(admin_url: str) -> list[Placement]:
    """Make clients that one login serves, as those of one database are."""
    made = [await own_placement(admin_url, client_id=f"client{n}") for n in range(LOCKED + 1)]
    connection = await asyncpg.connect(admin_url)
    home = made[0]
    login = made[0].serve_url.partition("//")[2].partition(":")[0]
    for each in made[1:]:
        await connection.execute(f"GRANT {quote(each.writer_role)} TO {quote(login)}")
    await connection.close()
    return [home, *(msgspec.structs.replace(each, serve_url=home.serve_url) for each in made[1:])]


async def write(databases: Databases, placement: Placement) -> None:
    """Write as a flush does."""
    async with databases.unit(placement, Purpose.WRITE) as unit:
        await unit.execute(placement.render("DELETE FROM {{schema}}.event_ids WHERE false"))


async def keep_trying(databases: Databases, placement: Placement) -> None:
    """Write until it succeeds, with the pauses of a flush."""
    while True:
        try:
            await write(databases, placement)
        except StoreUnavailable:
            await asyncio.sleep(0.05)
        else:
            return
