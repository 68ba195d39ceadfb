"""`POST /api/v1/events`: key → client → raw events → steps → group commit → one outcome per event.

An ASGI application rather than a Litestar handler: on this path the framework's own work would cost more
than ours. `app.api.collection_docs` describes it to OpenAPI.
"""

from functools import lru_cache

import msgspec
from litestar.exceptions import MethodNotAllowedException
from litestar.types import HTTPScope, Receive, Send

from app.auth.credentials import basic_key, body_key, header, header_key, query_key
from app.auth.guards import require_active
from app.auth.limiter import Headers, Limiter
from app.ingest.arrivals import Arrivals
from app.ingest.body import MAX_BODY_S, read_body
from app.ingest.dialects.dialect import BODY_KEYS, Dialect, Heard
from app.ingest.dialects.spoken import find_dialect
from app.ingest.event import Arrival, Event
from app.ingest.fate import foretell
from app.ingest.flush import Passed, Refused, Submission
from app.ingest.group_commit import GroupCommit
from app.ingest.outcomes import Code, Filtered, IngestAnswer, Outcome, Refusal
from app.ingest.patience import Patience
from app.ingest.refusals import find_event_id, refuse
from app.ingest.rehearsal import rehearses
from app.ingest.splitting import split_events
from app.ingest.steps import read_event
from app.observability import Metrics
from tenants.databases import Databases
from tenants.errors import ChatTablesReadOnly, Forbidden, OriginRefused, Unauthenticated, UnsupportedBody
from tenants.keyring import Keyring, Principal
from tenants.keys import KeyKind
from tenants.keys import Scope as KeyScope
from tenants.placement import Purpose, TenantContext
from tenants.registry import Registry

EVENTS_PATH = "/api/v1/events"
_MEDIA_TYPES = frozenset({b"application/json", b"text/plain", b""})
_JSON = (b"content-type", b"application/json")
_PREFLIGHT = [
    (b"access-control-allow-methods", b"POST"),
    (b"access-control-allow-headers", b"authorization, content-encoding, content-type, idempotency-key, x-api-key"),
    (b"access-control-max-age", b"86400"),
    (b"content-length", b"0"),
]
_EXPOSED = (b"access-control-expose-headers", b"ratelimit, ratelimit-policy, retry-after, x-request-id")
_ANY_ORIGIN = [(b"access-control-allow-origin", b"*")]
_encode = msgspec.json.Encoder().encode


class Collection:
    """Takes events in. One per process."""

    def __init__(
        self,
        keyring: Keyring,
        registry: Registry,
        commit: GroupCommit,
        databases: Databases,
        limiter: Limiter,
        arrivals: Arrivals,
        metrics: Metrics,
    ) -> None:
        self._keyring = keyring
        self._registry = registry
        self._commit = commit
        self._databases = databases
        self._limiter = limiter
        self._arrivals = arrivals
        self._patience = Patience(MAX_BODY_S)
        # Kept, for to find a counter by its labels takes as long as to count.
        self._enriched = lru_cache(maxsize=256)(metrics.enriched.labels)
        self._counters = {outcome: metrics.events.labels(outcome.value) for outcome in Outcome}

    async def __call__(self, scope: HTTPScope, receive: Receive, send: Send) -> None:
        """Answer one collection request."""
        state = scope["state"]
        dialect = None if scope["path"] == EVENTS_PATH else find_dialect(scope["path"])
        state["route"], state["quiet"] = EVENTS_PATH if dialect is None else dialect.path, True
        if scope["method"] == "OPTIONS":
            await self._answer_preflight(scope, send)
            return
        # A page may read that it is refused, else it takes this for being offline, and sends for ever. Whoever has the
        # key is told as much without a browser; nothing is stored, and no cookie is looked at. What is accepted, and
        # what a preflight allows, only pages of the key's origins get to know.
        state["cors"] = _ANY_ORIGIN
        if scope["method"] != "POST":
            raise MethodNotAllowedException(headers={"Allow": "POST, OPTIONS"})
        _require_media_type(scope)
        key = header_key(scope) or query_key(scope) or basic_key(scope)
        principal = await self._keyring.verify(key) if key is not None else None
        client = None
        if principal is not None:
            self._admit(principal, scope)
            client = await self._client(principal)
            self._limiter.refuse_early(client, principal)
        body = await read_body(scope, receive, self._patience)
        if principal is None:
            principal = await self._verify_body_key(body, BODY_KEYS if dialect is None else dialect.body_keys)
            self._admit(principal, scope)
        if client is None:
            client = await self._client(principal)
        rehearsing = rehearses(scope)
        if not rehearsing:
            self._commit.refuse_early(client.placement)
        submission, heard = self._read(body, principal, client, scope, dialect)
        status = 202 if dialect is None else dialect.status
        await self.finish(send, client, principal, submission, rehearses=rehearsing, heard=heard, status=status)

    def refuse_early(self, client: TenantContext, principal: Principal, *, rehearses: bool) -> None:
        """Refuse before a body is read what cannot be taken, as far as is known here.

        Errors: RateLimited, QueueFull.
        """
        self._limiter.refuse_early(client, principal)
        if not rehearses:
            self._commit.refuse_early(client.placement)

    async def finish(
        self,
        send: Send,
        client: TenantContext,
        principal: Principal,
        submission: Submission,
        *,
        rehearses: bool,
        heard: Heard | None = None,
        status: int = 202,
    ) -> None:
        """Store what was read, within what may be sent, and answer with what became of it; or foretell it."""
        limits = await self._limiter.admit(client, principal, submission.size, stores=not rehearses)
        if rehearses:
            async with self._databases.unit(client.placement, Purpose.READ) as db:
                foretold = await foretell(db, submission)
            await _answer(send, 200, _encode(foretold if heard is None else heard.foretell(foretold)), limits)
            return
        answer = await self._commit.submit(client.placement, submission)
        self._count(answer, submission.arrival)
        await _answer(send, status, _encode(answer if heard is None else heard.tell(answer)), limits)

    def _admit(self, principal: Principal, scope: HTTPScope) -> None:
        """Note whose request it is, and let a browser at an allowed origin read the answer, be it an error."""
        scope["state"]["client_id"] = principal.client_id
        scope["state"]["cors"] = self._check_origin(principal, scope)

    def _check_origin(self, principal: Principal, scope: HTTPScope) -> list[tuple[bytes, bytes]]:
        try:
            return check_origin(principal, scope)
        except OriginRefused:
            self._arrivals.note_refused(scope, principal)
            raise

    async def _answer_preflight(self, scope: HTTPScope, send: Send) -> None:
        # A preflight brings no key but one in the URL; the request that follows is checked in any case.
        key, origin = query_key(scope), header(scope, b"origin")
        allowed = []
        if origin is not None:
            allowed = [(b"access-control-allow-origin", origin), (b"vary", b"origin")]
            if key is not None:
                allowed = self._check_origin(await self._keyring.verify(key), scope)
        await send({"type": "http.response.start", "status": 204, "headers": [*_PREFLIGHT, *allowed]})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _verify_body_key(self, body: bytes, kinds: frozenset[KeyKind]) -> Principal:
        key = body_key(body)
        if key is None:
            raise Unauthenticated("Send a key as `Authorization: Bearer …`, `X-API-Key`, `?key=` or `api_key`.")
        principal = await self._keyring.verify(key)
        if principal.kind not in kinds:
            raise Unauthenticated("Only a browser's key may travel in the body.")
        return principal

    async def _client(self, principal: Principal) -> TenantContext:
        if principal.client_id is None or KeyScope.WRITE not in principal.scopes:
            raise Forbidden("This key may not send events.")
        return require_active(await self._registry.get_client(principal.client_id))

    def _read(
        self, body: bytes, principal: Principal, client: TenantContext, scope: HTTPScope, dialect: Dialect | None
    ) -> tuple[Submission, Heard | None]:
        arrival = self._arrivals.note(scope, principal, client)
        heard = None if dialect is None else dialect.hear(body, arrival)
        submission = read_submission(body, arrival, heard)
        if len(submission.refused) == submission.size and all(
            refused.answer.code is Code.CHAT_TABLES_READ_ONLY for refused in submission.refused
        ):
            raise ChatTablesReadOnly(submission.refused[0].answer.detail)
        return submission, heard

    def _count(self, answer: IngestAnswer, arrival: Arrival) -> None:
        self._counters[Outcome.STORED].inc(answer.accepted)
        if answer.duplicates:
            self._counters[Outcome.DUPLICATE].inc(answer.duplicates)
        if answer.rejected:
            self._counters[Outcome.QUARANTINED].inc(len(answer.rejected))
        if answer.filtered:
            self._counters[Outcome.FILTERED].inc(answer.filtered)
        for change, times in arrival.changes.items():
            self._enriched(*change).inc(times)


async def _answer(send: Send, status: int, content: bytes, limits: Headers) -> None:
    headers = [_JSON, (b"content-length", b"%d" % len(content)), *limits]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": content, "more_body": False})


def read_submission(body: bytes, arrival: Arrival, heard: Heard | None = None) -> Submission:
    """Split a body and take each event through the steps, as it was heard if it was said in other words.

    Shape: a bad one never costs its neighbours.

    Errors: InputRefused if the body as a whole is no JSON or has no or too many events.
    """
    events: list[Event] = []
    refused: list[Refused] = []
    filtered: list[Passed] = []
    raws = split_events(body) if heard is None else heard.raws
    for index, raw in enumerate(raws):
        try:
            events.append(read_event(raw, index, arrival, None if heard is None else heard.told[index]))
        except Refusal as refusal:
            refused.append(refuse(bytes(raw), index, refusal, arrival))
        except Filtered as passed:
            filtered.append(Passed(index=index, event_id=find_event_id(bytes(raw)), reason=passed.reason))
    return Submission(arrival=arrival, events=events, refused=refused, filtered=filtered)


def check_origin(principal: Principal, scope: HTTPScope) -> list[tuple[bytes, bytes]]:
    """Hold a browser's key to its origins and return the CORS headers of the answer.

    Errors: OriginRefused.
    """
    if principal.kind is not KeyKind.BROWSER:
        return []
    origin = header(scope, b"origin")
    if not principal.origins:
        return [] if origin is None else [*_ANY_ORIGIN, _EXPOSED]
    if origin is None or origin.decode("latin-1").lower() not in principal.origins:
        raise OriginRefused("This key may only be used from its allowed origins.")
    return [(b"access-control-allow-origin", origin), (b"vary", b"origin"), _EXPOSED]


def _require_media_type(scope: HTTPScope) -> None:
    media_type = (header(scope, b"content-type") or b"").partition(b";")[0].strip().lower()
    if media_type not in _MEDIA_TYPES:
        raise UnsupportedBody("Send events as application/json (or text/plain holding JSON).")
