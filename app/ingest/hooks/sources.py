"""Find webhook sources by the address to which they deliver; cached until a revocation says otherwise.

Called by the receiver, which has nothing but that address and a signature.
"""

import hashlib
import hmac
from collections import OrderedDict
from datetime import datetime
from functools import partial
from uuid import UUID

import msgspec

from provisioning.hooks.addresses import is_address
from provisioning.hooks.requests import Mapping, Signature
from provisioning.hooks.store import mapping_of, signature_of
from tenants.control import ControlPlane
from tenants.ids import TenantId
from tenants.keyring import Principal
from tenants.keys import KeyKind, Scope
from tenants.models import WebhookSource
from tenants.revocations import RevocationFeed
from tenants.shared_lookups import SharedLookups
from tenants.vault import Vault

KEPT = 5_000


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook source with its secrets.

    Shape: `id_key` is its client's, so that of what two sources tell alike only one counts.
    """

    id: UUID
    client_id: TenantId
    kind: str
    accept_test: bool
    signature: Signature | None
    mapping: Mapping | None
    id_key: bytes
    secret: str | None
    past_secret: str | None = None
    past_until: datetime | None = None

    def secrets_at(self, now: datetime) -> list[str]:
        """List the secrets that work now."""
        is_past_in_use = self.past_until is not None and now < self.past_until
        secrets = (self.secret, self.past_secret if is_past_in_use else None)
        return [secret for secret in secrets if secret is not None]

    @property
    def is_untimed(self) -> bool:
        """Tell whether the time at which it sends is not signed, where what it sends is not known."""
        signature = self.signature
        return signature is not None and signature.scheme == "hmac" and signature.timestamp_header is None

    def event_id(self, what: str) -> str:
        """Make an event's id as nobody else can: who has a browser's key could take a foreseeable one first."""
        return str(UUID(bytes=hmac.digest(self.id_key, what.encode(), hashlib.sha256)[:16], version=5))

    @property
    def principal(self) -> Principal:
        """Say who is speaking: a sender of its own, that only writes."""
        scopes = frozenset({Scope.WRITE})
        return Principal(key_id=self.id, kind=KeyKind.SERVER, client_id=self.client_id, scopes=scopes)


class Sources:
    """Sources by id. One per process."""

    def __init__(self, control: ControlPlane, vault: Vault, feed: RevocationFeed) -> None:
        self._control = control
        self._vault = vault
        self._feed = feed
        self._kept: OrderedDict[UUID, Source] = OrderedDict()  # the oldest first
        self._lookups: SharedLookups[Source | None] = SharedLookups()

    async def find(self, source_id: UUID) -> Source | None:
        """Return a source, or None.

        Errors: StoreUnavailable if it must be looked up and cannot be.
        """
        kept = self._kept.get(source_id) if self._feed.fresh else None
        if kept is not None:
            return kept
        if not is_address(source_id, self._vault):
            return None
        return await self._lookups.find((source_id, self._feed.generation), partial(self._look_up, source_id))

    def forget_all(self) -> None:
        """Have every source looked up anew."""
        self._kept.clear()

    async def _look_up(self, source_id: UUID) -> Source | None:
        generation = self._feed.generation
        async with self._control.session() as session:
            row = await session.get(WebhookSource, source_id)
        found = None if row is None else read_source(row, self._vault)
        # What was read before a change arrived may be out of date: use it once, do not keep it.
        if found is not None and generation == self._feed.generation:
            self._kept[source_id] = found
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return found


def read_source(row: WebhookSource, vault: Vault) -> Source:
    """Read a source and open its secrets."""
    secret, past = (
        None if sealed is None else vault.open(sealed) for sealed in (row.secret_sealed, row.past_secret_sealed)
    )
    return Source(
        id=row.id, client_id=TenantId(row.client_id), kind=row.kind, accept_test=row.accept_test,
        signature=signature_of(row), mapping=mapping_of(row), secret=secret, past_secret=past,
        past_until=row.past_until, id_key=vault.sign("webhook event", row.client_id).encode(),
    )  # fmt: skip
