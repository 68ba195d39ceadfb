"""A client of a Grove in the test's process that keeps its history: `party.send(event())` → `party.judge()`."""

from collections.abc import Mapping
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import msgspec

from tenants.clock import Clock, utc_now
from tests.support.grove import Grove, MadeClient
from tests.support.history import Attempt, Finding, History, fetch_in
from tests.support.judge import judge
from tests.support.load import EVENTS_PATH, make_events


class Party:
    """A client and its history. `clock` is the server's."""

    def __init__(self, grove: Grove, client: MadeClient, clock: Clock = utc_now) -> None:
        self.client = client
        self.history = History(clock)
        self._grove = grove

    async def send(self, *events: dict[str, Any] | bytes, headers: Mapping[str, str] | None = None) -> Attempt:
        """Send a request, with the server's key if no other is given; bytes are sent as they are."""
        bodies = [event if isinstance(event, bytes) else msgspec.json.encode(event) for event in events]
        return (await self._post(bodies, headers or self.client.server))[0]

    async def send_new(self, events: int = 2) -> httpx.Response:
        """Send new events and return the whole answer."""
        return (await self._post(make_events([uuid4() for _ in range(events)]), self.client.server))[1]

    async def _post(self, bodies: list[bytes], headers: Mapping[str, str]) -> tuple[Attempt, httpx.Response]:
        attempt = self.history.begin(headers, bodies)
        answer = await self._grove.http.post(EVENTS_PATH, content=attempt.body, headers=headers)
        attempt.end(answer.status_code, answer.content)
        return attempt, answer

    async def ask_totals(self) -> httpx.Response:
        """Ask for the client's totals, as a dashboard does."""
        period = {"from": "2026-01-01", "to": "2027-01-01"}
        return await self._grove.http.get("/api/v1/analytics/summary", params=period, headers=self.client.server)

    async def ask(self, method: str, path: str, body: Any = None) -> httpx.Response:
        """Ask for something else."""
        return await self._grove.http.request(method, path, json=body, headers=self.client.server)

    async def fetch(self, sql: str, *args: Any) -> list[asyncpg.Record]:
        """Run a statement as the administrator; `{schema}` in it stands for the client's schema."""
        schema = (await self._grove.placement_of(self.client.id)).schema
        return await fetch_in(self._grove.settings.main_url, schema, sql, *args)

    async def judge(self, database_url: str | None = None) -> list[Finding]:
        """Compare what is stored, in a database of the client's own if one is given, to the history."""
        schema = (await self._grove.placement_of(self.client.id)).schema
        registry_url = self._grove.settings.main_url
        return await judge(database_url or registry_url, schema, self.history, registry_url)

    @property
    def outcomes(self) -> tuple[set[int], set[str]]:
        """What was answered so far: statuses, and what became of replays."""
        return {each.status for each in self.history.attempts}, {each.outcome for each in self.history.replays}


def event(**fields: Any) -> dict[str, Any]:
    """Make an event of a session of its own."""
    one = f"{uuid4()}"
    return {"event_id": one, "name": "page_view", "session_id": f"s-{one}", "visitor_id": f"v-{one}"} | fields
