"""Make, change, rotate and delete webhook sources.

Called by `app.api.sources` once it is known whose sources the caller may keep.
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
from app.ingest.hooks.receiver import HOOK_PATH
from app.settings import Settings
from provisioning.audit import Actor
from provisioning.hooks.requests import SecretChange, SourceChange, SourceRequest
from provisioning.hooks.store import (
    SourceView,
    change_source,
    create_source,
    delete_source,
    get_source_row,
    list_sources,
    rotate_source,
    view_source,
)
from tenants.clock import Clock
from tenants.control import ControlPlane
from tenants.revocations import RevocationFeed
from tenants.vault import Vault


class ShownSource(SourceView, frozen=True, kw_only=True):
    """A webhook source with its address."""

    url: Annotated[
        str,
        Meta(
            description="Where it delivers.",
            examples=["https://grove.example/hooks/0f8b9a3e-7c2d-4a51-9a2b-3c6d8e1f2a47"],
        ),
    ]


class SourceDesk:
    """Does what one caller asks about a client's webhook sources."""

    def __init__(
        self,
        control: NamedDependency[ControlPlane],
        settings: NamedDependency[Settings],
        vault: NamedDependency[Vault],
        feed: NamedDependency[RevocationFeed],
        clock: NamedDependency[Clock],
        actor: NamedDependency[Actor],
    ) -> None:
        self._control = control
        self._settings = settings
        self._vault = vault
        self._feed = feed
        self._clock = clock
        self._actor = actor

    async def list(self, client_id: str, limit: int, cursor: str | None) -> Page[ShownSource]:
        """Show a page of sources, oldest first."""
        after = decode_cursor(cursor, tuple[datetime, UUID])
        async with self._control.session() as session:
            rows = await list_sources(session, client_id, limit=limit + 1, after=after)
        return page_of(rows, limit, show=self._show, key=lambda row: (row.created_at, row.id))

    async def get(self, client_id: str, source_id: UUID) -> ShownSource:
        """Show a source.

        Errors: NotFound.
        """
        async with self._control.session() as session:
            return self._show(view_source(await get_source_row(session, client_id, source_id)))

    async def create(self, client_id: str, wanted: SourceRequest, idempotency: Idempotency) -> Response[ShownSource]:
        """Make a source, once for each Idempotency-Key.

        Errors: InputRefused, WrongState.
        """
        return await self._once(
            idempotency,
            lambda session: create_source(
                session, client_id, wanted, self._actor, now=self._clock(), vault=self._vault
            ),
        )

    async def change(self, client_id: str, source_id: UUID, wanted: SourceChange) -> ShownSource:
        """Give a source other settings.

        Errors: NotFound, InputRefused.
        """
        async with self._control.session() as session:
            view = await change_source(session, client_id, source_id, wanted, self._actor, now=self._clock())
        await self._feed.announce()
        return self._show(view)

    async def rotate(
        self, client_id: str, source_id: UUID, wanted: SecretChange, idempotency: Idempotency
    ) -> Response[ShownSource]:
        """Give a source another secret, once for each Idempotency-Key.

        Errors: NotFound, InputRefused.
        """
        return await self._once(
            idempotency,
            lambda session: rotate_source(
                session, client_id, source_id, wanted, self._actor, now=self._clock(), vault=self._vault
            ),
        )

    async def delete(self, client_id: str, source_id: UUID) -> None:
        """Delete a source; its deliveries are refused in every process within a second.

        Errors: NotFound.
        """
        async with self._control.session() as session:
            await delete_source(session, client_id, source_id, self._actor)
        await self._feed.announce()

    async def _once(
        self, idempotency: Idempotency, make: Callable[[AsyncSession], Awaitable[SourceView]]
    ) -> Response[ShownSource]:
        async def make_shown(session: AsyncSession) -> ShownSource:
            return self._show(await make(session))

        return await answer_once(
            self._control,
            self._feed,
            idempotency,
            ShownSource,
            make_shown,
            secret="secret",  # noqa: S106 - a field
        )

    def _show(self, view: SourceView) -> ShownSource:
        url = self._settings.base_url + HOOK_PATH.format(source_id=view.id)
        return ShownSource(**msgspec.structs.asdict(view), url=url)
