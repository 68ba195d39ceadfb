"""Do what one caller asks about a client's quarantine, and write down what changed.

Called by `app.api.quarantine` and by `grove quarantine`, once it is known whose quarantine it is.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar.di import NamedDependency
from msgspec import Meta

from app.api.bodies import reading_body
from app.api.pages import PageMeta, decode_cursor, encode_cursor
from app.api.times import check_time
from app.ingest.doorbell import tell_workers
from app.ingest.flush_ids import claim_flush_ids
from app.ingest.quarantine import (
    PURGED_AT_ONCE,
    Quarantined,
    QuarantinedWhole,
    Selection,
    edit_quarantined,
    get_quarantined,
    list_quarantine,
    purge_quarantine,
)
from app.ingest.replay import DUPLICATE, GONE, QUARANTINED, REPLAYED_AT_ONCE, STORED, Replay, Replayed
from provisioning.audit import Actor, record
from tenants.clock import Clock
from tenants.control import ControlPlane
from tenants.databases import Databases
from tenants.errors import InputRefused, NotFound
from tenants.placement import Purpose, TenantContext

_COUNTED = {STORED: "stored", DUPLICATE: "duplicates", QUARANTINED: "quarantined", GONE: "gone"}
_NOT_THERE = "There is no such event in quarantine."
Time = Annotated[datetime, Meta(tz=True)]


class Selected(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which refused events are meant; what is left out selects all."""

    ids: Annotated[list[UUID], Meta(max_length=REPLAYED_AT_ONCE, description="These alone.")] | None = None
    code: Annotated[str | None, Meta(description="Refused with this code.", examples=["too_old"])] = None
    key: Annotated[UUID | None, Meta(description="Sent by the key of this id.")] = None
    start: Time | None = msgspec.field(name="from", default=None)
    end: Time | None = msgspec.field(name="to", default=None)

    def selection(self) -> Selection:
        """Read the order's part that the database answers.

        Errors: InputRefused.
        """
        with reading_body():
            return select_quarantined(self.code, self.key, self.start, self.end)

    def asked(self) -> dict[str, Any]:
        """Tell for the audit log what was selected; of ids, how many."""
        told = msgspec.to_builtins(self)
        ids = {} if self.ids is None else {"ids": len(set(self.ids))}
        return ids | {name: told[name] for name in ("code", "key", "from", "to") if told[name] is not None}


class ReplayOrder(Selected, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which refused events to replay."""

    limit: Annotated[int, Meta(ge=1, le=REPLAYED_AT_ONCE, description="How many at most.")] = REPLAYED_AT_ONCE
    cursor: Annotated[str | None, Meta(description="`meta.next` of the answer before.")] = None


class PurgeOrder(Selected, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which refused events to delete for good; all of them only if that is said."""

    all: Annotated[bool, Meta(description="Needed where nothing narrows it down.")] = False


class ReplayAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the events that were replayed."""

    stored: int
    duplicates: int
    quarantined: int
    gone: int
    data: list[Replayed]
    meta: PageMeta


class Purged(msgspec.Struct, frozen=True):
    """How many were deleted."""

    purged: int


def select_quarantined(
    code: str | None, key_id: UUID | None, start: datetime | None, end: datetime | None
) -> Selection:
    """Make a selection of what was asked.

    Errors: InputRefused.
    """
    if code is not None and "\0" in code:
        raise InputRefused("No code holds NUL.", field="code")
    start, end = check_time("from", start), check_time("to", end)
    if start is not None and end is not None and start >= end:
        raise InputRefused("`from` must lie before `to`.", field="from", code="bad_range")
    return Selection(code=code, key_id=key_id, start=start, end=end)


class QuarantineDesk:
    """Lists, edits, replays and purges; changes are in the client's audit log."""

    def __init__(
        self,
        control: NamedDependency[ControlPlane],
        databases: NamedDependency[Databases],
        clock: NamedDependency[Clock],
        actor: NamedDependency[Actor],
    ) -> None:
        self._control = control
        self._databases = databases
        self._clock = clock
        self._actor = actor

    async def list(
        self, client: TenantContext, selection: Selection, *, before: UUID | None, limit: int
    ) -> list[Quarantined]:
        """Read refused events, the latest first."""
        async with self._databases.unit(client.placement, Purpose.READ) as db:
            return await list_quarantine(db, selection, before=before, limit=limit)

    async def get(self, client: TenantContext, row_id: UUID) -> QuarantinedWhole:
        """Read one whole.

        Errors: NotFound.
        """
        async with self._databases.unit(client.placement, Purpose.READ) as db:
            return await get_quarantined(db, row_id)

    async def edit(self, client: TenantContext, row_id: UUID, body: bytes) -> QuarantinedWhole:
        """Replace a body.

        Errors: NotFound, InputRefused.
        """
        async with self._databases.unit(client.placement, Purpose.WRITE) as db:
            edited = await edit_quarantined(db, row_id, body, now=self._clock())
        await self._record(client, "quarantine.edit", id=str(row_id))
        return edited

    async def replay_one(self, client: TenantContext, row_id: UUID) -> Replayed:
        """Replay one.

        Errors: NotFound if it is not there (any more).
        """
        answer = await self._replay(client, [row_id], id=str(row_id))
        if answer[0].outcome == GONE:
            raise NotFound(_NOT_THERE)
        return answer[0]

    async def replay(self, client: TenantContext, order: ReplayOrder) -> ReplayAnswer:
        """Replay those given, or a page of those selected.

        Errors: InputRefused if both are.
        """
        next_cursor, row_ids, selection = None, order.ids, order.selection()
        if row_ids is not None and (selection != Selection() or order.cursor is not None):
            detail = "Name the events by `ids`, or select them; not both."
            raise InputRefused(detail, field="/ids", code="named_and_selected")
        if row_ids is None:
            with reading_body():
                before = decode_cursor(order.cursor, UUID)
            rows = await self.list(client, selection, before=before, limit=order.limit + 1)
            row_ids = [row.id for row in rows[: order.limit]]
            next_cursor = encode_cursor(row_ids[-1]) if len(rows) > order.limit else None
        data = await self._replay(client, row_ids, **order.asked()) if row_ids else []
        counts = {name: sum(each.outcome == outcome for each in data) for outcome, name in _COUNTED.items()}
        return ReplayAnswer(**counts, data=[*data], meta=PageMeta(next_cursor))

    async def purge_one(self, client: TenantContext, row_id: UUID) -> None:
        """Delete one for good.

        Errors: NotFound.
        """
        async with self._databases.unit(client.placement, Purpose.WRITE) as db:
            if not await purge_quarantine(db, Selection(), row_ids=[row_id]):
                raise NotFound(_NOT_THERE)
        await self._record(client, "quarantine.purge", purged=1, id=str(row_id))

    async def purge(self, client: TenantContext, order: PurgeOrder) -> Purged:
        """Delete those selected for good.

        Errors: InputRefused unless something is selected, or all of them by name.
        """
        selection = order.selection()
        if order.ids is None and selection == Selection() and not order.all:
            detail = "Say which events to purge, or `all: true`."
            raise InputRefused(detail, field="/all", code="nothing_selected")
        purged, batch = 0, PURGED_AT_ONCE
        try:
            while batch == PURGED_AT_ONCE:
                async with self._databases.unit(client.placement, Purpose.WRITE) as db:
                    batch = await purge_quarantine(db, selection, row_ids=order.ids)
                purged += batch
        finally:  # what was deleted before something went wrong is written down, too
            if purged:
                await self._record(client, "quarantine.purge", purged=purged, **order.asked())
        return Purged(purged)

    async def _replay(self, client: TenantContext, row_ids: Sequence[UUID], **asked: object) -> Sequence[Replayed]:
        """Replay rows; write down what was asked and done, and tell the workers if events were stored."""
        row_ids = list(dict.fromkeys(row_ids))
        ids = await claim_flush_ids(self._control)
        done = await Replay(self._databases, client, ids, now=self._clock()).run(row_ids)
        replayed = sum(each.outcome != GONE for each in done)
        if replayed:
            stored = sum(each.outcome == STORED for each in done)
            counts = {"replayed": replayed, "stored": stored}
            async with self._control.session() as session:
                record(session, self._actor, "quarantine.replay", client.tenant_id, **counts, **asked)
                if stored:
                    await tell_workers(session, {client.tenant_id: stored}, now=self._clock())
        return done

    async def _record(self, client: TenantContext, action: str, **detail: object) -> None:
        async with self._control.session() as session:
            record(session, self._actor, action, client.tenant_id, **detail)
