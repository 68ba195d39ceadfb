"""The tokens of all processes, in Redis, taken by one atomic script; and whether Redis answers in time.

Called by the limiter. No answer for a moment is not the same as no Redis: the script may have run, and others go on
taking. So a call that is late is given up by who waits, not ended; what it took after all is given back by the next
one. Only a Redis that refuses, or has answered nothing in time for DOWN_S, is down.
"""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from app.auth.buckets import LEASE_S, Bucket, Rule
from tenants.errors import StoreUnavailable

# For how long a request waits for Redis.
REDIS_TIMEOUT_S = 0.1
_SLICES = 10
# Without an answer in time for so long, Redis is down; so long a call that nobody waits for may take.
DOWN_S = 1.0
# After so long without a call, an answer that was late says nothing of the next one.
LATENESS_COUNTS_S = 60.0
# How often a Redis that is down is asked whether it is back.
PROBE_S = 1.0
QUOTA_KEPT_S = 40 * 86_400
_SCRIPT = (Path(__file__).parent / "take_tokens.lua").read_text(encoding="utf-8")

log = structlog.get_logger()
T = TypeVar("T")


class TokenStoreDown(Exception):
    """There is no Redis at the moment."""


class TokenStore:
    """Redis as the limiter sees it. One per process; `name` is the process's."""

    def __init__(self, redis: Redis, name: str) -> None:
        self._redis = redis
        self._name = name
        self._take = redis.register_script(_SCRIPT)
        self._tasks: set[asyncio.Task[Any]] = set()
        self._asking = 0
        # When the first of those calls was made that were late, with none in time since; when the last was given up.
        self._late_since: float | None = None
        self._late_at = float("-inf")
        self._down = False
        self._probe_at = 0.0

    @property
    def down(self) -> bool:
        """Whether there is no Redis to ask; now and then it is asked whether it is back, for which nobody waits."""
        if self._down and time.monotonic() >= self._probe_at:
            self._probe_at = float("inf")
            self._keep(self._probe())
        return self._down

    async def take(
        self, client_id: str, buckets: Sequence[Bucket], events: int, month: str, *, since: float
    ) -> tuple[float, Sequence[Any]]:
        """Take tokens from all buckets or none; return since when they may be spent, and what the script answered.

        That is when Redis was asked: the time of a lease does not wait for its answer. `since` is when the one who
        asks began to wait.
        Errors: StoreUnavailable if Redis does not answer in time; TokenStoreDown.
        """
        keys = [f"grove:limits:{{{client_id}}}:processes", *(_key(bucket.rule, month) for bucket in buckets)]
        arguments: list[Any] = [self._name, LEASE_S]
        asked_at = time.monotonic()
        for bucket in buckets:
            rule = bucket.rule
            kept_s = QUOTA_KEPT_S if rule.is_quota else rule.window_s + 60
            arguments += [events, bucket.wanted(events), bucket.offered(asked_at, month), rule.capacity, rule.per_s]
            arguments += [kept_s, bucket.most(asked_at)]

        def give_back(answer: Sequence[Any]) -> None:
            if int(answer[0]) == 1:
                for bucket, granted in zip(buckets, answer[2::2], strict=True):
                    bucket.give_back(int(granted))

        self._require_hope(since)
        for bucket in buckets:
            bucket.let_go()
        return asked_at, await self._in_time(self._take(keys=keys, args=arguments), give_back)

    async def tell_used(self, bucket: Bucket, month: str, used: int) -> None:
        """Tell how much of a quota was used; whoever is first is believed.

        Errors: as `take`.
        """
        await self._in_time(self._redis.set(_key(bucket.rule, month), used, nx=True, ex=QUOTA_KEPT_S))

    def _require_hope(self, since: float) -> None:
        """Refuse to ask a Redis that is late, but for one at a time, and not who has waited for it before."""
        if self._late_since is not None and (self._asking or self._late_at >= since):
            raise self._judge()

    async def _in_time(self, call: Awaitable[T], late: Callable[[T], object] = lambda _: None) -> T:
        """Wait for an answer; one that comes later goes to `late`."""
        asked_at, task = time.monotonic(), self._keep(call)
        self._asking += 1
        task.add_done_callback(self._count_down)
        try:
            if await _ends(task, REDIS_TIMEOUT_S):
                return self._heed(task, asked_at)
        finally:
            if not task.done():
                self._keep(self._outwait(task, late))
        self._note_late(asked_at)
        raise self._judge()

    async def _outwait(self, task: asyncio.Task[T], late: Callable[[T], object]) -> None:
        """Wait for an answer that nobody waits for any more: without one, Redis is down, be there no other request."""
        if await _ends(task, DOWN_S - REDIS_TIMEOUT_S) and task.exception() is None:
            late(task.result())
            return
        task.cancel()
        if not self._down:
            self._judge()

    def _count_down(self, _: object) -> None:
        self._asking -= 1

    def _heed(self, task: asyncio.Task[T], asked_at: float) -> T:
        try:
            answer = task.result()
        except (RedisTimeoutError, TimeoutError) as error:
            self._note_late(asked_at)
            raise self._judge() from error
        except (RedisError, OSError) as error:
            self._note_down(type(error).__name__)
            raise TokenStoreDown from error
        self._late_since = None
        return answer

    def _note_late(self, asked_at: float) -> None:
        if self._late_since is None or asked_at - self._late_at > LATENESS_COUNTS_S:
            self._late_since = asked_at
        self._late_at = time.monotonic()

    def _judge(self) -> Exception:
        """Tell what it means that answers are late, or never came; note if Redis is down by now."""
        if self._late_since is None or time.monotonic() - self._late_since < DOWN_S:
            # By DOWN_S later it has answered, or is down; either way there is an answer then.
            return StoreUnavailable("What may be sent cannot be known at this moment.", retry_after_s=math.ceil(DOWN_S))
        self._note_down("no answer")
        return TokenStoreDown()

    def _note_down(self, error: str) -> None:
        self._down, self._probe_at = True, time.monotonic() + PROBE_S
        log.warning("redis_unreachable", doing="keep rate limits", error=error)

    async def _probe(self) -> None:
        try:
            async with asyncio.timeout(REDIS_TIMEOUT_S):
                await self._redis.ping()
        except (RedisError, OSError, TimeoutError):
            self._probe_at = time.monotonic() + PROBE_S
        else:
            self._down, self._late_since = False, None

    def _keep(self, call: Awaitable[T]) -> asyncio.Task[T]:
        task = asyncio.ensure_future(call)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


async def _ends(task: asyncio.Task[Any], seconds: float) -> bool:
    """Wait so long for an end; a stall of this process, however long it is, takes up one slice: it is none of Redis."""
    for _ in range(_SLICES):
        await asyncio.wait([task], timeout=seconds / _SLICES)
        if task.done():
            return True
    return False


def _key(rule: Rule, month: str) -> str:
    client, _, key = rule.subject.partition(":")
    what = f"quota:{month}" if rule.is_quota else "rate"
    return f"grove:limits:{{{client}}}:{key or 'all'}:{what}"
