"""Five times as many senders as keep the server busy, and others that never finish: as much is stored as before."""

import statistics
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from app.embedded.postgres import EmbeddedPostgres
from tests.support.grove import own_database
from tests.support.history import History
from tests.support.load import Connection, Load
from tests.support.servers import Client, resident_kb, run_program

pytestmark = pytest.mark.fault(32)

BUSY, OVERLOAD = 8, 5
EVENTS_EACH = 50
# More than the busy ones send at once, much less than all.
QUEUE_EVENTS = BUSY * EVENTS_EACH * 2
SLOW = 100
ROUNDS, ROUND_S = 8, 1.0
MAX_GROWTH_KB = 100_000
# Senders need the same cores as the server, so who is refused does not spin; but none waits as long as it was told.
PAUSE_S = 0.25
LEAST_SHARE = 0.9


async def test_an_overloaded_server_stores_as_much_as_a_busy_one_and_refuses_the_rest(
    durable_postgres: EmbeddedPostgres, folder: Path
) -> None:
    async with (
        own_database(durable_postgres.url) as url,
        run_program(url, folder / "data", ingest_queue_events=QUEUE_EVENTS) as program,
    ):
        client = await program.make_client()
        histories: list[History] = []
        await measure(client, BUSY, histories)
        before = resident_kb(program.web_pids)
        busy: list[float] = []
        overloaded: list[float] = []
        statuses: set[int] = set()
        async with slow_senders(client):
            for number in range(2 * ROUNDS):
                many = number % 4 in {1, 2}  # each before the other by turns: the machine has other work, too
                rate, load = await measure(client, BUSY * OVERLOAD if many else BUSY, histories)
                (overloaded if many else busy).append(rate)
                statuses |= {outcome.status for outcome in load.outcomes}
                assert all(int(outcome.headers["retry-after"]) > 0 for outcome in load.outcomes if outcome.status > 400)
        assert {202, 429} <= statuses <= {202, 429, 503}
        assert statistics.median(overloaded) >= LEAST_SHARE * statistics.median(busy), (busy, overloaded)
        assert resident_kb(program.web_pids) - before < MAX_GROWTH_KB
        history = History()
        for each in histories:
            history = history | each
        assert await client.judge(history) == []


async def measure(client: Client, connections: int, histories: list[History]) -> tuple[float, Load]:
    """Send from so many connections for a while; return how many events per second were acknowledged."""
    async with client.load(connections=connections, events_per_request=EVENTS_EACH, pause_s=PAUSE_S) as load:
        await load.await_acked(BUSY)
        started, acked = time.monotonic(), load.acked
        await load.await_that(lambda: time.monotonic() - started > ROUND_S)
        rate = (load.acked - acked) * EVENTS_EACH / (time.monotonic() - started)
    histories.append(load.history)
    return rate, load


@asynccontextmanager
async def slow_senders(client: Client) -> AsyncIterator[None]:
    """Begin requests that are never finished: in their head, or in their body."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in client.key.items())
    head = f"POST /api/v1/events HTTP/1.1\r\nHost: x\r\n{lines}Content-Length: 100000\r\n\r\n".encode()
    slow = [await Connection.open(client.port) for _ in range(SLOW)]
    for number, connection in enumerate(slow):
        connection.writer.write(head + b'[{"name":"half"' if number % 2 else head[:40])
        await connection.writer.drain()
    yield
    for connection in slow:
        connection.writer.transport.abort()
