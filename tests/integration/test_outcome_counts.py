"""What was received is the sum of its outcomes, per key and hour, whatever kind of request and whatever befalls it."""

import asyncio
import gzip
import json
import secrets
import uuid
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
from asyncpg.pgproto.pgproto import UUID

from app.embedded.postgres import EmbeddedPostgres
from app.ingest import sink as sinks
from app.ingest.event import Arrival
from app.ingest.flush import Flush
from app.ingest.routes import read_submission
from app.ingest.sink import PostgresSink
from app.settings import Settings
from app.workers.outcomes import compact_outcomes
from app.workers.resources import open_worker_resources
from tenants.clock import utc_now
from tenants.databases import Databases
from tenants.errors import StoreUnavailable
from tests.support.grove import Grove, MadeClient, open_grove
from tests.support.history import fetch_in

EVENTS = "/api/v1/events"
STORED, BAD, OLD = (
    {"name": "page_view", "session_id": "s"},
    {"name": 7},
    {"name": "a", "occurred_at": "1999-01-01T00:00:00Z"},
)


class Books:
    """A client, and how many events of it were answered, by key."""

    def __init__(self, grove: Grove, client: MadeClient) -> None:
        self.grove = grove
        self.client = client
        self.received = 0

    async def send(self, *events: Any, **headers: str) -> dict[str, Any]:
        """Send events; those of an answer of 202 were received."""
        return await self.post(json.dumps(events).encode(), len(events), **headers)

    async def post(self, body: bytes, events: int, **headers: str) -> dict[str, Any]:
        """Send a body."""
        answer = await self.grove.http.post(EVENTS, content=body, headers=self.client.server | headers)
        if answer.status_code == 202:
            self.received += events
        return dict(answer.json())

    async def ask(self, method: str, path: str, **wanted: Any) -> httpx.Response:
        """Ask about quarantine."""
        path = f"/api/v1/quarantine{path}"
        return await self.grove.http.request(method, path, headers=self.client.server, **wanted)

    async def usage(self) -> dict[str, Any]:
        """Read the usage, and make sure that its parts add up to what was received."""
        answer = await self.grove.http.get(f"{self.client.path}/usage", headers=self.client.admin)
        usage: dict[str, Any] = answer.json()
        assert usage["received"] == self.received
        assert sum(usage["outcomes"].values()) == self.received
        for hour in usage["data"]:
            assert hour["received"] == sum(each["count"] for each in hour["outcomes"])
        return usage


@pytest.fixture(scope="module")
async def grove(postgres: EmbeddedPostgres) -> AsyncIterator[Grove]:
    """An application with a worker."""
    async with open_grove(postgres.url) as running, running.worker():
        yield running


@pytest.fixture
async def books(grove: Grove) -> Books:
    """A client of its own for each test."""
    return Books(grove, await grove.make_client(f"books-{uuid.uuid4().hex[:12]}"))


async def test_every_kind_of_request_balances(books: Books) -> None:
    known = {**STORED, "event_id": "known"}
    await books.send(STORED)
    await books.send(known, known, known | {"name": "other"})
    await books.send(known)
    await books.send(BAD, OLD, STORED, BAD)
    await books.send(STORED, **{"Idempotency-Key": "once"})
    await books.send(STORED, **{"Idempotency-Key": "once"})
    await books.post(gzip.compress(json.dumps([STORED, BAD]).encode()), 2, **{"Content-Encoding": "gzip"})
    await books.post(b'[{"name": "\xff"}, {"name": "a"}]', 2)
    await books.post(b"[{]", 1)
    await books.post(b"[]", 0)
    await books.send(*[STORED] * 1001)
    usage = await books.usage()
    assert usage["outcomes"] == {"stored": 6, "duplicate": 4, "quarantined": 5}
    reasons = {each["reason"]: each["count"] for each in usage["data"][0]["outcomes"] if each["reason"]}
    assert reasons == {"wrong_type": 3, "too_old": 1, "invalid_utf8": 1}


async def test_events_that_only_the_database_refuses_balance(books: Books) -> None:
    schema = (await books.grove.placement_of(books.client.id)).schema
    url = books.grove.settings.main_url
    await fetch_in(url, schema, "ALTER TABLE {schema}.events ADD CONSTRAINT picky CHECK (name <> 'poison')")
    await asyncio.gather(*(books.send(STORED, {"name": "poison", "event_id": f"p{n}"}, STORED) for n in range(5)))
    assert (await books.usage())["outcomes"] == {"stored": 10, "quarantined": 5}


async def test_senders_at_once_in_two_processes_balance(books: Books) -> None:
    async with books.grove.twin() as other:
        twin = Books(other, books.client)
        events = [{**STORED, "event_id": f"e{number}"} for number in range(20)]
        sending = (each.send(*events[start:], BAD) for start in range(0, 20, 2) for each in (books, twin))
        await asyncio.gather(*sending)
    books.received += twin.received
    usage = await books.usage()
    assert (usage["outcomes"]["stored"], usage["outcomes"]["quarantined"]) == (20, 20)


async def test_compaction_changes_no_sum_and_is_told_from_nothing(books: Books) -> None:
    await books.send({**STORED, "event_id": "a"}, BAD)
    await books.send({**STORED, "event_id": "a"}, STORED)
    before = await books.usage()
    async with open_worker_resources(
        books.grove.settings, clock=lambda: utc_now() + timedelta(hours=3), observe=books.grove.recorder.observe
    ) as resources:
        await asyncio.gather(compact_outcomes(resources), compact_outcomes(resources))
        await compact_outcomes(resources)
    after = await books.usage()
    assert (after["outcomes"], after["data"]) == (before["outcomes"], before["data"])
    schema = (await books.grove.placement_of(books.client.id)).schema
    flushes = await fetch_in(
        books.grove.settings.main_url, schema, "SELECT DISTINCT flush FROM {schema}.outcome_counts"
    )
    assert [row["flush"] for row in flushes] == [0]


class _LosesAnswers(PostgresSink):
    """A sink whose first commit succeeds and is then taken for lost."""

    lost = False

    async def _attempt(self, *args: Any, **options: Any) -> Any:
        answer = await super()._attempt(*args, **options)
        if not self.lost:
            self.lost = True
            raise StoreUnavailable
        return answer


def a_flush(flush_id: int, *events: Any) -> Flush:
    now: datetime = utc_now()
    arrival = Arrival(key_id=UUID(bytes(16)), received_at=now, oldest=now - timedelta(days=1), accepts_chat=True)
    return Flush(id=flush_id, submissions=[read_submission(json.dumps(events).encode(), arrival)])


async def test_a_flush_is_still_recalled_after_a_compaction(books: Books) -> None:
    placement = await books.grove.placement_of(books.client.id)
    databases = Databases(Settings(), observe=books.grove.recorder.observe)
    flush = a_flush(secrets.randbits(62) + 1, {**STORED, "event_id": "r"}, STORED, BAD)

    class Sink(_LosesAnswers):
        async def _attempt(self, *args: Any, **options: Any) -> Any:
            if self.lost:  # between the lost answer and the next attempt
                async with open_worker_resources(books.grove.settings, observe=books.grove.recorder.observe) as opened:
                    await compact_outcomes(opened)
            return await super()._attempt(*args, **options)

    try:
        (answer,) = await Sink(databases).store(placement, flush)
    finally:
        await databases.close()
    assert (answer.accepted, answer.duplicates, len(answer.rejected)) == (2, 0, 1)
    books.received = 3
    assert (await books.usage())["outcomes"] == {"stored": 2, "quarantined": 1}


async def test_a_flush_of_the_same_id_is_never_taken_for_a_commit(
    books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    placement = await books.grove.placement_of(books.client.id)
    databases = Databases(Settings(), observe=books.grove.recorder.observe)
    monkeypatch.setattr(sinks, "GIVE_UP_S", 0.2)
    try:
        await PostgresSink(databases).store(placement, a_flush(77, {**STORED, "event_id": "first"}))
        with pytest.raises(StoreUnavailable):
            await PostgresSink(databases).store(placement, a_flush(77, {**STORED, "event_id": "second"}, STORED))
    finally:
        await databases.close()
    books.received = 1
    assert (await books.usage())["outcomes"] == {"stored": 1}


async def test_each_process_and_each_replay_makes_ids_of_its_own(books: Books) -> None:
    for name in ("one", "two"):
        await books.send({"name": 7, "event_id": name})
        (row,) = (await books.ask("GET", "")).json()["data"]
        await books.ask("PATCH", f"/{row['id']}", json={"event": STORED})
        assert (await books.ask("POST", f"/{row['id']}/replay")).json()["outcome"] == "stored"
    await books.send(STORED)
    async with books.grove.twin() as other:
        twin = Books(other, books.client)
        await twin.send(STORED)
    schema = (await books.grove.placement_of(books.client.id)).schema
    rows = await fetch_in(books.grove.settings.main_url, schema, "SELECT flush & 8388607 AS maker FROM {schema}.events")
    assert len({row["maker"] for row in rows}) == len(rows) == 4
