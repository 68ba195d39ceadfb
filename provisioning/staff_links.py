"""Links with which a person sets a password: made once, used once, kept as hashes.

Called by `provisioning.staff`, by the pages behind the links and by the worker that sends them.
"""

import hashlib
import secrets
import uuid
from datetime import datetime, timedelta

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from tenants.errors import NotFound
from tenants.models import OneTimeToken, OutgoingMail, Staff

INVITATION, RESET = "invitation", "reset"
LIFETIMES = {INVITATION: timedelta(days=7), RESET: timedelta(hours=1)}
_TOKEN_BYTES = 32
_MAX_TOKEN = 100


async def make_link(
    session: AsyncSession, staff_id: uuid.UUID, purpose: str, *, now: datetime, replace: bool = True
) -> str:
    """Make a link's token, which is kept nowhere; with `replace`, those made before for the same purpose end."""
    if replace:
        await drop_links(session, staff_id, purpose)
    token = secrets.token_urlsafe(_TOKEN_BYTES)
    session.add(
        OneTimeToken(
            hash=_hash(token), staff_id=staff_id, purpose=purpose, created_at=now, expires_at=now + LIFETIMES[purpose]
        )
    )
    await session.flush()
    return token


async def read_link(session: AsyncSession, client_id: str, purpose: str, token: str, *, now: datetime) -> Staff:
    """Find whose link it is, and keep any other from using it within this transaction.

    Errors: NotFound if it is none, is another client's, was used, or is too old.
    """
    query = (
        select(OneTimeToken, Staff)
        .join(Staff)
        .where(
            OneTimeToken.hash == _hash(token[:_MAX_TOKEN]), OneTimeToken.purpose == purpose,
            OneTimeToken.used_at.is_(None), OneTimeToken.expires_at > now,
            Staff.client_id == client_id, Staff.status != "disabled",
        )
        .with_for_update()
    )  # fmt: skip
    row = (await session.execute(query)).one_or_none()
    if row is None:
        raise NotFound("This link does not work, or not any more.")
    return row[1]


async def drop_links(session: AsyncSession, staff_id: uuid.UUID, purpose: str | None = None) -> None:
    """End a person's links, of one purpose or all."""
    query = update(OneTimeToken).where(OneTimeToken.staff_id == staff_id, OneTimeToken.used_at.is_(None))
    if purpose is not None:
        query = query.where(OneTimeToken.purpose == purpose)
    await session.execute(query.values(used_at=func.now()))


async def erase_link(session: AsyncSession, token: str) -> None:
    """Erase a link that reached nobody, as if it had not been made. For the administrator's login."""
    await session.execute(delete(OneTimeToken).where(OneTimeToken.hash == _hash(token)))


async def order_mail(session: AsyncSession, client_id: str, email: str, purpose: str, *, now: datetime) -> None:
    """Have a link sent; ordered twice, it is sent once. Nothing tells whether there is such a person."""
    order = insert(OutgoingMail).values(
        client_id=client_id, email=email.lower(), purpose=purpose, created_at=now, not_before=now
    )
    await session.execute(order.on_conflict_do_nothing())


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
