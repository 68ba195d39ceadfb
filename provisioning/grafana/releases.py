"""Versions of the dashboards' templates: kept, tried by some clients, offered to all, gone back to.

Called by the dashboards' module, and by `grove grafana upgrade`. A version's files need not be there any more.
"""

import hashlib

import msgspec
from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.audit import Actor, record
from provisioning.templates import Templates
from tenants.errors import NotFound
from tenants.models import Client, TemplateRelease


async def templates_of(session: AsyncSession, version: int | None, *, shipped: Templates) -> Templates:
    """Return the templates of a version; None asks for what is offered to all.

    Errors: NotFound if there never was such a version.
    """
    await store_release(session, shipped)
    query = select(TemplateRelease.templates)
    if version is None:
        query = query.where(TemplateRelease.offered_at.is_not(None)).order_by(TemplateRelease.offered_at.desc())
    else:
        query = query.where(TemplateRelease.version == version)
    stored = (await session.scalars(query.limit(1))).first()
    if stored is None:
        raise NotFound("There is no such version of the dashboards.")
    return msgspec.convert(stored, Templates)


async def store_release(session: AsyncSession, shipped: Templates) -> None:
    """Keep the shipped version. The very first one is offered to all, later ones when somebody says so."""
    content = msgspec.to_builtins(shipped)
    digest = hashlib.sha256(msgspec.json.encode(content, order="deterministic")).hexdigest()
    kept = await session.get(TemplateRelease, shipped.version)
    if kept is not None and kept.content_hash == digest:
        return
    first = (await session.scalars(select(TemplateRelease.version).limit(1))).first() is None
    query = insert(TemplateRelease).values(
        version=shipped.version,
        templates=content,
        content_hash=digest,
        offered_at=func.clock_timestamp() if first else None,
    )
    changed = {"templates": content, "content_hash": digest}
    await session.execute(query.on_conflict_do_update(index_elements=["version"], set_=changed))


async def offer_release(session: AsyncSession, version: int, actor: Actor) -> list[str]:
    """Give a version to all clients, forwards or back; return the clients that are to be reconciled.

    Errors: NotFound.
    """
    if await session.get(TemplateRelease, version) is None:
        raise NotFound("There is no such version of the dashboards.")
    now = func.clock_timestamp()
    await session.execute(update(TemplateRelease).where(TemplateRelease.version == version).values(offered_at=now))
    await session.execute(update(Client).values(template_version=None))
    record(session, actor, "templates.offer", None, version=version)
    return await _unscoped_open_clients(session)


async def try_release(session: AsyncSession, version: int, count: int, actor: Actor) -> list[str]:
    """Give a version to so many clients that do not have it yet; return them."""
    chosen = [
        client_id
        for client_id in await _unscoped_open_clients(session)
        if (await session.get_one(Client, client_id)).template_version != version
    ][:count]
    await session.execute(update(Client).where(Client.id.in_(chosen)).values(template_version=version))
    record(session, actor, "templates.try", None, version=version, clients=chosen)
    return chosen


async def _unscoped_open_clients(session: AsyncSession) -> list[str]:
    query = select(Client.id).where(Client.status.in_(("active", "suspended"))).order_by(Client.id)
    return list((await session.scalars(query)).all())
