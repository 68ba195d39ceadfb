"""All that may befall a client's events, within a second or two: repeats, refusals, lost answers, an outage, replays.

Used by the test of the judge: whatever is broken in the product on purpose shows in such a run.
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import uuid4

import asyncpg
import httpx
import msgspec

from tenants.clock import utc_now
from tests.support.cutting import Cut, CuttingProxy
from tests.support.grove import Grove, MadeClient
from tests.support.history import Attempt, Finding, History
from tests.support.judge import judge
from tests.support.rollups import counted
from tests.support.waiting import until

EVENTS = "/api/v1/events"
QUARANTINE = "/api/v1/quarantine"
LATE = timedelta(days=30)
GIVE_UP_S = 0.2
OUTAGE_S = 0.6
_END = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
)


class Party:
    """A client and its history."""

    def __init__(self, grove: Grove, client: MadeClient, limited: Mapping[str, str]) -> None:
        self.client = client
        self.history = History()
        self.limited = limited
        self._grove = grove

    @property
    def outcomes(self) -> tuple[set[int], set[str]]:
        """What was answered so far: statuses, and what became of replays."""
        return {each.status for each in self.history.attempts}, {each.outcome for each in self.history.replays}

    async def send(self, headers: Mapping[str, str], *events: dict[str, Any]) -> Attempt:
        """Send a request."""
        attempt = self.history.begin(headers, [msgspec.json.encode(event) for event in events])
        answer = await self._grove.http.post(EVENTS, content=attempt.body, headers=headers)
        attempt.end(answer.status_code, answer.content)
        return attempt

    async def ask(self, method: str, path: str, body: Any = None) -> httpx.Response:
        """Ask for something else."""
        return await self._grove.http.request(method, path, json=body, headers=self.client.server)


class Eventful:
    """A client, a neighbour, and a database whose connections a test may break; `admin_url` leads around the proxy."""

    def __init__(self, grove: Grove, proxy: CuttingProxy, admin_url: str, party: Party, neighbour: Party) -> None:
        self.grove = grove
        self.party = party
        self.neighbour = neighbour
        self._proxy = proxy
        self._admin_url = admin_url

    async def run(self) -> None:
        """Let everything happen."""
        await self._meet()
        await self._roll_up()
        await self._meet()
        await self._lose_answers()
        await self._roll_up()
        await self._send_late()
        await self._suffer_an_outage()
        await self._exceed_a_limit()
        await self._replay()
        await self._roll_up()

    async def judge(self) -> list[Finding]:
        """Compare both clients' histories with what is stored."""
        found = []
        for party in (self.party, self.neighbour):
            placement = await self.grove.placement_of(party.client.id)
            found += await judge(self._admin_url, placement.schema, party.history)
        return found

    async def _meet(self) -> None:
        """Send from many at once what is new, repeated, changed, unfit and without an id, under two keys."""
        shared = event()
        await self.party.send(self.party.client.server, shared)
        await asyncio.gather(
            *(self.party.send(keys, *mixed(shared, n)) for n, keys in enumerate(4 * self._keys(self.party))),
            *(self.neighbour.send(keys, shared, event()) for keys in self._keys(self.neighbour)),
        )

    def _keys(self, party: Party) -> list[Mapping[str, str]]:
        return [party.client.server, party.client.admin]

    async def _lose_answers(self) -> None:
        for cut in Cut:
            self._proxy.cut = cut
            await self.party.send(self.party.client.server, *mixed(event(), 1), event())

    async def _send_late(self) -> None:
        at = (utc_now() - LATE).isoformat()
        await self.party.send(
            self.party.client.server,
            event(occurred_at=at, name="purchase", amount=5, currency="EUR"),
            event(occurred_at=at),
        )

    async def _suffer_an_outage(self) -> None:
        """Send while the database lets nobody in, for longer than anybody tries, and again what was not taken."""
        events = mixed(event(), 2)
        connection = await asyncpg.connect(self._admin_url)
        name = await connection.fetchval("SELECT current_database()")
        try:
            await connection.execute(f"ALTER DATABASE {name} CONNECTION LIMIT 0")
            await connection.execute(_END)
            taken, _ = await asyncio.gather(self.party.send(self.party.client.server, *events), asyncio.sleep(OUTAGE_S))
            await connection.execute(f"ALTER DATABASE {name} CONNECTION LIMIT -1")
        finally:
            await connection.close()

        async def is_taken() -> bool:
            return taken.acked or (await self.party.send(self.party.client.server, *events)).acked

        await until(is_taken, within_s=5)

    async def _exceed_a_limit(self) -> None:
        for _ in range(3):
            await self.party.send(self.party.limited, event(), event())

    async def _replay(self) -> None:
        """Mend one of two refused events, and replay each twice at once."""
        refused = [msgspec.json.encode({"event_id": f"{uuid4()}", "name": number}) for number in range(2)]
        attempt = await self.party.send(self.party.client.server, *map(msgspec.json.decode, refused))
        for sent, name in zip(attempt.events, ("page_view", 7), strict=True):
            mended = {"event_id": sent.given, "name": name}
            rows = (await self.party.ask("GET", QUARANTINE)).json()["data"]
            for row in (row for row in rows if row["event_id"] == sent.given):
                await self.party.ask("PATCH", f"{QUARANTINE}/{row['id']}", {"event": mended})
                order = {"ids": [row["id"]]}
                replays = (self.party.ask("POST", f"{QUARANTINE}/replay", order) for _ in range(2))
                for answer in await asyncio.gather(*replays):
                    for told in answer.json().get("data", []):
                        self.party.history.replay(row, sent.body, msgspec.json.encode(mended), told)

    async def _roll_up(self) -> None:
        async with counted(self.grove, self.party.client.id) as store:
            await store.catch_up(utc_now())


def event(**fields: Any) -> dict[str, Any]:
    """Make an event of a session of its own."""
    one = f"{uuid4()}"
    return {"event_id": one, "name": "page_view", "session_id": f"s-{one}", "visitor_id": f"v-{one}"} | fields


def mixed(shared: dict[str, Any], number: int) -> Sequence[dict[str, Any]]:
    """Make a request of events that end differently; each has its own number of them."""
    anonymous = event(name="click")
    del anonymous["event_id"]
    repeated = event()
    unfit = [event(name=number) for _ in range(number)]
    return [*unfit, shared, event(event_id=shared["event_id"], name="changed"), repeated, repeated, anonymous]
