"""Five times as many senders as keep a server busy, by turns with those alone, beside others that never finish.

Used by the test of that fault, which asserts answers and bounds, and by the bench, which compares rates.
"""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import reduce
from operator import or_
from statistics import median

import msgspec

from tests.support.history import History
from tests.support.load import Connection, Outcome
from tests.support.servers import Client

BUSY, TIMES = 8, 5
EVENTS_EACH = 50
# More than the busy ones send at once, much less than all.
QUEUE_EVENTS = BUSY * EVENTS_EACH * 2
SLOW = 100
# Senders need the same cores as the server, so who is refused does not spin; but none waits as long as it was told.
PAUSE_S = 0.25


class Overload(msgspec.Struct):
    """What was measured. Units: `busy` and `overloaded` are events per second that were acknowledged."""

    busy: list[float] = []
    overloaded: list[float] = []
    outcomes: list[Outcome] = []
    histories: list[History] = []

    @property
    def goodput(self) -> float:
        """How much of what a busy server stores an overloaded one does."""
        return median(self.overloaded) / median(self.busy)

    @property
    def history(self) -> History:
        """All that was sent."""
        return reduce(or_, self.histories)


async def warm_up(client: Client) -> Overload:
    """Have a server do what it does once only."""
    found = Overload()
    await _measure(found, client, BUSY, 1.0)
    return found


async def overload(found: Overload, client: Client, rounds: int, round_s: float) -> Overload:
    """Measure so many rounds of each on a warm server; its queue must be of QUEUE_EVENTS."""
    async with _slow_senders(client):
        for number in range(2 * rounds):
            many = number % 4 in {1, 2}  # each before the other by turns: the machine has other work, too
            rate = await _measure(found, client, BUSY * TIMES if many else BUSY, round_s)
            (found.overloaded if many else found.busy).append(rate)
    return found


async def _measure(found: Overload, client: Client, connections: int, seconds: float) -> float:
    """Send from so many connections for a while; return how many events per second were acknowledged."""
    async with client.load(connections=connections, events_per_request=EVENTS_EACH, pause_s=PAUSE_S) as load:
        await load.await_acked(BUSY)
        started, acked = time.monotonic(), load.acked
        await load.await_that(lambda: time.monotonic() - started > seconds)
        rate = (load.acked - acked) * EVENTS_EACH / (time.monotonic() - started)
    found.outcomes += load.outcomes
    found.histories.append(load.history)
    return rate


@asynccontextmanager
async def _slow_senders(client: Client) -> AsyncIterator[None]:
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
