"""What all events of a request share: when they came, by which key, and from whom.

Called by the collection routes, with the verified key and the client of the registry.
"""

import msgspec
from asyncpg.pgproto.pgproto import UUID
from litestar.types import HTTPScope

from app.auth.addresses import UNKNOWN, client_address
from app.auth.credentials import header
from app.ingest.enrichment.channels import host_of
from app.ingest.enrichment.sender import FindCountry, Sender, sender_of, subject_of
from app.ingest.event import Arrival
from app.ingest.other_origins import OriginLog
from tenants.clock import Clock
from tenants.errors import InputRefused
from tenants.keyring import Principal
from tenants.keys import KeyKind
from tenants.placement import TenantContext

MAX_AGENT = 1024
MAX_IDEMPOTENCY_KEY = 255


class Arrivals:
    """Notes arrivals. One per process; `trusted_proxies` is as in `app.auth.addresses`."""

    def __init__(
        self, clock: Clock, countries: FindCountry | None, trusted_proxies: int | None, other_origins: OriginLog
    ) -> None:
        self._clock = clock
        self._countries = countries
        self._trusted_proxies = trusted_proxies
        self._other_origins = other_origins
        self._known: dict[str, tuple[TenantContext, Sender]] = {}

    def note(self, scope: HTTPScope, principal: Principal, client: TenantContext) -> Arrival:
        """Note the arrival of one request.

        Errors: InputRefused if its Idempotency-Key is none.
        """
        now = self._clock()
        return Arrival(
            key_id=UUID(principal.key_id.bytes),
            received_at=now,
            oldest=client.oldest(now),
            accepts_chat=client.accepts_chat,
            idempotency_key=_idempotency_key(scope),
            sender=self._sender(scope, principal, client),
            schemas=client.schemas,
        )

    def note_refused(self, scope: HTTPScope, principal: Principal) -> None:
        """Note that a request came from none of its key's origins."""
        self._other_origins.note(principal.key_id, header(scope, b"origin"))

    def _sender(self, scope: HTTPScope, principal: Principal, client: TenantContext) -> Sender:
        sender = self._of_client(client)
        if principal.kind is not KeyKind.BROWSER:
            return sender
        agent = _text(header(scope, b"user-agent"))[:MAX_AGENT]
        address = client_address(scope, self._trusted_proxies)
        if address == UNKNOWN:
            return msgspec.structs.replace(sender, is_browser=True, agent=agent)
        subject = subject_of(address, agent, host_of(_text(header(scope, b"origin"))))
        return msgspec.structs.replace(sender, is_browser=True, agent=agent, address=address, subject=subject)

    def _of_client(self, client: TenantContext) -> Sender:
        known = self._known.get(client.tenant_id)
        if known is None or known[0] is not client:
            known = self._known[client.tenant_id] = client, sender_of(client, self._countries)
        return known[1]


def _text(value: bytes | None) -> str:
    return "" if value is None else value.decode("latin-1")


def _idempotency_key(scope: HTTPScope) -> str | None:
    value = header(scope, b"idempotency-key")
    if value is None:
        return None
    if not 1 <= len(value) <= MAX_IDEMPOTENCY_KEY:
        raise InputRefused("An Idempotency-Key has 1 to 255 characters.", field="Idempotency-Key")
    return value.decode("latin-1")
