"""What may be asked about a webhook source: decoded by the routes, judged here. Pure."""

import re
from collections.abc import Iterator
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from provisioning.keys import MAX_NAME
from tenants.pointers import escape

Fault = tuple[str, str]
Kind = Literal["stripe", "shopify", "chatwoot", "generic"]

MAX_MAPPED = 100
MAX_SECRET = 500
MIN_SECRET = 8
_MAX_POINTER = 500
_MAX_TEXT = 2_048
_MAX_EVENT = 128
_MAX_PREFIX = 128
_POINTER = re.compile(r"(?:/(?:[^~/]|~[01])*)*", re.DOTALL)
_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")
# Our fields that a delivery can fill; `properties.x` is one property, and `properties` all of them.
TARGETS = frozenset(
    {
        "amount",
        "category",
        "currency",
        "event_id",
        "name",
        "occurred_at",
        "page",
        "properties",
        "schema",
        "session_id",
        "user_id",
        "visitor_id",
    }
)
_PROPERTY = re.compile(r"properties\..{1,128}", re.DOTALL)


class Signature(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a generic source signs its deliveries, with HMAC-SHA256."""

    scheme: Annotated[
        Literal["standard", "hmac"],
        Meta(
            description="standard: `webhook-id`, `webhook-timestamp` and `webhook-signature` of Standard Webhooks; "
            "hmac: a header of its own.",
        ),
    ] = "standard"
    header: Annotated[str | None, Meta(description="hmac: which header.", examples=["X-Hub-Signature-256"])] = None
    encoding: Annotated[Literal["hex", "base64"], Meta(description="hmac: how the digest is written.")] = "hex"
    prefix: Annotated[str, Meta(description="hmac: what stands before it.", examples=["sha256="])] = ""
    timestamp_header: Annotated[
        str | None,
        Meta(
            description="hmac: the header with the time in Unix seconds, if what is signed is `{time}.{body}`; null: "
            "the body alone is signed, and there is no time to judge.",
        ),
    ] = None


class Mapping(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where in a generic source's bodies our fields are."""

    fields: Annotated[
        dict[str, str],
        Meta(
            description="JSON pointers by our fields: `name`, `event_id`, `occurred_at` (RFC 3339, or Unix seconds or "
            "milliseconds), `session_id`, `visitor_id`, `user_id`, `category`, `page`, `amount`, `currency`, `schema`, "
            "`properties` as a whole or `properties.x`. What a body lacks is left out.",
            examples=[{"name": "/type", "occurred_at": "/sent_at", "properties.plan": "/data/plan"}],
        ),
    ] = {}
    constants: Annotated[
        dict[str, str | int | float | bool],
        Meta(description="Values by our fields that are always the same.", examples=[{"category": "billing"}]),
    ] = {}
    names: Annotated[
        dict[str, str],
        Meta(
            description="Our names of events by theirs; if there are any, events of other names are passed over.",
            examples=[{"plan.changed": "upgrade"}],
        ),
    ] = {}
    minor_units: Annotated[bool, Meta(description="Whether amounts are cents, as Stripe counts them.")] = False


class SourceChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A webhook source as it should be; what it is of stays."""

    name: Annotated[str, Meta(examples=["payments"])] = ""
    accept_test: Annotated[
        bool, Meta(description="Stripe and Shopify: whether events of test mode count; if not, they are passed over.")
    ] = False
    signature: Annotated[
        Signature | None, Meta(description="generic: how deliveries are signed; null: by Standard Webhooks.")
    ] = None
    mapping: Annotated[Mapping | None, Meta(description="generic: where our fields are; needed there.")] = None


class SourceRequest(SourceChange, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A webhook source to make."""

    kind: Annotated[Kind, Meta(description="Whose webhooks they are.", examples=["stripe"])]
    secret: Annotated[
        str | None,
        Meta(
            description="What deliveries are signed with. A service that makes it itself, once it knows the address, "
            "gets it afterwards by `rotate`; for generic one is made, and shown this once.",
        ),
    ] = None


class SecretChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a source's secret is replaced."""

    secret: Annotated[
        str | None, Meta(description="The new one; generic: left out, one is made and shown this once.")
    ] = None
    overlap_s: Annotated[
        int, Meta(ge=0, le=2_592_000, description="Seconds for which the old one still works.", examples=[86_400])
    ] = 86_400


def source_faults(kind: Kind, wanted: SourceChange) -> Iterator[Fault]:
    """Judge a source."""
    if len(wanted.name) > MAX_NAME or not wanted.name.isprintable():
        yield "/name", f"A name has at most {MAX_NAME} printable characters."
    if kind != "generic":
        for field in ("signature", "mapping"):
            if getattr(wanted, field) is not None:
                yield f"/{field}", "Only a generic source has one; that of this kind is known."
        return
    yield from _signature_faults(wanted.signature or Signature())
    if wanted.mapping is None:
        yield "/mapping", "A generic source needs one."
    else:
        yield from _mapping_faults(wanted.mapping)


def secret_faults(secret: str | None) -> Iterator[Fault]:
    """Judge a secret."""
    if secret is None:
        return
    if not MIN_SECRET <= len(secret) <= MAX_SECRET or not secret.isascii() or not secret.isprintable():
        yield "/secret", f"A secret has {MIN_SECRET} to {MAX_SECRET} printable ASCII characters."


def _signature_faults(signature: Signature) -> Iterator[Fault]:
    if signature.scheme == "hmac" and signature.header is None:
        yield "/signature/header", "Say which header holds the signature."
    for field in ("header", "timestamp_header"):
        name = getattr(signature, field)
        if name is not None and _HEADER.fullmatch(name) is None:
            yield f"/signature/{field}", "This is no header's name."
    if len(signature.prefix) > _MAX_PREFIX or not signature.prefix.isascii() or not signature.prefix.isprintable():
        yield "/signature/prefix", f"A prefix has at most {_MAX_PREFIX} printable ASCII characters."


def _mapping_faults(mapping: Mapping) -> Iterator[Fault]:
    given = [*mapping.fields, *mapping.constants]
    if len(given) + len(mapping.names) > MAX_MAPPED:
        yield "/mapping", f"A mapping has {MAX_MAPPED} entries at most."
    if "name" not in given:
        yield "/mapping/fields", "Say where the event's `name` is, or what it always is under `constants`."
    yield from _target_faults(mapping)
    yield from _constant_faults(mapping)
    for target, pointer in mapping.fields.items():
        if len(pointer) > _MAX_POINTER or _POINTER.fullmatch(pointer) is None:
            yield f"/mapping/fields/{escape(target)}", "A JSON pointer looks like /data/object/id."
    for theirs, ours in mapping.names.items():
        if not 1 <= len(ours) <= _MAX_EVENT:
            yield f"/mapping/names/{escape(theirs)}", f"An event's name has 1 to {_MAX_EVENT} characters."


def _target_faults(mapping: Mapping) -> Iterator[Fault]:
    for part, targets in (("fields", mapping.fields.keys()), ("constants", mapping.constants.keys())):
        for target in targets:
            if target not in TARGETS and _PROPERTY.fullmatch(target) is None:
                yield f"/mapping/{part}/{escape(target)}", "There is no such field; see `properties.x`."
    for target in mapping.fields.keys() & mapping.constants.keys():
        yield f"/mapping/constants/{escape(target)}", "This field has a pointer, too."


def _constant_faults(mapping: Mapping) -> Iterator[Fault]:
    for target, value in mapping.constants.items():
        if target == "event_id":
            yield "/mapping/constants/event_id", "Events that all have one id would be one."
        elif target in TARGETS - {"amount"} and not isinstance(value, str):
            yield f"/mapping/constants/{escape(target)}", "This field is a text."
        elif target == "properties" or (isinstance(value, str) and len(value) > _MAX_TEXT):
            yield (
                f"/mapping/constants/{escape(target)}",
                f"A constant is no object, and {_MAX_TEXT} characters at most.",
            )
