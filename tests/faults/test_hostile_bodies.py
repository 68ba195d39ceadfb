"""Bombs, floods and bodies that never end: each is refused or waits at its own cost, and others are served."""

import asyncio
import gzip
import time

import pytest

from tests.support.load import Answer, Connection, ConnectionEnded
from tests.support.servers import Client, Server, resident_kb

pytestmark = pytest.mark.fault(32)

SLOW = 150
MAX_GROWTH_KB = 150_000
LIMIT_BYTES = 5 * 1024 * 1024
BOMB = gzip.compress(b"[" + b" " * (400 * 1024 * 1024) + b"]", 1)


async def post(client: Client, body: bytes, **headers: str) -> Answer:
    """Send one body over a connection of its own."""
    connection = await Connection.open(client.port)
    try:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await connection.post(body, client.key | named)
    finally:
        await connection.close()


async def test_bombs_and_floods_are_refused_within_bounds_while_others_are_served(
    server: Server, client: Client
) -> None:
    before = resident_kb(server.web_pids)
    async with client.load(connections=4) as load:
        await load.await_acked(20)
        bombs = asyncio.gather(*(post(client, BOMB, content_encoding="gzip") for _ in range(8)))
        floods = asyncio.gather(*(post(client, b"x" * (LIMIT_BYTES + 1)) for _ in range(8)))
        for answer in [*await bombs, *await floods]:
            assert (answer.status, answer.headers["content-type"]) == (413, "application/problem+json")
        await load.await_acked(20)
    assert resident_kb(server.web_pids) - before < MAX_GROWTH_KB
    assert {outcome.status for outcome in load.outcomes} == {202}
    assert await client.judge(load.history) == []


async def test_a_body_without_a_length_is_cut_off_at_the_limit(client: Client) -> None:
    connection = await Connection.open(client.port)
    lines = "".join(f"{name}: {value}\r\n" for name, value in client.key.items())
    connection.writer.write(
        f"POST /api/v1/events HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n{lines}\r\n".encode()
    )
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    try:
        for _ in range(2 * LIMIT_BYTES // 0x10000):
            connection.writer.write(chunk)
            await connection.writer.drain()
    except ConnectionError:
        pass  # it would take no more
    try:
        assert (await connection.read()).status == 413
    except ConnectionEnded as ended:
        pytest.fail(f"no answer: {ended}")
    finally:
        await connection.close()


async def test_senders_that_stop_half_way_hold_up_nobody_and_leave_nothing(server: Server, client: Client) -> None:
    lines = "".join(f"{name}: {value}\r\n" for name, value in client.key.items())
    head = f"POST /api/v1/events HTTP/1.1\r\nHost: x\r\n{lines}Content-Length: 100000\r\n\r\n"
    before = resident_kb(server.web_pids)
    slow = [await Connection.open(client.port) for _ in range(SLOW)]
    for number, connection in enumerate(slow):
        sent = head.encode() + b'[{"name":"half"' if number % 2 else head.encode()[:40]
        connection.writer.write(sent)
        await connection.writer.drain()
    async with client.load(connections=8) as load:
        started = time.monotonic()
        await load.await_acked(100)
        assert time.monotonic() - started < 10
        for connection in slow:
            connection.writer.transport.abort()
        await load.await_acked(20)
    assert resident_kb(server.web_pids) - before < MAX_GROWTH_KB
    assert {outcome.status for outcome in load.outcomes} == {202}
    assert await client.judge(load.history) == []
