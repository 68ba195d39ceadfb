"""Redis dies or says nothing under load: limits are kept by each process's share, quotas by the client's books."""

import asyncio
import time
from collections.abc import AsyncIterator

import httpx
import pytest
import redis

from app.embedded.postgres import EmbeddedPostgres
from app.embedded.valkey import EmbeddedValkey
from tests.support.engines import throwaway_valkey
from tests.support.grove import Grove, MadeClient, open_grove
from tests.support.proxy import Proxy, proxy_to

pytestmark = pytest.mark.fault(12)

EVENTS = "/api/v1/events"
RATE, BURST = 50, 50
Setting = tuple[list[Grove], EmbeddedValkey, Proxy]


@pytest.fixture
async def setting(durable_postgres: EmbeddedPostgres) -> AsyncIterator[Setting]:
    """Two applications on one Redis, which is reached by a line that can be cut."""
    with throwaway_valkey() as engine:
        async with (
            proxy_to(engine.url) as line,
            open_grove(durable_postgres.url, redis_url=line.url, web_processes=2) as grove,
            grove.twin() as other,
        ):
            yield [grove, other], engine, line


async def make(grove: Grove, **limits: int) -> MadeClient:
    """Make a client that may send so much."""
    async with grove.worker():
        return await grove.make_client("maple", **limits)


async def send(grove: Grove, client: MadeClient, events: int = 1) -> httpx.Response:
    """Send events."""
    return await grove.http.post(EVENTS, json=[{"name": "page_view"}] * events, headers=client.server)


async def flood(groves: list[Grove], client: MadeClient, seconds: float) -> tuple[int, set[int]]:
    """Send as fast as possible to all; return how many events were taken, and the statuses."""
    taken, statuses, ends_at = 0, set(), time.monotonic() + seconds

    async def sender(grove: Grove) -> None:
        nonlocal taken
        while time.monotonic() < ends_at:
            answer = await send(grove, client)
            statuses.add(answer.status_code)
            if answer.status_code == 202:
                taken += 1
            else:
                await asyncio.sleep(0.005)

    await asyncio.gather(*(sender(grove) for grove in groves for _ in range(6)))
    return taken, statuses


async def test_the_rate_is_kept_when_redis_is_killed_under_load(setting: Setting) -> None:
    groves, engine, _ = setting
    client = await make(groves[0], rateLimit=RATE, rateBurst=BURST)
    started = time.monotonic()
    before, _ = await flood(groves, client, 1.5)
    engine.kill()
    after, statuses = await flood(groves, client, 1.5)
    most = BURST + RATE * (time.monotonic() - started)
    assert before + after <= most
    assert after >= 0.7 * RATE * 1.5
    assert statuses == {202, 429}
    health = (await groves[0].http.get("/health")).json()
    assert (health["status"], health["rate_limits"]) == ("degraded", "local")
    assert b"grove_rate_limits_local 1.0" in (await groves[0].http.get("/metrics")).content


async def test_the_rate_is_kept_when_redis_comes_back(setting: Setting) -> None:
    groves, _, line = setting
    client = await make(groves[0], rateLimit=RATE, rateBurst=BURST)
    started = time.monotonic()
    taken, _ = await flood(groves, client, 1.5)
    for cut_or_mend in (line.stop, line.start):
        await cut_or_mend()
        taken += (await flood(groves, client, 1.5))[0]
    assert taken <= BURST + RATE * (time.monotonic() - started)
    async with asyncio.timeout(10):
        while b"grove_rate_limits_local 0.0" not in (await groves[0].http.get("/metrics")).content:
            await send(groves[0], client)


async def test_without_redis_as_much_as_ever_may_come_at_once_comes_through_and_is_paid_off(setting: Setting) -> None:
    groves, engine, _ = setting
    client = await make(groves[0], rateLimit=RATE, rateBurst=BURST)
    engine.kill()
    assert (await send(groves[0], client, BURST)).status_code == 202
    refused = await send(groves[0], client)
    share = len(groves)
    waits_s = round((BURST - BURST / share) * share / RATE)
    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) in {waits_s, waits_s + 1}  # it is rounded up


async def test_what_of_a_quota_was_used_without_redis_is_known_when_it_is_back(setting: Setting) -> None:
    groves, _, line = setting
    client = await make(groves[0], monthlyQuota=1000)
    answers = [await send(grove, client, 5) for grove in groves]
    await line.stop()
    for _ in range(3):  # each time Redis is asked once more, in vain
        answers += [await send(grove, client, 50) for grove in groves]
        await asyncio.sleep(1.1)
    assert {answer.status_code for answer in answers} == {202}
    await line.start()
    async with asyncio.timeout(10):
        while b"grove_rate_limits_local 0.0" not in (await groves[0].http.get("/metrics")).content:
            answers.append(await send(groves[0], client))
    last = await send(groves[0], client)
    taken = sum(answer.json()["accepted"] for answer in [*answers, last] if answer.status_code == 202)
    left = int(last.headers["ratelimit"].split(";")[1].removeprefix("r="))
    assert left == 1000 - taken


async def test_a_quota_is_kept_without_redis(setting: Setting) -> None:
    groves, engine, _ = setting
    client = await make(groves[0], monthlyQuota=100)
    answers = [await send(grove, client, 10) for grove in groves for _ in range(2)]
    engine.kill()
    answers += await asyncio.gather(*(send(grove, client, 5) for grove in groves for _ in range(12)))
    taken = sum(answer.json()["accepted"] for answer in answers if answer.status_code == 202)
    assert 60 < taken <= 100
    assert {answer.status_code for answer in answers} == {202, 429}


async def test_a_quota_is_kept_when_redis_forgets_it(setting: Setting) -> None:
    groves, engine, _ = setting
    client = await make(groves[0], monthlyQuota=100)
    answers = [await send(grove, client, 10) for grove in groves for _ in range(3)]
    with redis.Redis.from_url(engine.url) as connection:
        connection.flushall()
    answers += [await send(grove, client, 10) for grove in groves for _ in range(5)]
    taken = sum(answer.json()["accepted"] for answer in answers if answer.status_code == 202)
    assert taken == 100
    assert {answer.status_code for answer in answers} == {202, 429}
