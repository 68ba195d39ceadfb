"""Write down who did what, in the transaction in which it is done.

Called by everything in this package that changes a client; read by `…/{id}/audit`.
"""

import msgspec
from sqlalchemy.ext.asyncio import AsyncSession

from tenants.models import AuditEntry


class Actor(msgspec.Struct, frozen=True):
    """Who asks for a change: a key (`key:<id>`), `cli`, or Grove itself (`grove`)."""

    name: str
    request_id: str | None = None


GROVE = Actor("grove")


def record(session: AsyncSession, actor: Actor, action: str, client_id: str | None, **detail: object) -> None:
    """Add an audit entry; `detail` is JSON and must hold no secrets."""
    session.add(
        AuditEntry(client_id=client_id, actor=actor.name, action=action, detail=detail, request_id=actor.request_id)
    )
