"""What was sent, what was acknowledged, and whether the store agrees: the judge of every fault test.

Each acknowledged id must be stored exactly once, each other one at most once, and nothing that was never sent.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Any, NamedTuple, Self
from uuid import UUID

import asyncpg

from tenants.ids import quote


class Finding(NamedTuple):
    """Something that is wrong with the store: an event `lost`, `doubled` or `foreign`, or books that do not add up."""

    what: str
    detail: str


class History:
    """The events that were sent for one client."""

    def __init__(self) -> None:
        self.sent: set[UUID] = set()
        self.acked: set[UUID] = set()

    def send(self, ids: Iterable[UUID]) -> None:
        """Note events before they leave."""
        self.sent.update(ids)

    def acknowledge(self, ids: Iterable[UUID]) -> None:
        """Note events whose storing was promised."""
        self.acked.update(ids)

    def __or__(self, other: Self) -> Self:
        """Join two histories of one client."""
        joined = type(self)()
        joined.sent = self.sent | other.sent
        joined.acked = self.acked | other.acked
        return joined

    def compare(self, stored: Iterable[UUID]) -> list[Finding]:
        """Find every event that the store has too seldom, too often or without reason."""
        counts = Counter(stored)
        return [
            *(Finding("lost", str(event_id)) for event_id in self.acked if event_id not in counts),
            *(Finding("doubled", str(event_id)) for event_id, times in counts.items() if times > 1),
            *(Finding("foreign", str(event_id)) for event_id in counts if event_id not in self.sent),
        ]


async def judge(url: str, schema: str, history: History) -> list[Finding]:
    """Compare a client's tables to its history, and its books to its tables.

    Shape: empty if all is well. `url` is an administrator's.
    """
    stored = [row[0] for row in await fetch_in(url, schema, "SELECT event_id FROM {schema}.events")]
    return history.compare(stored) + await _audit(url, schema, len(stored))


async def fetch_in(url: str, schema: str, sql: str, *args: Any) -> list[asyncpg.Record]:
    """Run a statement as the administrator; `{schema}` in it stands for a client's schema."""
    connection = await asyncpg.connect(url)
    try:
        rows: list[asyncpg.Record] = await connection.fetch(sql.replace("{schema}", quote(schema)), *args)
        return rows
    finally:
        await connection.close()


# The same events, counted in every other table that must know of them; all were web events with id and session.
_BOOKS = {
    "event_ids": "SELECT count(*) FROM {schema}.event_ids",
    "outcome_counts": "SELECT coalesce(sum(n), 0) FROM {schema}.outcome_counts WHERE outcome = 'stored'",
    "sessions": "SELECT coalesce(sum(events), 0) FROM {schema}.sessions",
}


async def _audit(url: str, schema: str, stored: int) -> list[Finding]:
    found = {name: (await fetch_in(url, schema, sql))[0][0] for name, sql in _BOOKS.items()}
    return [Finding("unequal", f"{name} has {n}, events has {stored}") for name, n in found.items() if n != stored]
