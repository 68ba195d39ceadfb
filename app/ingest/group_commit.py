"""Let concurrent requests of one client share flushes, and keep clients out of each other's way.

Called by the collection routes; each client has a lane of its own (`app.ingest.lanes`).
"""

import asyncio

from app.ingest.flush import Submission
from app.ingest.flush_ids import FlushIds
from app.ingest.lanes import Lane, Sink
from app.ingest.outcomes import IngestAnswer
from tenants.errors import QueueFull
from tenants.ids import TenantId
from tenants.placement import Placement

MAX_FLUSH_EVENTS = 5_000


class GroupCommit:
    """The lanes of all clients. A flush holds `max_flush_events` at most, unless one request brings more."""

    def __init__(
        self, sink: Sink, ids: FlushIds, *, max_queued_events: int, max_flush_events: int = MAX_FLUSH_EVENTS
    ) -> None:
        self._sink = sink
        self._ids = ids
        self._max_queued_events = max_queued_events
        self._max_flush_events = max_flush_events
        self._lanes: dict[TenantId, Lane] = {}

    async def submit(self, placement: Placement, submission: Submission) -> IngestAnswer:
        """Have a submission committed and return what became of its events.

        Errors: QueueFull at once if the client's queue has no room; StoreUnavailable if it could not be stored.
        """
        lane = self._lanes.get(placement.tenant_id)
        if lane is None or (lane.idle and lane.placement is not placement):
            lane = Lane(placement, self._sink, self._ids, self._max_flush_events)
            self._lanes[placement.tenant_id] = lane
        size = submission.size
        if lane.queued_events and lane.queued_events + size > self._max_queued_events:
            raise QueueFull(lane.retry_after_s)
        # A caller that goes away takes only itself out of the flush.
        return await lane.put(submission, size)

    def refuse_early(self, placement: Placement) -> None:
        """Spare a request the work of reading events for which there is no room.

        Errors: QueueFull.
        """
        lane = self._lanes.get(placement.tenant_id)
        if lane is not None and lane.queued_events >= self._max_queued_events:
            raise QueueFull(lane.retry_after_s)

    @property
    def queued_events(self) -> int:
        """How many events of all clients wait or are being written."""
        return sum(lane.queued_events for lane in self._lanes.values())

    def forget(self, tenant_id: TenantId) -> None:
        """Drop an idle client's lane."""
        lane = self._lanes.get(tenant_id)
        if lane is not None and lane.idle:
            del self._lanes[tenant_id]

    async def drain(self) -> None:
        """Wait until all that was accepted is written or refused."""
        await asyncio.gather(*(lane.drain() for lane in self._lanes.values()))
