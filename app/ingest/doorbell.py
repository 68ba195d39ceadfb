"""Tell the workers for which clients events were stored, so that they need not ask every client.

Noted by the sink, told by a task of `app.resources`; replays tell at once. What is lost with a process is found by a
worker's sweep.
"""

import asyncio
from collections.abc import Mapping
from datetime import datetime

import structlog
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from tenants.clock import Clock
from tenants.control import ControlPlane
from tenants.ids import TenantId
from tenants.models import RollupMark

TELL_EVERY_S = 2.0

log = structlog.get_logger()


async def tell_workers(session: AsyncSession, stored: Mapping[TenantId, int], *, now: datetime) -> None:
    """Mark clients by how many of their events were stored."""
    rows = [{"client_id": tenant_id, "events": stored[tenant_id], "since": now} for tenant_id in sorted(stored)]
    query = insert(RollupMark).values(rows)
    summed = {"events": RollupMark.events + query.excluded.events}
    await session.execute(query.on_conflict_do_update(index_elements=["client_id"], set_=summed))


class Doorbell:
    """Collects a process's clients with new events."""

    def __init__(self, control: ControlPlane, clock: Clock) -> None:
        self._control = control
        self._clock = clock
        self._events: dict[TenantId, int] = {}

    def note(self, tenant_id: TenantId, events: int) -> None:
        """Note that a client's events were stored."""
        if events:
            self._events[tenant_id] = self._events.get(tenant_id, 0) + events

    async def run(self) -> None:
        """Tell what was noted, again and again, until cancelled."""
        while True:
            await asyncio.sleep(TELL_EVERY_S)
            await self.tell()

    async def tell(self) -> None:
        """Tell what was noted; if the control plane is away, keep it for the next time."""
        told, self._events = self._events, {}
        if not told:
            return
        try:
            async with self._control.session() as session:
                await tell_workers(session, told, now=self._clock())
        except Exception as error:  # noqa: BLE001 - kept for the next time, and a worker's sweep would find it, too
            log.warning("rollups_not_told", clients=len(told), error=type(error).__name__)
            for tenant_id, events in told.items():
                self.note(tenant_id, events)
