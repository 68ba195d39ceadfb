"""A full queue says when it will have been written, as far as the last flush tells."""

import asyncio
from datetime import timedelta

import msgspec
import pytest
from asyncpg.pgproto.pgproto import UUID

from app.ingest.event import Arrival
from app.ingest.flush import Flush, Submission
from app.ingest.flush_ids import FlushIds
from app.ingest.group_commit import GroupCommit
from app.ingest.outcomes import IngestAnswer
from app.ingest.routes import read_submission
from tenants.clock import utc_now
from tenants.errors import QueueFull
from tenants.ids import TenantId
from tenants.placement import Placement, PlacementKind

PLACE = Placement(
    tenant_id=TenantId("maple"), kind=PlacementKind.SCHEMA, server="main", database="x", serve_url="x", schema="x",
    owner_role="x", writer_role="x", reader_role="x", login_role="x",
)  # fmt: skip


class SteppedSink:
    """Answers one flush each time that it is told to."""

    def __init__(self) -> None:
        self.may = asyncio.Semaphore(0)
        self.began = asyncio.Event()

    async def store(self, placement: Placement, flush: Flush) -> list[IngestAnswer]:
        """Wait to be told, then answer."""
        del placement
        self.began.set()
        await self.may.acquire()
        return [IngestAnswer(accepted=each.size, duplicates=0, conflicts=[], rejected=[]) for each in flush.submissions]


def submission(events: int) -> Submission:
    now = utc_now()
    arrival = Arrival(
        key_id=UUID("00000000-0000-4000-8000-000000000001"), received_at=now, oldest=now - timedelta(days=1),
        accepts_chat=True,
    )  # fmt: skip
    return read_submission(msgspec.json.encode([{"name": "a"}] * events), arrival)


async def test_a_full_queue_says_when_there_will_be_room(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    sink = SteppedSink()
    commit = GroupCommit(sink, FlushIds(1), max_queued_events=100)
    first = asyncio.create_task(commit.submit(PLACE, submission(10)))
    await sink.began.wait()
    now[0] = 2.0  # so ten events take two seconds
    sink.may.release()
    await first
    monkeypatch.undo()
    queued = [asyncio.create_task(commit.submit(PLACE, submission(40))) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(QueueFull) as full:
        await commit.submit(PLACE, submission(40))
    assert full.value.retry_after_s == 16
    sink.may.release()
    sink.may.release()
    await asyncio.gather(*queued)
