"""Remember for a day which browser keys were refused for their origin, how often, and from where last.

Told by the collection, asked by the check of adaptors. Such requests reach no client's database, and whoever has seen a
key can send them: each process notes them by key and hour, within bounds, and adds them to Redis every few seconds.
"""

import asyncio
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated
from uuid import UUID

import msgspec
import structlog
from msgspec import Meta
from redis.asyncio import Redis
from redis.exceptions import RedisError

from tenants.clock import Clock

MAX_NOTED = 1_000
REDIS_TIMEOUT_S = 0.5
_HOURS = 24
_HOUR_S = 3_600
_MAX_ORIGIN = 200
_ORIGIN = re.compile(r"null|[a-z][a-z0-9+.-]{0,30}://[A-Za-z0-9._\[\]:-]+")

log = structlog.get_logger()


class OtherOrigins(msgspec.Struct, frozen=True, kw_only=True):
    """Requests that were refused because they came from no origin of the key's."""

    count: Annotated[int, Meta(description="How many came within the last 24 hours, to the hour.")]
    last_at: Annotated[datetime, Meta(description="When the last one came.")]
    last_origin: Annotated[
        str | None,
        Meta(
            description="What it named as its origin; null: none that has the form of one. Anybody who has seen the "
            "key can send this.",
            examples=["https://maple.example"],
        ),
    ]


_Noted = dict[tuple[UUID, int], OtherOrigins]


class OriginLog:
    """Notes refusals. One per process; without Redis each knows its own alone."""

    def __init__(self, redis: Redis | None, clock: Clock) -> None:
        self._redis = redis
        self._clock = clock
        self._noted: _Noted = {}

    def note(self, key_id: UUID, origin: bytes | None) -> None:
        """Note that a request by a key was refused for its origin."""
        now = self._clock()
        noted = OtherOrigins(count=1, last_at=now, last_origin=_shown(origin))
        self._add((key_id, _hour(now)), noted)

    async def save(self) -> None:
        """Add to Redis what was noted since; what Redis does not take is kept, and may then count twice."""
        noted = self._noted
        if self._redis is None or not noted:
            return
        self._noted = {}
        try:
            async with asyncio.timeout(REDIS_TIMEOUT_S), self._redis.pipeline(transaction=True) as pipe:
                for (key_id, hour), each in noted.items():
                    name = _name(key_id, hour)
                    pipe.hincrby(name, "count", each.count)
                    pipe.hset(name, "at", str(each.last_at.timestamp()))
                    pipe.hset(name, "origin", each.last_origin or "")
                    pipe.expire(name, (_HOURS + 1) * _HOUR_S)
                await pipe.execute()
        except (RedisError, OSError, TimeoutError) as error:
            log.warning("redis_unreachable", doing="save refused origins", error=type(error).__name__)
            later, self._noted = self._noted, noted
            for place, each in later.items():
                self._add(place, each)

    async def find(self, key_ids: Sequence[UUID]) -> OtherOrigins | None:
        """Find out what was refused by any of these keys within a day, as far as can be known; None: nothing."""
        await self.save()
        hour = _hour(self._clock())
        places = [(key_id, hour - ago) for key_id in key_ids for ago in range(_HOURS)]
        found = [self._noted[place] for place in places if place in self._noted] + await self._recall(places)
        if not found:
            return None
        last = max(found, key=lambda each: each.last_at)
        return msgspec.structs.replace(last, count=sum(each.count for each in found))

    async def _recall(self, places: Sequence[tuple[UUID, int]]) -> list[OtherOrigins]:
        if self._redis is None:
            return []
        try:
            async with asyncio.timeout(REDIS_TIMEOUT_S), self._redis.pipeline(transaction=False) as pipe:
                for key_id, hour in places:
                    pipe.hgetall(_name(key_id, hour))
                return [_read(kept) for kept in await pipe.execute() if kept]
        except (RedisError, OSError, TimeoutError) as error:
            log.warning("redis_unreachable", doing="recall refused origins", error=type(error).__name__)
            return []

    def _add(self, place: tuple[UUID, int], new: OtherOrigins) -> None:
        known = self._noted.get(place)
        if known is not None:
            new = msgspec.structs.replace(new, count=known.count + new.count)
        elif len(self._noted) >= MAX_NOTED:
            del self._noted[next(iter(self._noted))]
        self._noted[place] = new


def _shown(origin: bytes | None) -> str | None:
    """Show an origin if it has the form of one and is none too long."""
    if origin is None or len(origin) > _MAX_ORIGIN:
        return None
    text = origin.decode("latin-1")
    return text if _ORIGIN.fullmatch(text) else None


def _hour(at: datetime) -> int:
    return int(at.timestamp()) // _HOUR_S


def _name(key_id: UUID, hour: int) -> str:
    return f"grove:other-origins:{key_id}:{hour}"


def _read(kept: dict[bytes, bytes]) -> OtherOrigins:
    at = datetime.fromtimestamp(float(kept[b"at"]), UTC)
    return OtherOrigins(count=int(kept[b"count"]), last_at=at, last_origin=kept[b"origin"].decode() or None)
