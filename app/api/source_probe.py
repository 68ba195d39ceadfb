"""Look at what webhook sources send, and try deliveries out.

Called by `app.api.sources` once it is known whose sources the caller may read.
"""

from typing import Annotated, Any
from uuid import UUID

import msgspec
from litestar.di import NamedDependency
from litestar.types import HTTPScope
from msgspec import Meta

from app.ingest.fate import foretell
from app.ingest.hooks.receiver import Receiver
from app.ingest.hooks.sources import read_source
from app.ingest.senders import Sending, find_sending
from provisioning.hooks.store import get_source_row
from tenants.clock import Clock
from tenants.control import ControlPlane
from tenants.databases import Databases
from tenants.placement import Purpose, TenantContext
from tenants.vault import Vault


class TryDelivery(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A delivery to try."""

    body: Annotated[Any, Meta(description="What the service would send.")]
    headers: Annotated[
        dict[str, str], Meta(description="Headers that matter.", examples=[{"X-Shopify-Topic": "orders/paid"}])
    ] = {}


class TriedEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event that a delivery would become, and what would become of that."""

    event: Annotated[dict[str, Any] | None, Meta(description="In our words; null: it would not become one.")]
    outcome: Annotated[str, Meta(description="stored, duplicate, quarantined or filtered.", examples=["stored"])]
    code: str | None
    pointer: str | None
    detail: str | None


class TriedDelivery(msgspec.Struct, frozen=True, kw_only=True):
    """What a delivery would become."""

    events: list[TriedEvent]


class SourceProbe:
    """Asks about a client's webhook sources."""

    def __init__(
        self,
        control: NamedDependency[ControlPlane],
        databases: NamedDependency[Databases],
        vault: NamedDependency[Vault],
        clock: NamedDependency[Clock],
        receiver: NamedDependency[Receiver],
    ) -> None:
        self._control = control
        self._databases = databases
        self._vault = vault
        self._clock = clock
        self._receiver = receiver

    async def check(self, client: TenantContext, source_id: UUID) -> Sending:
        """Tell what a source sends.

        Errors: NotFound; StoreUnavailable.
        """
        async with self._control.session() as session:
            row = await get_source_row(session, client.tenant_id, source_id)
        async with self._databases.unit(client.placement, Purpose.READ) as db:
            return await find_sending(db, [row.id], now=self._clock())

    async def rehearse(
        self, scope: HTTPScope, client: TenantContext, source_id: UUID, given: TryDelivery
    ) -> TriedDelivery:
        """Tell what a delivery would become.

        Errors: NotFound; InputRefused; StoreUnavailable.
        """
        async with self._control.session() as session:
            source = read_source(await get_source_row(session, client.tenant_id, source_id), self._vault)
        headers = {name.lower(): value for name, value in given.headers.items()}
        told, submission = self._receiver.read(scope, source, client, headers, msgspec.json.encode(given.body))
        async with self._databases.unit(client.placement, Purpose.READ) as db:
            foretold = await foretell(db, submission)
        return TriedDelivery(
            events=[
                TriedEvent(event=event, outcome=each.outcome, code=each.code, pointer=each.pointer, detail=each.detail)
                for event, each in zip(told, foretold.events, strict=True)
            ]
        )
