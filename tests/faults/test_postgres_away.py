"""Postgres goes away and stays away: whoever waits is told so in time, and ingest resumes when it is back."""

import asyncio
import time
from pathlib import Path
from uuid import uuid4

import msgspec
import pytest

from app.embedded.postgres import EmbeddedPostgres
from tests.support.engines import kill_wholly
from tests.support.grove import own_database
from tests.support.history import History
from tests.support.load import Answer, Connection, make_events
from tests.support.servers import run_program

pytestmark = pytest.mark.fault(3)

WAITING = 200
DEADLINE_S = 15.0


async def test_two_hundred_waiting_requests_are_told_when_to_come_back(
    durable_postgres: EmbeddedPostgres, folder: Path
) -> None:
    async with own_database(durable_postgres.url) as url, run_program(url, folder / "data") as program:
        client = await program.make_client()
        connections = [await Connection.open(client.port) for _ in range(WAITING)]
        history = History()

        async def post(connection: Connection) -> Answer:
            ids = [uuid4(), uuid4()]
            history.send(ids)
            answer = await connection.post(msgspec.json.encode(make_events(ids)), client.key)
            if answer.status == 202:
                history.acknowledge(ids)
            return answer

        assert {(await post(connection)).status for connection in connections[:5]} == {202}
        await kill_wholly(durable_postgres)
        try:
            started = time.monotonic()
            answers = await asyncio.gather(*map(post, connections))
            seconds = time.monotonic() - started
        finally:
            durable_postgres.start()
        assert {answer.status for answer in answers} == {503}
        assert all(int(answer.headers["retry-after"]) > 0 for answer in answers)
        assert all(b'"code":"unavailable"' in answer.body for answer in answers)
        assert seconds < DEADLINE_S
        async with client.load() as load:
            await load.await_acked(20)
        for connection in connections:
            await connection.close()
        assert await client.judge(history | load.history) == []
