"""Requests share flushes; a second one of a client is under way only if it is large, a third one never."""

import asyncio
from datetime import UTC, datetime

import pytest
from asyncpg.pgproto.pgproto import UUID

from app.ingest.event import Arrival
from app.ingest.flush import Flush, Refused, Submission, Unstorable
from app.ingest.flush_ids import FlushIds
from app.ingest.group_commit import GroupCommit
from app.ingest.lanes import ENOUGH_EVENTS
from app.ingest.outcomes import Code, IngestAnswer, Rejected
from tenants.errors import QueueFull
from tenants.ids import TenantId
from tenants.placement import Placement, PlacementKind

NOW = datetime(2026, 11, 21, tzinfo=UTC)
ARRIVAL = Arrival(key_id=UUID("00000000-0000-4000-8000-000000000001"), received_at=NOW, oldest=NOW, accepts_chat=True)
REJECTED = Rejected(index=0, event_id=None, code=Code.REQUIRED, pointer="/name", detail="This field is required.")
PLACEMENT = Placement(
    tenant_id=TenantId("birch"), kind=PlacementKind.SCHEMA, server="main", database="grove", serve_url="",
    schema="t_1", owner_role="t_1_o", writer_role="t_1_w", reader_role="t_1_r", login_role="t_1_l",
)  # fmt: skip
POISON = 7
ANSWER = IngestAnswer(accepted=0, duplicates=0)


class Store:
    """Takes flushes in, and ends them when it is told to."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.may_end = asyncio.Semaphore(0)

    async def store(self, _placement: Placement, flush: Flush) -> list[IngestAnswer]:
        """Wait until this one may end."""
        self.sizes.append(len(flush.submissions))
        await self.may_end.acquire()
        return [ANSWER for _ in flush.submissions]

    async def sift(self, placement: Placement, flush: Flush) -> list[IngestAnswer]:
        """Refuse nothing."""
        return await self.store(placement, flush)


class Choosy(Store):
    """Refuses flushes with POISON, stores others at once, and sifts one for as long as it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.sifted: list[int] = []

    async def store(self, _placement: Placement, flush: Flush) -> list[IngestAnswer]:
        """Store it if it is good."""
        await asyncio.sleep(0)
        if any(each.size == POISON for each in flush.submissions):
            raise Unstorable
        return [ANSWER for _ in flush.submissions]

    async def sift(self, _placement: Placement, flush: Flush) -> list[IngestAnswer]:
        """Wait until this one may end."""
        self.sifted += [each.size for each in flush.submissions]
        await self.may_end.acquire()
        return [ANSWER for _ in flush.submissions]


def submission(events: int = 1) -> Submission:
    return Submission(arrival=ARRIVAL, events=[], refused=[Refused(answer=REJECTED, body=b"{}")] * events)


async def test_small_flushes_take_turns_and_a_large_one_goes_off_beside_another() -> None:
    store = Store()
    commit = GroupCommit(store, FlushIds(0), max_queued_events=10_000)
    posts = []
    for events, sizes in ((1, [1]), (1, [1]), (ENOUGH_EVENTS, [1, 2]), (ENOUGH_EVENTS, [1, 2])):
        posts.append(asyncio.create_task(commit.submit(PLACEMENT, submission(events))))
        for _ in range(20):
            await asyncio.sleep(0)
        assert store.sizes == sizes
    for _ in posts:
        store.may_end.release()
    assert await asyncio.gather(*posts) == [ANSWER] * 4
    assert store.sizes == [1, 2, 1]


async def test_an_idle_client_does_not_wait_for_company() -> None:
    store = Store()
    commit = GroupCommit(store, FlushIds(0), max_queued_events=100)
    store.may_end.release()
    assert await commit.submit(PLACEMENT, submission()) == ANSWER
    post = asyncio.create_task(commit.submit(PLACEMENT, submission()))
    for _ in range(5):
        await asyncio.sleep(0)
    assert store.sizes == [1, 1]
    store.may_end.release()
    await post


async def test_who_finds_a_full_queue_is_refused_before_anything_is_read() -> None:
    store = Store()
    commit = GroupCommit(store, FlushIds(0), max_queued_events=1)
    commit.refuse_early(PLACEMENT)
    post = asyncio.create_task(commit.submit(PLACEMENT, submission()))
    await asyncio.sleep(0)
    with pytest.raises(QueueFull):
        commit.refuse_early(PLACEMENT)
    store.may_end.release()
    await post
    commit.refuse_early(PLACEMENT)


async def test_a_full_queue_says_when_there_will_be_room(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    store = Store()
    commit = GroupCommit(store, FlushIds(0), max_queued_events=100)
    first = asyncio.create_task(commit.submit(PLACEMENT, submission(10)))
    for _ in range(5):  # the loop's clock stands still too: only its turns go on
        await asyncio.sleep(0)
    assert store.sizes == [1]
    now[0] = 2.0  # so ten events take two seconds
    store.may_end.release()
    await first
    monkeypatch.undo()
    queued = [asyncio.create_task(commit.submit(PLACEMENT, submission(40))) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(QueueFull) as full:
        await commit.submit(PLACEMENT, submission(40))
    assert full.value.retry_after_s == 16
    store.may_end.release()
    store.may_end.release()
    await asyncio.gather(*queued)


async def test_a_full_queue_reckons_with_a_flush_that_is_held_up(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    store = Store()
    commit = GroupCommit(store, FlushIds(0), max_queued_events=1)
    post = asyncio.create_task(commit.submit(PLACEMENT, submission()))
    for _ in range(5):  # the loop's clock stands still too: only its turns go on
        await asyncio.sleep(0)
    assert store.sizes == [1]
    now[0] = 7.5
    with pytest.raises(QueueFull) as full:
        commit.refuse_early(PLACEMENT)
    monkeypatch.undo()
    assert full.value.retry_after_s == 8
    store.may_end.release()
    await post


async def test_what_the_database_refuses_is_sifted_beside_the_queue_and_alone() -> None:
    store = Choosy()
    commit = GroupCommit(store, FlushIds(0), max_queued_events=1_000)

    def post(events: int) -> asyncio.Task[IngestAnswer]:
        return asyncio.create_task(commit.submit(PLACEMENT, submission(events)))

    good, bad = [post(events) for events in (1, 2, 3)], [post(POISON) for _ in range(3)]
    assert await asyncio.gather(*good) == [ANSWER] * 3
    assert await post(1) == ANSWER
    assert [each.done() for each in bad] == [False] * 3
    assert store.sifted == [POISON]
    assert commit.queued_events >= 3 * POISON
    draining = asyncio.create_task(commit.drain())
    for _ in bad:
        assert not draining.done()
        store.may_end.release()
    await draining
    assert await asyncio.gather(*bad) == [ANSWER] * 3
    assert commit.queued_events == 0
