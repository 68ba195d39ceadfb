"""Events for the clients of a Grove inside the test's process, with a history of what was acknowledged."""

from uuid import uuid4

import httpx

from tests.support.grove import Grove, MadeClient
from tests.support.history import Finding, History, judge
from tests.support.load import EVENTS_PATH, make_events


class Sender:
    """Sends one client's events and keeps their history."""

    def __init__(self, grove: Grove, client: MadeClient) -> None:
        self.history = History()
        self.client = client
        self._grove = grove

    async def send(self, events: int = 2) -> httpx.Response:
        """Send new events once and return the answer."""
        ids = [uuid4() for _ in range(events)]
        self.history.send(ids)
        answer = await self._grove.http.post(EVENTS_PATH, json=make_events(ids), headers=self.client.server)
        if answer.status_code == 202:
            self.history.acknowledge(ids)
        return answer

    async def ask(self) -> httpx.Response:
        """Ask for the client's totals, as a dashboard does."""
        period = {"from": "2026-01-01", "to": "2027-01-01"}
        return await self._grove.http.get("/api/v1/analytics/summary", params=period, headers=self.client.server)

    async def judge(self, database_url: str | None = None) -> list[Finding]:
        """Compare what is stored, in a database of the client's own if one is given, to the history."""
        schema = (await self._grove.placement_of(self.client.id)).schema
        return await judge(database_url or self._grove.settings.main_url, schema, self.history)
