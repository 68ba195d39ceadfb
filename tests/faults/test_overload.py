"""Five times as many senders as keep the server busy, and others that never finish: it goes on, and tells the rest."""

from pathlib import Path

import pytest

from app.embedded.postgres import EmbeddedPostgres
from tests.support.grove import own_database
from tests.support.overload import QUEUE_EVENTS, overload, warm_up
from tests.support.servers import resident_kb, run_program

pytestmark = pytest.mark.fault(32)

ROUNDS, ROUND_S = 3, 1.0
MAX_GROWTH_KB = 100_000
# How much it is exactly, `bench.overload` measures; this tells a server that goes on from one that breaks down.
LEAST_GOODPUT = 0.4


async def test_an_overloaded_server_goes_on_storing_and_refuses_the_rest(
    durable_postgres: EmbeddedPostgres, folder: Path
) -> None:
    async with (
        own_database(durable_postgres.url) as url,
        run_program(url, folder / "data", ingest_queue_events=QUEUE_EVENTS) as program,
    ):
        client = await program.make_client()
        warm = await warm_up(client)
        before = resident_kb(program.web_pids)
        found = await overload(warm, client, ROUNDS, ROUND_S)
        assert {202, 429} <= {outcome.status for outcome in found.outcomes} <= {202, 429, 503}
        assert all(int(outcome.headers["retry-after"]) > 0 for outcome in found.outcomes if outcome.status > 400)
        assert found.goodput >= LEAST_GOODPUT, (found.busy, found.overloaded)
        assert resident_kb(program.web_pids) - before < MAX_GROWTH_KB
        assert await client.judge(found.history) == []
