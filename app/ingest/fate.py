"""Tell what became of one event, by the id that its sender gave it; and what would become of events that are not sent.

Called by the routes; reads under the client's read role.
"""

from datetime import date, datetime
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from app.ingest.flush import Flush, Submission, answers, settle
from app.ingest.outcomes import IngestAnswer, Outcome
from app.ingest.statements import statement
from tenants.databases import TenantConnection
from tenants.ids import as_uuid


class StoredFate(msgspec.Struct, frozen=True, kw_only=True):
    """How an event was stored, and whether it came again."""

    received_day: Annotated[date, Meta(description="The day (UTC) on which it was stored.")]
    flush: Annotated[str, Meta(description="Number of the transaction that stored it.", examples=["402188817730112"])]
    repeats: Annotated[int, Meta(description="How often the same id was sent again.")]
    conflicts: Annotated[int, Meta(description="How many of the repeats had another body.")]
    last_repeat_at: datetime | None


class QuarantinedFate(msgspec.Struct, frozen=True, kw_only=True):
    """Where in quarantine an event is, and why."""

    id: UUID
    received_at: datetime
    code: str
    pointer: str
    detail: str


class EventFate(msgspec.Struct, frozen=True, kw_only=True):
    """What became of an event. One that was refused first and sent again rightly has both parts."""

    event_id: str
    event_uuid: Annotated[UUID, Meta(description="The id under which it is stored.")]
    fate: Annotated[
        Literal["stored", "quarantined", "unknown"],
        Meta(
            description="unknown: never received, or longer ago than repeats are recognised; or filtered, purged from "
            "quarantine, or given another id there.",
            examples=["stored"],
        ),
    ]
    stored: StoredFate | None
    quarantined: QuarantinedFate | None


class ExpectedOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """What would become of one event."""

    index: int
    event_id: str | None
    outcome: Outcome
    conflict: bool = False
    code: str | None = None
    pointer: str | None = None
    detail: str | None = None


class DebugAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What would become of a request's events; nothing was stored."""

    debug: bool = True
    accepted: int
    duplicates: int
    filtered: int
    events: list[ExpectedOutcome]


async def find_fate(db: TenantConnection, event_id: str) -> EventFate:
    """Look an event up by its id, as sent or as the UUID that was made of it."""
    event_uuid = as_uuid(event_id)
    known = await db.fetchrow(statement(db.placement, "fate_of_event"), event_uuid)
    refused = await db.fetchrow(statement(db.placement, "quarantined_of_event"), event_uuid)
    stored = None
    if known is not None and known["flush"] is not None:
        stored = StoredFate(
            received_day=known["received_day"],
            flush=str(known["flush"]),
            repeats=known["repeats"],
            conflicts=known["conflicts"],
            last_repeat_at=known["last_at"],
        )
    quarantined = None if refused is None else QuarantinedFate(**dict(refused))
    fate: Literal["stored", "quarantined", "unknown"] = "unknown" if quarantined is None else "quarantined"
    return EventFate(
        event_id=event_id,
        event_uuid=UUID(bytes=event_uuid.bytes),
        fate=fate if stored is None else "stored",
        stored=stored,
        quarantined=quarantined,
    )


async def foretell(db: TenantConnection, submission: Submission) -> DebugAnswer:
    """Tell what would become of a request's events, had they been sent to be stored."""
    flush = Flush(id=0, submissions=[submission])
    claims = flush.claims()
    rows = await db.fetch(statement(db.placement, "recall_ids"), list(claims)) if claims else []
    settled = settle(flush, claims, {row["id"]: row["digest"] for row in rows})
    (answer,) = answers(flush, settled)
    repeats = {event.index for duplicates in settled.duplicates.values() for event in duplicates}
    return DebugAnswer(
        accepted=answer.accepted,
        duplicates=answer.duplicates,
        filtered=answer.filtered,
        events=_expect(submission, answer, repeats),
    )


def _expect(submission: Submission, answer: IngestAnswer, repeats: set[int]) -> list[ExpectedOutcome]:
    conflicts = {conflict.index for conflict in answer.conflicts}
    expected = [
        ExpectedOutcome(
            index=event.index,
            event_id=event.wire.event_id,
            outcome=Outcome.DUPLICATE if event.index in repeats else Outcome.STORED,
            conflict=event.index in conflicts,
        )
        for event in submission.events
    ]
    expected += [
        ExpectedOutcome(
            index=refused.index, event_id=refused.event_id, outcome=Outcome.QUARANTINED, code=refused.code.value,
            pointer=refused.pointer, detail=refused.detail,
        )
        for refused in answer.rejected
    ]  # fmt: skip
    expected += [
        ExpectedOutcome(index=each.index, event_id=each.event_id, outcome=Outcome.FILTERED, code=each.reason.value)
        for each in submission.filtered
    ]
    return sorted(expected, key=lambda event: event.index)
