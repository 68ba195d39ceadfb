"""Invite, change and remove a client's people, give them links, and have Grafana follow.

Called by `app.api.staff` once it is known whose people the caller may manage, and by `grove staff`.
"""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec
from litestar.di import NamedDependency
from msgspec import Meta
from sqlalchemy.ext.asyncio import AsyncSession

from app.api.dispatch import Doorbell
from app.api.idempotency import Idempotency, make_once
from app.api.pages import Page, decode_cursor, page_of
from app.client_urls import staff_url
from app.settings import Settings
from provisioning.audit import Actor, record
from provisioning.grafana.orders import follow_change
from provisioning.requests import NewStaff, StaffChange
from provisioning.staff import StaffView, change_staff, invite_staff, link_purpose, list_staff, remove_staff, view_staff
from provisioning.staff_links import INVITATION, LIFETIMES, drop_links, make_link, order_mail
from tenants.clock import Clock
from tenants.control import ControlPlane
from tenants.models import Client
from tenants.revocations import RevocationFeed


class StaffLink(msgspec.Struct, frozen=True, kw_only=True):
    """A link with which a person sets a password, once; hand it to nobody else."""

    purpose: Annotated[str, Meta(description="invitation or reset", examples=["invitation"])]
    url: Annotated[str, Meta(examples=["https://grove.example/maple/invitation/…"])]
    expires_at: datetime


class InvitedStaff(StaffView, frozen=True, kw_only=True):
    """A member of staff who can now set a password."""

    mailed: Annotated[bool, Meta(description="Whether the link is on its way by e-mail.")]
    link: Annotated[
        StaffLink | None, Meta(description="The link, where no mail can be sent; null in a repeated answer.")
    ] = None


class StaffDesk:
    """Does what one caller asks about a client's people."""

    def __init__(
        self,
        control: NamedDependency[ControlPlane],
        settings: NamedDependency[Settings],
        feed: NamedDependency[RevocationFeed],
        jobs: NamedDependency[Doorbell],
        clock: NamedDependency[Clock],
        actor: NamedDependency[Actor],
    ) -> None:
        self._control = control
        self._settings = settings
        self._feed = feed
        self._jobs = jobs
        self._clock = clock
        self._actor = actor

    async def list(self, client_id: str, limit: int, cursor: str | None) -> Page[StaffView]:
        """Show a page of people, oldest first."""
        after = decode_cursor(cursor, tuple[datetime, UUID])
        async with self._control.session() as session:
            people = await list_staff(session, client_id, limit=limit + 1, after=after)
        return page_of(people, limit, show=lambda one: one, key=lambda one: (one.created_at, one.id))

    async def invite(self, client: Client, new: NewStaff, idempotency: Idempotency) -> InvitedStaff:
        """Add a person, and mail or show the invitation, this once.

        Errors: InputRefused, AlreadyTaken.
        """

        async def make(session: AsyncSession) -> InvitedStaff:
            person = await invite_staff(session, client.id, new, self._actor, now=self._clock())
            return await self._give_link(session, client.id, person, INVITATION)

        return await self._once(client, idempotency, make)

    async def invite_again(self, client: Client, staff_id: UUID, idempotency: Idempotency) -> InvitedStaff:
        """Give a person another link: an invitation, or a reset for whoever has a password.

        Errors: NotFound; WrongState for who is disabled.
        """

        async def make(session: AsyncSession) -> InvitedStaff:
            row, purpose = await link_purpose(session, client.id, staff_id)
            record(session, self._actor, "staff.link", client.id, staff_id=str(staff_id), purpose=purpose)
            return await self._give_link(session, client.id, view_staff(row), purpose)

        return await self._once(client, idempotency, make, follow=False)

    async def change(self, client: Client, staff_id: UUID, change: StaffChange) -> StaffView:
        """Change a person; what ends, ends in every process.

        Errors: NotFound, InputRefused.
        """
        async with self._control.session() as session:
            person = await change_staff(session, client.id, staff_id, change, self._actor, now=self._clock())
            operation_id = await self._order(session, client)
        await self._tell(operation_id)
        return person

    async def remove(self, client: Client, staff_id: UUID) -> None:
        """Remove a person.

        Errors: NotFound.
        """
        async with self._control.session() as session:
            await remove_staff(session, client.id, staff_id, self._actor)
            operation_id = await self._order(session, client)
        await self._tell(operation_id)

    async def _once(
        self, client: Client, idempotency: Idempotency, make: Callable[[AsyncSession], Awaitable[InvitedStaff]],
        *, follow: bool = True,
    ) -> InvitedStaff:  # fmt: skip
        async with self._control.session() as session:
            made, is_new = await make_once(session, idempotency, InvitedStaff, make, secret="link")  # noqa: S106 - a field
            operation_id = await self._order(session, client) if is_new and follow else None
        if is_new:
            await self._tell(operation_id)
        return made

    async def _give_link(self, session: AsyncSession, client_id: str, person: StaffView, purpose: str) -> InvitedStaff:
        """Have a link mailed, or make it to be handed over where no mail can be sent."""
        shown, now = msgspec.structs.asdict(person), self._clock()
        if self._settings.smtp_url is not None:
            # Those that were mailed before end now; a recent one would also keep a reset from being mailed.
            await drop_links(session, person.id, purpose)
            await order_mail(session, client_id, person.email, purpose, now=now)
            return InvitedStaff(**shown, mailed=True)
        token = await make_link(session, person.id, purpose, now=now)
        url = staff_url(self._settings, await session.get_one(Client, client_id), purpose, token)
        link = StaffLink(purpose=purpose, url=url, expires_at=now + LIFETIMES[purpose])
        return InvitedStaff(**shown, mailed=False, link=link)

    async def _order(self, session: AsyncSession, client: Client) -> UUID | None:
        """Have the client's Grafana follow; one that is still being made does so by itself."""
        row = await session.get_one(Client, client.id, populate_existing=True)
        return await follow_change(session, row, ["staff"], self._actor)

    async def _tell(self, operation_id: UUID | None) -> None:
        await self._feed.announce()
        if operation_id is not None:
            await self._jobs.defer_operation(operation_id)
