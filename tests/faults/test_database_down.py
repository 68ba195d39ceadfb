"""One of several databases is down: its clients are told so in time, and nobody else notices."""

import asyncio
import time

import pytest

from app.embedded.postgres import EmbeddedPostgres
from app.ingest.sink import GIVE_UP_S
from tenants.registry import with_database
from tests.support.grove import open_grove, own_database
from tests.support.party import Party
from tests.support.proxy import proxy_to

pytestmark = pytest.mark.fault(8)

DEADLINE_S = 12.0
OTHERS_S = 2.0
WAITED_S, RETRY_AFTER_OFF_S = GIVE_UP_S, 4


async def test_only_the_clients_of_a_database_that_is_down_are_refused(durable_postgres: EmbeddedPostgres) -> None:
    async with (
        open_grove(durable_postgres.url) as grove,
        own_database(durable_postgres.url) as url,
        proxy_to(url) as line,
    ):
        async with grove.worker():
            down = Party(grove, await grove.make_client("maple", placement={"kind": "database", "url": line.url}))
            apart = Party(grove, await grove.make_client("birch", placement={"kind": "database"}))
            shared = Party(grove, await grove.make_client("cedar"))
        for sender in (down, apart, shared):
            assert (await sender.send_new()).status_code == 202

        await line.stop()
        started = time.monotonic()
        refused = asyncio.gather(*(down.send_new() for _ in range(20)), down.ask_totals())
        waits = [await timed(sender) for _ in range(10) for sender in (apart, shared)]
        assert not refused.done(), "the others were meant to be measured beside it"
        *posted, asked = await refused
        assert {answer.status_code for answer in (*posted, asked)} == {503}
        assert int(asked.headers["retry-after"]) > 0
        # It has been away for as long as they waited; nobody knows more.
        assert all(abs(int(each.headers["retry-after"]) - WAITED_S) < RETRY_AFTER_OFF_S for each in posted)
        assert time.monotonic() - started < DEADLINE_S
        assert max(waits) < OTHERS_S
        health = await grove.http.get("/health")
        assert (health.status_code, health.json()["status"]) == (200, "ok")

        await line.start()
        assert (await down.send_new()).status_code == 202
        assert (await down.ask_totals()).json()["events"] == len(down.history.promised)
        assert await down.judge(url) == []
        own = with_database(grove.settings.main_url, (await grove.placement_of("birch")).database)
        assert await apart.judge(own) == []
        assert await shared.judge() == []


async def timed(sender: Party) -> float:
    """Send and ask as one who has nothing to do with the fault; return how long that took."""
    started = time.monotonic()
    taken, told = await sender.send_new(), await sender.ask_totals()
    assert (taken.status_code, told.status_code) == (202, 200)
    return time.monotonic() - started
