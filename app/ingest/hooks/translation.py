"""From a delivery as it came to events that take the steps: believed, read, told in our words. Pure.

Called by the receiver and by whoever tries a source out.
"""

import hashlib
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import msgspec

from app.ingest.event import Arrival, Event
from app.ingest.flush import Passed, Refused, Submission
from app.ingest.hooks.chatwoot import translate_chatwoot
from app.ingest.hooks.delivery import Delivery, Told, require_recent
from app.ingest.hooks.generic import translate_generic
from app.ingest.hooks.shopify import translate_shopify
from app.ingest.hooks.signatures import Doubt, Headers, SignatureRefused, check_hmac, check_standard, check_stripe
from app.ingest.hooks.sources import Source
from app.ingest.hooks.stripe import translate_stripe
from app.ingest.outcomes import Filtered, Refusal
from app.ingest.refusals import MAX_EVENT_ID, find_event_id, refuse
from app.ingest.steps import read_event
from provisioning.hooks.requests import Mapping, Signature
from tenants.errors import InputRefused

_SHOPIFY = Signature(scheme="hmac", header="X-Shopify-Hmac-Sha256", encoding="base64")
_CHATWOOT = Signature(
    scheme="hmac", header="X-Chatwoot-Signature", prefix="sha256=", timestamp_header="X-Chatwoot-Timestamp"
)
_SIGNED_BY = {"shopify": _SHOPIFY, "chatwoot": _CHATWOOT}
_TRANSLATIONS: dict[str, Callable[[Delivery], list[Told]]] = {
    "stripe": translate_stripe,
    "shopify": translate_shopify,
    "chatwoot": translate_chatwoot,
}
# By what services name a delivery, and what it is about.
_TRACED = ("type", "event", "id")
_encode = msgspec.json.Encoder().encode


def believe(source: Source, headers: Headers, body: bytes, now: datetime) -> str | None:
    """Check a delivery's signature, and return its id if that is signed.

    Errors: SignatureRefused.
    """
    secrets = source.secrets_at(now)
    if not secrets:
        raise SignatureRefused(Doubt.NO_SECRET)
    if source.kind == "stripe":
        check_stripe(headers, body, secrets, now)
        return None
    signature = source.signature or _SIGNED_BY.get(source.kind) or Signature()
    if signature.scheme == "standard":
        return check_standard(headers, body, secrets, now)
    check_hmac(signature, headers, body, secrets, now)
    return None


def read_delivery(
    source: Source, headers: Headers, body: bytes, now: datetime, *, memory: timedelta, signed_id: str | None = None
) -> Delivery:
    """Read a delivery's body.

    Units: for `memory` at least ids are remembered.
    Errors: InputRefused if it is no JSON.
    """
    try:
        payload = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise InputRefused("The body is not valid JSON.", field="", code="invalid_json") from error
    return Delivery(
        source_id=source.id,
        payload=payload,
        headers=headers,
        digest=hashlib.sha256(body).hexdigest()[:32],
        now=now,
        memory=memory,
        accept_test=source.accept_test,
        signed_id=signed_id,
    )


def translate(source: Source, delivery: Delivery) -> list[Told | Filtered | Refusal]:
    """Tell a delivery in our words; what is passed over is its reason, and what is not as it should be its refusal.

    Errors: InputRefused if it holds too many events.
    """
    try:
        if source.kind == "generic":
            told = translate_generic(delivery, source.mapping or Mapping())
        else:
            told = [*_TRANSLATIONS[source.kind](delivery)]
    except (Filtered, Refusal) as reason:
        return [reason]
    return [_name_event(source, each) if isinstance(each, dict) else each for each in told]


def submit(source: Source, delivery: Delivery, arrival: Arrival) -> tuple[list[Told | None], Submission]:
    """Take a delivery's events through the steps; of one that cannot be told a trace goes to quarantine.

    Shape: (the events in our words, None for one that there is none for; what became of them).
    Errors: InputRefused.
    """
    events: list[Event] = []
    refused: list[Refused] = []
    filtered: list[Passed] = []
    told = translate(source, delivery)
    for index, each in enumerate(told):
        if isinstance(each, Filtered):
            filtered.append(Passed(index=index, event_id=None, reason=each.reason))
            continue
        if isinstance(each, Refusal):
            refused.append(refuse(_trace(source, delivery, index), index, each, arrival))
            continue
        raw = _encode(each)
        try:
            event = read_event(raw, index, arrival, _gist(source, each))
            if source.is_untimed:
                require_recent(event.occurred_at, delivery)
            events.append(event)
        except Refusal as refusal:
            refused.append(refuse(raw, index, refusal, arrival))
        except Filtered as passed:
            filtered.append(Passed(index=index, event_id=find_event_id(raw), reason=passed.reason))
    submission = Submission(arrival=arrival, events=events, refused=refused, filtered=filtered)
    return [each if isinstance(each, dict) else None for each in told], submission


def _name_event(source: Source, told: Told) -> Told:
    """Leave out what is nothing, and give an event the id that only Grove can make of what it is called."""
    known = {name: value for name, value in told.items() if value is not None}
    return known | {"event_id": source.event_id(told["event_id"])}


def _gist(source: Source, told: Told) -> bytes | None:
    """Write what all that tell of one event tell alike, so that a repeat in other words is no conflict."""
    if source.kind == "generic":
        return None
    return _encode([told.get(field) for field in ("event_id", "name", "amount", "currency")])


def _trace(source: Source, delivery: Delivery, index: int) -> bytes:
    """Write what is kept of what cannot be told: how to find it at the service, and nothing of anybody's customers."""
    payload = delivery.payload
    part: Any = payload[index] if isinstance(payload, list) and payload else payload
    found = part if isinstance(part, dict) else {}
    kept = {name: str(found[name])[:MAX_EVENT_ID] for name in _TRACED if isinstance(found.get(name), str | int)}
    event_id = source.event_id(f"untold/{source.id.hex}/{delivery.digest}/{index}")
    return _encode({"event_id": event_id, "kind": source.kind} | kept)
