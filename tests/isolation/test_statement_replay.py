"""Whatever Grove says to a client's database for that client, the database refuses to say for another one."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import asyncpg
import pytest

from app.embedded.postgres import EmbeddedPostgres
from app.workers.event_ids import purge_event_ids
from app.workers.outcomes import compact_outcomes
from app.workers.quarantine import purge_old_quarantine
from app.workers.resources import open_worker_resources
from tenants.ids import quote
from tests.support.desks import LEGACY_SOURCE, LEGACY_TABLES
from tests.support.grove import Grove, MadeClient, open_grove, own_database
from tests.support.statements import Recorder, replay

QUESTIONS = ("funnel", "daily", "hourly", "leads", "sessions", "test")
STEPS = ("page_loaded", "widget_opened", "requested_human", "pressed_accept", "pressed_callback", "pressed_continue")
AGENT = ("agent_connected", "csat", "agent_disconnected")
# What is asked of a database without touching anything of a client's: whether it answers, and what an attached one
# shows to its own login.
HARMLESS = ("SELECT 1", "FROM pg_catalog.")
TABLES = (
    "events", "event_ids", "outcome_counts", "quarantine", "UserEvents", "Leads", "ChatLog", "AgentConnection",
    "agent_events", "sessions", "event_repeats", "commerce_facts",
)  # fmt: skip


class Walls:
    """A Grove with three clients, one per placement, and a stranger."""

    def __init__(self, grove: Grove, clients: list[MadeClient], stranger: MadeClient) -> None:
        self.grove = grove
        self.clients = clients
        self.stranger = stranger

    async def say_everything(self) -> Recorder:
        """Have Grove run every statement that it has for a client, and return what was recorded."""
        for client in self.clients:
            await self._send(client, {"name": "page_view", "session_id": "web", "event_id": "known"})
            await self._send(client, {"name": "purchase", "amount": 5, "properties": {"order_id": "o-1"}})
            await self._send(client, {"name": "another", "session_id": "web", "event_id": "known"}, {"name": 7})
            if client.id != "attached":
                await self._send(client, *chat_events())
            for question in QUESTIONS:
                await self._ask(client, f"/api/{client.id}/{question}")
            await self._ask(client, f"{client.path}/usage")
            await self._look_after_quarantine(client)
        observe = self.grove.recorder.observe
        async with open_worker_resources(self.grove.settings, observe=observe) as resources:
            await compact_outcomes(resources)
            await purge_event_ids(resources)
            await purge_old_quarantine(resources)
        return self.grove.recorder

    async def _send(self, client: MadeClient, *events: dict[str, Any]) -> None:
        answer = await self.grove.http.post("/api/v1/events", json=list(events), headers=client.server)
        assert answer.status_code == 202, answer.text

    async def _look_after_quarantine(self, client: MadeClient) -> None:
        await self._ask(client, "/api/v1/quarantine")
        await self._ask(client, "/api/v1/events/known")
        http, headers = self.grove.http, client.server
        (refused, *_) = (await http.get("/api/v1/quarantine", headers=headers)).json()["data"]
        one = f"/api/v1/quarantine/{refused['id']}"
        for body in ({"name": 8}, {"name": "right"}):
            answers = [
                await http.patch(one, json={"event": body}, headers=headers),
                await http.post(f"{one}/replay", headers=headers),
            ]
            assert [answer.status_code for answer in answers] == [200, 200], answers
        answer = await http.post("/api/v1/quarantine/purge", json={"all": True}, headers=headers)
        assert answer.status_code == 200, answer.text

    async def _ask(self, client: MadeClient, path: str) -> None:
        answer = await self.grove.http.get(path, headers=client.admin if "usage" in path else client.server)
        assert answer.status_code == 200, answer.text


@pytest.fixture(scope="module")
async def walls(postgres: EmbeddedPostgres) -> AsyncIterator[Walls]:
    """The setting."""
    async with own_database(postgres.url) as legacy_url, open_grove(postgres.url) as grove, grove.worker():
        schema = await grove.make_client("inside")
        database = await grove.make_client("apart", placement={"kind": "database"})
        external = await grove.make_client("attached", placement=await make_legacy(legacy_url))
        yield Walls(grove, [schema, database, external], await grove.make_client("stranger"))


async def test_no_statement_of_a_client_runs_under_any_role_of_another(walls: Walls) -> None:
    recorder = await walls.say_everything()
    said = recorder.recorded.values()
    for table in TABLES:
        assert any(f".{table}" in statement.sql.replace('"', "") for statement in said), f"nothing was said to {table}"
    assert {statement.purpose for statement in said} == {"read", "write", "source"}
    assert [sql for sql in recorder.elsewhere if not any(harmless in sql for harmless in HARMLESS)] == []
    strangers = [await walls.grove.placement_of(walls.stranger.id)]
    assert await replay(walls.grove.settings.main_url, said, strangers) == []


async def test_a_wall_with_a_hole_is_found_out(walls: Walls) -> None:
    recorder = await walls.say_everything()
    mine = await walls.grove.placement_of("inside")
    stranger = await walls.grove.placement_of(walls.stranger.id)
    said = [statement for statement in recorder.recorded.values() if statement.placement.tenant_id == "inside"]
    schema, login = quote(mine.schema), quote(stranger.login_role)
    connection = await asyncpg.connect(walls.grove.settings.main_url)
    await connection.execute(f"GRANT USAGE ON SCHEMA {schema} TO {login}")
    await connection.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {login}")
    breaches = await replay(walls.grove.settings.main_url, said, [stranger])
    await connection.execute(f"REVOKE ALL ON ALL TABLES IN SCHEMA {schema} FROM {login}")
    await connection.execute(f"REVOKE ALL ON SCHEMA {schema} FROM {login}")
    await connection.close()
    assert {breach.role for breach in breaches} == {stranger.login_role}
    assert "it ran" in {breach.result for breach in breaches}


def chat_events() -> list[dict[str, Any]]:
    """One of each kind."""
    kinds = [
        *((step, {}) for step in STEPS),
        ("lead_captured", {"email": "a@b.example", "source": "widget"}),
        ("chat_message", {"role": "user", "text": "Hello", "cost": 0.01}),
        *((name, {"agent": "Ann", "score": 5}) for name in AGENT),
    ]
    return [
        {"name": name, "session_id": "chat", "event_id": str(uuid4()), "properties": properties}
        for name, properties in kinds
    ]


async def make_legacy(url: str) -> dict[str, Any]:
    """Make the tables of a database that was there before, and say how to attach it."""
    connection = await asyncpg.connect(url)
    await connection.execute(f"CREATE SCHEMA {quote(LEGACY_SOURCE.schema)}")
    await connection.execute(f"SET search_path TO {quote(LEGACY_SOURCE.schema)}; {LEGACY_TABLES}")
    await connection.close()
    return {
        "kind": "external",
        "url": url,
        "schema": LEGACY_SOURCE.schema,
        "sourceTimezone": LEGACY_SOURCE.timezone,
        "tables": LEGACY_SOURCE.tables,
        "columns": LEGACY_SOURCE.columns,
    }
