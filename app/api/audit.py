"""Tell what was done to a client, by whom and when."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from litestar import Router, get
from litestar.di import NamedDependency
from sqlalchemy import select

from app.api.dependencies import DEPENDENCIES
from app.api.pages import Cursor, Limit, Page, decode_cursor, page_of
from tenants.control import ControlPlane
from tenants.models import AuditEntry, Client


class Audited(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of the audit log."""

    id: int
    at: datetime
    actor: Annotated[str, msgspec.Meta(description="Who did it.", examples=["key:5f0c…"])]
    action: Annotated[str, msgspec.Meta(description="What was done.", examples=["key.created"])]
    detail: dict[str, Any]
    request_id: str | None


def show_entry(row: AuditEntry) -> Audited:
    """Show a stored entry."""
    return Audited(
        id=row.id, at=row.at, actor=row.actor, action=row.action, detail=row.detail, request_id=row.request_id
    )


@get(
    "/api/v1/clients/{client_id:str}/audit",
    tags=["Clients"],
    summary="List what was done to a client",
    description="Newest first.",
)
async def list_audit(
    managed: NamedDependency[Client],
    control: NamedDependency[ControlPlane],
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Page[Audited]:
    """Answer with a page of the client's audit log."""
    before = decode_cursor(cursor, int)
    # A former client of the same id is nobody's business but the platform's database.
    query = select(AuditEntry).where(AuditEntry.client_id == managed.id, AuditEntry.at >= managed.created_at)
    if before is not None:
        query = query.where(AuditEntry.id < before)
    async with control.session() as session:
        rows = (await session.execute(query.order_by(AuditEntry.id.desc()).limit(limit + 1))).scalars().all()
    return page_of(rows, limit, show=show_entry, key=lambda row: row.id)


handlers = [Router("/", route_handlers=[list_audit], dependencies=DEPENDENCIES)]
