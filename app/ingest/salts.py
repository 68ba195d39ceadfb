"""The salt of the day, with which a client's visitors get ids that nobody can make again tomorrow.

Called by the sink before a flush, and by a regular job for clients whose visitors stay away.
"""

import secrets
from datetime import date, timedelta

from app.ingest.days import find_day
from app.ingest.event import Arrival
from app.ingest.flush import Flush
from app.ingest.statements import statement
from tenants.databases import Databases
from tenants.errors import StoreUnavailable
from tenants.placement import Placement, Purpose

SALT_BYTES = 32
ONE_DAY = timedelta(days=1)
_ATTEMPTS = 3


class Salts:
    """Finds salts, and remembers one per client. One per process."""

    def __init__(self, databases: Databases) -> None:
        self._databases = databases
        self._known: dict[str, tuple[date, bytes]] = {}

    async def find(self, placement: Placement, flush: Flush) -> bytes | None:
        """Return the salt that a flush's visitors need, made if need be; None if none of them needs one.

        Errors: StoreUnavailable.
        """
        last = _last_in_need(flush)
        if last is None:
            return None
        day = find_day(last.received_at, last.sender.zone).date
        known = self._known.get(placement.schema)
        if known is not None and known[0] == day:
            return known[1]
        salt = await self._take(placement, day)
        # What was kept of other clients from the day before is to be forgotten too.
        self._known = {schema: kept for schema, kept in self._known.items() if kept[0] >= day - ONE_DAY}
        self._known[placement.schema] = day, salt
        return salt

    async def _take(self, placement: Placement, day: date) -> bytes:
        # In a transaction of its own: a flush may be taken back, and the salt then be in use already.
        for _ in range(_ATTEMPTS):
            async with self._databases.unit(placement, Purpose.WRITE) as db:
                salt: bytes | None = await db.fetchval(
                    statement(placement, "take_salt"), day, secrets.token_bytes(SALT_BYTES)
                )
            if salt is not None:
                return salt
        raise StoreUnavailable


def _last_in_need(flush: Flush) -> Arrival | None:
    """Find the last arrival that brought a visitor without an id."""
    last: Arrival | None = None
    for submission in flush.submissions:
        arrival = submission.arrival
        if last is not None and arrival.received_at <= last.received_at:
            continue
        for event in submission.events:
            if event.visit is not None and event.visit.subject is not None:
                last = arrival
                break
    return last


async def destroy_salts(databases: Databases, placement: Placement, *, today: date) -> int:
    """Destroy the salts of days that are over; return how many."""
    async with databases.unit(placement, Purpose.WRITE) as db:
        tag = await db.execute(statement(placement, "destroy_salts"), today)
    return int(tag.rpartition(" ")[2])
