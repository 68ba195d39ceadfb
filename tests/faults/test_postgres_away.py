"""Postgres goes away and stays away: whoever waits is told so in time, and ingest resumes when it is back."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import reduce
from operator import or_
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

import asyncpg
import pytest

from app.embedded.postgres import EmbeddedPostgres
from tenants.ids import quote
from tests.support.engines import kill_wholly
from tests.support.grove import own_database
from tests.support.history import History
from tests.support.load import Answer, Connection, make_events
from tests.support.servers import Client, run_program

pytestmark = pytest.mark.fault(3)

WAITING = 200
DEADLINE_S = 15.0
SENT: list[History] = []  # by the tests of this module, which share a client


class Crowd:
    """Two hundred senders of one client, who ask once each and do not ask again."""

    def __init__(self, client: Client, connections: list[Connection]) -> None:
        self.history = History()
        self._client = client
        self._connections = connections

    async def ask(self, most: int = WAITING) -> list[Answer]:
        """Let each send one request, at once."""
        return list(await asyncio.gather(*map(self._post, self._connections[:most])))

    async def _post(self, connection: Connection) -> Answer:
        attempt = self.history.begin(self._client.key, make_events([uuid4(), uuid4()]))
        answer = await connection.post(attempt.body, self._client.key)
        attempt.end(answer.status, answer.body)
        return answer


@asynccontextmanager
async def gathered(client: Client) -> AsyncIterator[Crowd]:
    """Connect the senders; at the end events are taken again and all is there that should be."""
    connections = [await Connection.open(client.port) for _ in range(WAITING)]
    crowd = Crowd(client, connections)
    assert {answer.status for answer in await crowd.ask(5)} == {202}
    yield crowd
    async with client.load() as load:
        await load.await_acked(20)
    for connection in connections:
        await connection.close()
    SENT.append(crowd.history | load.history)
    assert await client.judge(reduce(or_, SENT)) == []


@pytest.fixture(scope="module")
async def client(durable_postgres: EmbeddedPostgres) -> AsyncIterator[Client]:
    """A client of a server that has to do without its database now and then."""
    with TemporaryDirectory(prefix="grove-faults-") as name:
        async with own_database(durable_postgres.url) as url, run_program(url, Path(name) / "data") as program:
            yield await program.make_client()


async def test_two_hundred_waiting_requests_are_told_when_to_come_back(
    durable_postgres: EmbeddedPostgres, client: Client
) -> None:
    async with gathered(client) as crowd:
        await kill_wholly(durable_postgres)
        try:
            started = time.monotonic()
            answers = await crowd.ask()
            seconds = time.monotonic() - started
        finally:
            durable_postgres.start()
        assert {answer.status for answer in answers} == {503}
        assert all(int(answer.headers["retry-after"]) > 0 for answer in answers)
        assert all(b'"code":"unavailable"' in answer.body for answer in answers)
        assert seconds < DEADLINE_S


async def test_two_hundred_requests_that_wait_while_postgres_restarts_are_answered_in_time(
    durable_postgres: EmbeddedPostgres, client: Client
) -> None:
    async with gathered(client) as crowd:
        holder = await asyncpg.connect(client.database_url)
        await holder.execute(f"BEGIN; LOCK TABLE {quote(client.schema)}.events IN SHARE MODE")
        started = time.monotonic()
        asking = asyncio.create_task(crowd.ask())
        await asyncio.to_thread(durable_postgres.stop)
        await asyncio.to_thread(durable_postgres.start)
        answers = await asking
        assert time.monotonic() - started < DEADLINE_S
        assert {answer.status for answer in answers} <= {202, 503}
        assert all("retry-after" in answer.headers for answer in answers if answer.status == 503)
