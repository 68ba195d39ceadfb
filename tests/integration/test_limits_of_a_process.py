"""What one process keeps of limits: what it tells of them, and what it believes when Redis or a quota was away."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator
from typing import cast

import pytest

from app.auth import token_store
from app.auth.buckets import Bucket, Rule
from app.auth.token_store import TokenStore
from app.embedded.postgres import EmbeddedPostgres
from app.embedded.valkey import EmbeddedValkey
from tenants.allowances import Allowance
from tenants.errors import StoreUnavailable
from tests.support.grove import Grove, open_grove
from tests.support.limits import Process, SlowRedis
from tests.support.rollups import Counted, counted

MONTH = "2026-11"
CLIENT_RATE = Allowance(rate=5, burst=5)


@pytest.fixture(scope="module")
async def grove(postgres: EmbeddedPostgres, valkey: EmbeddedValkey) -> AsyncIterator[Grove]:
    """A Grove that makes clients."""
    async with open_grove(postgres.url, redis_url=valkey.url) as grove, grove.worker():
        yield grove


@pytest.fixture
async def store(grove: Grove) -> AsyncIterator[Counted]:
    """A new client's database."""
    made = await grove.make_client(f"limited-{uuid.uuid4().hex[:8]}")
    async with counted(grove, made.id) as store:
        yield store


@pytest.fixture
async def redis(valkey: EmbeddedValkey) -> AsyncIterator[SlowRedis]:
    """A Redis that may become slow."""
    async with SlowRedis.from_url(valkey.url) as redis:
        yield cast("SlowRedis", redis)


@pytest.fixture
def soon_down(monkeypatch: pytest.MonkeyPatch) -> float:
    """Let Redis be down after a fifth of a second without an answer; return when a patient client comes again."""
    monkeypatch.setattr(token_store, "REDIS_TIMEOUT_S", 0.05)
    monkeypatch.setattr(token_store, "DOWN_S", 0.2)
    return 0.2 * 1.3


@pytest.mark.parametrize("delay_s", [60.0, 0.1])
async def test_a_redis_that_answers_nothing_in_time_is_down_however_seldom_it_is_asked(
    store: Counted, redis: SlowRedis, soon_down: float, delay_s: float
) -> None:
    process = Process(store, redis)
    process.limit(Allowance(rate=100))
    assert await process.admit(1)
    redis.delay_s = delay_s
    await asyncio.sleep(soon_down)  # what is leased needs no Redis
    with pytest.raises(StoreUnavailable):
        await process.take(1)
    for _ in range(3):
        await asyncio.sleep(soon_down)
        assert await process.admit(1)


async def test_a_redis_that_was_late_once_and_answers_in_time_again_is_not_down(
    store: Counted, redis: SlowRedis, soon_down: float
) -> None:
    process = Process(store, redis)
    process.limit(CLIENT_RATE)
    redis.delay_s = 0.1
    assert await process.admit(1) == 0
    redis.delay_s = 0.0
    await asyncio.sleep(soon_down)
    calls = redis.calls
    assert await process.admit(1)
    await asyncio.sleep(soon_down)
    assert await process.admit(1)
    assert redis.calls == calls + 2


async def test_after_an_outage_what_was_refilled_during_it_is_there(redis: SlowRedis) -> None:
    rule = Rule(name="client", subject=uuid.uuid4().hex, capacity=20, per_s=10)
    bucket, began = Bucket(rule), time.monotonic() - 60
    for number in range(300):  # half of what may be sent
        assert bucket.wait_locally(1, began + number / 5) == 0
        bucket.take_locally(1)
    _, answer = await TokenStore(redis, "one").take(rule.subject, [bucket], 15, MONTH, since=time.monotonic())
    assert answer[0] == 1


async def test_after_an_outage_what_was_not_refilled_is_not_there(redis: SlowRedis) -> None:
    rule = Rule(name="client", subject=uuid.uuid4().hex, capacity=20, per_s=1)
    bucket, now = Bucket(rule), time.monotonic()
    assert bucket.wait_locally(15, now) == 0
    bucket.take_locally(15)
    store = TokenStore(redis, "one")
    _, answer = await store.take(rule.subject, [bucket], 7, MONTH, since=now)
    assert answer[0] == 0
    assert 4 <= float(answer[3]) <= 6
