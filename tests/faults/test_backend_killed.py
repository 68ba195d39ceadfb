"""A backend of Postgres dies in the middle of a COPY: each sender gets one answer, nothing is lost or doubled."""

import os
import signal

import asyncpg
import pytest

from tenants.ids import quote
from tests.support.servers import Client, Server, await_that

pytestmark = pytest.mark.fault(1)

COPYING = "SELECT pid FROM pg_stat_activity WHERE query LIKE 'COPY %' AND wait_event_type = 'Lock'"


@pytest.mark.parametrize("way", ["terminated", "killed"])
async def test_a_backend_that_dies_in_its_copy_costs_nothing(server: Server, client: Client, way: str) -> None:
    async with client.load(connections=16) as load:
        await load.await_acked(50)
        holder = await asyncpg.connect(server.database_url)
        await holder.execute(f"BEGIN; LOCK TABLE {quote(client.schema)}.events IN SHARE MODE")
        pid = await find_copying(server)
        if way == "terminated":
            await holder.fetchval("SELECT pg_terminate_backend($1)", pid)
        else:
            os.kill(pid, signal.SIGKILL)  # upon which Postgres ends all its backends and recovers
            await server.await_database()
        holder.terminate()
        await load.await_acked(100)
    assert {outcome.status for outcome in load.outcomes} <= {202, 503}
    assert await client.judge(load.history) == []


async def find_copying(server: Server) -> int:
    """Wait until a flush stands in its COPY, and return its backend's process id."""
    found: list[int] = []
    watcher = await asyncpg.connect(server.database_url)

    async def stands() -> bool:
        found[:] = [row["pid"] for row in await watcher.fetch(COPYING)]
        return bool(found)

    await await_that(stands)
    watcher.terminate()
    return found[0]
