"""From a delivery as it came to events that take the steps: believed, read, told in our words. Pure.

Called by the receiver and by whoever tries a source out.
"""

import hashlib
from collections.abc import Callable
from datetime import datetime

import msgspec

from app.ingest.event import Arrival, Event
from app.ingest.flush import Passed, Refused, Submission
from app.ingest.hooks.chatwoot import translate_chatwoot
from app.ingest.hooks.delivery import Delivery, Told
from app.ingest.hooks.generic import translate_generic
from app.ingest.hooks.shopify import translate_shopify
from app.ingest.hooks.signatures import Fault, Headers, SignatureRefused, check_hmac, check_standard, check_stripe
from app.ingest.hooks.sources import Source
from app.ingest.hooks.stripe import translate_stripe
from app.ingest.outcomes import Filtered, Refusal
from app.ingest.refusals import find_event_id, refuse
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
_encode = msgspec.json.Encoder().encode


def believe(source: Source, headers: Headers, body: bytes, now: datetime) -> str | None:
    """Check a delivery's signature, and return its id if that is signed.

    Errors: SignatureRefused.
    """
    secrets = source.secrets_at(now)
    if not secrets:
        raise SignatureRefused(Fault.NO_SECRET)
    if source.kind == "stripe":
        check_stripe(headers, body, secrets, now)
        return None
    signature = source.signature or _SIGNED_BY.get(source.kind) or Signature()
    if signature.scheme == "standard":
        return check_standard(headers, body, secrets, now)
    check_hmac(signature, headers, body, secrets, now)
    return None


def read_delivery(
    source: Source, headers: Headers, body: bytes, now: datetime, *, signed_id: str | None = None
) -> Delivery:
    """Read a delivery's body.

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
        accept_test=source.accept_test,
        signed_id=signed_id,
    )


def translate(source: Source, delivery: Delivery) -> list[Told | Filtered]:
    """Tell a delivery in our words; what is passed over is its reason.

    Errors: Refusal if it is not what such a delivery should be; InputRefused if it holds too many events.
    """
    try:
        if source.kind == "generic":
            told = translate_generic(delivery, source.mapping or Mapping())
        else:
            told = [*_TRANSLATIONS[source.kind](delivery)]
    except Filtered as passed:
        return [passed]
    return [each if isinstance(each, Filtered) else _without_nothing(each) for each in told]


def submit(source: Source, delivery: Delivery, body: bytes, arrival: Arrival) -> tuple[list[Told | None], Submission]:
    """Take a delivery's events through the steps; one that cannot be told goes to quarantine as it came.

    Shape: (the events in our words, None for one that there is none for; what became of them).
    Errors: InputRefused.
    """
    events: list[Event] = []
    refused: list[Refused] = []
    filtered: list[Passed] = []
    try:
        told = translate(source, delivery)
    except Refusal as refusal:
        return [None], Submission(arrival=arrival, events=[], refused=[refuse(body, 0, refusal, arrival)])
    for index, each in enumerate(told):
        if isinstance(each, Filtered):
            filtered.append(Passed(index=index, event_id=None, reason=each.reason))
            continue
        raw = _encode(each)
        try:
            events.append(read_event(raw, index, arrival))
        except Refusal as refusal:
            refused.append(refuse(raw, index, refusal, arrival))
        except Filtered as passed:
            filtered.append(Passed(index=index, event_id=find_event_id(raw), reason=passed.reason))
    submission = Submission(arrival=arrival, events=events, refused=refused, filtered=filtered)
    return [None if isinstance(each, Filtered) else each for each in told], submission


def _without_nothing(told: Told) -> Told:
    return {name: value for name, value in told.items() if value is not None}
