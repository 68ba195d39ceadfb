"""A client under load in a mix of faults: what it sent, what it was told, and whether its books agree with both."""

import asyncio
from typing import Any

from tests.support.history import Attempt, Finding, History
from tests.support.load import Connection, ConnectionEnded, Load
from tests.support.servers import Client

EVENTS_EACH = 5
_PAUSE_S = 0.05
_PATIENCE_S = 60.0


class Target:
    """A client, the senders that never rest, and what is sent beside them."""

    def __init__(self, client: Client, *, connections: int) -> None:
        self.client = client
        self.load: Load = client.load(connections=connections, events_per_request=EVENTS_EACH)
        self.complaints: list[str] = []
        self._beside = History()

    @property
    def history(self) -> History:
        """All that was sent, and acknowledged."""
        return self.load.history | self._beside

    def complain(self, what: str) -> None:
        """Note an answer that cannot be right."""
        self.complaints.append(what)

    async def send(self, events: list[bytes]) -> dict[str, Any]:
        """Send a batch until it is acknowledged, and return that answer.

        Errors: TimeoutError.
        """
        headers = self.client.key | {"Content-Type": "application/json"}
        async with asyncio.timeout(_PATIENCE_S):
            while True:
                attempt = self._beside.begin(headers, events)
                await self._try(attempt, headers)
                if attempt.acked:
                    return attempt.answer
                await asyncio.sleep(_PAUSE_S)

    async def _try(self, attempt: Attempt, headers: dict[str, str]) -> None:
        try:
            connection = await Connection.open(self.client.port)
        except OSError:
            attempt.end(0)
            return
        try:
            answer = await connection.post(attempt.body, headers)
        except ConnectionEnded:
            attempt.end(0)
        else:
            attempt.end(answer.status, answer.body)
        finally:
            await connection.close()

    async def examine(self) -> list[Finding]:
        """Compare the client's tables and books with what was sent and told."""
        findings = await self.client.judge(self.history)
        findings += [Finding("answer", complaint) for complaint in self.complaints]
        statuses = {outcome.status for outcome in self.load.outcomes} - {0, 202, 503}
        findings += [Finding("answer", f"status {status}") for status in statuses]
        findings += [Finding("answer", f"cut in the middle: {answer!r}") for answer in self.load.cut_answers]
        return findings
