"""Processes that keep one client's limits, each with a Redis that may become slow."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import msgspec
from redis.asyncio import Redis

from app.auth.limiter import Limiter
from app.embedded.valkey import EmbeddedValkey
from app.observability import Metrics
from tenants.allowances import UNLIMITED, Allowance
from tenants.clock import Clock, utc_now
from tenants.errors import RateLimited, StoreUnavailable
from tenants.keyring import Principal
from tenants.keys import KeyKind
from tests.support.grove import Grove
from tests.support.rollups import Counted, counted

_COUNT = """
INSERT INTO {{schema}}.outcome_counts (flush, hour, key_id, outcome, reason, n)
VALUES (0, date_trunc('hour', now()), $1, 'accepted', '', $2)
"""


class SlowRedis(Redis):
    """Does what it is told at once; `delay_s` is how long its answers take to arrive, unless they are held back."""

    delay_s = 0.0

    def register_script(self, script: Any) -> Any:
        """Keep a script."""
        take = super().register_script(script)
        self.calls = 0
        self._may_arrive = asyncio.Event()
        self.release()

        async def take_slowly(**wanted: Any) -> Any:
            answer = await take(**wanted)
            self.calls += 1
            await asyncio.sleep(self.delay_s)
            await self._may_arrive.wait()
            return answer

        return take_slowly

    def hold(self) -> None:
        """Let no answer arrive until they are released."""
        self._may_arrive.clear()

    def release(self) -> None:
        """Let those arrive that were held back, and all to come."""
        self._may_arrive.set()


class Process:
    """What one process keeps of the limits of a client and a key; without `redis` it is alone."""

    def __init__(
        self, store: Counted, redis: SlowRedis | None, *, web_processes: int = 2, clock: Clock = utc_now
    ) -> None:
        self.client = store.client
        self._redis = redis
        self._store = store
        self._limiter = Limiter(redis, store.databases, clock, Metrics(), web_processes=web_processes)
        owner = store.client.tenant_id
        self.key = Principal(key_id=uuid.uuid4(), kind=KeyKind.SERVER, client_id=owner, scopes=frozenset())

    @property
    def redis(self) -> SlowRedis:
        """Its Redis."""
        assert self._redis is not None
        return self._redis

    def twin(self, redis: SlowRedis) -> "Process":
        """Start another process, for the same client and key."""
        twin = Process(self._store, redis)
        twin.client, twin.key = self.client, self.key
        return twin

    def limit(self, client: Allowance, key: Allowance = UNLIMITED) -> None:
        """Change what may be sent."""
        self.client = msgspec.structs.replace(self.client, allowance=client)
        self.key = msgspec.structs.replace(self.key, allowance=key)

    async def count(self, events: int) -> None:
        """Enter events in the client's books."""
        async with self._store.writing() as db:
            await db.execute(self.client.placement.render(_COUNT), self.key.key_id, events)

    async def take(self, events: int) -> dict[str, str]:
        """Take them, or raise why not; return the headers."""
        headers = await self._limiter.admit(self.client, self.key, events)
        return {name.decode(): value.decode() for name, value in headers}

    def refuse_early(self) -> None:
        """Refuse what is known to be too much."""
        self._limiter.refuse_early(self.client, self.key)

    async def admit(self, events: int) -> int:
        """Return how many were let through: all or none."""
        try:
            await self.take(events)
        except (RateLimited, StoreUnavailable):
            return 0
        return events


@asynccontextmanager
async def processes(grove: Grove, valkey: EmbeddedValkey, **limits: int) -> AsyncIterator[tuple[Process, Process]]:
    """Run two processes that share a new client's limits."""
    made = await grove.make_client(f"limited-{uuid.uuid4().hex[:8]}", **limits)
    async with (
        SlowRedis.from_url(valkey.url) as one,
        SlowRedis.from_url(valkey.url) as other,
        counted(grove, made.id) as store,
    ):
        yield Process(store, cast("SlowRedis", one)), Process(store, cast("SlowRedis", other))
