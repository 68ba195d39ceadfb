"""A client's chatbot events go in through the API and come out as answers, behind hardened walls."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from app.embedded.postgres import EmbeddedPostgres
from tests.support.desks import LEGACY_SOURCE, LEGACY_TABLES
from tests.support.grove import Grove, MadeClient, open_grove, own_database

PATHS = ("funnel", "daily", "hourly", "leads", "sessions", "test")
EVENTS = [
    {"name": "page_loaded", "session_id": "s", "occurred_at": "2026-11-01T10:00:00Z"},
    {"name": "widget_opened", "session_id": "s", "occurred_at": "2026-11-01T10:00:05Z"},
    {"name": "requested_human", "session_id": "s", "occurred_at": "2026-11-01T10:00:20Z"},
    {"name": "pressed_accept", "session_id": "s", "occurred_at": "2026-11-01T10:01:00Z"},
    {"name": "lead_captured", "session_id": "s", "occurred_at": "2026-11-01T10:02:00Z"},
    {"name": "widget_opened", "session_id": "t", "occurred_at": "2026-11-02T10:00:00Z"},
]
PERIOD = {"from": "2026-11-01", "to": "2026-11-02"}


@pytest.fixture(scope="module")
async def grove(postgres: EmbeddedPostgres) -> AsyncIterator[Grove]:
    async with open_grove(postgres.url) as opened, opened.worker():
        yield opened


async def post(grove: Grove, client: MadeClient) -> None:
    answer = await grove.http.post("/api/v1/events", json=EVENTS, headers=client.server)
    assert answer.status_code == 202, answer.text
    assert answer.json()["accepted"] == len(EVENTS)


@pytest.mark.parametrize("kind", ["schema", "database"])
async def test_events_that_were_posted_are_counted(grove: Grove, kind: str) -> None:
    client = await grove.make_client(f"oak-{kind}", placement={"kind": kind}, timezone="Europe/Berlin")
    await post(grove, client)
    answers = {}
    for path in PATHS:
        answer = await grove.http.get(f"/api/{client.id}/{path}", params=PERIOD, headers=client.server)
        assert answer.status_code == 200, answer.text
        answers[path] = answer.json()
    assert [step["count"] for step in answers["funnel"]["steps"]] == [1, 2, 1, 1, 0, 0]
    assert [day["sessions"] for day in answers["daily"]["days"]] == [1, 1]
    assert answers["hourly"]["peakHour"] == 11
    assert (answers["leads"]["leads"], answers["leads"]["conversionRate"]) == (1, 50.0)
    assert [row["outcome"] for row in answers["sessions"]["data"]] == ["opened", "accepted"]
    assert answers["sessions"]["data"][1]["durationS"] >= 60
    assert (answers["test"]["ok"], answers["test"]["placement"]) == (True, kind)


async def test_an_attached_database_answers_the_same_paths(grove: Grove, postgres: EmbeddedPostgres) -> None:
    async with own_database(postgres.url) as legacy_url:
        legacy = await asyncpg.connect(legacy_url)
        await legacy.execute(f'CREATE SCHEMA "{LEGACY_SOURCE.schema}"; SET search_path TO "{LEGACY_SOURCE.schema}"')
        await legacy.execute(LEGACY_TABLES)
        await legacy.execute("INSERT INTO visits VALUES (1, '2026-11-01 06:00', '2026-11-01 06:01')")
        await legacy.close()
        placement = {
            "kind": "external",
            "url": legacy_url,
            "schema": LEGACY_SOURCE.schema,
            "sourceTimezone": LEGACY_SOURCE.timezone,
            "tables": LEGACY_SOURCE.tables,
            "columns": LEGACY_SOURCE.columns,
        }
        client = await grove.make_client("elm", placement=placement)
        for path in PATHS:
            answer = await grove.http.get(f"/api/{client.id}/{path}", params=PERIOD, headers=client.server)
            assert answer.status_code == 200, answer.text
        sessions = await grove.http.get(f"/api/{client.id}/sessions", params=PERIOD, headers=client.server)
        assert [row["startedAt"] for row in sessions.json()["data"]] == ["2026-11-01T11:00:00Z"]
