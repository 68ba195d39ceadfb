"""Tell the workers for which clients events were stored, so that they need not ask every client.

Noted by the sink, told by a task of `app.resources`. What is lost with a process is found by a worker's sweep.
"""

import asyncio

import structlog
from sqlalchemy.dialects.postgresql import insert

from tenants.clock import Clock
from tenants.control import ControlPlane
from tenants.ids import TenantId
from tenants.models import RollupMark

TELL_EVERY_S = 2.0

log = structlog.get_logger()


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
        rows = [
            {"client_id": tenant_id, "events": told[tenant_id], "since": self._clock()} for tenant_id in sorted(told)
        ]
        query = insert(RollupMark).values(rows)
        summed = {"events": RollupMark.events + query.excluded.events}
        try:
            async with self._control.session() as session:
                await session.execute(query.on_conflict_do_update(index_elements=["client_id"], set_=summed))
        except Exception as error:  # noqa: BLE001 - kept for the next time, and a worker's sweep would find it, too
            log.warning("rollups_not_told", clients=len(told), error=type(error).__name__)
            for tenant_id, events in told.items():
                self.note(tenant_id, events)
