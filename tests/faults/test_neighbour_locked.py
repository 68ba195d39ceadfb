"""One client's table is locked: the others go on, and its own queue stays bounded."""

import asyncio
from pathlib import Path
from uuid import uuid4

import asyncpg
import msgspec
import pytest

from app.embedded.postgres import EmbeddedPostgres
from tenants.ids import quote
from tests.support.grove import own_database
from tests.support.load import Answer, Connection, Load, make_events
from tests.support.servers import Client, run_program

pytestmark = pytest.mark.fault(7)

QUEUE_EVENTS = 100
SENDERS = 40
EVENTS_EACH = 10
NEIGHBOURS = 8


async def test_a_locked_table_slows_nobody_else_and_its_queue_is_bounded(
    durable_postgres: EmbeddedPostgres, folder: Path
) -> None:
    async with (
        own_database(durable_postgres.url) as url,
        run_program(url, folder / "data", ingest_queue_events=QUEUE_EVENTS) as program,
    ):
        locked, free = await program.make_client(), await program.make_client()
        async with free.load(connections=NEIGHBOURS) as before:
            await before.await_acked(400)
        holder = await asyncpg.connect(url)
        await holder.execute(f"BEGIN; LOCK TABLE {quote(locked.schema)}.events IN ACCESS EXCLUSIVE MODE")
        held_up = asyncio.create_task(knock(locked))
        async with free.load(connections=NEIGHBOURS) as during:
            await during.await_acked(400)
            assert not held_up.done(), "the lock was meant to outlast the measurement"
        answers = await held_up
        await holder.execute("ROLLBACK")
        await holder.close()
        async with locked.load() as after:
            await after.await_acked(20)
        assert await free.judge(before.history | during.history) == []

    assert {answer.status for answer in answers} == {429, 503}
    assert all(int(answer.headers["retry-after"]) > 0 for answer in answers)
    waiting = sum(answer.status == 503 for answer in answers)
    assert waiting * EVENTS_EACH <= QUEUE_EVENTS
    # Twenty times as long would be a queue behind the lock; twice as long is this machine's noise.
    assert typical(during) < 10 * typical(before) + 0.1


async def knock(client: Client) -> list[Answer]:
    """Send from many connections at once."""

    async def post() -> Answer:
        connection = await Connection.open(client.port)
        body = msgspec.json.encode(make_events([uuid4() for _ in range(EVENTS_EACH)]))
        try:
            return await connection.post(body, client.key)
        finally:
            await connection.close()

    return list(await asyncio.gather(*(post() for _ in range(SENDERS))))


def typical(load: Load) -> float:
    """Return the time that nineteen of twenty requests took at most."""
    ordered = sorted(outcome.seconds for outcome in load.outcomes)
    return ordered[len(ordered) * 19 // 20]
