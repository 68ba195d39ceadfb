"""All connections to the control plane are taken: callers are told to come back, and nothing dies of it."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from app.embedded.postgres import EmbeddedPostgres
from tenants.control import ControlPlane
from tenants.errors import StoreUnavailable
from tenants.revocations import RevocationFeed, revoke
from tests.support.grove import open_grove
from tests.support.provisioner import Provisioner, open_provisioner
from tests.support.waiting import until


@pytest.fixture(scope="module")
async def grove(postgres: EmbeddedPostgres) -> AsyncIterator[Provisioner]:
    """A control plane."""
    async with open_provisioner(postgres.url) as provisioner:
        yield provisioner


async def test_who_gets_no_connection_is_told_so_and_the_feed_goes_on(grove: Provisioner) -> None:
    control = ControlPlane(grove.url, size=1)
    feed = RevocationFeed(control)
    await feed.start()
    async with control.session() as session:
        await session.connection()
        running = asyncio.create_task(feed.run())
        with pytest.raises(StoreUnavailable):
            async with control.session() as other:
                await other.connection()

        async def is_stale() -> bool:
            return not feed.fresh

        await until(is_stale, within_s=5)

    async def is_fresh() -> bool:
        assert not running.done()
        return feed.fresh

    await until(is_fresh, within_s=5)
    running.cancel()
    await asyncio.wait([running])
    await control.close()


async def test_the_feed_tells_again_what_a_listener_failed_to_take(grove: Provisioner) -> None:
    feed = RevocationFeed(grove.control)
    told: list[str] = []

    def listen(_kind: str, subject: str) -> None:
        told.append(subject)
        if len(told) == 1:
            raise RuntimeError

    feed.listen(listen)
    await feed.start()
    running = asyncio.create_task(feed.run())
    async with grove.control.session() as session:
        revoke(session, "client", "maple")

    async def is_told_twice() -> bool:
        return len(told) == 2

    await until(is_told_twice, within_s=5)
    assert told == ["maple", "maple"]
    assert not running.done()
    running.cancel()
    await asyncio.wait([running])


async def test_silent_databases_of_many_new_clients_hold_up_nobody_else(postgres: EmbeddedPostgres) -> None:
    asked = 0

    async def stay_silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        asked += 1
        await reader.read()
        writer.close()

    silent = await asyncio.start_server(stay_silent, "127.0.0.1", 0)
    url = f"postgresql://ana:x@127.0.0.1:{silent.sockets[0].getsockname()[1]}/shop"
    async with open_grove(postgres.url) as grove:
        wanted = [
            {"id": f"silent{n}", "name": "Silent", "placement": {"kind": "database", "url": url}} for n in range(16)
        ]
        orders = [
            asyncio.create_task(grove.http.post("/api/v1/clients", json=each, headers=grove.platform))
            for each in wanted
        ]

        async def are_connecting() -> bool:
            return asked == len(wanted)

        await until(are_connecting, within_s=4)
        started = time.monotonic()
        assert (await grove.http.get("/clients", headers=grove.platform)).status_code == 200
        assert time.monotonic() - started < 1
        answers = await asyncio.gather(*orders)
    silent.close()
    assert {(answer.status_code, answer.json()["errors"][0]["pointer"]) for answer in answers} == {
        (400, "/placement/url")
    }
