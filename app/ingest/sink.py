"""Store flushes, each in one transaction, until it is known what became of them.

Called by the lanes of the group commit. A lost connection is tried again; if the commit's answer was lost, the flush id
tells whether it happened, so that nothing is stored twice and nothing acknowledged is missing.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import structlog

from app.ingest.doorbell import Doorbell
from app.ingest.event import Arrival, Event
from app.ingest.flush import Flush, Submission, Unstorable, answers, refuse_stored
from app.ingest.outcomes import IngestAnswer
from app.ingest.salts import Salts
from app.ingest.statements import statement
from app.ingest.tables import LEFT, Repeated, recall, write_flush
from tenants.databases import Databases
from tenants.errors import QueryTimedOut, StoreUnavailable
from tenants.placement import Placement, Purpose

GIVE_UP_S = 8.0
LAST_TRY_S = 2.0
FIRST_PAUSE_S = 0.05
LAST_PAUSE_S = 0.5
# Nearly all ids are new, and `COPY` claims them for less than an insert that looks first (decision 0008). A repeat
# undoes the transaction, though, so where one was seen, that many flushes look first.
WARY_FLUSHES = 100

log = structlog.get_logger()

# What may not happen again: the database was away, had others in the way, or somebody cancelled what it did.
TRIED_AGAIN = (StoreUnavailable, QueryTimedOut, asyncpg.DeadlockDetectedError, asyncpg.UniqueViolationError)


class PostgresSink:
    """Stores flushes in the clients' databases."""

    def __init__(self, databases: Databases, doorbell: Doorbell | None = None) -> None:
        self._databases = databases
        self._wary: dict[str, int] = {}  # for how many flushes yet a schema is expected to see repeats
        self._salts = Salts(databases)
        self._doorbell = doorbell

    async def store(self, placement: Placement, flush: Flush) -> list[IngestAnswer]:
        """Store a flush and return each submission's answer.

        Errors: StoreUnavailable if the database stays away for GIVE_UP_S; then it is not known to be stored. Unstorable
        if it refuses the content of an event; then nothing is stored.
        """
        async with self._limit(placement):
            return await self._persist(placement, flush)

    async def sift(self, placement: Placement, flush: Flush) -> list[IngestAnswer]:
        """Store a flush of which the database refuses some, which goes to quarantine; return the answers.

        Errors: StoreUnavailable, also if there is so much to try that time runs out.
        """
        async with self._limit(placement):
            return await self._persist(placement, flush, sift=True)

    @asynccontextmanager
    async def _limit(self, placement: Placement) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(GIVE_UP_S + LAST_TRY_S):
                yield
        except TimeoutError as error:
            raise self._databases.give_up(placement) from error

    async def _persist(self, placement: Placement, flush: Flush, *, sift: bool = False) -> list[IngestAnswer]:
        give_up_at, pause, again, lost = time.monotonic() + GIVE_UP_S, FIRST_PAUSE_S, False, False
        while True:
            try:
                if sift:
                    refuse_stored(flush, await self.find_unstorable(placement, flush))
                    sift = False
                return await self._attempt(placement, flush, wary=again, lost=lost)
            except Repeated:
                self._wary[placement.schema] = WARY_FLUSHES
                continue
            except LEFT as error:
                log.warning("place_left", client_id=placement.tenant_id, error=type(error).__name__)
                raise StoreUnavailable from error  # whoever sends again is led to the new place, or refused for good
            except TRIED_AGAIN as error:
                # What the database refused was not committed; only where its answer is missing it may have been.
                lost = lost or isinstance(error, StoreUnavailable)
                if time.monotonic() > give_up_at:
                    raise error if isinstance(error, StoreUnavailable) else StoreUnavailable from error
                await asyncio.sleep(pause)
                pause = min(pause * 2, LAST_PAUSE_S)
            again = True

    async def _attempt(self, placement: Placement, flush: Flush, *, wary: bool, lost: bool) -> list[IngestAnswer]:
        salt = await self._salts.find(placement, flush)
        async with self._databases.unit(placement, Purpose.WRITE) as db:
            if lost and await db.fetchval(statement(placement, "recall_flush"), flush.id):
                settled = await recall(db, flush)
            else:
                settled = await write_flush(db, flush, salt, wary=wary or placement.schema in self._wary)
        self._note_repeats(placement.schema, found=bool(settled.duplicates))
        answered = answers(flush, settled)
        if self._doorbell is not None:
            self._doorbell.note(placement.tenant_id, sum(answer.accepted for answer in answered))
        return answered

    def _note_repeats(self, schema: str, *, found: bool) -> None:
        if found:
            self._wary[schema] = WARY_FLUSHES
        elif schema in self._wary:
            self._wary[schema] -= 1
            if self._wary[schema] == 0:
                del self._wary[schema]

    async def find_unstorable(self, placement: Placement, flush: Flush) -> set[int]:
        """Find the events that the database refuses, by halves, and return their `id()`."""
        pairs = [(submission.arrival, event) for submission in flush.submissions for event in submission.events]
        return await self._search(placement, flush.id, pairs)

    async def _search(self, placement: Placement, flush_id: int, pairs: list[tuple[Arrival, Event]]) -> set[int]:
        error = await self._try(placement, flush_id, pairs)
        if error is None:
            return set()
        if len(pairs) == 1:
            log.warning("event_unstorable", client_id=placement.tenant_id, error=type(error).__name__)
            return {id(pairs[0][1])}
        middle = len(pairs) // 2
        return {
            *await self._search(placement, flush_id, pairs[:middle]),
            *await self._search(placement, flush_id, pairs[middle:]),
        }

    async def _try(
        self, placement: Placement, flush_id: int, pairs: list[tuple[Arrival, Event]]
    ) -> BaseException | None:
        """Write events in a transaction that is taken back; return why the database refuses them, if it does."""
        submissions = [Submission(arrival=arrival, events=[event], refused=[]) for arrival, event in pairs]
        try:
            async with self._databases.unit(placement, Purpose.WRITE) as db:
                await write_flush(db, Flush(id=flush_id, submissions=submissions))
                raise _TakenBack  # noqa: TRY301 - the way to roll a unit of work back
        except _TakenBack:
            return None
        except Unstorable as found:
            return found.__cause__


class _TakenBack(Exception):
    pass
