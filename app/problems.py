"""Turn what went wrong into RFC 9457 problem+json: one table, stable types and codes, never driver text.

Called by Litestar's exception handling and by the collection endpoint; `/problems/{slug}` explains each type.
"""

import errno
import re
from collections.abc import Mapping
from typing import Any

import msgspec
import structlog
from litestar import Request, Response
from litestar.exceptions import HTTPException, SerializationException, ValidationException
from litestar.types import Message, Scope, Send

from tenants import errors
from tenants.pointers import pointer

MEDIA_TYPE = "application/problem+json"
OPERATION_PATH = "/api/v1/operations"
_NAMED_FIELD = re.compile(r"Object (?:missing required|contains unknown) field `([^`]*)`")
_INDEX = re.compile(r"\[(\d+)\]")
log = structlog.get_logger()


class WatchedSend:
    """Sends on, and tells whether an answer has begun: from then on all that is left is to break it off."""

    def __init__(self, send: Send) -> None:
        self.started = False
        self._send = send

    async def __call__(self, message: Message) -> None:
        """Send."""
        self.started = True
        await self._send(message)


class Kind(msgspec.Struct, frozen=True):
    """A kind of problem: HTTP status, slug of its type (also its code) and title."""

    status: int
    slug: str
    title: str


KINDS: dict[type[Exception], Kind] = {
    errors.NotFound: Kind(404, "not-found", "There is no such thing here"),
    errors.InputRefused: Kind(400, "invalid-input", "The request holds a value that cannot be taken"),
    errors.AlreadyTaken: Kind(409, "already-taken", "This name is already in use"),
    errors.IncompatibleSchema: Kind(409, "incompatible-schema", "The schema would break what relies on it"),
    errors.WrongState: Kind(409, "wrong-state", "This cannot be done in the present state"),
    errors.DatabaseRefused: Kind(400, "database-refused", "The database cannot be used"),
    errors.Unauthenticated: Kind(401, "unauthenticated", "A valid key is needed"),
    errors.OriginRefused: Kind(403, "origin-not-allowed", "The key is not for this origin"),
    errors.Forbidden: Kind(403, "forbidden", "The key does not allow this"),
    errors.ClientSuspended: Kind(403, "client-suspended", "The client is suspended"),
    errors.ChatTablesReadOnly: Kind(409, "chat-tables-read-only", "The chatbot tables are read-only"),
    errors.IdempotencyConflict: Kind(422, "idempotency-conflict", "The Idempotency-Key belongs to another request"),
    errors.OperationFailed: Kind(500, "operation-failed", "The operation failed and was undone"),
    errors.QueueFull: Kind(429, "queue-full", "Too much is waiting"),
    errors.RateLimited: Kind(429, "rate-limited", "More was sent than may be"),
    errors.StoreUnavailable: Kind(503, "unavailable", "A service is not available at the moment"),
    errors.GrafanaUnavailable: Kind(503, "grafana-unavailable", "Grafana is not available at the moment"),
    errors.GrafanaUnreachable: Kind(502, "grafana-unreachable", "The dashboards do not answer"),
    errors.GrafanaSlow: Kind(504, "grafana-slow", "The dashboards took too long to answer"),
    errors.GrafanaUnfit: Kind(503, "grafana-unfit", "This version of Grafana is not used"),
    errors.OrganisationRefused: Kind(409, "organisation-refused", "The organisation in Grafana cannot be used"),
    errors.GrafanaRefused: Kind(502, "grafana-refused", "Grafana does not take what Grove asked of it"),
    errors.QueryTimedOut: Kind(503, "query-timeout", "The question took too long"),
    errors.SourceUnfit: Kind(502, "source-unfit", "The attached database cannot be read as it is"),
    errors.BodyTooLarge: Kind(413, "body-too-large", "The body is too large"),
    errors.BodyTooSlow: Kind(408, "body-too-slow", "The body took too long to arrive"),
    errors.UnsupportedBody: Kind(415, "unsupported-body", "The body's type or encoding is not taken here"),
}
HTTP_KINDS: dict[int, Kind] = {
    400: Kind(400, "invalid-input", "The request holds a value that cannot be taken"),
    401: KINDS[errors.Unauthenticated],
    403: KINDS[errors.Forbidden],
    404: KINDS[errors.NotFound],
    405: Kind(405, "method-not-allowed", "This path does not take this method"),
    413: KINDS[errors.BodyTooLarge],
    415: KINDS[errors.UnsupportedBody],
    429: Kind(429, "too-many-requests", "Too many requests"),
}
INTERNAL = Kind(500, "internal-error", "Something went wrong here; it has been logged")
# The machine has none left of something; with what others give back, the same request may succeed.
EXHAUSTED = Kind(503, "exhausted", "This server has no room at the moment")
EXHAUSTED_RETRY_AFTER_S = 5
_NONE_LEFT = frozenset({errno.EMFILE, errno.ENFILE, errno.EADDRNOTAVAIL, errno.EAGAIN, errno.ENOMEM, errno.ENOBUFS})
_NO_THREAD = "can't start new thread"  # all that the interpreter says of it


class FieldError(msgspec.Struct, frozen=True):
    """One offending value, by JSON pointer or parameter name."""

    pointer: str
    detail: str


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The body of every error answer (RFC 9457).

    Shape: `type` and `code` are stable; `errors` names each offending value; `instance` is the path of the operation
    that failed, where it was one; `request_id` is in the log as well.
    """

    type: str
    title: str
    status: int
    code: str
    request_id: str
    detail: str | None = None
    instance: str | None = None
    errors: list[FieldError] = []


def problem_response(error: Exception, scope: Scope) -> Response[bytes]:
    """Answer an exception; what was not expected is logged with its traceback and says nothing."""
    kind, headers, problem = describe(error, scope)
    if kind in {INTERNAL, EXHAUSTED}:
        client = scope.get("state", {}).get("client_id")
        log.error("crash", exc_info=error, request_id=problem.request_id, client=client)
    return Response(msgspec.json.encode(problem), status_code=kind.status, media_type=MEDIA_TYPE, headers=headers)


def describe(error: Exception, scope: Scope) -> tuple[Kind, dict[str, str], Problem]:
    """Find an exception's kind, headers and body."""
    kind, detail, headers = INTERNAL, None, {}
    fields: list[FieldError] = []
    code = instance = None
    if isinstance(error, errors.GroveError):
        kind = _kind_of(error)
        instance = None if error.operation_id is None else f"{OPERATION_PATH}/{error.operation_id}"
        detail = error.detail or None
        headers = _headers_of(error)
        if error.field is not None:
            fields = [FieldError(error.field, error.detail)]
        if isinstance(error, errors.InputRefused | errors.IncompatibleSchema):
            fields = [FieldError(pointer, text) for pointer, text in error.errors] or fields
        if isinstance(error, errors.InputRefused):
            code = error.code if error.code != "invalid" else None
    elif isinstance(error, HTTPException):
        kind = HTTP_KINDS.get(error.status_code, INTERNAL)
        headers = {name: value for name, value in (error.headers or {}).items() if name.lower() == "allow"}
        if isinstance(error, ValidationException):
            fields = [FieldError(*_validation_entry(entry)) for entry in _entries(error.extra)]
            detail = "The request does not fit; see `errors`."
        elif isinstance(error.__cause__, SerializationException):
            code, detail = "invalid_json", "The body is not valid JSON."
    elif _is_exhaustion(error):
        kind, headers = EXHAUSTED, {"Retry-After": str(EXHAUSTED_RETRY_AFTER_S)}
    problem = Problem(
        type=f"/problems/{kind.slug}",
        title=kind.title,
        status=kind.status,
        code=code or kind.slug.replace("-", "_"),
        request_id=str(scope.get("state", {}).get("request_id", "")),
        detail=detail,
        instance=instance,
        errors=fields,
    )
    return kind, headers, problem


def _kind_of(error: errors.GroveError) -> Kind:
    for ancestor in type(error).__mro__:
        if ancestor in KINDS:
            return KINDS[ancestor]
    return INTERNAL


def _is_exhaustion(error: Exception) -> bool:
    if isinstance(error, OSError):
        return error.errno in _NONE_LEFT
    return isinstance(error, RuntimeError) and str(error) == _NO_THREAD


def _headers_of(error: errors.GroveError) -> dict[str, str]:
    match error:
        case errors.QueueFull() | errors.StoreUnavailable():
            return {"Retry-After": str(error.retry_after_s)}
        case errors.RateLimited():
            return error.headers | {"Retry-After": str(error.retry_after_s)}
        case errors.GrafanaUnavailable():
            return {"Retry-After": "5"}
        case errors.QueryTimedOut():
            return {"Retry-After": "5"}
        case errors.Unauthenticated():
            return {"WWW-Authenticate": "Bearer"}
        case _:
            return {}


def _entries(extra: object) -> list[Mapping[str, Any]]:
    return [entry for entry in extra if isinstance(entry, Mapping)] if isinstance(extra, list) else []


def _validation_entry(entry: Mapping[str, Any]) -> tuple[str, str]:
    """Turn Litestar's {message, key, source} into (pointer, detail); a parameter's pointer is its name.

    Shape: Litestar calls the body as a whole `data`, and puts the name of a missing or unknown field into the message.
    """
    key, message = str(entry.get("key", "")), str(entry.get("message", "Invalid value."))
    if entry.get("source") not in {None, "body"}:
        return key, message
    if message == "'data'":
        return "", "A JSON body is needed."
    key = key.replace("[...]", "")  # somewhere in a map: the decoder does not tell where
    path = [] if key in {"", "data"} else _INDEX.sub(r".\1", key).split(".")
    named = _NAMED_FIELD.match(message)
    if named is not None:
        path.append(named[1])
    return pointer(*path), message


def handle_exception(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    """Litestar's exception handler for everything."""
    return problem_response(error, request.scope)


def problem_page(slug: str) -> Kind | None:
    """Find the kind that a type URI names."""
    return next(
        (kind for kind in (*KINDS.values(), *HTTP_KINDS.values(), INTERNAL, EXHAUSTED) if kind.slug == slug), None
    )
