"""Keep clients and keys to what they may send, together over all processes.

Called by the collection before events are read into a flush. The truth is in Redis (`app.auth.token_store`); blocks of
tokens are leased so that few requests wait for it. Without Redis each process keeps to its share of the rate, and
quotas are read from what the client's database has counted.
"""

import asyncio
import calendar
import math
import secrets
import time
from contextlib import suppress
from datetime import datetime
from uuid import UUID

import msgspec
from redis.asyncio import Redis

from app.auth.buckets import Bucket, Rule, rules_of
from app.auth.token_store import TokenStore, TokenStoreDown
from app.observability import Metrics
from tenants.allowances import UNLIMITED, Allowance
from tenants.clock import Clock
from tenants.databases import Databases
from tenants.errors import InputRefused, RateLimited
from tenants.keyring import Principal
from tenants.placement import Purpose, TenantContext

# Without Redis, how old what is known of a month's use may be.
USE_TTL_S = 5.0
MAX_KNOWN = 10_000
_USED = """
SELECT coalesce(sum(n), 0)::bigint FROM {{schema}}.outcome_counts
WHERE hour >= $1 AND ($2::uuid IS NULL OR key_id = $2)
"""
_NO_BUCKETS: list[Bucket] = []
Headers = list[tuple[bytes, bytes]]


class _Share(msgspec.Struct):
    """What of a quota this process may still take without Redis."""

    left: float
    read_at: float
    month: str


class _Known(msgspec.Struct):
    """The buckets that one pair of client and key draws from, for as long as its allowances stay the same."""

    client: Allowance
    key: Allowance
    buckets: list[Bucket]


class Limiter:
    """Admits events. One per process; `web_processes` is how many there are at least.

    `local` tells whether limits are kept by this process alone at the moment: since Redis failed, until it works again.
    """

    def __init__(
        self, redis: Redis | None, databases: Databases, clock: Clock, metrics: Metrics, *, web_processes: int = 1
    ) -> None:
        self._store = None if redis is None else TokenStore(redis, secrets.token_hex(8))
        self._databases = databases
        self._clock = clock
        self._metrics = metrics
        self._web_processes = web_processes
        self._shared: dict[tuple[str, str], Bucket] = {}
        self._known: dict[tuple[str, UUID], _Known] = {}
        self._locks: dict[str, asyncio.Lock] = {}
        self._shares: dict[tuple[str, str], _Share] = {}
        self.local = redis is None

    async def admit(self, client: TenantContext, principal: Principal, events: int, *, stores: bool = True) -> Headers:
        """Take so many events off what may be sent; return the headers that tell what is left.

        Shape: what is not going to be stored is work too, and counts against rates, but not against a month's quota.
        Errors: RateLimited; InputRefused if so many could never be taken at once; StoreUnavailable if what is left
        cannot be known, be it that Redis is late or that a quota's client has its database away.
        """
        buckets = self._buckets(client, principal)
        if not stores:
            buckets = [bucket for bucket in buckets if not bucket.rule.is_quota]
        if not buckets:
            return []
        _require_possible(buckets, events)
        if not self._spend(buckets, events):
            since = time.monotonic()
            async with self._locks.setdefault(client.tenant_id, asyncio.Lock()):
                if not self._spend(buckets, events):
                    await self._refill(client, buckets, events, since)
        return self._headers(buckets)

    def refuse_early(self, client: TenantContext, principal: Principal) -> None:
        """Refuse before a body is read if not even one event can be taken, as far as is known here.

        Errors: RateLimited.
        """
        now = time.monotonic()
        for bucket in self._buckets(client, principal):
            if not bucket.held and not self.local:
                self._require(bucket, bucket.missing_s(1, now))

    def _buckets(self, client: TenantContext, principal: Principal) -> list[Bucket]:
        if client.allowance is UNLIMITED and principal.allowance is UNLIMITED:
            return _NO_BUCKETS
        known = self._known.get((client.tenant_id, principal.key_id))
        if known is not None and known.client == client.allowance and known.key == principal.allowance:
            return known.buckets
        rules = rules_of(f"{client.tenant_id}", "client", client.allowance)
        rules += rules_of(f"{client.tenant_id}:{principal.key_id}", "key", principal.allowance, str(principal.key_id))
        if len(self._known) >= MAX_KNOWN:
            self._known.clear()
            self._shared.clear()
        buckets = [self._bucket(rule) for rule in rules]
        self._known[client.tenant_id, principal.key_id] = _Known(client.allowance, principal.allowance, buckets)
        return buckets

    def _bucket(self, rule: Rule) -> Bucket:
        bucket = self._shared.get((rule.subject, rule.name))
        if bucket is None or bucket.rule != rule:
            bucket = self._shared[rule.subject, rule.name] = Bucket(rule, self._web_processes)
        return bucket

    def _spend(self, buckets: list[Bucket], events: int) -> bool:
        now, month = time.monotonic(), _month(self._clock())
        if any(bucket.usable(now, month) < events for bucket in buckets):
            return False
        for bucket in buckets:
            bucket.spend(events)
        return True

    async def _refill(self, client: TenantContext, buckets: list[Bucket], events: int, since: float) -> None:
        if self._store is not None and not self._store.down:
            for bucket in buckets:
                # What is known to be used up is refused here, so that a flood of requests is none of Redis.
                self._require(bucket, bucket.missing_s(events, time.monotonic()))
            with suppress(TokenStoreDown):
                await self._ask(self._store, client, buckets, events, since)
                return
        self._note(local=True)
        await self._spend_locally(client, buckets, events)

    def _note(self, *, local: bool) -> None:
        self.local = local
        self._metrics.limits_local.set(local)

    async def _ask(
        self, store: TokenStore, client: TenantContext, buckets: list[Bucket], events: int, since: float
    ) -> None:
        month = _month(self._clock())
        for bucket in buckets:
            if bucket.alone:
                bucket.use(await self._used(client, bucket.rule))
        asked_at, answer = await store.take(client.tenant_id, buckets, events, month, since=since)
        while int(answer[0]) < 0:
            unknown = buckets[int(answer[2]) - 1]
            await store.tell_used(unknown, month, await self._used(client, unknown.rule))
            asked_at, answer = await store.take(client.tenant_id, buckets, events, month, since=since)
        self._note(local=False)
        taken = int(answer[0]) == 1
        levels = [float(left) for left in answer[3::2]]
        for bucket, granted, left in zip(buckets, answer[2::2], levels, strict=True):
            bucket.processes = max(self._web_processes, int(answer[1]))
            bucket.note(int(granted) - events if taken else 0, left, asked_at, month)
        if not taken:
            for bucket, left in zip(buckets, levels, strict=True):
                per_s = bucket.rule.per_s
                self._require(bucket, 0.0 if left >= events else (events - left) / per_s if per_s else math.inf)

    async def _used(self, client: TenantContext, rule: Rule) -> int:
        since = self._clock().replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        key_id = None if rule.key_id is None else UUID(rule.key_id)
        async with self._databases.unit(client.placement, Purpose.READ) as db:
            used: int = await db.fetchval(client.placement.render(_USED), since, key_id)
        return used

    async def _spend_locally(self, client: TenantContext, buckets: list[Bucket], events: int) -> None:
        shares = {bucket.rule.name: await self._share(client, bucket) for bucket in buckets if bucket.rule.is_quota}
        for bucket in buckets:
            if bucket.rule.is_quota and shares[bucket.rule.name].left < events:
                self._require(bucket, math.inf)
        for bucket in buckets:
            if not bucket.rule.is_quota:
                self._require(bucket, bucket.wait_locally(events, time.monotonic()))
        for bucket in buckets:
            if bucket.rule.is_quota:
                shares[bucket.rule.name].left -= events
                bucket.alone = True
            else:
                bucket.take_locally(events)

    async def _share(self, client: TenantContext, bucket: Bucket) -> _Share:
        """Find out what this process may take of a quota, by the client's own books and the number of processes."""
        key, now, month = (bucket.rule.subject, bucket.rule.name), time.monotonic(), _month(self._clock())
        share = self._shares.get(key)
        if share is None or share.month != month or now - share.read_at > USE_TTL_S:
            left = bucket.rule.capacity - await self._used(client, bucket.rule)
            share = self._shares[key] = _Share(left // bucket.processes, now, month)
        return share

    def _require(self, bucket: Bucket, wait_s: float) -> None:
        """Refuse where there is anything to wait for.

        Errors: RateLimited.
        """
        if wait_s <= 0:
            return
        self._metrics.limited.labels("quota" if bucket.rule.is_quota else "rate").inc()
        if math.isinf(wait_s):
            wait_s = _month_ends_in(self._clock())
        what = "this month's quota" if bucket.rule.is_quota else "what may be sent at a time"
        owner = "client" if bucket.rule.key_id is None else "key"
        raise RateLimited(
            f"This {owner} has used up {what}.", retry_after_s=max(1, math.ceil(wait_s)), headers=self._fields([bucket])
        )

    def _headers(self, buckets: list[Bucket]) -> Headers:
        return [(name.encode(), value.encode()) for name, value in self._fields(buckets).items()]

    def _fields(self, buckets: list[Bucket]) -> dict[str, str]:
        """Write the fields of draft-ietf-httpapi-ratelimit-headers-10."""
        now, month_s = time.monotonic(), _month_ends_in(self._clock())
        policies, levels = [], []
        for bucket in buckets:
            rule, left = bucket.rule, bucket.remaining(now)
            window_s = _MONTH_S if rule.is_quota else rule.window_s
            reset_s = month_s if rule.is_quota else math.ceil((rule.capacity - left) / rule.per_s)
            policies.append(f'"{rule.name}";q={rule.capacity};w={window_s}')
            levels.append(f'"{rule.name}";r={left};t={math.ceil(reset_s)}')
        return {"ratelimit-policy": ", ".join(policies), "ratelimit": ", ".join(levels)}


_MONTH_S = 30 * 86_400


def _require_possible(buckets: list[Bucket], events: int) -> None:
    """Refuse more events than could ever be taken at once."""
    for bucket in buckets:
        most = bucket.rule.capacity
        if events > most and not bucket.rule.is_quota:
            detail = f"No more than {most} events may come at once here; send them in smaller batches."
            raise InputRefused(detail, field="", code="event_count")


def _month(now: datetime) -> str:
    return f"{now.year}-{now.month}"


def _month_ends_in(now: datetime) -> float:
    days = calendar.monthrange(now.year, now.month)[1]
    into_s = (now.day - 1) * 86_400 + now.hour * 3_600 + now.minute * 60 + now.second
    return days * 86_400 - into_s
