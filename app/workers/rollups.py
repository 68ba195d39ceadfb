"""Keep the rollups of all clients up to their events.

Run beside the jobs by `app.workers.worker`. Which clients lag behind is read from marks that serving processes leave;
several workers may look at the same ones, because a client whose rollups are locked is passed over.
"""

import asyncio
import math
import time

import asyncpg
import structlog
from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import SQLAlchemyError

from app.rollups.round import catch_up
from app.workers.resources import WorkerResources
from tenants.errors import GroveError
from tenants.ids import TenantId
from tenants.models import Client, RollupMark

LOOK_EVERY_S = 1.0
# So many clients at a time, so that one with a long way to go does not keep the others waiting.
SIDE_BY_SIDE = 2
# Raw events that few cost an answer less than rolling them up costs now: a round has a price of its own.
ENOUGH_EVENTS = 10_000
OLD_S = 300.0
# A client rests so many times as long as its round took, so that rollups leave most of the time to others.
REST = 5.0

log = structlog.get_logger()


class Rollups:
    """Looks at the marks again and again and rolls up the clients that are due."""

    def __init__(self, resources: WorkerResources) -> None:
        self._resources = resources
        self._rests_until: dict[TenantId, float] = {}

    async def run(self) -> None:
        """Work until cancelled."""
        await asyncio.gather(*(self._keep_looking() for _ in range(SIDE_BY_SIDE)))

    async def _keep_looking(self) -> None:
        while True:
            try:
                await self.look()
            except Exception:
                log.exception("rollups_failed")  # and looks again: nobody else does
            await asyncio.sleep(LOOK_EVERY_S)

    async def look(self) -> int:
        """Roll up the clients that are due and not under way; return how many events that were."""
        try:
            due = await self._due()
        except GroveError:
            return 0
        return sum([await self._roll_up(client_id) for client_id in due if client_id not in self._rests_until])

    async def _due(self) -> list[TenantId]:
        now, at = time.monotonic(), self._resources.clock()
        self._rests_until = {client_id: until for client_id, until in self._rests_until.items() if until > now}
        async with self._resources.control.session() as session:
            marks = (await session.scalars(select(RollupMark).order_by(RollupMark.since))).all()
        return [
            TenantId(mark.client_id)
            for mark in marks
            if (mark.events >= ENOUGH_EVENTS or (at - mark.since).total_seconds() >= OLD_S)
            and TenantId(mark.client_id) not in self._rests_until
        ]

    async def _roll_up(self, client_id: TenantId) -> int:
        resources, began, rest_s = self._resources, time.monotonic(), OLD_S
        self._rests_until[client_id] = math.inf  # while it is under way
        try:
            # The mark goes first: events that come from now on leave another one. What fails is marked within the hour.
            async with resources.control.session() as session:
                await session.execute(delete(RollupMark).where(RollupMark.client_id == client_id))
            async with resources.control.session() as session:
                client = await resources.registry.load(session, client_id)
            done = await catch_up(resources.databases, client, now=resources.clock())
        except (GroveError, asyncpg.PostgresError, SQLAlchemyError, OSError, TimeoutError) as error:
            log.warning("rollup_failed", client_id=client_id, error=type(error).__name__)
            return 0
        else:
            took_s = time.monotonic() - began
            rest_s = REST * took_s
        finally:
            self._rests_until[client_id] = time.monotonic() + rest_s
        log.info("rolled_up", client_id=client_id, events=done.events, days=done.visit_days, seconds=round(took_s, 3))
        return done.events


async def mark_clients(resources: WorkerResources) -> int:
    """Mark every client, in case a mark was lost with a process, and because a day is over; return how many."""
    async with resources.control.session() as session:
        clients = (await session.scalars(select(Client.id).where(Client.status == "active"))).all()
        if clients:
            rows = [{"client_id": client_id, "events": 0, "since": resources.clock()} for client_id in clients]
            await session.execute(insert(RollupMark).values(rows).on_conflict_do_nothing())
    return len(clients)
