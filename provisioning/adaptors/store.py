"""Keep adaptors, each with a browser key of its own: create, list, read, change, rotate, delete.

Called by the routes. What changes is told to every process by a revocation: call `RevocationFeed.announce()` after the
transaction.
"""

import secrets
import string
import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.adaptors.requests import AdaptorRequest, TrackingRules, adaptor_faults, all_origins
from provisioning.audit import Actor, record
from provisioning.clients import lock_kept_client
from provisioning.keys import NewKey, new_key_row, revoke_key
from provisioning.listing import Place, oldest_first
from tenants.errors import InputRefused, NotFound, WrongState
from tenants.keys import KeyKind
from tenants.models import AdaptorRow, ApiKey, Client, EventSchemaRow
from tenants.revocations import revoke
from tenants.vault import Vault

MAX_ADAPTORS = 200
ID_LENGTH = 20
_LETTERS = string.ascii_letters + string.digits


class AdaptorView(msgspec.Struct, frozen=True, kw_only=True):
    """An adaptor."""

    id: uuid.UUID
    name: str
    schema_id: uuid.UUID | None
    website_url: str
    origins: Annotated[list[str], Meta(description="From where it may send, that of the site first.")]
    privacy: str
    tracking_rules: TrackingRules
    script: str | None
    container_id: Annotated[str, Meta(description="What the tag's address is made of.", examples=["Zk3…"])]
    key_id: Annotated[uuid.UUID, Meta(description="The browser key of its own, which the tag brings along.")]
    created_at: datetime
    updated_at: datetime


async def create_adaptor(
    session: AsyncSession, client_id: str, wanted: AdaptorRequest, actor: Actor, *, now: datetime, vault: Vault
) -> AdaptorView:
    """Make an adaptor and its key.

    Errors: InputRefused with a pointer per fault; NotFound without the client; WrongState while it is being deleted, or
    has too many.
    """
    await lock_kept_client(session, client_id)
    schema_id = await _check(session, client_id, wanted)
    count = select(func.count()).select_from(AdaptorRow).where(AdaptorRow.client_id == client_id)
    if await session.scalar(count) >= MAX_ADAPTORS:  # type: ignore[operator]
        raise WrongState(f"A client has {MAX_ADAPTORS} adaptors at most.")
    origins = all_origins(wanted)
    key, text = _new_key(client_id, wanted.name, origins, now)
    session.add(key)
    await session.flush()
    row = AdaptorRow(
        id=uuid.uuid4(), client_id=client_id, container_id=_container_id(), key_id=key.id, key_sealed=vault.seal(text),
        past_key_ids=[], created_at=now, updated_at=now, **_columns(wanted, schema_id, origins),
    )  # fmt: skip
    session.add(row)
    await _tell(session, actor, "adaptor.create", row)
    return view_adaptor(row)


async def change_adaptor(
    session: AsyncSession, client_id: str, adaptor_id: uuid.UUID, wanted: AdaptorRequest, actor: Actor, *, now: datetime
) -> AdaptorView:
    """Give an adaptor other settings; its key goes by its origins at once.

    Errors: NotFound; InputRefused with a pointer per fault.
    """
    row = await get_adaptor_row(session, client_id, adaptor_id, lock=True)
    schema_id = await _check(session, client_id, wanted)
    origins = all_origins(wanted)
    for name, value in _columns(wanted, schema_id, origins).items():
        setattr(row, name, value)
    row.updated_at = now
    for key in await session.scalars(select(ApiKey).where(ApiKey.id.in_([row.key_id, *row.past_key_ids]))):
        key.origins = origins
        revoke(session, "key", str(key.id))
    await _tell(session, actor, "adaptor.change", row)
    return view_adaptor(row)


async def rotate_adaptor(
    session: AsyncSession, client_id: str, adaptor_id: uuid.UUID, actor: Actor, *, now: datetime, overlap_s: int,
    vault: Vault,
) -> AdaptorView:  # fmt: skip
    """Give an adaptor another key; the old one ends after the overlap, in which browsers still have the old tag.

    Errors: NotFound.
    """
    row = await get_adaptor_row(session, client_id, adaptor_id, lock=True)
    old = await session.get_one(ApiKey, row.key_id, with_for_update=True)
    key, text = _new_key(client_id, row.name, row.origins, now)
    session.add(key)
    await session.flush()
    ends_at = now + timedelta(seconds=overlap_s)
    old.expires_at = ends_at if old.expires_at is None else min(old.expires_at, ends_at)
    old.replaced_by = key.id
    row.past_key_ids = [*row.past_key_ids, old.id]
    row.key_id, row.key_sealed, row.updated_at = key.id, vault.seal(text), now
    revoke(session, "key", str(old.id))
    await _tell(session, actor, "adaptor.rotate", row, overlap_s=overlap_s)
    return view_adaptor(row)


async def delete_adaptor(
    session: AsyncSession, client_id: str, adaptor_id: uuid.UUID, actor: Actor, *, now: datetime
) -> None:
    """Delete an adaptor and revoke its keys; its events stay.

    Errors: NotFound.
    """
    row = await get_adaptor_row(session, client_id, adaptor_id, lock=True)
    await session.delete(row)
    for key_id in (row.key_id, *row.past_key_ids):
        await revoke_key(session, client_id, key_id, actor, now=now)
    await _tell(session, actor, "adaptor.delete", row)


async def list_adaptors(
    session: AsyncSession, client_id: str, *, limit: int, after: Place | None = None
) -> list[AdaptorView]:
    """Read a client's adaptors, oldest first, from the one after (created_at, id) on."""
    query = select(AdaptorRow).where(AdaptorRow.client_id == client_id)
    page = oldest_first(query, AdaptorRow.created_at, AdaptorRow.id, limit=limit, after=after)
    rows = await session.scalars(page)
    return [view_adaptor(row) for row in rows]


async def adaptors_of_schema(session: AsyncSession, schema_id: uuid.UUID) -> Sequence[AdaptorRow]:
    """List the adaptors that use a schema, by name."""
    query = select(AdaptorRow).where(AdaptorRow.schema_id == schema_id).order_by(AdaptorRow.name, AdaptorRow.id)
    return (await session.scalars(query)).all()


async def get_adaptor_row(
    session: AsyncSession, client_id: str, adaptor_id: uuid.UUID, *, lock: bool = False
) -> AdaptorRow:
    """Read an adaptor of a client, and lock it for a change.

    Errors: NotFound, also for another client's.
    """
    query = select(AdaptorRow).where(AdaptorRow.id == adaptor_id, AdaptorRow.client_id == client_id)
    row = (await session.scalars(query.with_for_update() if lock else query)).one_or_none()
    if row is None:
        raise NotFound("No such adaptor.")
    return row


def view_adaptor(row: AdaptorRow) -> AdaptorView:
    """Show an adaptor; never its key."""
    return AdaptorView(
        id=row.id, name=row.name, schema_id=row.schema_id, website_url=row.website_url, origins=row.origins,
        privacy=row.privacy, tracking_rules=msgspec.convert(row.tracking_rules, TrackingRules), script=row.script,
        container_id=row.container_id, key_id=row.key_id, created_at=row.created_at, updated_at=row.updated_at,
    )  # fmt: skip


async def _check(session: AsyncSession, client_id: str, wanted: AdaptorRequest) -> uuid.UUID | None:
    """Judge what is wanted, and return its schema's id."""
    faults = [*adaptor_faults(wanted), *await _host_faults(session, wanted)]
    schema = None
    if wanted.schema_id is not None:
        query = select(EventSchemaRow).where(
            EventSchemaRow.id == wanted.schema_id, EventSchemaRow.client_id == client_id
        )
        schema = (await session.scalars(query.with_for_update(read=True))).one_or_none()
        if schema is None:
            faults.append(("/schema_id", "There is no such schema."))
    if faults:
        raise InputRefused("The adaptor cannot be like this.", errors=faults)
    return None if schema is None else schema.id


async def _host_faults(session: AsyncSession, wanted: AdaptorRequest) -> list[tuple[str, str]]:
    """Refuse hosts on which Grove's own pages are: no site's script has a place there."""
    hosts = [urlsplit(origin).hostname for origin in all_origins(wanted)]
    served = await session.scalars(select(Client.domain_proven).where(Client.domain_proven.in_(hosts)))
    return [("/website_url", f"{host} is where Grove's own pages are.") for host in served]


def _columns(wanted: AdaptorRequest, schema_id: uuid.UUID | None, origins: list[str]) -> dict[str, Any]:
    return {
        "name": wanted.name, "website_url": wanted.website_url, "origins": origins, "privacy": wanted.privacy,
        "tracking_rules": msgspec.to_builtins(wanted.tracking_rules), "script": wanted.script or None,
        "schema_id": schema_id,
    }  # fmt: skip


def _new_key(client_id: str, name: str, origins: Sequence[str], now: datetime) -> tuple[ApiKey, str]:
    new = NewKey(kind=KeyKind.BROWSER, client_id=client_id, name=f"tag of {name}"[:200], origins=origins)
    return new_key_row(new, now=now)


def _container_id() -> str:
    """Make an opaque id: 20 random letters and digits (119 bits)."""
    return "".join(secrets.choice(_LETTERS) for _ in range(ID_LENGTH))


async def _tell(session: AsyncSession, actor: Actor, action: str, row: AdaptorRow, **detail: object) -> None:
    revoke(session, "client", row.client_id)
    record(session, actor, action, row.client_id, adaptor_id=str(row.id), name=row.name, **detail)
    await session.flush()
