"""Postgres dies while events come in: nothing that was acknowledged is lost, nothing is there twice."""

import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import asyncpg
import pytest

from tenants.ids import quote
from tests.support.grove import execute
from tests.support.load import Load
from tests.support.servers import Client, Server, find_backend

pytestmark = pytest.mark.fault(2)

BACK_WITHIN_S = 5.0


def require_fair_answers(load: Load) -> None:
    """See that each sender got an answer, and who was refused was told when to come back."""
    assert {outcome.status for outcome in load.outcomes} <= {202, 503}
    assert all("retry-after" in outcome.headers for outcome in load.outcomes if outcome.status == 503)


async def test_a_killed_postmaster_costs_no_acknowledged_event_and_ingest_is_back_soon(
    server: Server, client: Client
) -> None:
    assert server.engines.postgres is not None
    async with client.load(connections=16) as load:
        for _ in range(3):
            await load.await_acked(100)
            pid = server.engines.postgres.pid
            os.kill(pid, signal.SIGKILL)
            accepted_at = await server.await_database()
            assert await load.await_acked_after(accepted_at) - accepted_at < BACK_WITHIN_S
            assert server.engines.postgres.pid != pid
    assert await client.judge(load.history) == []
    require_fair_answers(load)


@asynccontextmanager
async def copying(server: Server, client: Client) -> AsyncIterator[None]:
    """Hold a flush in its COPY."""
    holder = await asyncpg.connect(server.database_url)
    await holder.execute(f"BEGIN; LOCK TABLE {quote(client.schema)}.events IN SHARE MODE")
    await find_backend(server.database_url, "query LIKE 'COPY %' AND wait_event_type = 'Lock'")
    yield
    holder.terminate()


@asynccontextmanager
async def committing(server: Server, _client: Client) -> AsyncIterator[None]:
    """Hold a flush in its COMMIT, which is on the disk, but waits for a standby that there is not."""
    await execute(server.database_url, "ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
    try:
        await execute(server.database_url, "SELECT pg_reload_conf()")
        await find_backend(server.database_url, "wait_event = 'SyncRep' AND query = 'COMMIT'")
        yield
    finally:
        await execute(server.database_url, "ALTER SYSTEM RESET synchronous_standby_names")
        await execute(server.database_url, "SELECT pg_reload_conf()")


@pytest.mark.parametrize("held_in", [copying, committing])
async def test_a_flush_that_stands_in_its_copy_or_commit_when_the_postmaster_dies_is_stored_once(
    server: Server, client: Client, held_in: Callable[[Server, Client], AbstractAsyncContextManager[None]]
) -> None:
    postgres = server.engines.postgres
    assert postgres is not None
    async with client.load(connections=16) as load:
        await load.await_acked(100)
        async with held_in(server, client):
            os.kill(postgres.pid, signal.SIGKILL)
            accepted_at = await server.await_database()
        assert await load.await_acked_after(accepted_at) - accepted_at < BACK_WITHIN_S
    assert await client.judge(load.history) == []
    require_fair_answers(load)
