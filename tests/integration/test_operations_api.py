"""Operations and usage over HTTP."""

import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from app.embedded.postgres import EmbeddedPostgres
from tests.support.grove import Grove, MadeClient, open_grove

HOUR = datetime(2026, 11, 20, 9, tzinfo=UTC)


@pytest.fixture(scope="module")
async def grove(postgres: EmbeddedPostgres) -> AsyncIterator[Grove]:
    """An application with a worker."""
    async with open_grove(postgres.url) as running, running.worker():
        yield running


@pytest.fixture(scope="module")
async def maple(grove: Grove) -> MadeClient:
    """A client."""
    return await grove.make_client("maple")


async def test_an_operation_is_shown_to_the_platform_and_to_the_clients_own_admin(
    grove: Grove, maple: MadeClient
) -> None:
    path = f"/api/v1/operations/{maple.body['operationId']}"
    for headers in (grove.platform, maple.admin):
        shown = await grove.http.get(path, headers=headers)
        assert shown.status_code == 200
        assert shown.headers["cache-control"] == "no-store"
        assert shown.json()["state"] == "succeeded"
        assert all(step["attempts"] >= 1 for step in shown.json()["steps"] if step["state"] == "done")
    for headers in (maple.server, maple.browser):
        assert (await grove.http.get(path, headers=headers)).status_code == 403


async def test_anothers_operation_and_none_look_the_same(grove: Grove, maple: MadeClient) -> None:
    birch = await grove.make_client("birch")
    answers = [
        await grove.http.get(f"/api/v1/operations/{operation_id}", headers=birch.admin)
        for operation_id in (maple.body["operationId"], uuid.uuid4())
    ]
    assert [answer.status_code for answer in answers] == [404, 404]
    told = [{key: value for key, value in answer.json().items() if key != "request_id"} for answer in answers]
    assert told[0] == told[1]


async def test_an_operation_without_a_worker_is_told_to_be_pending(postgres: EmbeddedPostgres) -> None:
    async with open_grove(postgres.url) as grove:
        answer = await grove.http.post(
            "/api/v1/clients", json={"id": "ash", "name": "Ash"}, headers=grove.platform | {"Prefer": "wait=1"}
        )
        assert (answer.status_code, answer.json()["state"]) == (202, "pending")
        shown = await grove.http.get(answer.headers["location"], headers=grove.platform)
        assert shown.headers["retry-after"] == "1"
        assert {step["state"] for step in shown.json()["steps"]} == {"pending"}
        usage = await grove.http.get("/api/v1/clients/ash/usage", headers=grove.platform)
        assert (usage.status_code, usage.json()["code"]) == (409, "wrong_state")


async def test_usage_tells_per_key_and_hour_what_became_of_events(grove: Grove, maple: MadeClient) -> None:
    key = uuid.uuid4()
    connection = await asyncpg.connect(grove.settings.main_url)
    schema = await connection.fetchval("SELECT schema_name FROM grove.placements WHERE client_id = 'maple'")
    rows = [
        (7, HOUR, key, "stored", "", 5),
        (8, HOUR, key, "stored", "", 4),
        (8, HOUR, key, "quarantined", "too_old", 2),
        (0, HOUR + timedelta(hours=1), key, "duplicate", "", 3),
        (9, HOUR - timedelta(days=3), key, "stored", "", 100),
    ]
    await connection.copy_records_to_table("outcome_counts", schema_name=schema, records=rows)
    await connection.close()
    params = {"from": HOUR.isoformat(), "to": (HOUR + timedelta(hours=2)).isoformat()}
    usage = (await grove.http.get(f"{maple.path}/usage", params=params, headers=maple.admin)).json()
    assert usage["received"] == 14
    assert usage["outcomes"] == {"stored": 9, "quarantined": 2, "duplicate": 3}
    assert [(hour["hour"], hour["key_id"], hour["received"]) for hour in usage["data"]] == [
        ("2026-11-20T09:00:00Z", str(key), 11),
        ("2026-11-20T10:00:00Z", str(key), 3),
    ]
    assert usage["data"][0]["outcomes"] == [
        {"outcome": "quarantined", "reason": "too_old", "count": 2},
        {"outcome": "stored", "reason": "", "count": 9},
    ]


@pytest.mark.parametrize("query", ["from=yesterday", "from=2026-01-01T00:00:00", "to=0001-01-01T00:00:00Z"])
@pytest.mark.parametrize("path", ["{path}/usage", "/api/v1/quarantine", "/api/events/stats"])
async def test_a_time_that_is_none_is_refused(grove: Grove, maple: MadeClient, path: str, query: str) -> None:
    answer = await grove.http.get(f"{path.format(path=maple.path)}?{query}", headers=maple.admin)
    assert answer.status_code == 400
    assert [error["pointer"] for error in answer.json()["errors"]] == [query.partition("=")[0]]
