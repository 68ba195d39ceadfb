"""One client's table is locked, or its database slow: the others go on, and its own queue stays bounded."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from uuid import uuid4

import asyncpg
import msgspec
import pytest

from app.embedded.postgres import EmbeddedPostgres
from tenants.ids import quote
from tests.support.grove import own_database
from tests.support.history import History
from tests.support.load import Answer, Connection, Load, make_events
from tests.support.proxy import proxy_to
from tests.support.servers import Client, Program, run_program

pytestmark = pytest.mark.fault(7)

QUEUE_EVENTS = 100
SENDERS = 40
EVENTS_EACH = 10
NEIGHBOURS = 8
Fault = Callable[[], AbstractAsyncContextManager[None]]


@asynccontextmanager
async def locked(program: Program) -> AsyncIterator[tuple[Client, Fault]]:
    """A client whose table can be locked."""
    client = await program.make_client()

    @asynccontextmanager
    async def lock() -> AsyncIterator[None]:
        holder = await asyncpg.connect(program.database_url)
        await holder.execute(f"BEGIN; LOCK TABLE {quote(client.schema)}.events IN ACCESS EXCLUSIVE MODE")
        yield
        await holder.execute("ROLLBACK")
        await holder.close()

    yield client, lock


@asynccontextmanager
async def slow(program: Program) -> AsyncIterator[tuple[Client, Fault]]:
    """A client with a database of its own, each of whose answers can take two seconds longer."""
    async with own_database(program.database_url) as url, proxy_to(url) as line:
        client = await program.make_client(placement={"kind": "database", "url": line.url})

        @asynccontextmanager
        async def delay() -> AsyncIterator[None]:
            line.delay_s = 2
            yield
            line.delay_s = 0

        yield msgspec.structs.replace(client, database_url=url), delay


async def test_clients_whose_writes_wait_slow_nobody_else_and_their_queues_are_bounded(
    durable_postgres: EmbeddedPostgres, folder: Path
) -> None:
    async with (
        own_database(durable_postgres.url) as url,
        run_program(url, folder / "data", ingest_queue_events=QUEUE_EVENTS) as program,
        locked(program) as (one, lock),
        slow(program) as (other, delay),
    ):
        free = await program.make_client()
        async with free.load(connections=NEIGHBOURS) as before:
            await before.await_acked(400)
        async with lock(), delay():
            knocked = History(), History()
            knocking = asyncio.gather(knock(one, knocked[0]), knock(other, knocked[1]))
            async with free.load(connections=NEIGHBOURS) as during:
                await during.await_acked(400)
                assert not knocking.done(), "the faults were meant to outlast the measurement"
            answered = await knocking
        async with one.load() as after, other.load() as after_that:
            await after.await_acked(20)
            await after_that.await_acked(20)
        assert await free.judge(before.history | during.history) == []
        assert await one.judge(knocked[0] | after.history) == []
        assert await other.judge(knocked[1] | after_that.history) == []

    for answers in answered:
        assert {answer.status for answer in answers} == {429, 503}
        assert all(int(answer.headers["retry-after"]) > 0 for answer in answers)
        waiting = sum(answer.status == 503 for answer in answers)
        assert waiting * EVENTS_EACH <= QUEUE_EVENTS
    # Twenty times as long would be a queue behind the lock; twice as long is this machine's noise.
    assert typical(during) < 10 * typical(before) + 0.1


async def knock(client: Client, history: History) -> list[Answer]:
    """Send from many connections at once."""

    async def post() -> Answer:
        connection = await Connection.open(client.port)
        attempt = history.begin(client.key, make_events([uuid4() for _ in range(EVENTS_EACH)]))
        try:
            answer = await connection.post(attempt.body, client.key)
            attempt.end(answer.status, answer.body)
            return answer
        finally:
            await connection.close()

    return list(await asyncio.gather(*(post() for _ in range(SENDERS))))


def typical(load: Load) -> float:
    """Return the time that nineteen of twenty requests took at most."""
    ordered = sorted(outcome.seconds for outcome in load.outcomes)
    return ordered[len(ordered) * 19 // 20]
