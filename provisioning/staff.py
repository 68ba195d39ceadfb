"""Keep the people who work at a client: invite, list, change, remove.

Called by onboarding, the routes and the CLI. What changes is told to every process by a revocation "staff": call
`RevocationFeed.announce()` after the transaction, and have Grafana reconciled.
"""

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from msgspec import UNSET
from sqlalchemy import ScalarSelect, delete, func, select, text, update
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.audit import Actor, record
from provisioning.listing import Place, oldest_first
from provisioning.requests import NewStaff, StaffChange
from provisioning.staff_links import INVITATION, RESET, drop_links, order_mail
from provisioning.validation import check_staff, check_staff_change
from tenants.errors import AlreadyTaken, NotFound, WrongState
from tenants.models import Client, Staff, StaffSession
from tenants.revocations import revoke


class StaffView(msgspec.Struct, frozen=True, kw_only=True):
    """A member of staff as it may be shown."""

    id: uuid.UUID
    email: str
    name: str
    role: str
    status: str
    created_at: datetime
    updated_at: datetime


def staff_column() -> ScalarSelect[list[dict[str, Any]]]:
    """Name a client's people within a query of clients, as they were given: `[{email, name, role}]`, by address."""
    person = func.jsonb_build_object("email", Staff.email, "name", Staff.name, "role", Staff.role)
    people = func.coalesce(func.jsonb_agg(aggregate_order_by(person, Staff.email)), text("'[]'::jsonb"))
    return select(people).where(Staff.client_id == Client.id).correlate(Client).scalar_subquery()


async def list_staff(
    session: AsyncSession, client_id: str, *, limit: int, after: Place | None = None
) -> list[StaffView]:
    """Read a client's people, oldest first.

    Shape: `after` is (created_at, id) of the last one already seen.
    """
    query = select(Staff).where(Staff.client_id == client_id)
    page = oldest_first(query, Staff.created_at, Staff.id, limit=limit, after=after)
    rows = await session.execute(page)
    return [view_staff(row) for row in rows.scalars()]


async def invite_staff(
    session: AsyncSession, client_id: str, new: NewStaff, actor: Actor, *, now: datetime
) -> StaffView:
    """Add a person, who can log in once a password is set through a link.

    Errors: InputRefused with a pointer per fault; AlreadyTaken (`/email`).
    """
    check_staff(new)
    email = new.email.lower()
    known = await session.execute(select(Staff.id).where(Staff.client_id == client_id, Staff.email == email))
    if known.first() is not None:
        raise AlreadyTaken("There is somebody with this address already.", field="/email")
    row = _add(session, client_id, new, now)
    record(session, actor, "staff.invite", client_id, staff_id=str(row.id), role=row.role)
    await session.flush()
    return view_staff(row)


async def replace_staff(
    session: AsyncSession, client_id: str, wanted: Sequence[NewStaff], actor: Actor, *, now: datetime
) -> bool:
    """Make a client's people those that are listed; tell whether that changed anything.

    Shape: who is new is invited, by mail where there is one; whose name or role differs is changed; who is left out
    is removed. The list has been judged.
    """
    rows = await session.execute(select(Staff).where(Staff.client_id == client_id).with_for_update())
    present = {row.email: row for row in rows.scalars()}
    changed = False
    for person in wanted:
        row = present.pop(person.email.lower(), None)
        if row is None:
            row = _add(session, client_id, person, now)
            record(session, actor, "staff.invite", client_id, staff_id=str(row.id), role=row.role)
            await order_mail(session, client_id, row.email, INVITATION, now=now)
            changed = True
        else:
            changed |= _change(session, row, StaffChange(name=person.name, role=person.role), actor, now)
    for row in present.values():
        await _remove(session, row, actor)
        changed = True
    await session.flush()
    return changed


async def change_staff(
    session: AsyncSession, client_id: str, staff_id: uuid.UUID, change: StaffChange, actor: Actor, *, now: datetime
) -> StaffView:
    """Change what is given; whoever is disabled is logged out everywhere, and so is whose role changes.

    Errors: NotFound; InputRefused.
    """
    check_staff_change(change)
    row = await get_staff(session, client_id, staff_id)
    if _change(session, row, change, actor, now) and row.status == "disabled":
        await end_access(session, row.id, now=now)
    await session.flush()
    return view_staff(row)


async def remove_staff(session: AsyncSession, client_id: str, staff_id: uuid.UUID, actor: Actor) -> None:
    """Remove a person with all sessions and links.

    Errors: NotFound.
    """
    await _remove(session, await get_staff(session, client_id, staff_id), actor)
    await session.flush()


async def link_purpose(session: AsyncSession, client_id: str, staff_id: uuid.UUID) -> tuple[Staff, str]:
    """Tell whether another link for a person is an invitation, or a reset of a password that is set.

    Errors: NotFound; WrongState for who is disabled.
    """
    row = await get_staff(session, client_id, staff_id)
    if row.status == "disabled":
        raise WrongState("Nobody who is disabled is sent a link.")
    return row, INVITATION if row.status == "invited" else RESET


async def end_access(session: AsyncSession, staff_id: uuid.UUID, *, now: datetime) -> None:
    """End all sessions and links of a person, in every process."""
    open_ones = update(StaffSession).where(StaffSession.staff_id == staff_id, StaffSession.revoked_at.is_(None))
    await session.execute(open_ones.values(revoked_at=now))
    await drop_links(session, staff_id)
    revoke(session, "staff", str(staff_id))


async def get_staff(session: AsyncSession, client_id: str, staff_id: uuid.UUID) -> Staff:
    """Read and lock a person of a client.

    Errors: NotFound, also for somebody of another client.
    """
    row = await session.get(Staff, staff_id, with_for_update=True, populate_existing=True)
    if row is None or row.client_id != client_id:
        raise NotFound("No such member of staff.")
    return row


def view_staff(row: Staff) -> StaffView:
    """Show a person; never the password's hash."""
    return StaffView(
        id=row.id, email=row.email, name=row.name, role=row.role, status=row.status, created_at=row.created_at,
        updated_at=row.updated_at,
    )  # fmt: skip


def _add(session: AsyncSession, client_id: str, new: NewStaff, now: datetime) -> Staff:
    row = Staff(
        id=uuid.uuid4(), client_id=client_id, email=new.email.lower(), name=new.name, role=new.role,
        status="invited", created_at=now, updated_at=now,
    )  # fmt: skip
    session.add(row)
    return row


def _change(session: AsyncSession, row: Staff, change: StaffChange, actor: Actor, now: datetime) -> bool:
    """Change a row; a person without a password who is enabled again is invited as before."""
    enabled = "active" if row.password_hash is not None else "invited"
    wanted = {
        "name": change.name,
        "role": change.role,
        "status": enabled if change.status == "active" else change.status,
    }
    changed = [name for name, value in wanted.items() if value is not UNSET and value != getattr(row, name)]
    for name in changed:
        setattr(row, name, wanted[name])
    if changed:
        row.updated_at = now
        revoke(session, "staff", str(row.id))
        record(session, actor, "staff.change", row.client_id, staff_id=str(row.id), changed=changed)
    return bool(changed)


async def _remove(session: AsyncSession, row: Staff, actor: Actor) -> None:
    await session.execute(delete(Staff).where(Staff.id == row.id))
    revoke(session, "staff", str(row.id))
    record(session, actor, "staff.remove", row.client_id, staff_id=str(row.id))
