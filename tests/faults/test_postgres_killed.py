"""Postgres dies while events come in: nothing that was acknowledged is lost, nothing is there twice."""

import os
import signal
import time

import pytest

from tests.support.servers import Client, Server

pytestmark = pytest.mark.fault(2)

BACK_WITHIN_S = 5.0


async def test_a_killed_postmaster_costs_no_acknowledged_event_and_ingest_is_back_soon(
    server: Server, client: Client
) -> None:
    postgres = server.engines.postgres
    assert postgres is not None
    async with client.load(connections=16) as load:
        for _ in range(3):
            await load.await_acked(100)
            pid = postgres.pid
            os.kill(pid, signal.SIGKILL)
            killed_at = time.monotonic()
            accepted_at = await server.await_database()
            back_at = await load.await_acked_after(accepted_at)
            assert back_at - accepted_at < BACK_WITHIN_S, back_at - killed_at
            assert postgres.pid != pid
    assert await client.judge(load.history) == []
    assert {outcome.status for outcome in load.outcomes} <= {202, 503}
    assert all("retry-after" in outcome.headers for outcome in load.outcomes if outcome.status == 503)
