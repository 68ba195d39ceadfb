"""Whatever order events come in, however often and in whichever requests: the same rows."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest
from asyncpg.pgproto.pgproto import UUID
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import create_async_engine

from app.embedded.postgres import EmbeddedPostgres
from app.ingest.event import Arrival
from app.ingest.flush_ids import FlushIds
from app.ingest.group_commit import GroupCommit
from app.ingest.routes import read_submission
from app.ingest.sink import PostgresSink
from app.settings import Settings
from migrations.partitions import ensure_partitions
from tenants.databases import Databases
from tenants.placement import Placement
from tests.support.grove import own_database
from tests.support.placements import own_placement

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
TABLES = ('"UserEvents"', '"Leads"', '"ChatLog"', '"AgentConnection"', "sessions")


class Store:
    """A client's tables with ingest before them."""

    def __init__(self, url: str, placement: Placement, commit: GroupCommit) -> None:
        self._url = url
        self._schema = f'"{placement.schema}"'
        self._placement = placement
        self._commit = commit

    async def send(self, *requests: list[dict[str, Any]]) -> None:
        """Send requests side by side."""
        await asyncio.gather(
            *(self._commit.submit(self._placement, read_submission(json.dumps(each).encode(), arrival()))
              for each in requests)
        )  # fmt: skip

    async def take(self) -> dict[str, list[tuple[Any, ...]]]:
        """Return all rows of the folded tables, and empty everything."""
        connection = await asyncpg.connect(self._url)
        try:
            found = {}
            for table in TABLES:
                rows = await connection.fetch(f"TABLE {self._schema}.{table} ORDER BY 1")
                # Where a session started before its last event came tells of the order, as it must.
                found[table] = [tuple(value for name, value in row.items() if name != "started_before") for row in rows]
            for table in (
                *TABLES,
                "events",
                "event_ids",
                "agent_events",
                "quarantine",
                "outcome_counts",
                "rollup_pending",
            ):
                await connection.execute(f"TRUNCATE {self._schema}.{table}")
        finally:
            await connection.close()
        return found


def arrival() -> Arrival:
    return Arrival(key_id=UUID(bytes(16)), received_at=NOW, oldest=NOW - timedelta(days=730), accepts_chat=True)


@pytest.fixture(scope="module")
async def store(postgres: EmbeddedPostgres) -> AsyncIterator[Store]:
    async with own_database(postgres.url) as url:
        placement = await own_placement(url)
        engine = create_async_engine(make_url(url).set(drivername="postgresql+asyncpg"))
        await ensure_partitions(engine, placement, interval="year", retention_days=730, now=NOW)
        await engine.dispose()
        databases = Databases(Settings())
        commit = GroupCommit(PostgresSink(databases), FlushIds(1), max_queued_events=50_000)
        yield Store(url, placement, commit)
        await commit.drain()
        await databases.close()


PROPERTIES: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    "page_loaded": st.just({}),
    "requested_human": st.just({}),
    "pressed_accept": st.just({}),
    "lead_captured": st.fixed_dictionaries({"email": st.sampled_from(["a@x.test", "b@x.test"])}),
    "chat_message": st.fixed_dictionaries({"role": st.sampled_from(["user", "bot"])}, optional={"cost": st.just(0.5)}),
    "agent_connected": st.fixed_dictionaries({}, optional={"agent": st.sampled_from(["Ann", "Bo"])}),
    "agent_disconnected": st.fixed_dictionaries({}, optional={"agent": st.sampled_from(["Ann", "Bo"])}),
    "csat": st.fixed_dictionaries({"score": st.integers(1, 5)}),
    "page_view": st.just({}),
    "click": st.just({}),
}


@st.composite
def histories(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Draw events of few sessions and few moments, so that they collide."""
    names = draw(st.lists(st.sampled_from(sorted(PROPERTIES)), min_size=1, max_size=14))
    return [
        {
            "name": name,
            "event_id": str(uuid.UUID(int=number + 1)),
            "session_id": draw(st.sampled_from(["a", "b"])),
            "occurred_at": (NOW - timedelta(minutes=draw(st.integers(0, 4)))).isoformat(),
            "properties": draw(PROPERTIES[name]),
            "page": draw(st.sampled_from(["https://x.test/one", "https://x.test/two"])),
        }
        for number, name in enumerate(names)
    ]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(events=histories(), data=st.data())
async def test_any_order_and_any_repetition_give_the_same_rows(
    store: Store, events: list[dict[str, Any]], data: st.DataObject
) -> None:
    repeated = events + data.draw(st.lists(st.sampled_from(events), max_size=5))
    shuffled = data.draw(st.permutations(repeated))
    cut = data.draw(st.integers(0, len(shuffled)))
    requests = [part for part in (shuffled[:cut], shuffled[cut:]) if part]
    await store.send(events)
    plain = await store.take()
    if data.draw(st.booleans()):
        for event in shuffled:
            await store.send([event])
    else:
        await store.send(*requests)
    assert await store.take() == plain


async def test_an_end_and_a_rating_belong_to_the_connection_before_them(store: Store) -> None:
    def told(name: str, minute: int, **properties: Any) -> dict[str, Any]:
        at = NOW - timedelta(minutes=30 - minute)
        return {
            "name": name,
            "event_id": str(uuid.UUID(int=minute + 1)),
            "session_id": "s",
            "occurred_at": at.isoformat(),
            "properties": properties,
        }

    events = [
        told("csat", 9, score=2),
        told("agent_disconnected", 5, agent="Ann"),
        told("agent_connected", 7, agent="Bo"),
        told("agent_connected", 1, agent="Ann"),
        told("agent_disconnected", 8),
        told("agent_disconnected", 0, agent="Cy"),
    ]
    for event in events:
        await store.send([event])
    rows = (await store.take())['"AgentConnection"']
    start = NOW - timedelta(minutes=30)
    assert [
        (agent, *((None if at is None else (at - start).seconds // 60) for at in (connected, ended)), csat)
        for _, _, agent, connected, ended, csat in rows
    ] == [("Cy", None, 0, None), ("Ann", 1, 5, None), ("Bo", 7, 8, 2.0)]
