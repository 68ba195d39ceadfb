"""The steps of an event, all pure: decode → check → identify → enrich → row.

Called by the collection routes for each raw event; knows no HTTP and does no I/O. What a step refuses is
raised as a `Refusal` and ends in quarantine.
"""

import re
import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import TypeVar

import msgspec
from asyncpg.pgproto.pgproto import UUID

from app.ingest.chat import CHAT_EVENTS, read_chat
from app.ingest.enrichment.campaigns import NO_UTM
from app.ingest.enrichment.draft import Draft
from app.ingest.enrichment.pipeline import enrich
from app.ingest.enrichment.sender import Sender
from app.ingest.enrichment.visitors import find_visit
from app.ingest.event import Arrival, Event
from app.ingest.limits import check_limits, check_storable, fit_amount
from app.ingest.outcomes import Code, Refusal
from app.ingest.schemas import check_schema
from app.ingest.splitting import diagnose
from app.ingest.wire import Context, Page, Utm, WireEvent
from tenants.ids import as_uuid, hashed_uuid
from tenants.pointers import escape

FUTURE_ALLOWED = timedelta(hours=1)
_decode = msgspec.json.Decoder(WireEvent).decode
_split = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_join = msgspec.json.Encoder().encode
_AT = re.compile(r"^(?P<what>.*?)(?: - at `(?P<path>[^`]*)`)?$", re.DOTALL)
_NAMED = re.compile(r"^Object (?P<kind>missing required|contains unknown) field `(?P<name>[^`]*)`$")
_PATH = re.compile(r"\.([^.\[]+)|\[(\d+)\]")
_NO_PAGE = Page()
_NO_CONTEXT = Context()
T = TypeVar("T")


def read_event(raw: bytes | msgspec.Raw, index: int, arrival: Arrival, told: bytes | None = None) -> Event:
    """Take one raw event through all steps.

    Shape: `told` is what a repeat of it would say again, if that is not the event itself.
    Errors: Refusal; Filtered if nobody wants it.
    """
    body = bytes(raw)
    wire = decode_event(body)
    occurred_at = check_time(wire.occurred_at, arrival)
    amount = None if wire.amount is None else fit_amount(wire.amount, "/amount")
    event_id, tracked = identify(wire.event_id, index, arrival)
    properties = check_properties(wire.properties)
    chat = None
    if wire.name in CHAT_EVENTS:
        if not arrival.accepts_chat:
            detail = "This client's chatbot tables are an attached database that Grove only reads."
            raise Refusal(Code.CHAT_TABLES_READ_ONLY, "/name", detail)
        if wire.session_id is None:
            raise Refusal(Code.SESSION_REQUIRED, "/session_id", "A chat event needs the id of its session.")
        chat = converted(lambda: read_chat(wire), "/properties")
    schema = None if wire.schema is None else check_schema(wire, properties, arrival.schemas)
    draft = make_draft(wire, properties, arrival.sender, is_chat=chat is not None)
    enrich(draft, arrival)
    record = [
        event_id,
        draft.name,
        draft.category,
        occurred_at,
        arrival.received_at,
        draft.session_id,
        draft.visitor_id,
        draft.user_id,
        draft.page_url,
        draft.page_path,
        draft.page_title,
        draft.referrer,
        draft.utm_source,
        draft.utm_medium,
        draft.utm_campaign,
        draft.device,
        draft.browser,
        draft.os,
        draft.country,
        amount,
        wire.currency,
        None if schema is None else schema.name,
        None if schema is None else schema.version,
        draft.properties,
        arrival.key_id,
        draft.channel,
        draft.search_engine,
        draft.is_bot,
    ]
    return Event(
        index=index,
        id=event_id,
        tracked=tracked,
        digest=int.from_bytes(blake2b(told or body, digest_size=8).digest(), "big", signed=True),
        record=record,
        wire=wire,
        occurred_at=occurred_at,
        chat=chat,
        visit=find_visit(draft, arrival),
        traits=draft.traits,
    )


def make_draft(wire: WireEvent, properties: str, sender: Sender, *, is_chat: bool) -> Draft:
    """Take out of an event what the enrichment may change."""
    page, context = wire.page or _NO_PAGE, wire.context or _NO_CONTEXT
    if isinstance(page, str):
        page = Page(url=page)
    utm = context.utm or NO_UTM
    if utm.term or utm.content:
        properties = _with_terms(properties, utm)
    return Draft(
        name=wire.name,
        category=wire.category or ("chat" if is_chat else None),
        is_chat=is_chat,
        session_id=wire.session_id,
        visitor_id=wire.visitor_id,
        user_id=wire.user_id,
        page_url=page.url,
        page_path=page.path,
        page_title=page.title,
        referrer=page.referrer or context.referrer,
        utm_source=utm.source,
        utm_medium=utm.medium,
        utm_campaign=utm.campaign,
        has_utm=context.utm is not None,
        device=context.device,
        browser=context.browser,
        os=context.os,
        country=context.country,
        properties=properties,
        # Whom a browser speaks for is seen; whom a server speaks for, it says.
        agent=sender.agent if sender.is_browser else context.user_agent,
        address=sender.address if sender.is_browser else context.ip,
    )


def _with_terms(properties: str, utm: Utm) -> str:
    """Keep among the properties what of a campaign has no column, unless they say it themselves."""
    said = _split(properties)
    told = {"utm_term": utm.term, "utm_content": utm.content}
    return _join({name: text for name, text in told.items() if text and name not in said} | said).decode()


def decode_event(body: bytes) -> WireEvent:
    """Decode and check one event.

    Errors: Refusal.
    """
    try:
        check_limits(body)
        return _decode(body)
    except (UnicodeDecodeError, RecursionError) as error:
        raise diagnose(body) or Refusal(Code.INVALID, "", "The event cannot be decoded.") from error
    except msgspec.DecodeError as error:
        found = diagnose(body)
        if found is not None:
            raise found from error
        raise _refusal(error, "") from error


def converted(convert: Callable[[], T], pointer: str) -> T:
    """Run a conversion by msgspec and turn its complaint into a Refusal below `pointer`."""
    try:
        return convert()
    except msgspec.DecodeError as error:
        raise _refusal(error, pointer) from error


def check_time(occurred_at: datetime | None, arrival: Arrival) -> datetime:
    """Bound the time of an event: from the client's retention ago to one hour ahead."""
    if occurred_at is None:
        return arrival.received_at
    if occurred_at < arrival.oldest:
        raise Refusal(Code.TOO_OLD, "/occurred_at", f"Events are kept from {arrival.oldest.isoformat()} on.")
    if occurred_at > (arrival.latest or arrival.received_at + FUTURE_ALLOWED):
        raise Refusal(Code.IN_THE_FUTURE, "/occurred_at", "The time is more than an hour ahead.")
    return occurred_at


def check_properties(raw: msgspec.Raw) -> str:
    """Require an object, and return it as text for a jsonb column."""
    text = bytes(raw)
    if text == b"null":
        return "{}"
    if not text.startswith(b"{"):
        raise Refusal(Code.WRONG_TYPE, "/properties", "Expected `object`.")
    try:
        properties = text.decode()
    except UnicodeDecodeError as error:  # raw JSON is not looked into when it is decoded
        raise Refusal(Code.INVALID_UTF8, "/properties", f"Not UTF-8 at byte {error.start}.") from error
    check_storable(properties, "/properties")
    return properties


def identify(given: str | None, index: int, arrival: Arrival) -> tuple[UUID, bool]:
    """Give an event its id: a UUID as it is, any other string as uuid5, none as uuid5 of key and request, or uuid7.

    Shape: (id, whether the sender can send it again).
    """
    if given is not None:
        return as_uuid(given), True
    if arrival.event_id is not None:
        return arrival.event_id, True
    if arrival.idempotency_key is not None:
        return hashed_uuid(f"{arrival.key_id}/{arrival.idempotency_key}/{index}"), True
    return uuid7(arrival.received_at), False


def uuid7(at: datetime) -> UUID:
    """Make a time-ordered UUID (RFC 9562)."""
    noise = uuid.uuid4().int & ((1 << 80) - 1)
    value = (int(at.timestamp() * 1000) << 80) | noise
    value = (value & ~(0xF000 << 64)) | (0x7000 << 64)
    value = (value & ~(0xC000 << 48)) | (0x8000 << 48)
    return UUID(value.to_bytes(16, "big"))


def _refusal(error: msgspec.DecodeError, base: str) -> Refusal:
    match = _AT.fullmatch(str(error))
    what, path = (match["what"], match["path"] or "") if match is not None else (str(error), "")
    known = path.partition("[...]")[0]  # a member whose name msgspec does not tell
    pointer = base + "".join("/" + escape(name or number) for name, number in _PATH.findall(known))
    named = _NAMED.fullmatch(what)
    if named is not None:
        code = Code.REQUIRED if named["kind"].startswith("missing") else Code.UNKNOWN_FIELD
        detail = "This field is required." if code is Code.REQUIRED else "There is no such field; see `properties`."
        return Refusal(code, f"{pointer}/{escape(named['name'])}", detail)
    if "RFC3339" in what or "timezone" in what:
        return Refusal(Code.INVALID_TIME, pointer, "Expected an RFC 3339 time with an offset.")
    if what.startswith("Expected `object`, got") and pointer == "":
        return Refusal(Code.NOT_AN_OBJECT, pointer, "An event is a JSON object.")
    if "out of range" in what or "Expected `int` <=" in what or "Expected `int` >=" in what:
        return Refusal(Code.NUMBER_OUT_OF_RANGE, pointer, what + ".")
    code = Code.WRONG_TYPE if ", got `" in what else Code.INVALID
    return Refusal(code, pointer, what.removesuffix(".") + ".")
