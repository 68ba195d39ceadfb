"""A backend of Postgres dies in the middle of a COPY, or is told to stop it.

Each sender gets one answer, nothing is lost or doubled.
"""

import os
import signal

import asyncpg
import pytest

from tenants.ids import quote
from tests.support.servers import Client, Server, find_backend

pytestmark = pytest.mark.fault(1)

COPYING = "query LIKE 'COPY %' AND wait_event_type = 'Lock'"


@pytest.mark.parametrize("way", ["cancelled", "terminated", "killed"])
async def test_a_backend_that_dies_in_its_copy_costs_nothing(server: Server, client: Client, way: str) -> None:
    async with client.load(connections=16) as load:
        await load.await_acked(50)
        holder = await asyncpg.connect(server.database_url)
        await holder.execute(f"BEGIN; LOCK TABLE {quote(client.schema)}.events IN SHARE MODE")
        pid = await find_backend(server.database_url, COPYING)
        if way == "cancelled":
            await holder.fetchval("SELECT pg_cancel_backend($1)", pid)
        elif way == "terminated":
            await holder.fetchval("SELECT pg_terminate_backend($1)", pid)
        else:
            os.kill(pid, signal.SIGKILL)  # upon which Postgres ends all its backends and recovers
            await server.await_database()
        holder.terminate()
        await load.await_acked(100)
    # What was only cancelled is tried again without a word.
    assert {outcome.status for outcome in load.outcomes} <= ({202} if way == "cancelled" else {202, 503})
    assert await client.judge(load.history) == []
