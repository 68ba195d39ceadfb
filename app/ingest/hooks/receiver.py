"""`POST /hooks/{source_id}`: source → signature → our words → steps → group commit → one outcome per event.

Called by `app.api.hooks`, as an ASGI application: signatures are of the body as it came.
"""

from datetime import timedelta
from typing import cast
from uuid import UUID

from litestar.types import HTTPScope, Receive, Scope, Send

from app.auth.credentials import header
from app.auth.guards import require_active
from app.ingest.arrivals import Arrivals
from app.ingest.body import MAX_BODY_S, read_body
from app.ingest.flush import Submission
from app.ingest.hooks.delivery import Told
from app.ingest.hooks.signatures import Doubt, Headers, SignatureRefused
from app.ingest.hooks.sources import Source, Sources
from app.ingest.hooks.translation import believe, read_delivery, submit
from app.ingest.patience import Patience
from app.ingest.rehearsal import rehearses
from app.ingest.routes import Collection
from app.observability import Metrics
from tenants.clock import Clock
from tenants.errors import Unauthenticated, UnsupportedBody
from tenants.placement import TenantContext
from tenants.registry import Registry

HOOK_PATH = "/hooks/{source_id}"
MAX_HOOK_BYTES = 1024 * 1024
_REFUSED = "There is no such webhook source, or the signature is missing, wrong, or of another time."


class Receiver:
    """Takes deliveries in. One per process; for `memory` ids of events are remembered."""

    def __init__(
        self,
        sources: Sources,
        registry: Registry,
        arrivals: Arrivals,
        collection: Collection,
        clock: Clock,
        metrics: Metrics,
        *,
        memory: timedelta,
    ) -> None:
        self._sources = sources
        self._registry = registry
        self._arrivals = arrivals
        self._collection = collection
        self._clock = clock
        self._memory = memory
        self._refused = metrics.hooks_refused
        self._patience = Patience(MAX_BODY_S)

    async def take(self, source_id: UUID, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one delivery.

        Errors: Unauthenticated if it is not believed; those of the collection.
        """
        scope["state"]["quiet"] = True
        if header(scope, b"content-encoding") not in {None, b"identity"}:
            raise UnsupportedBody("A delivery is signed as it is sent: without Content-Encoding.")
        rehearsing = rehearses(scope)
        source = await self._sources.find(source_id)
        if source is None:
            raise self._refuse("none", Doubt.UNKNOWN)
        client = await self._registry.get_client(source.client_id)
        self._collection.refuse_early(client, source.principal, rehearses=rehearsing)
        body = await read_body(scope, receive, self._patience, limit_bytes=MAX_HOOK_BYTES)
        headers = _headers(scope)
        signed_id = self._believe(source, headers, body)
        scope["state"]["client_id"] = source.client_id
        client = require_active(client)
        _, submission = self.read(cast("HTTPScope", scope), source, client, headers, body, signed_id=signed_id)
        await self._collection.finish(send, client, source.principal, submission, rehearses=rehearsing)

    def read(
        self,
        scope: HTTPScope,
        source: Source,
        client: TenantContext,
        headers: Headers,
        body: bytes,
        *,
        signed_id: str | None = None,
    ) -> tuple[list[Told | None], Submission]:
        """Tell a delivery in our words, and take that through the steps.

        Errors: InputRefused.
        """
        arrival = self._arrivals.note(scope, source.principal, client)
        delivery = read_delivery(source, headers, body, arrival.received_at, memory=self._memory, signed_id=signed_id)
        return submit(source, delivery, arrival)

    def _believe(self, source: Source, headers: Headers, body: bytes) -> str | None:
        try:
            return believe(source, headers, body, self._clock())
        except SignatureRefused as refused:
            raise self._refuse(source.kind, refused.doubt) from refused

    def _refuse(self, kind: str, doubt: Doubt) -> Unauthenticated:
        """Count what is not believed; the answer is the same for all of it."""
        self._refused.labels(kind, doubt.value).inc()
        return Unauthenticated(_REFUSED)


def _headers(scope: Scope) -> dict[str, str]:
    """Read the headers, the first of each name."""
    return {name.decode("latin-1"): value.decode("latin-1") for name, value in reversed(list(scope["headers"]))}
