"""A client under load in a mix of faults: what it sent, what it was told, and whether its books agree with both."""

import asyncio
from typing import Any
from uuid import UUID

import msgspec

from tests.support.history import Finding, History, fetch_in, judge
from tests.support.load import Connection, ConnectionEnded, Load
from tests.support.servers import Client

EVENTS_EACH = 5
_PAUSE_S = 0.05
_PATIENCE_S = 60.0

# Per hour, and per key and reason where rows know them: what was counted, beside what is there.
_RECONCILED = {
    "stored": """
        SELECT coalesce(b.hour, r.hour) AS place, b.n AS counted, r.n AS found
        FROM (SELECT hour, sum(n) AS n FROM {schema}.outcome_counts WHERE outcome = 'stored' GROUP BY 1) b
        FULL JOIN (SELECT date_trunc('hour', received_at, 'UTC') AS hour, count(*) AS n
                   FROM {schema}.events GROUP BY 1) r USING (hour)
        WHERE b.n IS DISTINCT FROM r.n""",
    "quarantined": """
        SELECT coalesce(b.what, r.what) AS place, b.n AS counted, r.n AS found
        FROM (SELECT (hour, key_id, reason)::text AS what, sum(n) AS n
              FROM {schema}.outcome_counts WHERE outcome = 'quarantined' GROUP BY 1) b
        FULL JOIN (SELECT (date_trunc('hour', received_at, 'UTC'), key_id, code)::text AS what, count(*) AS n
                   FROM {schema}.quarantine GROUP BY 1) r USING (what)
        WHERE b.n IS DISTINCT FROM r.n""",
    "duplicate": """
        SELECT 'all' AS place, b.n AS counted, r.n AS found
        FROM (SELECT coalesce(sum(n), 0) AS n FROM {schema}.outcome_counts WHERE outcome = 'duplicate') b,
             (SELECT coalesce(sum(n), 0) AS n FROM {schema}.event_repeats) r
        WHERE b.n <> r.n""",
}


class Target:
    """A client, the senders that never rest, and what is sent beside them."""

    def __init__(self, client: Client, *, connections: int) -> None:
        self.client = client
        self.load: Load = client.load(connections=connections, events_per_request=EVENTS_EACH)
        self.complaints: list[str] = []
        self._beside = History()
        self._tried = self._told = 0

    @property
    def history(self) -> History:
        """All that was sent, and acknowledged."""
        return self.load.history | self._beside

    def complain(self, what: str) -> None:
        """Note an answer that cannot be right."""
        self.complaints.append(what)

    async def send(self, events: list[Any], ids: list[UUID]) -> dict[str, Any]:
        """Send a batch until it is acknowledged, and return that answer.

        Errors: TimeoutError.
        """
        body, headers = msgspec.json.encode(events), self.client.key | {"Content-Type": "application/json"}
        self._beside.send(ids)
        async with asyncio.timeout(_PATIENCE_S):
            while True:
                try:
                    connection = await Connection.open(self.client.port)
                except OSError:
                    await asyncio.sleep(_PAUSE_S)
                    continue
                self._tried += len(events)
                try:
                    answer = await connection.post(body, headers)
                except ConnectionEnded:
                    answer = None
                finally:
                    await connection.close()
                if answer is not None and answer.status == 202:
                    break
                await asyncio.sleep(_PAUSE_S)
        self._told += len(events)
        self._beside.acknowledge(ids)
        told: dict[str, Any] = msgspec.json.decode(answer.body)
        if told["accepted"] + told["duplicates"] + len(told["rejected"]) != len(events):
            self.complain(f"of {len(events)} events the answer tells something else: {told}")
        return told

    async def examine(self) -> list[Finding]:
        """Compare the client's tables and books with what was sent and told."""
        client = self.client
        findings = await judge(client.database_url, client.schema, self.history)
        findings += [Finding("answer", complaint) for complaint in self.complaints]
        for outcome, sql in _RECONCILED.items():
            for row in await fetch_in(client.database_url, client.schema, sql):
                findings.append(Finding("unreconciled", f"{outcome} {row['place']}: {row['counted']}, {row['found']}"))
        received = (await client.fetch("SELECT coalesce(sum(n), 0) AS n FROM {schema}.outcome_counts"))[0]["n"]
        least = self._told + EVENTS_EACH * self.load.acked
        most = self._tried + EVENTS_EACH * len(self.load.outcomes)
        if not least <= received <= most:
            findings.append(Finding("unreconciled", f"received {received}, but sent {most} and acknowledged {least}"))
        statuses = {outcome.status for outcome in self.load.outcomes} - {0, 202, 503}
        findings += [Finding("answer", f"status {status}") for status in statuses]
        findings += [Finding("answer", f"cut in the middle: {answer!r}") for answer in self.load.cut_answers]
        return findings
