"""All that may befall a client's events, within a second or two: repeats, refusals, lost answers, an outage, replays.

Used by the test of the judge: whatever is broken in the product on purpose shows in such a run.
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import uuid4

import asyncpg
import msgspec

from tenants.clock import utc_now
from tests.support.grove import Grove
from tests.support.history import Finding
from tests.support.party import Party, event
from tests.support.proxy import Cut, Proxy
from tests.support.rollups import counted
from tests.support.waiting import until

QUARANTINE = "/api/v1/quarantine"
LATE = timedelta(days=30)
GIVE_UP_S = 0.2
OUTAGE_S = 0.6
_END = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
    "WHERE datname = current_database() AND pid <> pg_backend_pid()"
)


class Eventful:
    """A client with a key of few requests, a neighbour, and a database whose connections break."""

    def __init__(self, grove: Grove, proxy: Proxy, party: Party, neighbour: Party, limited: Mapping[str, str]) -> None:
        self.party = party
        self.neighbour = neighbour
        self._grove = grove
        self._proxy = proxy
        self._limited = limited

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
        return [*await self.party.judge(), *await self.neighbour.judge()]

    async def _meet(self) -> None:
        """Send from many at once what is new, repeated, changed, unfit and without an id, under two keys."""
        shared = event(name="product_view")
        await self.party.send(shared)
        await asyncio.gather(
            *(self.party.send(*mixed(shared, n), headers=keys) for n, keys in enumerate(4 * self._keys(self.party))),
            *(self.neighbour.send(shared, event(), headers=keys) for keys in self._keys(self.neighbour)),
        )

    def _keys(self, party: Party) -> list[Mapping[str, str]]:
        return [party.client.server, party.client.admin]

    async def _lose_answers(self) -> None:
        for cut in Cut:
            self._proxy.cut = cut
            await self.party.send(*mixed(event(), 1), event())

    async def _send_late(self) -> None:
        at = (utc_now() - LATE).isoformat()
        await self.party.send(
            event(occurred_at=at, name="purchase", amount=5, currency="EUR"),
            event(occurred_at=at),
        )

    async def _suffer_an_outage(self) -> None:
        """Send while the database lets nobody in, for longer than anybody tries, and again what was not taken."""
        events = mixed(event(), 2)
        connection = await asyncpg.connect(self._grove.settings.main_url)
        name = await connection.fetchval("SELECT current_database()")
        try:
            await connection.execute(f"ALTER DATABASE {name} CONNECTION LIMIT 0")
            await connection.execute(_END)
            taken, _ = await asyncio.gather(self.party.send(*events), asyncio.sleep(OUTAGE_S))
            await connection.execute(f"ALTER DATABASE {name} CONNECTION LIMIT -1")
        finally:
            await connection.close()

        async def is_taken() -> bool:
            return taken.acked or (await self.party.send(*events)).acked

        await until(is_taken, within_s=5)

    async def _exceed_a_limit(self) -> None:
        for _ in range(3):
            await self.party.send(event(), event(), headers=self._limited)

    async def _replay(self) -> None:
        """Mend one of two refused events, and replay each twice at once."""
        refused = [msgspec.json.encode({"event_id": f"{uuid4()}", "name": number}) for number in range(2)]
        attempt = await self.party.send(*refused)
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
        async with counted(self._grove, self.party.client.id) as store:
            await store.catch_up(utc_now())


def mixed(shared: dict[str, Any], number: int) -> Sequence[dict[str, Any]]:
    """Make a request of events that end differently; each has its own number of them."""
    anonymous = event(name="click")
    del anonymous["event_id"]
    repeated = event()
    unfit = [event(name=number) for _ in range(number)]
    return [*unfit, shared, event(event_id=shared["event_id"], name="changed"), repeated, repeated, anonymous]
