"""Hear within a second what was revoked or changed, in every process.

A writer adds a row to `grove.revocations` in the transaction of its change; each process polls the sequence and,
where there is Redis, is woken at once. Without Redis it is merely slower.
"""

import asyncio
import time
from collections.abc import Callable

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from tenants.control import ControlPlane
from tenants.models import Revocation

POLL_S = 0.4
FRESH_S = 3.0
ANNOUNCE_TIMEOUT_S = 0.1
CHANNEL = "grove:revocations"
# Sequence numbers may commit out of order, so each poll looks this far back for ones it has not seen.
LOOK_BACK = 500

log = structlog.get_logger()
Listener = Callable[[str, str], None]


def revoke(session: AsyncSession, kind: str, subject: str) -> None:
    """Tell every process that `subject` (a key or a client) changed, when this transaction commits."""
    session.add(Revocation(kind=kind, subject=subject))


class RevocationFeed:
    """Polls revocations and hands each to the listeners once, as (kind, subject).

    `generation` grows with each; `fresh` tells whether the last successful poll is recent enough to trust caches.
    """

    def __init__(self, control: ControlPlane, redis: Redis | None = None) -> None:
        self._control = control
        self._redis = redis
        self._listeners: list[Listener] = []
        self._seen: set[int] = set()
        self._last = 0
        self._polled_at = float("-inf")
        self._wake = asyncio.Event()
        self.generation = 0

    @property
    def fresh(self) -> bool:
        """Whether caches may be believed."""
        return time.monotonic() - self._polled_at < FRESH_S

    def listen(self, listener: Listener) -> None:
        """Call `listener` with each revocation from now on."""
        self._listeners.append(listener)

    async def start(self) -> None:
        """Take note of where the sequence stands; what came before is of no interest to empty caches."""
        async with self._control.session() as session:
            self._last = (await session.execute(select(func.coalesce(func.max(Revocation.seq), 0)))).scalar_one()
            rows = await session.execute(select(Revocation.seq).where(Revocation.seq > self._last - LOOK_BACK))
            self._seen = set(rows.scalars())
        self._polled_at = time.monotonic()

    async def poll(self) -> None:
        """Read what is new and tell the listeners; what one of them fails to take is told again."""
        asked_at = time.monotonic()
        async with self._control.session() as session:
            query = select(Revocation).where(Revocation.seq > self._last - LOOK_BACK).order_by(Revocation.seq)
            rows = (await session.execute(query)).scalars().all()
        for row in rows:
            if row.seq not in self._seen:
                self.generation += 1
                for listener in self._listeners:
                    listener(row.kind, row.subject)
                self._seen.add(row.seq)
        self._seen = {row.seq for row in rows}
        self._last = max([self._last, *self._seen])
        self._polled_at = asked_at

    async def run(self) -> None:
        """Poll until cancelled; whatever goes wrong is logged and tried again, for without a feed no cache is used."""
        async with asyncio.TaskGroup() as group:
            if self._redis is not None:
                group.create_task(self._subscribe(self._redis))
            while True:
                try:
                    await self.poll()
                except Exception as error:  # noqa: BLE001 - the feed must outlive every fault
                    log.warning("revocations_unreachable", error=type(error).__name__)
                try:
                    await asyncio.wait_for(self._wake.wait(), POLL_S)
                except TimeoutError:
                    continue
                self._wake.clear()

    async def announce(self) -> None:
        """Wake the other processes; losing this costs them a poll interval, no more."""
        self._wake.set()
        if self._redis is None:
            return
        try:
            async with asyncio.timeout(ANNOUNCE_TIMEOUT_S):
                await self._redis.publish(CHANNEL, b"1")
        except (RedisError, OSError, TimeoutError):
            log.warning("redis_unreachable", doing="announce a revocation")

    async def _subscribe(self, redis: Redis) -> None:
        while True:
            try:
                async with redis.pubsub() as pubsub:
                    await pubsub.subscribe(CHANNEL)
                    async for _ in pubsub.listen():
                        self._wake.set()
            except Exception as error:  # noqa: BLE001 - polling goes on without Redis, and so must trying
                log.info("redis_unreachable", doing="listen for revocations", error=type(error).__name__)
                await asyncio.sleep(1)
