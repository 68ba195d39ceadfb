"""`POST /v1/batch`, `/v1/track`, `/v1/page`, `/v1/identify`: the form in which Segment's libraries send.

Source: the specification of its HTTP tracking API. Libraries of it that are given our address work as they are.
"""

from functools import partial

from app.ingest.commerce import KINDS
from app.ingest.dialects.dialect import Dialect
from app.ingest.dialects.foreign import Fields, fields_of, id_of, text_of, time_of
from app.ingest.dialects.words import move_commerce, move_page, name_of
from app.ingest.dialects.writing import Writing
from app.ingest.event import Arrival

BATCH_PATH, TRACK_PATH, PAGE_PATH, IDENTIFY_PATH = "/v1/batch", "/v1/track", "/v1/page", "/v1/identify"
# Some of its libraries take no other status for success.
_OK = 200
_AMOUNTS = ("total", "revenue", "value")
_NAMES = {"page": "page_view", "screen": "screen_view", "identify": "identify", "group": "group", "alias": "identify"}
_UTM = {"source": "source", "medium": "medium", "campaign": "name", "term": "term", "content": "content"}


def _translate(given: Fields, _arrival: Arrival, around: Fields, *, kind: str | None = None) -> Writing:
    writing = Writing()
    said = kind or text_of(given.get("type")) or ("track" if "event" in given else None)
    context = (fields_of(around.get("context")) or {}) | (fields_of(given.get("context")) or {})
    free = fields_of(given.get("properties")) or {}
    writing.put("event_id", id_of(given.get("messageId")), "messageId")
    writing.put("user_id", id_of(given.get("userId")), "userId")
    visitor = "previousId" if said == "alias" else "anonymousId"
    writing.put("visitor_id", id_of(given.get(visitor)), visitor)
    at = "timestamp" if "timestamp" in given else "originalTimestamp"
    writing.put("occurred_at", time_of(given.get(at)), at)
    _put_context(writing, context, free if said == "page" else {})
    name = _put_name(writing, given, said)
    if said in ("identify", "group"):
        writing.put("properties/group_id", id_of(given.get("groupId")), "groupId")
        writing.put_free(fields_of(given.get("traits")) or {}, given.get("traits"), "traits")
        return writing
    if name in KINDS:
        move_commerce(writing, {"properties/": free}, _AMOUNTS)
    for shown in ("name", "category") if said != "track" else ():
        writing.put(f"properties/{shown}", given.get(shown), shown)
    writing.put_free(free, given.get("properties"), "properties")
    return writing


def _put_name(writing: Writing, given: Fields, said: str | None) -> str | None:
    """Name a `track` by its event, anything else by its type."""
    if said == "track":
        event = text_of(given.get("event"))
        name = None if event is None else name_of(event)
        writing.put_name(name, event or "", "event", given.get("event"))
        return name
    name = None if said is None else _NAMES.get(said, said)
    writing.put_name(name, "page_view" if said == "page" else said or "", "type", given.get("type"))
    return name


def _put_context(writing: Writing, context: Fields, page: Fields) -> None:
    """Say where it happened, and of a visitor what a server may: the rest of the context is passed over."""
    shown, campaign = fields_of(context.get("page")) or {}, fields_of(context.get("campaign")) or {}
    move_page(writing, {"properties/": page, "context/page/": shown})
    for ours, theirs in _UTM.items():
        writing.put(f"context/utm/{ours}", campaign.get(theirs), f"context/campaign/{theirs}")
    system = fields_of(context.get("os")) or {}
    writing.put("context/os", system.get("name"), "context/os/name")
    writing.put("context/ip", context.get("ip"), "context/ip")
    writing.put("context/user_agent", context.get("userAgent"), "context/userAgent")
    writing.put("session_id", id_of(context.get("sessionId")), "context/sessionId")


BATCH = Dialect(path=BATCH_PATH, translate=_translate, envelope="batch", clock="sentAt", status=_OK)
TRACK, PAGE, IDENTIFY = (
    Dialect(path=path, translate=partial(_translate, kind=kind), envelope="batch", clock="sentAt", status=_OK)
    for path, kind in ((TRACK_PATH, "track"), (PAGE_PATH, "page"), (IDENTIFY_PATH, "identify"))
)
