"""Complete the OpenAPI document that Litestar makes of the routes: collection, errors, who needs a key.

Called by `app.api.docs` for each reading of the document. The errors are those of the table in `app.problems`.
"""

from collections.abc import Iterator
from http import HTTPStatus
from typing import Any

import msgspec

from app.api.collection_docs import events_paths, events_schemas
from app.api.hook_docs import hook_paths
from app.api.management_examples import EXAMPLES
from app.problems import HTTP_KINDS, INTERNAL, KINDS, MEDIA_TYPE, Kind, Problem

PUBLIC_TAG = "Operation"
SECURITY_SCHEMES: dict[str, Any] = {
    "bearerAuth": {
        "type": "http",
        "scheme": "bearer",
        "description": "A key: `grv_p_…` of the platform, `grv_a_…` of a client's admin, `grv_s_…` of its servers, "
        "`grv_w_…` of its browsers; or a service token that stands for one of a client's keys.",
    },
    "apiKeyHeader": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "The same keys."},
    "webhookSignature": {
        "type": "apiKey",
        "in": "header",
        "name": "webhook-signature",
        "description": "With what the service signs its deliveries: `Stripe-Signature`, `X-Shopify-Hmac-Sha256`, "
        "`X-Chatwoot-Signature`, `webhook-signature` of Standard Webhooks, or a header of its own.",
    },
    "apiKeyQuery": {
        "type": "apiKey",
        "in": "query",
        "name": "key",
        "description": "For `sendBeacon`, which sets no headers: a browser's key, on collection paths alone.",
    },
    "basicAuth": {
        "type": "http",
        "scheme": "basic",
        "description": "The same keys as user name, without a password, on collection paths alone.",
    },
}
_METHODS = frozenset({"get", "put", "post", "delete", "patch", "head", "options"})
_REQUEST_ID = "5f0c6c0a4b1e4c1f8f0d7c2b9a3e6d41"
_RETRY_AFTER = {
    "Retry-After": {"description": "Seconds after which to try again.", "schema": {"type": "integer", "minimum": 1}}
}


def complete(document: dict[str, Any]) -> dict[str, Any]:
    """Return the whole document; the given one stays as it is."""
    components = document.get("components", {})
    paths = document["paths"] | events_paths() | hook_paths()
    return document | {
        "paths": {path: _complete_item(path, item) for path, item in sorted(paths.items())},
        "components": components
        | {
            "schemas": _merged(components.get("schemas", {}), events_schemas() | _problem_schemas()),
            "responses": {_name(status): _response(kinds) for status, kinds in _by_status().items()},
            "securitySchemes": SECURITY_SCHEMES,
        },
        "security": [{"bearerAuth": []}, {"apiKeyHeader": []}],
    }


def _complete_item(path: str, item: dict[str, Any]) -> dict[str, Any]:
    return {
        key: _complete_operation(path, key, _exemplified(path, key, value)) if key in _METHODS else value
        for key, value in item.items()
    }


def _complete_operation(path: str, method: str, operation: dict[str, Any]) -> dict[str, Any]:
    public = PUBLIC_TAG in operation.get("tags", [])
    # The 400 of Litestar's making describes an error body that Grove never sends.
    own = {status: response for status, response in operation["responses"].items() if status != "400"}
    errors = {
        str(status): {"$ref": f"#/components/responses/{_name(status)}"}
        for status in sorted(set(_error_statuses(path, method, operation, public=public)))
    }
    completed = operation | {"responses": dict(sorted((errors | own).items()))}
    return completed | {"security": []} if public else completed


def _exemplified(path: str, method: str, operation: dict[str, Any]) -> dict[str, Any]:
    """Give an operation the examples that were written for it, and the statuses that its handler does not declare."""
    examples = EXAMPLES.get((method, path))
    if examples is None:
        return operation
    responses = dict(operation["responses"])
    declared = next(iter(responses.values()))
    for status, answer in examples.answers.items():
        undeclared = declared | {"description": HTTPStatus(int(status)).description}
        responses[status] = _with_example(responses.get(status, undeclared), answer)
    if examples.body is None:
        return operation | {"responses": responses}
    return operation | {"responses": responses, "requestBody": _with_example(operation["requestBody"], examples.body)}


def _with_example(part: dict[str, Any], example: object) -> dict[str, Any]:
    content = {kind: media | {"example": msgspec.to_builtins(example)} for kind, media in part["content"].items()}
    return part | {"content": content}


def _error_statuses(path: str, method: str, operation: dict[str, Any], *, public: bool) -> Iterator[int]:
    """List the statuses of the errors that an operation of this shape can answer."""
    tags, parameters = operation.get("tags", []), operation.get("parameters", [])
    yield 500
    if not public:
        yield from (401, 403, 503)
    if parameters:
        yield 400
    if "{" in path:
        yield 404
    if "requestBody" in operation:
        yield from (400, 413, 415)
    if method != "get":
        yield 409
    if "Collection" in tags:
        yield 429
    elif any(parameter.get("name") == "Idempotency-Key" for parameter in parameters):
        yield 422
    if "Chatbot analytics" in tags:
        yield 502


def _by_status() -> dict[int, list[Kind]]:
    grouped: dict[int, dict[str, Kind]] = {}
    for kind in (*KINDS.values(), *HTTP_KINDS.values(), INTERNAL):
        grouped.setdefault(kind.status, {})[kind.slug] = kind
    return {status: list(kinds.values()) for status, kinds in sorted(grouped.items())}


def _name(status: int) -> str:
    return f"Problem{status}"


def _response(kinds: list[Kind]) -> dict[str, Any]:
    """Describe a status by the problems that have it."""
    examples = {kind.slug: {"summary": kind.title, "value": msgspec.to_builtins(_example(kind))} for kind in kinds}
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}, "examples": examples}}
    description = ", or: ".join(kind.title for kind in kinds) + "."
    response: dict[str, Any] = {"description": description, "content": content}
    return response | {"headers": _RETRY_AFTER} if kinds[0].status in {429, 503} else response


def _example(kind: Kind) -> Problem:
    return Problem(
        type=f"/problems/{kind.slug}",
        title=kind.title,
        status=kind.status,
        code=kind.slug.replace("-", "_"),
        request_id=_REQUEST_ID,
    )


def _problem_schemas() -> dict[str, Any]:
    return msgspec.json.schema_components([Problem], ref_template="#/components/schemas/{name}")[1]


def _merged(ours: dict[str, Any], further: dict[str, Any]) -> dict[str, Any]:
    twice = ours.keys() & further.keys()
    if twice:
        message = f"Two schemas of the API's document have one name: {', '.join(sorted(twice))}."
        raise ValueError(message)
    return ours | further
