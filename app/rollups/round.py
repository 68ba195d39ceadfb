"""Bring a client's rollups up to its events, a bounded piece per transaction.

Called by the workers and by commands. Each piece is one transaction under the client's writer that locks the row of
`rollup_state`: a second worker passes the client over, and one that is killed has done nothing.
"""

from contextlib import AbstractAsyncContextManager
from datetime import datetime
from zoneinfo import ZoneInfo

import asyncpg
import msgspec

from app.rollups.statements import statement
from tenants.databases import Databases, TenantConnection
from tenants.placement import Purpose, TenantContext

MAX_FLUSHES = 20_000
# So many events take about a second, and answers read as many raw without anybody noticing.
MAX_EVENTS = 100_000
MAX_VISIT_DAYS = 7
MAX_BLOCKS = 2
# What was stored before there were rollups is one flush: this is long enough for tens of millions of events.
TIMEOUT_S = 600.0
# A round joins what it has just made, which the planner takes for a handful of rows; and it fits into memory.
_SETTINGS = "SET LOCAL enable_nestloop = off; SET LOCAL enable_mergejoin = off; SET LOCAL work_mem = '64MB'"
_ENSURE_STATE = "INSERT INTO {{schema}}.rollup_state (zone) VALUES ($1) ON CONFLICT DO NOTHING"
_LOCK_STATE = "SELECT zone, numbers FROM {{schema}}.rollup_state FOR UPDATE SKIP LOCKED"


class Done(msgspec.Struct, frozen=True):
    """What a piece did; `more` tells whether there is more to do at once."""

    events: int = 0
    visit_days: int = 0
    more: bool = False


class _State(msgspec.Struct, frozen=True):
    zone: str
    numbers: list[int]


async def roll_up(databases: Databases, client: TenantContext, *, max_events: int = MAX_EVENTS) -> Done:
    """Add pending flushes to the client's rollups, the earliest first; nothing if another worker is at it."""
    async with _unit(databases, client) as db:
        state = await _lock(db, client)
        if state is None:
            return Done()
        if state.zone != client.timezone:
            state = await _forget(db, client.timezone)
        await db.execute(statement(db.placement, "adopt"), timeout_s=TIMEOUT_S)
        pending = await db.fetch(statement(db.placement, "take"), MAX_FLUSHES)
        taken = _take(pending, max_events)
        if not taken:
            return Done()
        await _add(db, state, taken)
        return Done(events=sum(row["events"] for row in taken), more=len(taken) < len(pending))


async def count_visits(databases: Databases, client: TenantContext, *, now: datetime) -> Done:
    """Count the sessions of days that are over and have none counted; nothing if another worker is at it."""
    async with _unit(databases, client) as db:
        state = await _lock(db, client)
        if state is None or state.zone != client.timezone:
            return Done()
        today = now.astimezone(ZoneInfo(state.zone)).date()
        rows = await db.fetch(statement(db.placement, "find_visit_days"), today, state.zone, MAX_VISIT_DAYS)
        days = [row["day"] for row in rows]
        if days:
            await db.execute(statement(db.placement, "clear_visits"), days)
            count = statement(db.placement, "count_visits")
            await db.execute(count, days, state.zone, state.numbers, timeout_s=TIMEOUT_S)
            await db.execute(statement(db.placement, "make_dense"), days)
            await db.execute(statement(db.placement, "merge_steps"), days)
        rows = await db.fetch(statement(db.placement, "find_blocks"), today, MAX_BLOCKS)
        blocks = [row["block"] for row in rows]
        if blocks:
            await db.execute(statement(db.placement, "make_blocks"), blocks, timeout_s=TIMEOUT_S)
        return Done(visit_days=len(days), more=len(days) == MAX_VISIT_DAYS or len(blocks) == MAX_BLOCKS)


async def catch_up(databases: Databases, client: TenantContext, *, now: datetime) -> Done:
    """Do all that there is to do now, piece by piece."""
    events = days = 0
    while True:
        done = await roll_up(databases, client)
        events += done.events
        if not done.more:
            break
    while True:
        done = await count_visits(databases, client, now=now)
        days += done.visit_days
        if not done.more:
            return Done(events=events, visit_days=days)


async def forget(databases: Databases, client: TenantContext) -> bool:
    """Have all of a client's events wait to be rolled up again; answers stay what they are, but come from raw rows.

    Shape: False if a worker is at it just now.
    """
    async with _unit(databases, client) as db:
        state = await _lock(db, client)
        if state is not None:
            await _forget(db, client.timezone)
        return state is not None


def _unit(databases: Databases, client: TenantContext) -> AbstractAsyncContextManager[TenantConnection]:
    return databases.unit(client.placement, Purpose.WRITE, statement_timeout_ms=int(TIMEOUT_S * 1000))


async def _lock(db: TenantConnection, client: TenantContext) -> _State | None:
    await db.execute(db.placement.render(_ENSURE_STATE), client.timezone)
    row = await db.fetchrow(db.placement.render(_LOCK_STATE))
    return None if row is None else _State(row["zone"], row["numbers"])


async def _forget(db: TenantConnection, zone: str) -> _State:
    await db.execute(statement(db.placement, "clear"), zone, timeout_s=TIMEOUT_S)
    await db.execute(statement(db.placement, "await_all"), timeout_s=TIMEOUT_S)
    return _State(zone, [0, 0])


def _take(pending: list[asyncpg.Record], max_events: int) -> list[asyncpg.Record]:
    """Take flushes until there are enough events, one at least."""
    events = 0
    for count, row in enumerate(pending):
        events += row["events"]
        if events > max_events and count:
            return pending[:count]
    return pending


async def _add(db: TenantConnection, state: _State, taken: list[asyncpg.Record]) -> None:
    flushes = [row["flush"] for row in taken]
    visits = sorted({at for row in taken for at in row["visits"]})
    await db.execute(_SETTINGS)
    sql = statement(db.placement, "roll_up")
    (new,) = await db.fetch(sql, flushes, state.zone, state.numbers, timeout_s=TIMEOUT_S)
    await db.execute(statement(db.placement, "make_dense"), new["days"])
    if new["told_again"]:
        await db.execute(statement(db.placement, "count_orders"), new["told_again"])
    await db.execute(statement(db.placement, "settle"), flushes, visits, state.zone, new["visitors"], new["sessions"])
