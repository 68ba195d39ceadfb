"""Take events out of quarantine through the same steps as new ones, exactly once each.

Called by the routes and the command line. One transaction locks the rows, stores what can be stored by now, gives the
rest its new reason, and moves the counts of the hour in which each was received. So a replay that is run twice, or
beside another, or is killed anywhere, leaves one event; and an edit or a purge that comes meanwhile finds the row.
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import asyncpg
import msgspec
from asyncpg.pgproto.pgproto import UUID as RowId  # noqa: N811 - what the driver reads and writes
from msgspec import Meta

from app.ingest.enrichment.sender import sender_of_quarantine
from app.ingest.event import Arrival, Event
from app.ingest.flush import Flush, Released, Settled, Submission, Unstorable
from app.ingest.flush_ids import FlushIds
from app.ingest.outcomes import Code, Refusal
from app.ingest.refusals import refuse
from app.ingest.statements import statement
from app.ingest.steps import FUTURE_ALLOWED, read_event
from app.ingest.tables import write_flush
from tenants.databases import Databases, TenantConnection
from tenants.errors import StoreUnavailable
from tenants.placement import Purpose, TenantContext

REPLAYED_AT_ONCE = 200
ATTEMPTS = 5
PAUSE_S = 0.1
STORED, DUPLICATE, QUARANTINED, GONE = "stored", "duplicate", "quarantined", "gone"


class Replayed(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one event that was replayed."""

    id: UUID
    outcome: Annotated[
        str,
        Meta(
            description="stored, duplicate (its id was stored before), quarantined (again) or gone (no longer there).",
            examples=["stored"],
        ),
    ]
    code: str | None = None
    pointer: str | None = None
    detail: str | None = None


class _Taken(msgspec.Struct, frozen=True):
    """A row of quarantine on its way: what the steps made of it."""

    row: Any
    submission: Submission

    @property
    def event(self) -> Event | None:
        return self.submission.events[0] if self.submission.events else None


class Replay:
    """One replay: remembers over its attempts what they tried to store."""

    def __init__(self, databases: Databases, client: TenantContext, ids: FlushIds, *, now: datetime) -> None:
        self._databases = databases
        self._client = client
        self._ids = ids
        self._now = now
        self._flushes: set[int] = set()
        self._tried: dict[UUID, RowId] = {}
        self._unstorable: set[UUID] = set()

    async def run(self, row_ids: Sequence[UUID]) -> list[Replayed]:
        """Replay rows, REPLAYED_AT_ONCE at most, and tell what became of each, in the given order.

        Errors: StoreUnavailable if it is not known to be done; asking again is safe.
        """
        last: Exception | None = None
        for attempt in range(ATTEMPTS):
            if attempt:
                await asyncio.sleep(PAUSE_S * attempt)
            try:
                async with self._databases.unit(self._client.placement, Purpose.WRITE) as db:
                    done = await self._attempt(db, row_ids)
            except Unstorable as error:
                last = error
                await self._find_unstorable(row_ids)
            except (StoreUnavailable, asyncpg.DeadlockDetectedError, asyncpg.UniqueViolationError) as error:
                last = error
            else:
                return [done[row_id] for row_id in row_ids]
        raise StoreUnavailable from last

    async def _attempt(self, db: TenantConnection, row_ids: Sequence[UUID]) -> dict[UUID, Replayed]:
        taken = await self._take(db, row_ids)
        done = await self._write(db, taken) if taken else {}
        missing = [row_id for row_id in row_ids if row_id not in done]
        return done | (await self._recall(db, missing) if missing else {})

    async def _take(self, db: TenantConnection, row_ids: Sequence[UUID]) -> list[_Taken]:
        rows = await db.fetch(statement(db.placement, "take_quarantined"), [RowId(row_id.bytes) for row_id in row_ids])
        return [_Taken(row, self._read(row)) for row in rows]

    def _read(self, row: Any) -> Submission:
        """Take a body through the steps, as of now, but received when it was."""
        arrival = Arrival(
            key_id=row["key_id"],
            received_at=row["received_at"],
            oldest=self._client.oldest(self._now),
            accepts_chat=self._client.accepts_chat,
            latest=self._now + FUTURE_ALLOWED,
            event_id=row["event_uuid"] or row["id"],
            schemas=self._client.schemas,
            sender=sender_of_quarantine(self._client),
        )
        try:
            if row["id"] in self._unstorable:
                raise Refusal(Code.UNSTORABLE, "", "The database would not store this event.")  # noqa: TRY301
            return Submission(arrival=arrival, events=[read_event(row["body"], 0, arrival)], refused=[])
        except Refusal as refusal:
            refused = refuse(row["body"], 0, refusal, arrival)
            refused = msgspec.structs.replace(refused, is_there=True)
            return Submission(arrival=arrival, events=[], refused=[refused])

    async def _write(self, db: TenantConnection, taken: list[_Taken]) -> dict[UUID, Replayed]:
        flush = Flush(
            id=self._ids.next(),
            submissions=[each.submission for each in taken],
            released=[
                Released(received_at=each.row["received_at"], key_id=each.row["key_id"], code=each.row["code"])
                for each in taken
            ],
            at=self._now,
        )
        self._flushes.add(flush.id)
        self._tried |= {each.row["id"]: each.event.id for each in taken if each.event is not None}
        settled = await write_flush(db, flush)
        leaving = [each.row["id"] for each in taken if each.event is not None]
        if leaving:
            await db.execute(statement(db.placement, "release_quarantined"), leaving)
        if len(leaving) < len(taken):
            reasons = [list(column) for column in zip(*_reasons(taken), strict=True)]
            await db.execute(statement(db.placement, "keep_quarantined"), *reasons, self._now)
        return {each.row["id"]: _tell(each, settled) for each in taken}

    async def _recall(self, db: TenantConnection, missing: list[UUID]) -> dict[UUID, Replayed]:
        """Tell of rows that are not there whether an earlier attempt, whose answer was lost, has stored them."""
        ids = [self._tried[row_id] for row_id in missing if row_id in self._tried]
        rows = await db.fetch(statement(db.placement, "recall_ids"), ids) if ids else []
        known = {row["id"]: row["flush"] for row in rows}
        return {row_id: Replayed(id=row_id, outcome=self._outcome(known, row_id)) for row_id in missing}

    def _outcome(self, known: dict[RowId, int], row_id: UUID) -> str:
        flush = known.get(self._tried[row_id]) if row_id in self._tried else None
        if flush is None:
            return GONE
        return STORED if flush in self._flushes else DUPLICATE

    async def _find_unstorable(self, row_ids: Sequence[UUID]) -> None:
        """Find the rows that the database refuses, each alone, in transactions that are taken back."""
        for row_id in row_ids:
            try:
                async with self._databases.unit(self._client.placement, Purpose.WRITE) as db:
                    taken = await self._take(db, [row_id])
                    if taken:
                        await self._write(db, taken)
                    raise _TakenBack  # noqa: TRY301 - the way to roll a unit of work back
            except _TakenBack:
                continue
            except Unstorable:
                self._unstorable.add(row_id)


class _TakenBack(Exception):
    pass


def _reasons(taken: list[_Taken]) -> list[tuple[RowId, str, str, str]]:
    """List why which rows stay."""
    stay = [(each.row["id"], each.submission.refused[0].answer) for each in taken if each.event is None]
    return [(row_id, answer.code.value, answer.pointer, answer.detail) for row_id, answer in stay]


def _tell(taken: _Taken, settled: Settled) -> Replayed:
    row_id = UUID(bytes=taken.row["id"].bytes)
    if taken.event is not None:
        stored = any(event is taken.event for event in settled.stored)
        return Replayed(id=row_id, outcome=STORED if stored else DUPLICATE)
    answer = taken.submission.refused[0].answer
    return Replayed(
        id=row_id, outcome=QUARANTINED, code=answer.code.value, pointer=answer.pointer, detail=answer.detail
    )
