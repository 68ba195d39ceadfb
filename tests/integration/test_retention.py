"""What is older than a client keeps is removed, and nothing else; changing how much that is harms nobody."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from app.embedded.postgres import EmbeddedPostgres
from app.workers.partitions import extend_partitions
from app.workers.resources import open_worker_resources
from app.workers.retention import apply_retention
from migrations import partitions
from tenants.clock import utc_now
from tenants.ids import quote
from tests.support.grove import Grove, MadeClient, open_grove
from tests.support.rollups import counted
from tests.support.waiting import until

DAY = timedelta(days=1)


@pytest.fixture(scope="module")
async def grove(postgres: EmbeddedPostgres) -> AsyncIterator[Grove]:
    """An application whose worker each test starts itself."""
    async with open_grove(postgres.url) as running:
        yield running


class Keeper:
    """A client, its tables and its retention."""

    def __init__(self, grove: Grove, made: MadeClient, schema: str) -> None:
        self.grove = grove
        self.made = made
        self.schema = schema

    async def rows(self, sql: str, *args: Any) -> list[asyncpg.Record]:
        """Run a statement as administrator; `{schema}` stands for the client's."""
        connection = await asyncpg.connect(self.grove.settings.main_url)
        try:
            rows: list[asyncpg.Record] = await connection.fetch(sql.replace("{schema}", quote(self.schema)), *args)
        finally:
            await connection.close()
        return rows

    async def send(self, *times: datetime, name: str = "page_view") -> dict[str, Any]:
        """Send an event of a session of its own for each time."""
        events = [
            {"name": name, "occurred_at": at.isoformat(), "session_id": f"s {at}", "visitor_id": f"v {at}"}
            for at in times
        ]
        answer = await self.grove.http.post("/api/v1/events", json=events, headers=self.made.server)
        assert answer.status_code == 202, answer.text
        return dict(answer.json())

    async def kept(self) -> list[datetime]:
        """List when the events that are there happened."""
        return [row["occurred_at"] for row in await self.rows("SELECT occurred_at FROM {schema}.events ORDER BY 1")]

    async def partitions(self) -> list[str]:
        """List the partitions."""
        sql = "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = inhrelid WHERE inhparent = $1::regclass"
        return sorted(row["relname"] for row in await self.rows(sql, f"{quote(self.schema)}.events"))

    async def change(self, **change: Any) -> dict[str, Any]:
        """Change the client over the API."""
        answer = await self.grove.http.patch(self.made.path, json=change, headers=self.grove.platform)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def counts(self) -> dict[str, int]:
        """Count what else is kept."""
        tables = ("sessions", "rollup_quarters", "outcome_counts", '"UserEvents"', "agent_events")
        return {
            table: (await self.rows(f"SELECT count(*) AS n FROM {{schema}}.{table}"))[0]["n"]  # noqa: S608 - our own
            for table in tables
        }


async def make_keeper(grove: Grove, client_id: str, **wanted: Any) -> Keeper:
    """Onboard a client."""
    async with grove.worker():
        made = await grove.make_client(client_id, **wanted)
    return Keeper(grove, made, (await grove.placement_of(client_id)).schema)


async def run_at(grove: Grove, now: datetime) -> int:
    """Run the job at a time."""
    async with open_worker_resources(grove.settings, clock=lambda: now) as resources:
        return await apply_retention(resources)


async def test_partitions_that_are_over_are_dropped_with_all_that_was_counted_of_them(grove: Grove) -> None:
    placement = {"partitionInterval": "month"}
    keeper = await make_keeper(grove, "monthly", placement=placement, retentionDays=100, timezone="America/Lima")
    now = utc_now()
    old, young = now - 90 * DAY, now - 10 * DAY
    await keeper.send(old, young)
    await keeper.send(old, name="widget_opened")
    async with counted(grove, "monthly") as store:
        await store.catch_up(now)
        before = await keeper.counts()
        assert await run_at(grove, now) == 0
        assert await keeper.kept() == [old, old, young]
        # Its month is wholly over then, whatever day it is; the other's is not.
        assert await run_at(grove, now + 50 * DAY) >= 1
        assert await run_at(grove, now + 50 * DAY) == 0
        assert await keeper.kept() == [young]
        assert await store.differences() == []
    after = await keeper.counts()
    assert (after["sessions"], after["rollup_quarters"]) == (1, 1)
    books = ("outcome_counts", '"UserEvents"', "agent_events")
    assert {table: after[table] for table in books} == {table: before[table] for table in books}


async def test_of_a_long_partition_what_is_over_goes_by_rows_to_the_day(grove: Grove) -> None:
    keeper = await make_keeper(grove, "yearly", retentionDays=300, timezone="Asia/Tokyo")
    now = datetime(2027, 9, 15, 12, tzinfo=UTC)
    midnight = datetime(2026, 11, 18, 15, tzinfo=UTC)  # in Tokyo, 300 days before
    times = [midnight - timedelta(seconds=1), midnight, midnight + timedelta(hours=6)]
    await keeper.send(*times)
    async with counted(grove, "yearly") as store:
        await store.catch_up(now)
        assert await run_at(grove, now) >= 1
        assert await keeper.kept() == times[1:]
        assert await store.differences() == []
        await store.catch_up(now)
        assert await store.differences() == []
    assert "events_2026" in await keeper.partitions()


async def test_a_lowered_retention_holds_at_once_but_removes_nothing_before_its_grace_is_over(grove: Grove) -> None:
    keeper = await make_keeper(grove, "lowered")
    now = utc_now()
    await keeper.send(now - 40 * DAY)
    shown = await keeper.change(retentionDays=30)
    grace = datetime.fromisoformat(shown["pruneAfter"])
    assert (shown["retentionDays"], (grace - now).days) == (30, grove.settings.delete_grace_days)

    async def is_heard_of() -> bool:
        return bool((await keeper.send(now - 35 * DAY))["rejected"])

    await until(is_heard_of, within_s=5)
    sent = len(await keeper.kept())

    await run_at(grove, grace - timedelta(seconds=1))
    assert len(await keeper.kept()) == sent
    raised = await keeper.change(retentionDays=100)
    assert raised["pruneAfter"] == shown["pruneAfter"]
    await run_at(grove, grace + timedelta(seconds=1))
    assert len(await keeper.kept()) == sent
    await keeper.change(retentionDays=30)
    await run_at(grove, utc_now() + 31 * DAY)
    assert await keeper.kept() == []


async def test_after_a_raised_retention_older_events_may_come_at_once(grove: Grove) -> None:
    keeper = await make_keeper(grove, "raised", retentionDays=10)
    at = utc_now() - 1500 * DAY
    async with grove.worker():
        await keeper.change(retentionDays=2000)

        async def has_room() -> bool:
            return f"events_{at:%Y}" in await keeper.partitions()

        await until(has_room, within_s=15)
    assert (await keeper.send(at))["accepted"] == 1
    audit = (await grove.http.get(f"{keeper.made.path}/audit", headers=grove.platform)).json()["data"]
    assert {"client.change", "client.retention.succeeded"} <= {entry["action"] for entry in audit}


@pytest.mark.parametrize("days", [0, -1, 3651, None, "many", 1.5])
async def test_a_retention_that_cannot_be_is_refused(grove: Grove, days: Any) -> None:
    await make_keeper(grove, "refused") if not await is_there(grove, "refused") else None
    for method, path, body in (
        ("PATCH", "/api/v1/clients/refused", {}),
        ("POST", "/api/v1/clients", {"id": "never", "name": "Never"}),
    ):
        if days is None and method == "POST":
            continue  # there it asks for the default
        answer = await grove.http.request(method, path, json=body | {"retentionDays": days}, headers=grove.platform)
        assert answer.status_code in {400, 422}, answer.text
        assert [error["pointer"] for error in answer.json()["errors"]] == ["/retentionDays"]


async def test_only_the_platform_changes_how_long_events_are_kept(grove: Grove) -> None:
    keeper = await make_keeper(grove, "humble")
    answer = await grove.http.patch(keeper.made.path, json={"retentionDays": 1}, headers=keeper.made.admin)
    assert answer.status_code == 403
    assert (await grove.http.get(keeper.made.path, headers=grove.platform)).json()["retentionDays"] == 730


async def test_a_partition_in_use_is_left_and_holds_up_ingest_no_longer_than_a_moment(
    grove: Grove, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(partitions, "LOCK_TRIES", 3)
    keeper = await make_keeper(grove, "inuse", retentionDays=20, placement={"partitionInterval": "month"})
    now = utc_now()
    await keeper.send(now)
    reader = await asyncpg.connect(grove.settings.main_url)
    await reader.execute(f"BEGIN; TABLE {quote(keeper.schema)}.events")
    job = asyncio.create_task(run_at(grove, now + 60 * DAY))
    sent = 1
    while not job.done():
        sent += (await keeper.send(now + timedelta(milliseconds=sent)))["accepted"]
    await reader.execute("COMMIT")
    await reader.close()
    assert len(await keeper.kept()) == sent > 1
    assert await run_at(grove, now + 60 * DAY) >= 1
    assert await keeper.kept() == []


async def test_a_client_that_sends_much_gets_shorter_partitions_from_the_next_on(grove: Grove) -> None:
    keeper = await make_keeper(grove, "growing")
    at = datetime(utc_now().year + 1, 12, 20, tzinfo=UTC)
    await keeper.rows(
        "INSERT INTO grove.outcome_hours (client_id, hour, outcome, n) VALUES ('growing', $1, 'stored', 300000)",
        at - DAY,
    )
    async with open_worker_resources(grove.settings, clock=lambda: at) as resources:
        assert await extend_partitions(resources) >= 1
    made = await keeper.partitions()
    assert {f"events_{at.year}", f"events_{at.year + 1}_01", f"events_{at.year + 1}_02"} <= set(made)
    assert f"events_{at.year + 1}" not in made
    shown = (await grove.http.get(keeper.made.path, headers=grove.platform)).json()
    assert shown["placement"]["partitionInterval"] == "month"


async def is_there(grove: Grove, client_id: str) -> bool:
    """Tell whether a client has been made."""
    return (await grove.http.get(f"/api/v1/clients/{client_id}", headers=grove.platform)).status_code == 200
