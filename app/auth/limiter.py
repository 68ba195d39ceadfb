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
from operator import itemgetter
from uuid import UUID

import msgspec
from redis.asyncio import Redis

from app.auth.buckets import Bucket, Rule, Share, rules_of
from app.auth.token_store import TokenStore, TokenStoreDown
from app.observability import Metrics
from tenants.allowances import UNLIMITED, Allowance
from tenants.clock import Clock
from tenants.databases import Databases
from tenants.errors import InputRefused, RateLimited
from tenants.ids import TenantId
from tenants.keyring import Principal
from tenants.placement import Purpose, TenantContext

MAX_KNOWN = 10_000
_USED = """
SELECT coalesce(sum(n), 0)::bigint FROM {{schema}}.outcome_counts
WHERE hour >= $1 AND ($2::uuid IS NULL OR key_id = $2)
"""
_NO_BUCKETS: list[Bucket] = []
Headers = list[tuple[bytes, bytes]]


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
        buckets = self._buckets(client, principal)
        if buckets and not self.local:
            self._require_known(buckets, 1)

    def _buckets(self, client: TenantContext, principal: Principal) -> list[Bucket]:
        if client.allowance is UNLIMITED and principal.allowance is UNLIMITED and client.tenant_id not in self._locks:
            return _NO_BUCKETS  # and never had any
        known = self._known.get((client.tenant_id, principal.key_id))
        if known is not None and known.client == client.allowance and known.key == principal.allowance:
            return known.buckets
        rules = rules_of(f"{client.tenant_id}", "client", client.allowance)
        rules += rules_of(f"{client.tenant_id}:{principal.key_id}", "key", principal.allowance, str(principal.key_id))
        if len(self._known) >= MAX_KNOWN:
            self._known.clear()
            self._shared.clear()
        self._forget_others(client.tenant_id, principal.key_id, rules)
        buckets = [self._bucket(rule) for rule in rules]
        self._known[client.tenant_id, principal.key_id] = _Known(client.allowance, principal.allowance, buckets)
        return buckets

    def _forget_others(self, client_id: TenantId, key_id: UUID, rules: list[Rule]) -> None:
        """Let all keys of a client begin anew if other limits were known; what is given again, does so too."""
        owners = ((f"{client_id}", "client"), (f"{client_id}:{key_id}", "key"))
        places = [(subject, f"{name}{kind}") for subject, name in owners for kind in ("", "-month")]
        gone = [place for place in places if place in self._shared and self._shared[place].rule not in rules]
        for place in gone:
            del self._shared[place]
        for pair in [pair for pair in self._known if gone and pair[0] == client_id]:
            del self._known[pair]

    def _bucket(self, rule: Rule) -> Bucket:
        bucket = self._shared.get((rule.subject, rule.name))
        if bucket is None:
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
            # What is known to be used up is refused here, so that a flood of requests is none of Redis.
            self._require_known(buckets, events)
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
            if bucket.alone:  # a new one too: the quota may have been another, or none, while its counter stood still
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
            missing = [bucket.refilled_in_s(events - left) for bucket, left in zip(buckets, levels, strict=True)]
            self._require(list(zip(buckets, missing, strict=True)))

    async def _used(self, client: TenantContext, rule: Rule) -> int:
        since = self._clock().replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        key_id = None if rule.key_id is None else UUID(rule.key_id)
        async with self._databases.unit(client.placement, Purpose.READ) as db:
            used: int = await db.fetchval(client.placement.render(_USED), since, key_id)
        return used

    async def _spend_locally(self, client: TenantContext, buckets: list[Bucket], events: int) -> None:
        month = _month(self._clock())
        for bucket in buckets:
            share, now = bucket.share, time.monotonic()
            if bucket.rule.is_quota and (share is None or not share.is_known(now, month)):
                left = bucket.rule.capacity - await self._used(client, bucket.rule)
                bucket.share = Share(left // bucket.processes, left, now, month)
        now = time.monotonic()
        self._require([(bucket, bucket.wait_locally(events, now)) for bucket in buckets])
        for bucket in buckets:
            bucket.take_locally(events)

    def _require_known(self, buckets: list[Bucket], events: int) -> None:
        """Refuse what a rate does not let through by what is known here; what is short of a quota waits longer.

        Shape: a quota alone refuses nobody here, for others may have given back of it.
        Errors: RateLimited.
        """
        now = time.monotonic()
        waits = [bucket.missing_s(events, now) for bucket in buckets]
        if any(waits):
            month = _month(self._clock())
            short = [math.inf if bucket.is_short(events, month) else 0.0 for bucket in buckets]
            self._require(list(zip(buckets, map(max, waits, short), strict=True)))

    def _require(self, waits: list[tuple[Bucket, float]]) -> None:
        """Refuse where there is anything to wait for; tell of what takes longest.

        Errors: RateLimited.
        """
        bucket, wait_s = max(waits, key=itemgetter(1))
        if wait_s <= 0:
            return
        self._metrics.limited.labels("quota" if bucket.rule.is_quota else "rate").inc()
        detail = _detail(bucket, wait_s, time.monotonic())
        if math.isinf(wait_s):
            wait_s = _month_ends_in(self._clock())
        raise RateLimited(detail, retry_after_s=max(1, math.ceil(wait_s)), headers=self._fields([bucket]))

    def _headers(self, buckets: list[Bucket]) -> Headers:
        return [(name.encode(), value.encode()) for name, value in self._fields(buckets).items()]

    def _fields(self, buckets: list[Bucket]) -> dict[str, str]:
        """Write the fields of draft-ietf-httpapi-ratelimit-headers-10."""
        now, today = time.monotonic(), self._clock()
        policies, levels = [], []
        for bucket in buckets:
            rule, left = bucket.rule, bucket.remaining(now)
            window_s = _month_s(today) if rule.is_quota else rule.window_s
            reset_s = _month_ends_in(today) if rule.is_quota else math.ceil((rule.capacity - left) / rule.per_s)
            policies.append(f'"{rule.name}";q={rule.capacity};w={window_s}')
            levels.append(f'"{rule.name}";r={left};t={math.ceil(reset_s)}')
        return {"ratelimit-policy": ", ".join(policies), "ratelimit": ", ".join(levels)}


def _require_possible(buckets: list[Bucket], events: int) -> None:
    """Refuse more events than could ever be taken at once."""
    for bucket in buckets:
        most = bucket.rule.capacity
        if events > most and not bucket.rule.is_quota:
            detail = f"No more than {most} events may come at once here; send them in smaller batches."
            raise InputRefused(detail, field="", code="event_count")


def _detail(bucket: Bucket, wait_s: float, now: float) -> str:
    owner = "client" if bucket.rule.key_id is None else "key"
    if not bucket.rule.is_quota:
        return f"This {owner} has used up what may be sent at a time."
    if not math.isinf(wait_s):
        return f"So much of this {owner}'s quota cannot be had at this moment."
    left = bucket.remaining(now)
    if left:
        return f"Of this month's quota this {owner} has {left} left, and more was sent."
    return f"This {owner} has used up this month's quota."


def _month(now: datetime) -> str:
    return f"{now.year}-{now.month}"


def _month_s(now: datetime) -> int:
    return calendar.monthrange(now.year, now.month)[1] * 86_400


def _month_ends_in(now: datetime) -> int:
    into_s = (now.day - 1) * 86_400 + now.hour * 3_600 + now.minute * 60 + now.second
    return _month_s(now) - into_s
