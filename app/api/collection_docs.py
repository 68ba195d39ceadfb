"""Describe the paths of collection to OpenAPI, which an ASGI endpoint cannot do by itself.

Called by `app.api.document`. The schemas are made from the structs that decode and answer, so that both tell the
same.
"""

from decimal import Decimal
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Raw

from app.api.dialect_docs import DESCRIBED, DescribedDialect
from app.ingest.body import MAX_BODY_BYTES
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
_PARAMETERS: list[dict[str, Any]] = [
    {
        "name": "debug",
        "in": "query",
        "description": "`1` validates without storing: answers 200 with what would become of each event. Counts "
        "against rate limits, not against the month's quota. All else but `0` is refused.",
        "schema": {"type": "string", "enum": ["0", "1"]},
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
    own = _operation("collectEvents", "Send events", _DESCRIPTION, _bodies(WireEvent), REQUEST_EXAMPLES)
    return {EVENTS_PATH: {"post": own}} | {each.dialect.path: {"post": _speaking(each)} for each in DESCRIBED}


def _speaking(described: DescribedDialect) -> dict[str, Any]:
    """Describe a path that says the same in other words."""
    dialect = described.dialect
    bodies = _bodies(described.event, dialect.max_events)
    if dialect.envelope is not None:
        bodies.append({"type": "object", "properties": {dialect.envelope: bodies[1]}, "required": [dialect.envelope]})
    operation = _operation(
        described.name, described.summary, described.description, bodies, described.examples, str(dialect.status)
    )
    if dialect.clock is not None:  # where a key may be the user name
        operation["security"] = [{"basicAuth": []}, *operation["security"]]
    return operation


def _bodies(event: type[msgspec.Struct], most: int = MAX_EVENTS) -> list[dict[str, Any]]:
    """Describe an event, and an array of events."""
    one = {"$ref": f"#/components/schemas/{event.__name__}"}
    return [one, {"type": "array", "items": one, "minItems": 1, "maxItems": most}]


def _operation(
    name: str,
    summary: str,
    description: str,
    bodies: list[dict[str, Any]],
    examples: dict[str, Any],
    committed: str = "202",
) -> dict[str, Any]:
    content = {"schema": {"anyOf": bodies}, "examples": examples}
    answer = {"schema": {"$ref": "#/components/schemas/IngestAnswer"}, "examples": ANSWER_EXAMPLES}
    foretold = {"schema": {"$ref": "#/components/schemas/DebugAnswer"}, "examples": DEBUG_EXAMPLES}
    answers = {"200": ("With `debug=1`: nothing was stored; what would become of each event.", foretold)}
    if committed in answers:
        both = {"schema": {"anyOf": [answer["schema"], foretold["schema"]]}, "examples": ANSWER_EXAMPLES}
        answers[committed] = ("Committed; what became of each event. With `debug=1`: what would.", both)
    else:
        answers[committed] = ("Committed; what became of each event.", answer)
    return {
        "tags": ["Collection"],
        "operationId": name,
        "summary": summary,
        "description": description,
        "security": [{"bearerAuth": []}, {"apiKeyHeader": []}, {"apiKeyQuery": []}],
        "parameters": _PARAMETERS,
        "requestBody": {"required": True, "content": {"application/json": content, "text/plain": content}},
        "responses": {
            status: {"description": said, "content": {"application/json": media}}
            for status, (said, media) in answers.items()
        },
    }


def events_schemas() -> dict[str, Any]:
    """Make the schemas that the path refers to."""
    kinds = [
        _documented_event(),
        *dict.fromkeys(each.event for each in DESCRIBED),
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
