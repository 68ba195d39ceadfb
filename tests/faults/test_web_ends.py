"""The web process ends under load, asked to or not: what it acknowledged is stored."""

import asyncio
import os
import signal
from contextlib import suppress
from pathlib import Path

import asyncpg
import pytest

from app.embedded.postgres import EmbeddedPostgres
from tenants.clock import utc_now
from tenants.ids import quote
from tests.support.grove import own_database
from tests.support.load import Load
from tests.support.rollups import counted_of
from tests.support.servers import Client, Server, find_backend, run_program

# A server that is told twice does not take the time that it has.
LIMITS_S = {"told twice": 8.0, "killed in its drain": 20.0}


@pytest.mark.fault(18)
async def test_sigterm_under_load_answers_every_request_that_was_taken(
    durable_postgres: EmbeddedPostgres, folder: Path
) -> None:
    async with own_database(durable_postgres.url) as url, run_program(url, folder / "data") as program:
        client = await program.make_client()
        async with client.load(connections=32) as load:
            await load.await_acked(300)
            program.process.terminate()
            async with asyncio.timeout(20):
                assert await program.process.wait() == 0
        assert (load.cut_answers, load.resets) == ([], 0)
        assert {outcome.status for outcome in load.outcomes} <= {202, 503, 0}
        assert await client.judge(load.history) == []
        stored = {row["event_id"] for row in await client.fetch("SELECT event_id FROM {schema}.events")}
        assert stored == load.history.promised, "something was stored of which nobody was told"


@pytest.mark.fault(18)
@pytest.mark.parametrize("way", LIMITS_S)
async def test_a_server_that_may_not_finish_its_drain_loses_nothing_that_it_acknowledged(
    durable_postgres: EmbeddedPostgres, folder: Path, way: str
) -> None:
    async with own_database(durable_postgres.url) as url, run_program(url, folder / "data") as program:
        client = await program.make_client()
        async with client.load(connections=32) as load:
            await load.await_acked(100)
            holder = await asyncpg.connect(url)
            await holder.execute(f"BEGIN; LOCK TABLE {quote(client.schema)}.events IN SHARE MODE")
            await find_backend(url, "query LIKE 'COPY %' AND wait_event_type = 'Lock'")
            program.process.terminate()
            await program.await_closed()
            if way == "told twice":
                program.process.terminate()
            else:
                program.process.kill()
            async with asyncio.timeout(LIMITS_S[way]):
                await program.process.wait()
                await program.await_gone()  # its web server drains as before when it is killed
            await holder.close()
        assert {outcome.status for outcome in load.outcomes} <= {202, 503, 0}
        assert await client.judge(load.history) == []


@pytest.mark.fault(17)
@pytest.mark.parametrize("which", ["worker", "all"])
async def test_a_killed_web_process_costs_no_acknowledged_event(server: Server, client: Client, which: str) -> None:
    async with client.load(connections=16) as load:
        await load.await_acked(100)
        killed = server.web_pids
        for pid in killed if which == "all" else killed[1:]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        await back_from_the_dead(load)
    assert not set(server.web_pids[1:]) & set(killed)
    assert await client.judge(load.history) == []
    async with counted_of(server.settings, client.id) as rollups:
        assert (await rollups.catch_up(utc_now())).events >= len(load.history.promised)
        assert await rollups.differences() == []


async def back_from_the_dead(load: Load) -> None:
    """Wait until connections have broken and requests are acknowledged again."""
    await load.await_that(lambda: any(outcome.status == 0 for outcome in load.outcomes))
    await load.await_acked(50)
