"""A client's quarantine: list, inspect, edit and purge what could not be stored.

Called by the routes, the command line and a daily job; `app.ingest.replay` takes events out of it.
"""

import base64
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
from asyncpg.pgproto.pgproto import UUID as RowId  # noqa: N811 - what the driver reads and writes
from msgspec import Meta

from app.ingest.limits import MAX_EVENT_BYTES
from app.ingest.masking import mask
from app.ingest.refusals import MAX_EVENT_ID, find_event_id
from app.ingest.statements import statement
from tenants.databases import TenantConnection
from tenants.errors import InputRefused, NotFound
from tenants.ids import as_uuid

PURGED_AT_ONCE = 5_000


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """Which of the events in quarantine; what is None selects all."""

    code: str | None = None
    key_id: UUID | None = None
    start: datetime | None = None
    end: datetime | None = None


class Quarantined(msgspec.Struct, frozen=True, kw_only=True):
    """An event that could not be stored."""

    id: Annotated[UUID, Meta(description="Its place in quarantine; orders by time of arrival.")]
    received_at: datetime
    key_id: UUID
    event_id: Annotated[str | None, Meta(description="As sent, if that much could be read.", examples=["order-1007"])]
    event_uuid: Annotated[UUID, Meta(description="The id under which it is stored if its body names no other.")]
    code: Annotated[str, Meta(description="Why it was refused.", examples=["wrong_type"])]
    pointer: Annotated[str, Meta(description="JSON pointer of the offence.", examples=["/amount"])]
    detail: str
    body_bytes: int
    edited_at: datetime | None
    replayed_at: Annotated[datetime | None, Meta(description="When it was last replayed in vain.")]


class QuarantinedWhole(Quarantined, frozen=True, kw_only=True):
    """An event in quarantine with its body: as JSON where it is JSON, else as text, else as base64."""

    encoding: Annotated[str, Meta(description="What `body` is: json, text or base64.", examples=["json"])]
    body: Any


async def list_quarantine(
    db: TenantConnection, selection: Selection, *, before: UUID | None, limit: int
) -> list[Quarantined]:
    """List events in quarantine without their bodies, the latest first, from the one after `before` on."""
    rows = await db.fetch(
        statement(db.placement, "list_quarantine"),
        _row_id(before), selection.code, _row_id(selection.key_id), selection.start, selection.end, limit,
    )  # fmt: skip
    return [Quarantined(**_fields(row)) for row in rows]


async def get_quarantined(db: TenantConnection, row_id: UUID) -> QuarantinedWhole:
    """Read one with its body.

    Errors: NotFound.
    """
    row = await db.fetchrow(statement(db.placement, "find_quarantined"), _row_id(row_id))
    if row is None:
        raise NotFound("There is no such event in quarantine.")
    fields = _fields(row)
    encoding, body = show_body(fields.pop("body"))
    return QuarantinedWhole(**fields, encoding=encoding, body=body)


async def edit_quarantined(db: TenantConnection, row_id: UUID, body: bytes, *, now: datetime) -> QuarantinedWhole:
    """Replace a body and return what is there then. An `event_id` in it counts from now on.

    Errors: NotFound; InputRefused if the body is too large ever to be stored.
    """
    if len(body) > MAX_EVENT_BYTES:
        raise InputRefused(f"An event holds {MAX_EVENT_BYTES} bytes at most.", field="/event", code="event_too_large")
    event_id = find_event_id(body)
    shown = None if event_id is None else event_id[:MAX_EVENT_ID]
    event_uuid = None if event_id is None else as_uuid(event_id)
    await db.execute(statement(db.placement, "edit_quarantined"), _row_id(row_id), mask(body), shown, event_uuid, now)
    return await get_quarantined(db, row_id)


async def purge_quarantine(db: TenantConnection, selection: Selection, *, row_ids: list[UUID] | None = None) -> int:
    """Delete events from quarantine for good, PURGED_AT_ONCE at most; return how many.

    Shape: `row_ids` narrows the selection further. What was counted stays counted.
    """
    ids = None if row_ids is None else [_row_id(row_id) for row_id in row_ids]
    tag = await db.execute(
        statement(db.placement, "purge_quarantine"),
        ids, selection.code, _row_id(selection.key_id), selection.start, selection.end, PURGED_AT_ONCE,
    )  # fmt: skip
    return int(tag.rpartition(" ")[2])


def show_body(body: bytes) -> tuple[str, Any]:
    """Show a body as what it is.

    Shape: (`json`, the body itself, so that its numbers stay as they are), (`text`, a string) or (`base64`, a string).
    """
    try:
        msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    else:
        return "json", msgspec.Raw(body)
    try:
        return "text", body.decode()
    except UnicodeDecodeError:
        return "base64", base64.b64encode(body).decode()


def _fields(row: Any) -> dict[str, Any]:
    fields = dict(row)
    return fields | {"event_uuid": fields["event_uuid"] or fields["id"]}


def _row_id(row_id: UUID | None) -> RowId | None:
    return None if row_id is None else RowId(row_id.bytes)
