"""Make, change, rotate and delete adaptors, and look at what their tags send.

Called by `app.api.adaptors` once it is known whose adaptors the caller may keep.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec
from litestar import Response
from litestar.di import NamedDependency
from msgspec import Meta
from sqlalchemy.ext.asyncio import AsyncSession

from app.api.idempotency import Idempotency, answer_once
from app.api.pages import Page, decode_cursor, page_of
from app.ingest.other_origins import OriginLog
from app.ingest.senders import Sending, find_sending
from app.settings import Settings
from provisioning.adaptors.requests import AdaptorRequest, all_origins, origin_of
from provisioning.adaptors.store import (
    AdaptorView,
    change_adaptor,
    create_adaptor,
    delete_adaptor,
    get_adaptor_row,
    list_adaptors,
    rotate_adaptor,
    view_adaptor,
)
from provisioning.audit import Actor
from tenants.clock import Clock
from tenants.control import ControlPlane
from tenants.databases import Databases
from tenants.errors import InputRefused
from tenants.placement import Purpose, TenantContext
from tenants.revocations import RevocationFeed
from tenants.vault import Vault


class ShownAdaptor(AdaptorView, frozen=True, kw_only=True):
    """An adaptor with its tag."""

    tag_url: Annotated[str, Meta(examples=["https://grove.example/tag/Zk3….js"])]
    snippet: Annotated[
        str,
        Meta(
            description="The line for the site's pages.",
            examples=['<script async src="https://grove.example/tag/Zk3….js"></script>'],
        ),
    ]


class AdaptorDesk:
    """Does what one caller asks about a client's adaptors."""

    def __init__(
        self,
        control: NamedDependency[ControlPlane],
        databases: NamedDependency[Databases],
        settings: NamedDependency[Settings],
        vault: NamedDependency[Vault],
        feed: NamedDependency[RevocationFeed],
        clock: NamedDependency[Clock],
        actor: NamedDependency[Actor],
    ) -> None:
        self._control = control
        self._databases = databases
        self._settings = settings
        self._vault = vault
        self._feed = feed
        self._clock = clock
        self._actor = actor

    async def list(self, client_id: str, limit: int, cursor: str | None) -> Page[ShownAdaptor]:
        """Show a page of adaptors, oldest first."""
        after = decode_cursor(cursor, tuple[datetime, UUID])
        async with self._control.session() as session:
            rows = await list_adaptors(session, client_id, limit=limit + 1, after=after)
        return page_of(rows, limit, show=self._show, key=lambda row: (row.created_at, row.id))

    async def get(self, client_id: str, adaptor_id: UUID) -> ShownAdaptor:
        """Show an adaptor.

        Errors: NotFound.
        """
        async with self._control.session() as session:
            return self._show(view_adaptor(await get_adaptor_row(session, client_id, adaptor_id)))

    async def create(self, client_id: str, wanted: AdaptorRequest, idempotency: Idempotency) -> Response[ShownAdaptor]:
        """Make an adaptor, once for each Idempotency-Key.

        Errors: InputRefused, WrongState.
        """
        self._check_origins(wanted)
        return await self._once(
            idempotency,
            lambda session: create_adaptor(
                session, client_id, wanted, self._actor, now=self._clock(), vault=self._vault
            ),
        )

    async def change(self, client_id: str, adaptor_id: UUID, wanted: AdaptorRequest) -> ShownAdaptor:
        """Give an adaptor other settings.

        Errors: NotFound, InputRefused.
        """
        self._check_origins(wanted)
        async with self._control.session() as session:
            view = await change_adaptor(session, client_id, adaptor_id, wanted, self._actor, now=self._clock())
        await self._feed.announce()
        return self._show(view)

    async def rotate(
        self, client_id: str, adaptor_id: UUID, overlap_s: int, idempotency: Idempotency
    ) -> Response[ShownAdaptor]:
        """Give an adaptor another key, once for each Idempotency-Key.

        Errors: NotFound.
        """
        return await self._once(
            idempotency,
            lambda session: rotate_adaptor(
                session, client_id, adaptor_id, self._actor, now=self._clock(), overlap_s=overlap_s, vault=self._vault
            ),
        )

    async def delete(self, client_id: str, adaptor_id: UUID) -> None:
        """Delete an adaptor; its key is out in every process within a second.

        Errors: NotFound.
        """
        async with self._control.session() as session:
            await delete_adaptor(session, client_id, adaptor_id, self._actor, now=self._clock())
        await self._feed.announce()

    async def check(self, client: TenantContext, adaptor_id: UUID, other_origins: OriginLog) -> Sending:
        """Tell what an adaptor's tag sends.

        Errors: NotFound; StoreUnavailable.
        """
        async with self._control.session() as session:
            row = await get_adaptor_row(session, client.tenant_id, adaptor_id)
        key_ids = [row.key_id, *row.past_key_ids]
        others = await other_origins.find(key_ids)
        async with self._databases.unit(client.placement, Purpose.READ) as db:
            sending = await find_sending(db, key_ids, now=self._clock())
        return msgspec.structs.replace(sending, other_origins=others)

    async def _once(
        self, idempotency: Idempotency, make: Callable[[AsyncSession], Awaitable[AdaptorView]]
    ) -> Response[ShownAdaptor]:
        async def make_shown(session: AsyncSession) -> ShownAdaptor:
            return self._show(await make(session))

        return await answer_once(self._control, self._feed, idempotency, ShownAdaptor, make_shown)

    def _show(self, view: AdaptorView) -> ShownAdaptor:
        url = f"{self._settings.base_url}/tag/{view.container_id}.js"
        snippet = f'<script async src="{url}"></script>'
        return ShownAdaptor(**msgspec.structs.asdict(view), tag_url=url, snippet=snippet)

    def _check_origins(self, wanted: AdaptorRequest) -> None:
        """Refuse Grove's own address: no site's script has a place there."""
        if origin_of(self._settings.base_url) in all_origins(wanted):
            raise InputRefused("This is where Grove's own pages are.", field="/website_url")
