"""A batch with events that nobody can store: each of them alone goes to quarantine, and its neighbours are stored."""

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from app.embedded.postgres import EmbeddedPostgres
from tenants.clock import utc_now
from tests.support.grove import Grove, MadeClient, open_grove
from tests.support.history import fetch_in

GOOD = b'{"name":"page_view","session_id":"good"}'
POISON = {
    "nul_byte": b'{"name":"a","properties":{"x":"\\u0000"}}',
    "number_out_of_range": b'{"name":"a","properties":{"x":1e400}}',
    "lone_surrogate": b'{"name":"a","properties":{"x":"\\ud800"}}',
    "invalid_utf8": b'{"name":"a","properties":{"x":"\xff"}}',
    "too_deep": b'{"name":"a","properties":{"x":' + b"[" * 40 + b"]" * 40 + b"}}",
    "invalid_time": b'{"name":"a","occurred_at":"2026-02-30T00:00:00Z"}',
    "too_old": b'{"name":"a","occurred_at":"1999-01-01T00:00:00Z"}',
    "string_too_long": b'{"name":"a","properties":{"x":"' + b"x" * 50_000 + b'"}}',
    "event_too_large": b'{"name":"a","properties":{"x":"' + b"x" * 200_000 + b'"}}',
    "too_many_keys": b'{"name":"a","properties":{' + b",".join(b'"k%d":1' % n for n in range(1_100)) + b"}}",
    "wrong_type": b'{"name":7}',
    "required": b'{"session_id":"s"}',
    "not_an_object": b'"page_view"',
}


class Taker:
    """A client that takes events."""

    def __init__(self, grove: Grove, client: MadeClient) -> None:
        self.grove = grove
        self.client = client

    async def post(self, *events: bytes) -> dict[str, Any]:
        """Send events as they are and return the answer."""
        body = b"[" + b",".join(events) + b"]"
        answer = await self.grove.http.post("/api/v1/events", content=body, headers=self.client.server)
        assert answer.status_code == 202, answer.text
        return dict(answer.json())

    async def fetch(self, sql: str, *args: Any) -> list[asyncpg.Record]:
        """Run a statement as the administrator; `{schema}` in it stands for the client's."""
        schema = (await self.grove.placement_of(self.client.id)).schema
        return await fetch_in(self.grove.settings.main_url, schema, sql, *args)


@pytest.fixture
async def taker(durable_postgres: EmbeddedPostgres) -> AsyncIterator[Taker]:
    """The setting."""
    async with open_grove(durable_postgres.url) as grove:
        async with grove.worker():
            client = await grove.make_client("maple")
        yield Taker(grove, client)


async def test_each_poison_goes_to_quarantine_whole_and_alone(taker: Taker) -> None:
    events = [event for poison in POISON.values() for event in (GOOD, poison)]
    answer = await taker.post(*events)
    assert answer["accepted"] == len(POISON)
    assert [refused["code"] for refused in answer["rejected"]] == list(POISON)
    assert [refused["index"] for refused in answer["rejected"]] == list(range(1, 2 * len(POISON), 2))
    kept = await taker.fetch("SELECT code, body FROM {schema}.quarantine")
    assert {row["code"]: row["body"] for row in kept} == POISON
    (stored,) = await taker.fetch("SELECT count(*) FROM {schema}.events")
    assert stored["count"] == len(POISON)


async def test_what_only_the_database_refuses_goes_to_quarantine_alone(taker: Taker) -> None:
    lost = utc_now() - timedelta(days=400)
    (partition,) = await taker.fetch(
        "SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhparent = '{schema}.events'::regclass "
        "AND inhrelid::regclass::text LIKE '%events\\_' || $1 || '%'",
        f"{lost:%Y}",
    )
    await taker.fetch(f"DROP TABLE {partition['name']}")
    poison = {"event_id": "lost", "name": "page_view", "session_id": "lost", "occurred_at": lost.isoformat()}
    answer = await taker.post(GOOD, json.dumps(poison).encode(), GOOD)
    assert answer["accepted"] == 2
    assert [(refused["index"], refused["event_id"], refused["code"]) for refused in answer["rejected"]] == [
        (1, "lost", "unstorable")
    ]
    (kept,) = await taker.fetch("SELECT body FROM {schema}.quarantine")
    assert json.loads(kept["body"])["event_id"] == "lost"
    (stored,) = await taker.fetch("SELECT count(*), min(occurred_at) AS earliest FROM {schema}.events")
    assert stored["count"] == 2
    assert stored["earliest"] > utc_now() - timedelta(days=1)
