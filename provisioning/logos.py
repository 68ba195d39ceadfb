"""Keep a picture of ours for each client's `logoUrl`, so that no page of a client asks another server for anything.

Called by the workers every few seconds: whose address is new, or was looked at long ago, has its turn. What cannot be
had costs the client nothing but its picture: the pages then show its name and initial.
"""

import asyncio
import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec
import structlog
from sqlalchemy import delete, or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.outside import Outside, OutsideRefused
from provisioning.pictures import PictureRefused, Pictures, draw
from tenants.clock import Clock
from tenants.control import ControlPlane
from tenants.errors import NotFound
from tenants.models import Client, Logo
from tenants.revocations import revoke

MAX_FILE_BYTES = 2 * 1024 * 1024
MAX_HOPS = 3
AT_ONCE = 4
# A picture may change at its address; one that could not be had is tried again sooner.
LOOKED_AT_AGAIN = timedelta(days=1)
TRIED_AGAIN = timedelta(hours=1)
DIGEST_LENGTH = 16
PICTURES = ("logo.png", "icon.png")
WANTED = Client.branding["logoUrl"].astext
_OK = 200
log = structlog.get_logger()


class Due(msgspec.Struct, frozen=True):
    """An address whose picture is to be fetched."""

    client_id: str
    url: str


async def refresh_logos(control: ControlPlane, outside: Outside, clock: Clock) -> int:
    """Fetch what is due and drop what nobody wants any more; return how many clients' pages change by it."""
    async with control.session() as session:
        due = await _unscoped_due(session, now=clock())
        changed = await _unscoped_drop_unwanted(session)
    for start in range(0, len(due), AT_ONCE):
        share = due[start : start + AT_ONCE]
        found = await asyncio.gather(*(_look(outside, each.url) for each in share))
        async with control.session() as session:
            for each, one in zip(share, found, strict=True):
                changed += await _keep(session, each, one, now=clock())
    return changed


async def find_picture(session: AsyncSession, client_id: str, name: str) -> bytes:
    """Read one of the pictures, by its name in `PICTURES`.

    Errors: NotFound.
    """
    column = dict(zip(PICTURES, (Logo.logo, Logo.icon), strict=True))[name]
    content = await session.scalar(select(column).where(Logo.client_id == client_id))
    if content is None:
        raise NotFound("There is no such picture.")
    return content


async def _unscoped_due(session: AsyncSession, *, now: datetime) -> Sequence[Due]:
    known = Logo.url == WANTED
    stale = or_(
        Logo.client_id.is_(None),
        Logo.looked_at < now - LOOKED_AT_AGAIN,
        Logo.fault.is_not(None) & (Logo.looked_at < now - TRIED_AGAIN),
    )
    query = (
        select(Client.id, WANTED)
        .outerjoin(Logo, (Logo.client_id == Client.id) & known)
        .where(WANTED.is_not(None), Client.status != "deleting", stale)
        .order_by(Client.id)
    )
    return [Due(*row) for row in await session.execute(query)]


async def _unscoped_drop_unwanted(session: AsyncSession) -> int:
    unwanted = select(Client.id).where(WANTED.is_(None))
    gone = delete(Logo).where(Logo.client_id.in_(unwanted)).returning(Logo.client_id)
    clients = (await session.execute(gone)).scalars().all()
    for client_id in clients:
        revoke(session, "client", client_id)
    return len(clients)


async def _look(outside: Outside, url: str) -> Pictures | str:
    """Fetch and draw; what stands in the way is returned in words."""
    try:
        found = await outside.fetch(url, max_bytes=MAX_FILE_BYTES, hops=MAX_HOPS)
        if found.status != _OK:
            return f"the address answers with status {found.status}"
        return await asyncio.to_thread(draw, found.content)
    except (OutsideRefused, PictureRefused) as refusal:
        return str(refusal)


async def _keep(session: AsyncSession, due: Due, found: Pictures | str, *, now: datetime) -> int:
    """Store what was found; a picture that was had at this very address stays until there is another one."""
    wanted = select(WANTED).where(Client.id == due.client_id).with_for_update()
    if await session.scalar(wanted) != due.url:
        return 0
    row = await session.get(Logo, due.client_id)
    before = None if row is None or row.url != due.url else row.digest
    if row is None:
        row = Logo(client_id=due.client_id)
        session.add(row)
    if row.url != due.url:
        row.digest = row.logo = row.icon = None
    row.url, row.looked_at, row.fault = due.url, now, None
    if isinstance(found, str):
        row.fault = found
        log.warning("logo_not_had", client_id=due.client_id, fault=found)
        return 0
    row.logo, row.icon = found.logo, found.icon
    row.digest = hashlib.sha256(found.logo + found.icon).hexdigest()[:DIGEST_LENGTH]
    if row.digest == before:
        return 0
    revoke(session, "client", due.client_id)
    return 1
