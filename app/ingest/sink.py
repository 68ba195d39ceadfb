"""Write a flush into its client's tables in one transaction: ids, `COPY`, folds, counts.

Called by the group commit. A lost connection is tried again; if the commit's answer was lost, the flush id
tells whether it happened, so that nothing is stored twice and nothing acknowledged is missing.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import structlog

from app.ingest.chat import fold_chat
from app.ingest.commerce import FACT_TYPES, fold_commerce
from app.ingest.doorbell import Doorbell
from app.ingest.event import STORED_COLUMNS, Arrival, Event
from app.ingest.flush import (
    COUNT_COLUMNS,
    ID_COLUMNS,
    QUARANTINE_COLUMNS,
    REPEAT_COLUMNS,
    Flush,
    Settled,
    Submission,
    Unstorable,
    answers,
    count_outcomes,
    list_refused,
    list_repeats,
    refuse_stored,
    settle,
)
from app.ingest.outcomes import IngestAnswer
from app.ingest.persons import fold_persons
from app.ingest.salts import Salts
from app.ingest.statements import statement
from app.ingest.visits import place_visits
from app.ingest.web import SESSION_COLUMNS, fold_web
from tenants.databases import Databases, TenantConnection
from tenants.errors import QueryTimedOut, StoreUnavailable
from tenants.placement import Placement, Purpose

GIVE_UP_S = 8.0
LAST_TRY_S = 2.0
FIRST_PAUSE_S = 0.05
LAST_PAUSE_S = 0.5
# Nearly all ids are new, and `COPY` claims them for less than an insert that looks first (0008). A repeat undoes the
# transaction, though, so where one was seen, that many flushes look first.
WARY_FLUSHES = 100

log = structlog.get_logger()


# What the driver or the database say of content that they cannot take; the driver's own errors are ValueErrors, and a
# text that an index cannot hold exceeds a limit.
UNSTORABLE = (
    asyncpg.DataError, asyncpg.CheckViolationError, asyncpg.ProgramLimitExceededError, ValueError, OverflowError,
)  # fmt: skip
# What it says when a client was moved or removed since its flush began: the schema, or the role, is there no more.
LEFT = (asyncpg.InvalidSchemaNameError, asyncpg.UndefinedTableError, asyncpg.InvalidParameterValueError)
# What may not happen again: the database was away, had others in the way, or somebody cancelled what it did.
TRIED_AGAIN = (StoreUnavailable, QueryTimedOut, asyncpg.DeadlockDetectedError, asyncpg.UniqueViolationError)


class Repeated(Exception):
    """An id of a flush, all of which were taken to be new, was known before."""


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
                settled = await _recall(db, flush)
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


async def write_flush(db: TenantConnection, flush: Flush, salt: bytes | None = None, *, wary: bool = True) -> Settled:
    """Write a flush within a unit of work.

    Shape: of the `salt` ids of visitors are made, where they have none; unless `wary`, the flush's own ids are taken to
    be new, which is cheaper.
    Errors: Unstorable if the database refuses the content of an event, Repeated if an id was not new after all; then
    the unit is broken.
    """
    try:
        return await _write(db, flush, salt, wary=wary)
    except LEFT:
        raise  # one of these, that a role is gone, counts as a fault of data, too
    except UNSTORABLE as error:
        raise Unstorable from error


async def _write(db: TenantConnection, flush: Flush, salt: bytes | None, *, wary: bool) -> Settled:
    claims = flush.claims()
    known = await _claim(db, flush, claims, wary=wary) if claims else {}
    settled = settle(flush, claims, known)
    # After the ids, whose `COPY` opens the transaction without a round trip of its own.
    await place_visits(db, settled.stored, salt)
    await _fold_chat(db, settled.stored)
    await _fold_persons(db, settled.stored)
    facts = fold_commerce(settled.stored)
    if facts:
        await db.copy("commerce_facts", FACT_TYPES, facts)
    repeats, refused = list_repeats(flush, settled), list_refused(flush)
    if repeats:
        await db.copy("event_repeats", REPEAT_COLUMNS, repeats)
    if refused:
        await db.copy("quarantine", QUARANTINE_COLUMNS, refused)
    counts = count_outcomes(flush, settled)
    if counts:  # what was replayed in vain, for the same reason as before, changes none
        sessions = _columns(fold_web(settled.stored), SESSION_COLUMNS)
        told = *sessions, flush.id, len(settled.stored), *_columns(counts, COUNT_COLUMNS)
        await db.execute(statement(db.placement, "tell_flush"), *told)
    if settled.stored:
        await db.copy("events", STORED_COLUMNS, [(*event.record, flush.id) for event in settled.stored])
    return settled


async def _claim(db: TenantConnection, flush: Flush, claims: dict[Any, Event], *, wary: bool) -> dict[Any, int]:
    """Claim ids for this flush; return the ones that another had claimed, with their digests."""
    day = flush.written_at.date()
    if not wary:
        rows = [(event_id, event.digest, flush.id, day) for event_id, event in claims.items()]
        try:
            await db.copy("event_ids", ID_COLUMNS, rows)
        except asyncpg.UniqueViolationError as error:
            raise Repeated from error
        return {}
    given = list(claims), [event.digest for event in claims.values()], flush.id, day
    if await db.fetchval(statement(db.placement, "claim_ids"), *given) == len(claims):
        return {}
    # One that was known may be past the window, and be purged before it is read: then it is nobody's yet.
    while len(rows := await _recall_ids(db, claims)) < len(claims):
        await db.fetchval(statement(db.placement, "claim_ids"), *given)
    return _others(rows, flush)


async def _recall_ids(db: TenantConnection, claims: dict[Any, Event]) -> list[asyncpg.Record]:
    return await db.fetch(statement(db.placement, "recall_ids"), list(claims))


def _others(rows: list[asyncpg.Record], flush: Flush) -> dict[Any, int]:
    return {row["id"]: row["digest"] for row in rows if row["flush"] != flush.id}


async def _recall(db: TenantConnection, flush: Flush) -> Settled:
    """Find out what an earlier attempt of this flush committed."""
    claims = flush.claims()
    return settle(flush, claims, _others(await _recall_ids(db, claims), flush))


async def _fold_chat(db: TenantConnection, stored: list[Event]) -> None:
    """Fold chat events into the chatbot's tables."""
    chat = fold_chat(stored)
    # Sessions first: their row locks order whatever else two flushes do to the same session.
    for name, rows in (
        ("fold_chat_sessions", chat.sessions),
        ("fold_leads", chat.leads),
        ("fold_messages", chat.messages),
        ("fold_agent_events", chat.agents),
    ):
        if rows:
            await db.execute(statement(db.placement, name), *_columns(rows, rows[0]))
    if chat.agents:
        sessions = sorted({row[1] for row in chat.agents})
        await db.execute(statement(db.placement, "clear_connections"), sessions)
        await db.execute(statement(db.placement, "rebuild_connections"), sessions)


async def _fold_persons(db: TenantConnection, stored: list[Event]) -> None:
    """Keep who was identified."""
    persons, visitors = fold_persons(stored)
    if persons:
        await db.execute(statement(db.placement, "fold_persons"), *_columns(persons, persons[0]))
    if visitors:
        await db.execute(statement(db.placement, "link_visitors"), *_columns(visitors, visitors[0]))


def _columns(rows: Sequence[tuple[Any, ...]], names: Sequence[Any]) -> list[list[Any]]:
    """Turn rows into columns, of which there are as many as names even if there are no rows."""
    return [list(column) for column in zip(*rows, strict=True)] or [[] for _ in names]
