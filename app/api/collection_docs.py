"""Describe the paths of collection to OpenAPI, which an ASGI endpoint cannot do by itself.

Called by `app.api.document`. The schemas are made from the structs that decode and answer, so that both tell the
same.
"""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Raw

from app.ingest.body import MAX_BODY_BYTES
from app.ingest.dialects import INGEST_PATH
from app.ingest.fate import DebugAnswer, ExpectedOutcome
from app.ingest.outcomes import Code, Conflict, IngestAnswer, Outcome, Rejected
from app.ingest.routes import EVENTS_PATH
from app.ingest.splitting import MAX_EVENTS
from app.ingest.wire import AgentProperties, LeadProperties, MessageProperties, WireEvent

CHAT_EVENT = {
    "event_id": "0c9d2a6e-5f0b-4f0e-9f39-6a8c1a0f5b11",
    "name": "widget_opened",
    "occurred_at": "2026-11-03T10:15:30Z",
    "session_id": "s-7f3a",
    "context": {"device": "mobile", "browser": "Firefox", "os": "Android", "country": "FR"},
}
CHAT_MESSAGE = {
    "event_id": "msg-2041",
    "name": "chat_message",
    "occurred_at": "2026-11-03T10:15:42Z",
    "session_id": "s-7f3a",
    "properties": {"role": "user", "text": "Do you open on Saturday?", "intent": "opening_hours", "confidence": 0.93},
}
WEB_EVENT = {
    "event_id": "order-1007",
    "name": "purchase",
    "category": "order",
    "occurred_at": "2026-11-03T10:20:00+01:00",
    "session_id": "w-19b2",
    "visitor_id": "v-5521",
    "page": {"url": "https://cedar.example/checkout?utm_source=letter", "title": "Checkout"},
    "amount": 49.9,
    "currency": "EUR",
    "properties": {"items": 2},
}
REQUEST_EXAMPLES: dict[str, dict[str, Any]] = {
    "chat": {"summary": "A chat event", "value": CHAT_EVENT},
    "web": {"summary": "A web event", "value": WEB_EVENT},
    "batch": {"summary": "A batch", "value": [CHAT_EVENT, CHAT_MESSAGE, WEB_EVENT]},
}
INGESTED = {
    "schema_id": "2c1d8a52-7d7f-4a35-9a4b-1f6f5c1b7a90",
    "event_type": "purchase",
    "properties": {"order_id": "order-1007", "total": 49.9},
    "user_id": "u-88",
    "session_id": "w-19b2",
    "timestamp": "2026-11-03T10:20:00Z",
}
INGEST_EXAMPLES: dict[str, dict[str, Any]] = {"purchase": {"summary": "An event of a schema", "value": INGESTED}}
_REJECTED = Rejected(
    index=2, event_id="order-1007", code=Code.TOO_OLD, pointer="/occurred_at", detail="Events are kept from … on."
)
ANSWER_EXAMPLES: dict[str, dict[str, Any]] = {
    "stored": {"summary": "All stored", "value": msgspec.to_builtins(IngestAnswer(accepted=3, duplicates=0))},
    "mixed": {
        "summary": "One stored, one known with another body, one refused",
        "value": msgspec.to_builtins(
            IngestAnswer(
                accepted=1, duplicates=1, conflicts=[Conflict(index=1, event_id="msg-2041")], rejected=[_REJECTED]
            )
        ),
    },
}
DEBUG_EXAMPLES: dict[str, dict[str, Any]] = {
    "foretold": {
        "summary": "One would be stored",
        "value": msgspec.to_builtins(
            DebugAnswer(
                accepted=1,
                duplicates=0,
                filtered=0,
                events=[ExpectedOutcome(index=0, event_id="order-1007", outcome=Outcome.STORED)],
            )
        ),
    }
}
_DESCRIPTION = f"""Send one event, or an array of up to {MAX_EVENTS:,}; at most {MAX_BODY_BYTES // 2**20} MiB, also
after decompression. **202 means committed.** Every event has exactly one outcome, and a bad one never costs its
neighbours: what cannot be stored is answered in `rejected` with a code and a JSON pointer. An `event_id` that comes
again is a duplicate, and one that comes again with another body is listed in `conflicts`.

The key needs the scope `write`. Browsers, whose `sendBeacon` sets no headers, may give theirs as `?key=` or as
`api_key` in the body. A browser's key only works from its allowed origins.

Chat events need a `session_id`: `page_loaded`, `widget_opened`, `requested_human`, `pressed_accept`,
`pressed_callback`, `pressed_continue`, and with properties of their own `lead_captured` (LeadProperties),
`chat_message` (MessageProperties), `agent_connected`, `agent_disconnected` and `csat` (AgentProperties)."""
_INGESTING = """The same as `POST /api/v1/events` in other words: `event_type` is its `name`, `timestamp` its
`occurred_at`, and `schema_id` its `schema`: the schema's id, its name, or `name@version`. Whatever else an event may
say there it may say here, and the answer is the same, with pointers in these words."""
_PARAMETERS: list[dict[str, Any]] = [
    {
        "name": "debug",
        "in": "query",
        "description": "`1` validates without storing: answers 200 with what would become of each event. Counts "
        "against rate limits, not against the month's quota.",
        "schema": {"type": "string", "enum": ["1"]},
    },
    {
        "name": "Idempotency-Key",
        "in": "header",
        "description": "Gives events without an `event_id` one of their own, so that the request can be sent again.",
        "schema": {"type": "string", "minLength": 1, "maxLength": 255},
        "example": "import-2026-11-03-0017",
    },
    {
        "name": "Content-Encoding",
        "in": "header",
        "description": "`gzip`, or absent.",
        "schema": {"type": "string", "enum": ["gzip", "identity"]},
    },
]


def events_paths() -> dict[str, dict[str, Any]]:
    """Describe the paths, by path; schemas are referred to under their struct's name."""
    event = {"$ref": "#/components/schemas/WireEvent"}
    ingested = {"$ref": "#/components/schemas/IngestedEvent"}
    return {
        EVENTS_PATH: _collecting("collectEvents", "Send events", _DESCRIPTION, event, REQUEST_EXAMPLES),
        INGEST_PATH: _collecting("ingestEvents", "Send events of a schema", _INGESTING, ingested, INGEST_EXAMPLES),
    }


def _collecting(
    name: str, summary: str, description: str, event: dict[str, Any], examples: dict[str, Any]
) -> dict[str, Any]:
    batch = {"type": "array", "items": event, "minItems": 1, "maxItems": MAX_EVENTS}
    content = {"schema": {"oneOf": [event, batch]}, "examples": examples}
    answer = {"schema": {"$ref": "#/components/schemas/IngestAnswer"}, "examples": ANSWER_EXAMPLES}
    foretold = {"schema": {"$ref": "#/components/schemas/DebugAnswer"}, "examples": DEBUG_EXAMPLES}
    operation = {
        "tags": ["Collection"],
        "operationId": name,
        "summary": summary,
        "description": description,
        "security": [{"bearerAuth": []}, {"apiKeyHeader": []}, {"apiKeyQuery": []}],
        "parameters": _PARAMETERS,
        "requestBody": {"required": True, "content": {"application/json": content, "text/plain": content}},
        "responses": {
            "200": {
                "description": "With `debug=1`: nothing was stored; what would become of each event.",
                "content": {"application/json": foretold},
            },
            "202": {
                "description": "Committed; what became of each event.",
                "content": {"application/json": answer},
            },
        },
    }
    return {"post": operation}


class IngestedEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event of a schema. Only `event_type` is required."""

    event_type: Annotated[str, Meta(min_length=1, max_length=128)]
    schema_id: str | None = None
    timestamp: Annotated[datetime, Meta(tz=True, description="RFC 3339 with an offset; left out: now.")] | None = None
    event_id: Annotated[str, Meta(description="Any string; a repeat of it is a duplicate.")] | None = None
    user_id: str | None = None
    session_id: str | None = None
    properties: dict[str, Any] = {}


def events_schemas() -> dict[str, Any]:
    """Make the schemas that the path refers to."""
    kinds = [
        _documented_event(),
        IngestedEvent,
        LeadProperties,
        MessageProperties,
        AgentProperties,
        IngestAnswer,
        DebugAnswer,
    ]
    return msgspec.json.schema_components(kinds, ref_template="#/components/schemas/{name}")[1]


def _documented_event() -> type[msgspec.Struct]:
    """Repeat WireEvent with types that JSON schema has words for; raw JSON and decimals have none."""
    described = {
        Raw: Annotated[dict[str, Any], Meta(description="Anything else; chat events have properties of their own.")],
        Decimal | None: Annotated[float | str | None, Meta(description="A number; as text it keeps every digit.")],
    }
    fields: list[Any] = []
    for field in msgspec.structs.fields(WireEvent):
        kind = described.get(field.type, field.type)
        default = {} if field.type is Raw else field.default
        fields.append((field.name, kind) if field.required else (field.name, kind, default))
    documented = msgspec.defstruct(WireEvent.__name__, fields, forbid_unknown_fields=True)
    documented.__doc__ = WireEvent.__doc__
    return documented
