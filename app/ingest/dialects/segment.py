"""`POST /v1/batch`, `/v1/track`, …: the form in which Segment's libraries send.

Source: the specification of its HTTP tracking API, and its libraries' sources: Node and Python post to `/v1/batch`,
Ruby and Java to `/v1/import`, Kotlin, Swift and analytics.js to `/b` below an `apiHost` that ends in `/v1`, the
last also to `/t`, `/p`, …. Node's (2.2) sends in a test, Python's (2.4) was tried by hand, the others were not run.
"""

from collections.abc import Iterable
from functools import partial

from msgspec import Raw

from app.ingest.commerce import KINDS
from app.ingest.dialects.dialect import BODY_KEYS, Dialect, Shared
from app.ingest.dialects.foreign import Fields, fields_of, id_of, text_of, time_of
from app.ingest.dialects.words import PAGE_FIELDS, move_commerce, move_page, name_of
from app.ingest.dialects.writing import Writing
from app.ingest.event import Arrival
from tenants.keys import KeyKind

BATCH_PATH, TRACK_PATH, PAGE_PATH, SCREEN_PATH = "/v1/batch", "/v1/track", "/v1/page", "/v1/screen"
IDENTIFY_PATH, GROUP_PATH, ALIAS_PATH = "/v1/identify", "/v1/group", "/v1/alias"
# Some of its libraries take no other status for success.
_OK = 200
# Those for servers, too, used to write their key into the body; Node's did until its version 3.
_BODY_KEYS = BODY_KEYS | {KeyKind.SERVER}
_AMOUNTS = ("total", "revenue", "value")
_NAMES = {"page": "page_view", "screen": "screen_view", "identify": "identify", "group": "group", "alias": "identify"}
_UTM = {"source": "source", "medium": "medium", "campaign": "name", "term": "term", "content": "content"}
# What of a context is read: its objects, with what is read of these, and what it says itself.
_OBJECTS = {"page": PAGE_FIELDS, "campaign": tuple(_UTM.values()), "os": ("name",)}
_ITSELF, _PLAIN = "", ("ip", "userAgent", "sessionId")


def _share(around: Fields) -> Shared:
    return _split_context(around.get("context"))


def _split_context(raw: Raw | None) -> dict[str, Fields]:
    """Split a context into what is read of it, by object; one that it does not name is not there."""
    context = fields_of(raw)
    if context is None:
        return {}
    parts = {name: _pick(fields_of(context[name]) or {}, read) for name, read in _OBJECTS.items() if name in context}
    return parts | {_ITSELF: _pick(context, _PLAIN)}


def _pick(fields: Fields, names: Iterable[str]) -> Fields:
    return {name: fields[name] for name in names if name in fields}


def _translate(given: Fields, _arrival: Arrival, shared: Shared, *, kind: str | None = None) -> Writing:
    writing = Writing()
    said = kind or text_of(given.get("type")) or ("track" if "event" in given else None)
    own = _split_context(given.get("context"))
    context = {**shared, **own, _ITSELF: shared.get(_ITSELF, {}) | own.get(_ITSELF, {})}
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


def _put_context(writing: Writing, context: Shared, page: Fields) -> None:
    """Say where it happened, and of a visitor what a server may: the rest of the context is passed over."""
    shown, campaign = dict(context.get("page", {})), context.get("campaign", {})
    move_page(writing, {"properties/": page, "context/page/": shown})
    for ours, theirs in _UTM.items():
        writing.put(f"context/utm/{ours}", campaign.get(theirs), f"context/campaign/{theirs}")
    itself = context[_ITSELF]
    writing.put("context/os", context.get("os", {}).get("name"), "context/os/name")
    writing.put("context/ip", itself.get("ip"), "context/ip")
    writing.put("context/user_agent", itself.get("userAgent"), "context/userAgent")
    writing.put("session_id", id_of(itself.get("sessionId")), "context/sessionId")


def _speak(path: str, *aliases: str, kind: str | None = None) -> Dialect:
    return Dialect(
        path=path,
        aliases=aliases,
        translate=partial(_translate, kind=kind),
        share=_share,
        envelope="batch",
        clock="sentAt",
        status=_OK,
        body_keys=_BODY_KEYS,
    )


SEGMENT = (
    _speak(BATCH_PATH, "/v1/import", "/v1/b"),
    _speak(TRACK_PATH, "/v1/t", kind="track"),
    _speak(PAGE_PATH, "/v1/p", kind="page"),
    _speak(SCREEN_PATH, "/v1/s", kind="screen"),
    _speak(IDENTIFY_PATH, "/v1/i", kind="identify"),
    _speak(GROUP_PATH, "/v1/g", kind="group"),
    _speak(ALIAS_PATH, "/v1/a", kind="alias"),
)
