"""Redis is absent, killed or emptied under load, or answers nothing: events go on, and revoked keys are out soon."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest
import redis

from app.embedded.ports import free_port
from app.embedded.postgres import EmbeddedPostgres
from tests.support.engines import throwaway_valkey
from tests.support.grove import Grove, MadeClient, open_grove

pytestmark = pytest.mark.fault(12)

Fault = Callable[[], None]
REVOKED_WITHIN_S = 1.0
SENDERS = 8


@asynccontextmanager
async def absent() -> AsyncIterator[tuple[str, Fault]]:
    """Nobody listens, from before the start on."""
    yield f"redis://127.0.0.1:{free_port()}/0", lambda: None


@asynccontextmanager
async def killed() -> AsyncIterator[tuple[str, Fault]]:
    """A server that is killed when the fault is due."""
    with throwaway_valkey() as engine:
        yield engine.url, engine.kill


@asynccontextmanager
async def flushed() -> AsyncIterator[tuple[str, Fault]]:
    """A server that loses all that it knows."""

    def flush(url: str) -> None:
        with redis.Redis.from_url(url) as connection:
            connection.flushall()

    with throwaway_valkey() as engine:
        yield engine.url, lambda: flush(engine.url)


@asynccontextmanager
async def mute() -> AsyncIterator[tuple[str, Fault]]:
    """A server that takes connections and never says a word."""
    writers: list[asyncio.StreamWriter] = []

    async def keep(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)

    listener = await asyncio.start_server(keep, "127.0.0.1", 0)
    try:
        yield f"redis://127.0.0.1:{listener.sockets[0].getsockname()[1]}/0", lambda: None
    finally:
        listener.close()
        for writer in writers:
            writer.transport.abort()


@pytest.mark.parametrize("kind", [absent, killed, flushed, mute])
async def test_events_go_on_and_revocations_arrive_without_redis(
    durable_postgres: EmbeddedPostgres, kind: Callable[[], AbstractAsyncContextManager[tuple[str, Fault]]]
) -> None:
    async with kind() as (redis_url, strike), open_grove(durable_postgres.url, redis_url=redis_url) as grove:
        async with grove.worker():
            client = await grove.make_client("maple")
        statuses: list[int] = []
        async with grove.twin() as other:
            sending = [asyncio.create_task(send(grove, client, statuses)) for _ in range(SENDERS)]
            await until(lambda: len(statuses) > 50)
            strike()
            seen = len(statuses)
            await until(lambda: len(statuses) > seen + 200)
            for task in sending:
                task.cancel()
            await asyncio.wait(sending)
            assert set(statuses) == {202}

            assert await ask(other, client) == 202
            await revoke(grove, client)
            revoked_at = time.monotonic()
            while await ask(other, client) != 401:
                assert time.monotonic() - revoked_at < REVOKED_WITHIN_S
                await asyncio.sleep(0.02)


async def send(grove: Grove, client: MadeClient, statuses: list[int]) -> None:
    """Send events until cancelled."""
    while True:
        statuses.append(await ask(grove, client))


async def ask(grove: Grove, client: MadeClient) -> int:
    """Send an event with the client's server key and return the status."""
    answer = await grove.http.post("/api/v1/events", json={"name": "page_view"}, headers=client.server)
    return answer.status_code


async def revoke(grove: Grove, client: MadeClient) -> None:
    """Revoke the client's server key."""
    keys = (await grove.http.get(f"{client.path}/keys", headers=client.admin)).json()["data"]
    (key,) = (key for key in keys if key["kind"] == "server")
    answer = await grove.http.delete(f"{client.path}/keys/{key['id']}", headers=client.admin)
    assert answer.is_success, answer.text


async def until(holds: Callable[[], bool]) -> None:
    """Let others go on until something holds."""
    async with asyncio.timeout(30):
        while not holds():  # noqa: ASYNC110 - tasks beside this one bring it about
            await asyncio.sleep(0.01)
