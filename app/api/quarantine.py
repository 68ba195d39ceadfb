"""What could not be stored: list, inspect, edit, replay and purge, for the client whose key asks."""

from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar import Request, Router, delete, get, patch, post
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import Meta

from app.api.dependencies import provide_actor
from app.api.pages import DEFAULT_LIMIT, Cursor, Limit, Page, decode_cursor, page_of
from app.api.parameters import require_single_parameters
from app.api.quarantine_desk import Purged, PurgeOrder, QuarantineDesk, ReplayAnswer, ReplayOrder, select_quarantined
from app.api.times import EndTime, StartTime, read_times
from app.ingest.quarantine import Quarantined, QuarantinedWhole, Selection
from app.ingest.replay import Replayed
from tenants.placement import TenantContext

PATH = "/api/v1/quarantine"
ONE = PATH + "/{quarantine_id:uuid}"

CodeFilter = Annotated[str | None, QueryParameter(description="Only events refused with this code.")]
KeyFilter = Annotated[UUID | None, QueryParameter(name="key", description="Only events that this key sent, by its id.")]
PARAMETERS = ("code", "key", "from", "to", "limit", "cursor")


def provide_selection(
    request: Request[Any, Any, Any],
    own: NamedDependency[TenantContext],
    code: CodeFilter = None,
    key: KeyFilter = None,
    start: StartTime = None,
    end: EndTime = None,
) -> Selection:
    """Read which events are asked for.

    Errors: InputRefused.
    """
    require_single_parameters(request, PARAMETERS)
    return select_quarantined(code, key, *read_times(start, end, own.timezone))


class Edit(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A refused event's new body."""

    event: Annotated[
        dict[str, Any],
        Meta(description="The event whole, as it should have been sent.", examples=[{"name": "page_view"}]),
    ]


class _Sent(msgspec.Struct):
    """What an edit holds, to the byte: an amount that was read as a float would be written as another."""

    event: msgspec.Raw


_decode_sent = msgspec.json.Decoder(_Sent).decode


@get(
    PATH,
    tags=["Quarantine"],
    summary="List refused events",
    description="The latest first, without their bodies. `from` and `to` go by when they were received.",
)
async def list_events(
    own: NamedDependency[TenantContext],
    desk: NamedDependency[QuarantineDesk],
    selection: NamedDependency[Selection],
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Page[Quarantined]:
    """Answer with a page of refused events."""
    rows = await desk.list(own, selection, before=decode_cursor(cursor, UUID), limit=limit + 1)
    return page_of(rows, limit, show=lambda row: row, key=lambda row: row.id)


@get(
    ONE,
    tags=["Quarantine"],
    summary="Inspect a refused event",
    description="With its body: as JSON where it is JSON, else as text, else as base64. Keys in it were taken out.",
)
async def read_event(
    own: NamedDependency[TenantContext], quarantine_id: FromPath[UUID], desk: NamedDependency[QuarantineDesk]
) -> QuarantinedWhole:
    """Answer with a refused event."""
    return await desk.get(own, quarantine_id)


@patch(
    ONE,
    tags=["Quarantine"],
    summary="Edit a refused event",
    description="Replaces its body; it stays where it is until it is replayed. An `event_id` in the new body counts.",
)
async def edit_event(
    request: Request[Any, Any, Any],
    data: JSONBody[Edit],  # noqa: ARG001 - checked by the framework, which decodes it
    own_writer: NamedDependency[TenantContext],
    quarantine_id: FromPath[UUID],
    desk: NamedDependency[QuarantineDesk],
) -> QuarantinedWhole:
    """Edit a refused event and answer with it."""
    event = _decode_sent(await request.body()).event
    return await desk.edit(own_writer, quarantine_id, bytes(event))


@delete(
    ONE,
    tags=["Quarantine"],
    summary="Purge a refused event",
    description="Deletes it for good. It stays counted as quarantined.",
)
async def purge_event(
    own_writer: NamedDependency[TenantContext], quarantine_id: FromPath[UUID], desk: NamedDependency[QuarantineDesk]
) -> None:
    """Purge one refused event."""
    await desk.purge_one(own_writer, quarantine_id)


@post(
    ONE + "/replay",
    tags=["Quarantine"],
    summary="Replay a refused event",
    description="Takes it through the same steps as a new event, by today's rules. It is stored exactly once, however "
    "often it is replayed, and its count moves from quarantined to stored in the hour in which it was received. What "
    "is refused again stays, with its new reason.",
    status_code=200,
)
async def replay_event(
    own_writer: NamedDependency[TenantContext], quarantine_id: FromPath[UUID], desk: NamedDependency[QuarantineDesk]
) -> Replayed:
    """Replay one refused event."""
    return await desk.replay_one(own_writer, quarantine_id)


@post(
    PATH + "/replay",
    tags=["Quarantine"],
    summary="Replay refused events",
    description="All that fit, up to `limit`, the latest first; give `meta.next` as `cursor` to go on. Each is stored "
    "exactly once.",
    status_code=200,
)
async def replay_events(
    data: JSONBody[ReplayOrder],
    own_writer: NamedDependency[TenantContext],
    desk: NamedDependency[QuarantineDesk],
) -> ReplayAnswer:
    """Replay a page of refused events."""
    return await desk.replay(own_writer, data)


@post(
    PATH + "/purge",
    tags=["Quarantine"],
    summary="Purge refused events",
    description="Deletes all that fit for good; they stay counted as quarantined.",
    status_code=200,
)
async def purge_events(
    data: JSONBody[PurgeOrder],
    own_writer: NamedDependency[TenantContext],
    desk: NamedDependency[QuarantineDesk],
) -> Purged:
    """Purge refused events."""
    return await desk.purge(own_writer, data)


handlers = [
    Router(
        "/",
        route_handlers=[list_events, read_event, edit_event, purge_event, replay_event, replay_events, purge_events],
        dependencies={
            "actor": Provide(provide_actor),
            "selection": Provide(provide_selection, sync_to_thread=False),
            "desk": Provide(QuarantineDesk, sync_to_thread=False),
        },
    )
]
