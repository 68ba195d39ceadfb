"""Slow down the guessing of passwords, without letting a stranger lock anybody out.

Called by the login, before it looks at a password. Counts are kept in the control plane, so that all processes share
them; what is counted is stored as an HMAC. An attempt counts as failed until it is known to have succeeded, so that
many at once gain nothing.
"""

import base64
from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec
from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from tenants.models import LoginFailure
from tenants.vault import Vault

_MAX_DOUBLINGS = 30


class Rule(msgspec.Struct, frozen=True):
    """How many failures are free, how long the first and the longest pause is, and after how long all is forgotten."""

    free: int
    first: timedelta
    longest: timedelta
    memory: timedelta

    def pause(self, failures: int) -> timedelta:
        """Return the pause after so many failures; each is twice the one before."""
        beyond = failures - self.free
        if beyond < 0:
            return timedelta()
        return min(self.first * (1 << min(beyond, _MAX_DOUBLINGS)), self.longest)


# Somebody at one address who tries one account; a stranger elsewhere cannot run this up for anybody else.
ACCOUNT_FROM_ADDRESS = Rule(5, timedelta(seconds=2), timedelta(minutes=15), timedelta(hours=24))
# One address that tries many accounts; an office behind one address has room.
ADDRESS = Rule(30, timedelta(seconds=2), timedelta(minutes=15), timedelta(hours=1))
# One account tried from many addresses: nobody is refused, but every answer takes longer.
ACCOUNT = Rule(20, timedelta(milliseconds=250), timedelta(seconds=2), timedelta(hours=1))
# A browser in which this account has logged in before has a count of its own, which no stranger can reach.
DEVICE = Rule(10, timedelta(seconds=2), timedelta(minutes=15), timedelta(hours=24))
# Links asked for from one address.
LINKS = Rule(10, timedelta(seconds=30), timedelta(minutes=15), timedelta(hours=1))


class Count(msgspec.Struct, frozen=True):
    """One thing that is counted. `soft` slows answers down and refuses nobody."""

    bucket: bytes
    rule: Rule
    soft: bool = False


class Verdict(msgspec.Struct, frozen=True):
    """What becomes of an attempt. `wait_s` > 0: refused, come back then; `slow_s`: answer after that time."""

    wait_s: float = 0.0
    slow_s: float = 0.0


class Throttle:
    """Counts attempts to log in."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault

    def login_counts(self, client_id: str, email: str, address: str, device: str | None) -> list[Count]:
        """List what an attempt counts towards; `device` is a browser proven to be known to this account."""
        if device is not None:
            return [Count(self._bucket("device", client_id, email, device), DEVICE)]
        return [
            Count(self._bucket("pair", client_id, email, address), ACCOUNT_FROM_ADDRESS),
            Count(self._bucket("address", address), ADDRESS),
            Count(self._bucket("account", client_id, email), ACCOUNT, soft=True),
        ]

    def link_counts(self, address: str) -> list[Count]:
        """List what asking for a link counts towards."""
        return [Count(self._bucket("links", address), LINKS)]

    def _bucket(self, *what: str) -> bytes:
        return base64.urlsafe_b64decode(self._vault.sign("throttle", "\0".join(what)) + "=")


async def admit(session: AsyncSession, counts: Sequence[Count], *, now: datetime) -> Verdict:
    """Count an attempt as failed, or refuse it, in which case it counts for nothing and nothing is written."""
    hard = [count.bucket for count in counts if not count.soft]
    blocked = select(func.max(LoginFailure.blocked_until)).where(LoginFailure.bucket.in_(hard))
    until = (await session.execute(blocked)).scalar_one_or_none()
    if until is not None and until > now:
        return Verdict(wait_s=(until - now).total_seconds())
    rows = await _lock(session, counts, now)
    waits = [rows[count.bucket].blocked_until for count in counts if not count.soft]
    longest = max((until for until in waits if until is not None), default=now)
    if longest > now:
        return Verdict(wait_s=(longest - now).total_seconds())
    slow = timedelta()
    for count in counts:
        row = rows[count.bucket]
        row.failures += 1
        row.updated_at = now
        pause = count.rule.pause(row.failures)
        if count.soft:
            slow = max(slow, pause)
        else:
            row.blocked_until = now + pause if pause else None
    return Verdict(slow_s=slow.total_seconds())


async def forgive(session: AsyncSession, counts: Sequence[Count]) -> None:
    """Take an attempt back that has succeeded: what is counted for its account alone starts anew."""
    for count in sorted(counts, key=lambda count: count.bucket):
        mine = LoginFailure.bucket == count.bucket
        if count.rule in {ACCOUNT_FROM_ADDRESS, DEVICE}:
            await session.execute(delete(LoginFailure).where(mine))
        else:
            taken_back = update(LoginFailure).where(mine, LoginFailure.failures > 0)
            await session.execute(taken_back.values(failures=LoginFailure.failures - 1, blocked_until=None))


async def _lock(session: AsyncSession, counts: Sequence[Count], now: datetime) -> dict[bytes, LoginFailure]:
    """Read the counts, always in one order so that no two attempts wait for each other; forgotten ones start anew."""
    buckets = sorted(count.bucket for count in counts)
    fresh = [{"bucket": bucket, "failures": 0, "updated_at": now} for bucket in buckets]
    await session.execute(insert(LoginFailure).values(fresh).on_conflict_do_nothing())
    query = select(LoginFailure).where(LoginFailure.bucket.in_(buckets)).order_by(LoginFailure.bucket)
    rows = {row.bucket: row for row in (await session.execute(query.with_for_update())).scalars()}
    for count in counts:
        row = rows[count.bucket]
        if now - row.updated_at > count.rule.memory:
            row.failures, row.blocked_until = 0, None
    return rows
