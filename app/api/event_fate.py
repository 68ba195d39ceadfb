"""Tell what became of one event: `GET /api/v1/events/{event_id}`."""

from typing import Any
from urllib.parse import unquote_to_bytes

from litestar import Request, Router, get
from litestar.di import NamedDependency
from litestar.params import FromPath

from app.api.raw_paths import raw_path
from app.ingest.fate import EventFate, find_fate
from app.ingest.refusals import MAX_EVENT_ID
from app.ingest.routes import EVENTS_PATH
from tenants.databases import Databases
from tenants.errors import InputRefused
from tenants.placement import Purpose, TenantContext


@get(
    EVENTS_PATH + "/{event_id:path}",
    tags=["Collection"],
    summary="Tell what became of an event",
    description="By the `event_id` that its sender gave it, or by the UUID that was made of that. Tells when it was "
    "stored, whether it came again and with another body, and why it was refused. Ids are known for as long as repeats "
    "of them are recognised; events that were sent without one are not found. The key needs the scope `read`; an id "
    "that holds a slash is sent percent-encoded.",
)
async def read_fate(
    request: Request[Any, Any, Any],
    event_id: FromPath[str],  # noqa: ARG001 - normalised by the framework; ids may hold anything
    own: NamedDependency[TenantContext],
    databases: NamedDependency[Databases],
) -> EventFate:
    """Answer with an event's fate."""
    given = _id_of(request)
    async with databases.unit(own.placement, Purpose.READ) as db:
        return await find_fate(db, given)


def _id_of(request: Request[Any, Any, Any]) -> str:
    """Read the id as collection takes ids: any characters but NUL.

    Errors: InputRefused.
    """
    sent = unquote_to_bytes(raw_path(request.scope)).partition(f"{EVENTS_PATH}/".encode())[2]
    given = sent.decode(errors="replace")
    if not 1 <= len(given) <= MAX_EVENT_ID or "\0" in given or given.encode() != sent:
        detail = f"An id has 1 to {MAX_EVENT_ID} characters, in UTF-8 and none of them NUL."
        raise InputRefused(detail, field="event_id", code="bad_event_id")
    return given


handlers = [Router("/", route_handlers=[read_fate])]
