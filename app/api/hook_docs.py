"""Describe to OpenAPI where webhooks are delivered, which an ASGI endpoint cannot do by itself.

Called by `app.api.document`.
"""

from typing import Any

from app.api.collection_docs import ANSWER_EXAMPLES, DEBUG_EXAMPLES
from app.ingest.hooks.receiver import HOOK_PATH, MAX_HOOK_BYTES
from app.ingest.hooks.signatures import TOLERANCE_S

_DESCRIPTION = f"""Where a service that is a webhook source delivers what happened: Stripe, Shopify, Chatwoot, or any
other by its mapping. The body has {MAX_HOOK_BYTES // 2**20} MiB at most, and the signature is of the body as it came; a
time that is signed may be {TOLERANCE_S} seconds off. One that is missing, wrong or stale is answered with 401, like a
source that does not exist.

**202 means committed.** What is told becomes events like any others. A delivery that comes again is counted in
`duplicates`, what cannot be stored is in `rejected`, and what means nothing here is counted in `filtered`, so that the
service does not try again: `ignored` (types that are not translated), `test` (test mode, unless the source accepts it),
`stale` (of long ago)."""
_EXAMPLE = {
    "id": "evt_1Q",
    "type": "payment_intent.succeeded",
    "created": 1_793_700_000,
    "livemode": True,
    "data": {"object": {"id": "pi_3P", "amount_received": 4990, "currency": "eur"}},
}


def hook_paths() -> dict[str, dict[str, Any]]:
    """Describe the path; schemas are referred to under their struct's name."""
    body = {"schema": {}, "examples": {"stripe": {"summary": "What Stripe sends, shortened", "value": _EXAMPLE}}}
    operation = {
        "tags": ["Collection"],
        "operationId": "receiveWebhook",
        "summary": "Deliver a webhook",
        "description": _DESCRIPTION,
        "security": [{"webhookSignature": []}],
        "parameters": [
            {"name": "source_id", "in": "path", "required": True, "schema": {"type": "string", "format": "uuid"}},
            {
                "name": "debug",
                "in": "query",
                "description": "`1` tells what would become of it, and stores nothing; all else but `0` is refused.",
                "schema": {"type": "string", "enum": ["0", "1"]},
            },
        ],
        "requestBody": {"required": True, "content": {"application/json": body}},
        "responses": {
            "200": _answer("With `debug=1`: nothing was stored.", "DebugAnswer", DEBUG_EXAMPLES),
            "202": _answer("Committed; what became of each event.", "IngestAnswer", ANSWER_EXAMPLES),
        },
    }
    return {HOOK_PATH: {"post": operation}}


def _answer(description: str, schema: str, examples: dict[str, Any]) -> dict[str, Any]:
    content = {"schema": {"$ref": f"#/components/schemas/{schema}"}, "examples": examples}
    return {"description": description, "content": {"application/json": content}}
