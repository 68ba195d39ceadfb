"""A neighbour's thousand questions take all connections for questions: events come in, and all is given back."""

import asyncio
import statistics
import time

import asyncpg
import pytest

from app.embedded.postgres import EmbeddedPostgres
from tenants.databases import ACQUIRE_TIMEOUT_S
from tenants.ids import quote
from tests.support.grove import open_grove
from tests.support.history import fetch_in
from tests.support.party import Party

pytestmark = pytest.mark.fault(9)

QUESTIONS = 1_000
QUERY_CONNECTIONS, INGEST_CONNECTIONS = 4, 2
DEADLINE_S = 20.0


async def test_a_thousand_questions_that_hang_hold_up_no_event_of_another_client(
    durable_postgres: EmbeddedPostgres,
) -> None:
    async with open_grove(
        durable_postgres.url, query_connections=QUERY_CONNECTIONS, ingest_connections=INGEST_CONNECTIONS
    ) as grove:
        async with grove.worker():
            noisy, quiet = [Party(grove, await grove.make_client(name)) for name in ("maple", "birch")]
        assert (await noisy.send_new()).status_code == (await quiet.send_new()).status_code == 202
        holder = await asyncpg.connect(grove.settings.main_url)
        schema = quote((await grove.placement_of("maple")).schema)
        await holder.execute(f"BEGIN; LOCK TABLE {schema}.events IN ACCESS EXCLUSIVE MODE")

        started = time.monotonic()
        asking = asyncio.gather(*(noisy.ask_totals() for _ in range(QUESTIONS)))
        waits = []
        while not asking.done():
            sent_at = time.monotonic()
            assert (await quiet.send_new()).status_code == 202
            waits.append(time.monotonic() - sent_at)
            await asyncio.sleep(0.02)
        refused = await asking
        took_s = time.monotonic() - started
        await holder.execute("ROLLBACK")
        await holder.close()

        assert {answer.status_code for answer in refused} <= {429, 503}
        assert all(int(answer.headers["retry-after"]) > 0 for answer in refused)
        assert took_s < DEADLINE_S
        # Whoever waited for a connection waited that long. The first few wait for this process to read a thousand
        # questions, which takes as long as it takes.
        assert sorted(waits)[len(waits) * 9 // 10] < ACQUIRE_TIMEOUT_S
        assert statistics.median(waits) < 1
        for sender in (noisy, quiet):
            assert (await sender.ask_totals()).json()["events"] == len(sender.history.promised)
            assert await sender.judge() == []
        assert 0 < await backends(grove.settings.main_url) <= QUERY_CONNECTIONS + INGEST_CONNECTIONS


async def backends(url: str) -> int:
    """Count the connections that serve clients' units of work."""
    sql = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'grove' "
        "AND usename = 'grove_app' AND query ~ '^(BEGIN|COMMIT|ROLLBACK)$'"
    )
    return int((await fetch_in(url, "", sql))[0][0])
