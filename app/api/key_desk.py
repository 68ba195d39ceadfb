"""Make, list, rotate and revoke keys for whoever the routes say they belong to.

Called by `app.api.keys` once it is known whose keys the caller may manage.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec
from litestar import Response
from litestar.di import NamedDependency
from msgspec import UNSET, Meta, UnsetType
from sqlalchemy.ext.asyncio import AsyncSession

from app.api.idempotency import Idempotency, answer_once
from app.api.pages import Page, decode_cursor, page_of
from provisioning.audit import Actor
from provisioning.keys import KeyChange, KeyView, NewKey, change_key, create_key, list_keys, revoke_key, rotate_key
from tenants.clock import Clock
from tenants.control import ControlPlane
from tenants.revocations import RevocationFeed


class Rotation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a key is replaced."""

    overlap_s: Annotated[
        int, Meta(ge=0, le=2_592_000, description="Seconds for which the old key still works.", examples=[3600])
    ] = 86_400
    expires_at: (
        Annotated[datetime, Meta(tz=True, description="When the successor ends; left out: when the old key would.")]
        | UnsetType
        | None
    ) = UNSET


class KeyDesk:
    """Does what one caller asks about keys. `owner` is a client's id, or None for the platform."""

    def __init__(
        self,
        control: NamedDependency[ControlPlane],
        feed: NamedDependency[RevocationFeed],
        clock: NamedDependency[Clock],
        actor: NamedDependency[Actor],
    ) -> None:
        self._control = control
        self._feed = feed
        self._clock = clock
        self._actor = actor

    async def create(self, new: NewKey, idempotency: Idempotency) -> Response[KeyView]:
        """Make a key and answer with it, this once.

        Errors: InputRefused.
        """
        return await self._once(idempotency, lambda session: create_key(session, new, self._actor, now=self._clock()))

    async def rotate(
        self, owner: str | None, key_id: UUID, rotation: Rotation, idempotency: Idempotency
    ) -> Response[KeyView]:
        """Make a key's successor and answer with it, this once.

        Errors: NotFound, WrongState, InputRefused.
        """
        return await self._once(
            idempotency,
            lambda session: rotate_key(
                session,
                owner,
                key_id,
                self._actor,
                now=self._clock(),
                overlap_s=rotation.overlap_s,
                expires_at=rotation.expires_at,
            ),
        )

    async def list(self, owner: str | None, limit: int, cursor: str | None) -> Page[KeyView]:
        """Show a page of keys, oldest first."""
        after = decode_cursor(cursor, tuple[datetime, UUID])
        async with self._control.session() as session:
            keys = await list_keys(session, owner, limit=limit + 1, after=after)
        return page_of(keys, limit, show=lambda key: key, key=lambda key: (key.created_at, key.id))

    async def change(self, client_id: str, key_id: UUID, change: KeyChange) -> KeyView:
        """Change a client's key.

        Errors: NotFound, InputRefused.
        """
        async with self._control.session() as session:
            changed = await change_key(session, client_id, key_id, change, self._actor)
        await self._feed.announce()
        return changed

    async def revoke(self, owner: str | None, key_id: UUID) -> None:
        """End a key now.

        Errors: NotFound.
        """
        async with self._control.session() as session:
            await revoke_key(session, owner, key_id, self._actor, now=self._clock())
        await self._feed.announce()

    async def _once(
        self, idempotency: Idempotency, make: Callable[[AsyncSession], Awaitable[KeyView]]
    ) -> Response[KeyView]:
        return await answer_once(self._control, self._feed, idempotency, KeyView, make, secret="key")  # noqa: S106 - a field
