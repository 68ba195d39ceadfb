"""What one process keeps of limits: what it tells of them, and what it believes when Redis or a quota was away."""

import asyncio
import re
import time
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import cast

import msgspec
import pytest

from app.auth import token_store
from app.auth.buckets import Bucket, Rule
from app.auth.token_store import TokenStore
from app.embedded.postgres import EmbeddedPostgres
from app.embedded.valkey import EmbeddedValkey
from tenants.allowances import UNLIMITED, Allowance
from tenants.errors import RateLimited, StoreUnavailable
from tests.support.grove import Grove, open_grove
from tests.support.limits import Process, SlowRedis
from tests.support.rollups import Counted, counted

MONTH = "2026-11"
CLIENT_RATE, KEY_RATE = Allowance(rate=5, burst=5), Allowance(rate=2, burst=5)


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


def left(headers: dict[str, str]) -> list[int]:
    """Read what is told to be left of each limit."""
    return [int(figure) for figure in re.findall(r";r=(\d+)", headers["ratelimit"])]


@pytest.mark.parametrize("answers", ["late", "never"])
async def test_a_redis_that_answers_nothing_in_time_is_down_however_seldom_it_is_asked(
    store: Counted, redis: SlowRedis, soon_down: float, answers: str
) -> None:
    process = Process(store, redis)
    process.limit(Allowance(rate=100))
    assert await process.admit(1)
    redis.hold()
    await asyncio.sleep(soon_down)  # what is leased needs no Redis
    with pytest.raises(StoreUnavailable):
        await process.take(1)
    for _ in range(3):
        if answers == "late":
            redis.release()
        await asyncio.sleep(soon_down)
        redis.hold()
        assert await process.admit(1)


async def test_a_redis_that_was_late_once_and_answers_in_time_again_is_not_down(
    store: Counted, redis: SlowRedis, soon_down: float
) -> None:
    process = Process(store, redis)
    process.limit(CLIENT_RATE)
    redis.hold()
    assert await process.admit(1) == 0
    redis.release()
    await asyncio.sleep(soon_down)
    calls = redis.calls
    assert await process.admit(1)
    await asyncio.sleep(soon_down)
    assert await process.admit(1)
    assert redis.calls == calls + 2


@pytest.mark.parametrize("knows", ["from Redis", "before", "alone"])
async def test_of_several_limits_the_one_that_takes_longest_is_told(
    store: Counted, redis: SlowRedis, knows: str
) -> None:
    one = Process(store, None if knows == "alone" else redis, web_processes=1)
    one.limit(CLIENT_RATE, KEY_RATE)
    await one.take(5)
    asked = one if knows != "from Redis" else one.twin(redis)
    with pytest.raises(RateLimited) as refused:
        await asked.take(3)
    assert refused.value.retry_after_s == 2
    assert refused.value.headers["ratelimit"].startswith('"key";')


@pytest.mark.parametrize("knows", ["from Redis", "before", "alone"])
async def test_of_a_rate_and_a_month_that_are_used_up_the_month_is_told(
    store: Counted, redis: SlowRedis, knows: str
) -> None:
    one = Process(store, None if knows == "alone" else redis, web_processes=1)
    one.limit(Allowance(rate=5, burst=5, quota=5))
    await one.take(5)
    asked = one if knows != "from Redis" else one.twin(redis)
    with pytest.raises(RateLimited) as refused:
        await asked.take(3)
    assert refused.value.headers["ratelimit"].startswith('"client-month";')
    if knows == "before":
        with pytest.raises(RateLimited, match="month"):
            asked.refuse_early()


@pytest.mark.parametrize("before", [60, 70])
async def test_a_quota_that_was_taken_away_and_is_given_again_is_what_the_books_leave_of_it(
    store: Counted, redis: SlowRedis, before: int
) -> None:
    process = Process(store, redis)
    process.limit(Allowance(quota=before))
    await process.take(53)
    process.limit(UNLIMITED)
    assert await process.take(9) == {}
    await process.count(53 + 9)
    process.limit(Allowance(quota=70))
    assert left(await process.take(2)) == [6]
    assert left(await process.twin(redis).take(2)) == [4]


async def test_keys_share_their_clients_quota_also_after_it_was_taken_away_and_given_again(store: Counted) -> None:
    process = Process(store, None, web_processes=1)
    process.limit(Allowance(quota=30))
    await process.take(2)
    one, other = process.key, msgspec.structs.replace(process.key, key_id=uuid.uuid4())
    process.key = other
    process.limit(UNLIMITED)
    await process.take(9)
    process.limit(Allowance(quota=30))
    await process.take(2)
    process.key = one
    assert left(await process.take(2)) == [26]


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


async def test_without_redis_what_is_left_of_a_quota_gets_less(store: Counted) -> None:
    process = Process(store, None, web_processes=1)
    process.limit(UNLIMITED, Allowance(quota=30))
    assert [left(await process.take(2)) for _ in range(3)] == [[28], [26], [24]]


async def test_without_redis_who_wants_more_than_a_share_of_what_is_left_may_try_again_soon(store: Counted) -> None:
    process = Process(store, None, web_processes=2)
    process.limit(Allowance(quota=30))
    with pytest.raises(RateLimited) as refused:
        await process.take(20)
    assert refused.value.retry_after_s <= 5


@pytest.mark.parametrize(("today", "days"), [((2027, 2, 1), 28), ((2028, 2, 1), 29), ((2026, 12, 1), 31)])
async def test_a_quotas_window_is_its_month(store: Counted, today: tuple[int, int, int], days: int) -> None:
    process = Process(store, None, clock=lambda: datetime(*today, tzinfo=UTC))
    process.limit(Allowance(quota=30))
    headers = await process.take(1)
    assert headers["ratelimit-policy"] == f'"client-month";q=30;w={days * 86_400}'
    assert headers["ratelimit"].endswith(f";t={days * 86_400}")


async def test_who_sends_more_than_is_left_of_a_month_is_told_how_much_that_is(
    store: Counted, redis: SlowRedis
) -> None:
    process = Process(store, redis)
    process.limit(Allowance(quota=10))
    await process.take(4)
    with pytest.raises(RateLimited, match="6 left"):
        await process.take(9)
    await process.take(6)
    with pytest.raises(RateLimited, match="has used up this month's quota"):
        await process.take(1)
