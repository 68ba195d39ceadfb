"""How soon an event is in an answer: one is sent now and then, and a panel's question asked until it holds it.

Used by `bench.soak`. Beside it the API is asked for what a site's people look at.
"""

import asyncio
import time
from collections.abc import Sequence

import asyncpg
import httpx

from bench.soak.samples import OWN_NAME
from bench.soak.traffic import Sender
from tenants.ids import function_prefix, quote

NAME = "soak_mark"
POLL_S = 0.01
GIVE_UP_S = 30.0
# What panels ask, over thirty days, from the rollups and what these do not hold yet.
_QUESTION = """
SELECT coalesce(sum(e.n), 0)::bigint
FROM {fn}event_counts(now() - interval '30 days', now() + interval '1 hour') AS e
WHERE e.name = $1
"""
_QUESTIONS = ("/api/v1/analytics/summary", "/api/v1/analytics/realtime")


class Panel:
    """A client's panel: a connection under the role that its dashboards have."""

    def __init__(self, sender: Sender, schema: str, connection: asyncpg.Connection) -> None:
        self._sender = sender
        self._question = _QUESTION.format(fn=function_prefix(schema))
        self._connection = connection
        self._sent = 0

    async def time_mark(self) -> float | None:
        """Send a mark and return how long it took from then until the answer had it; None if it never came."""
        began = time.monotonic()
        if not await self._sender.deliver([self._sender.story.mark(NAME)]):
            return None
        self._sent += 1
        while time.monotonic() - began < GIVE_UP_S:
            if await self._connection.fetchval(self._question, NAME) >= self._sent:
                return time.monotonic() - began
            await asyncio.sleep(POLL_S)
        return None

    async def close(self) -> None:
        """Disconnect."""
        await self._connection.close()


class Marks:
    """Sends marks to one client after the other and asks the API questions."""

    def __init__(self, panels: Sequence[Panel], senders: Sequence[Sender], url: str) -> None:
        self._panels = panels
        self._senders = senders
        self._http = httpx.AsyncClient(base_url=url, timeout=GIVE_UP_S)
        self.visible_s: list[float] = []
        self.answers_s: list[float] = []
        self.unseen = 0
        self.unanswered = 0

    async def run(self, every_s: float) -> None:
        """Go on until cancelled."""
        number = 0
        while True:
            await asyncio.gather(self._mark(number), self._ask(number), asyncio.sleep(every_s))
            number += 1

    async def close(self) -> None:
        """Disconnect everything."""
        await self._http.aclose()
        for panel in self._panels:
            await panel.close()

    async def _mark(self, number: int) -> None:
        seconds = await self._panels[number % len(self._panels)].time_mark()
        if seconds is None:
            self.unseen += 1
        else:
            self.visible_s.append(seconds)

    async def _ask(self, number: int) -> None:
        headers = self._senders[number % len(self._senders)].headers
        for path in _QUESTIONS:
            began = time.monotonic()
            answer = await self._http.get(path, headers=headers)
            self.answers_s.append(time.monotonic() - began)
            self.unanswered += not answer.is_success


async def open_panel(sender: Sender, url: str, schema: str, login_role: str) -> Panel:
    """Connect as a client's dashboards do, with the limits that they have."""
    connection = await asyncpg.connect(url, server_settings={"application_name": OWN_NAME})
    await connection.execute(f"SET ROLE {quote(login_role)}; SET work_mem = '16MB'; SET timezone = 'UTC'")
    return Panel(sender, schema, connection)
