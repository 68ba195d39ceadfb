"""Keep webhook sources: create, list, read, change, rotate their secret, delete.

Called by the routes. What changes is told to every process by a revocation: call `RevocationFeed.announce()` after the
transaction.
"""

import base64
import secrets
import uuid
from datetime import datetime, timedelta
from typing import Annotated, Any, cast

import msgspec
from msgspec import Meta
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.audit import Actor, record
from provisioning.clients import lock_kept_client
from provisioning.hooks.addresses import make_address
from provisioning.hooks.requests import (
    Kind,
    Mapping,
    SecretChange,
    Signature,
    SourceChange,
    SourceRequest,
    secret_faults,
    source_faults,
)
from provisioning.listing import Place, oldest_first
from tenants.errors import InputRefused, NotFound, WrongState
from tenants.models import WebhookSource
from tenants.revocations import revoke
from tenants.vault import Vault

MAX_SOURCES = 100
SECRET_BYTES = 32


class SourceView(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook source; `secret` is set only when Grove just made it."""

    id: uuid.UUID
    kind: str
    name: str
    accept_test: bool
    signature: Signature | None
    mapping: Mapping | None
    has_secret: Annotated[bool, Meta(description="If not, every delivery is refused until `rotate` tells one.")]
    past_until: Annotated[datetime | None, Meta(description="Until when the secret before this one works, too.")]
    created_at: datetime
    updated_at: datetime
    secret: str | None = None


async def create_source(
    session: AsyncSession, client_id: str, wanted: SourceRequest, actor: Actor, *, now: datetime, vault: Vault
) -> SourceView:
    """Make a source, and for a generic one its secret if none is given.

    Errors: InputRefused with a pointer per fault; NotFound without the client; WrongState while it is being deleted, or
    has too many.
    """
    await lock_kept_client(session, client_id)
    _check([*source_faults(wanted.kind, wanted), *secret_faults(wanted.secret)])
    count = select(func.count()).select_from(WebhookSource).where(WebhookSource.client_id == client_id)
    if await session.scalar(count) >= MAX_SOURCES:  # type: ignore[operator]
        raise WrongState(f"A client has {MAX_SOURCES} webhook sources at most.")
    secret, made = _secret(wanted.kind, wanted.secret)
    row = WebhookSource(
        id=make_address(vault), client_id=client_id, kind=wanted.kind, created_at=now, updated_at=now,
        secret_sealed=None if secret is None else vault.seal(secret), **_columns(wanted),
    )  # fmt: skip
    session.add(row)
    await _tell(session, actor, "source.create", row, kind=row.kind)
    return view_source(row, made)


async def change_source(
    session: AsyncSession, client_id: str, source_id: uuid.UUID, wanted: SourceChange, actor: Actor, *, now: datetime
) -> SourceView:
    """Give a source other settings.

    Errors: NotFound; InputRefused with a pointer per fault.
    """
    row = await get_source_row(session, client_id, source_id, lock=True)
    _check([*source_faults(cast("Kind", row.kind), wanted)])
    for name, value in _columns(wanted).items():
        setattr(row, name, value)
    row.updated_at = now
    await _tell(session, actor, "source.change", row)
    return view_source(row)


async def rotate_source(
    session: AsyncSession, client_id: str, source_id: uuid.UUID, wanted: SecretChange, actor: Actor, *, now: datetime,
    vault: Vault,
) -> SourceView:  # fmt: skip
    """Give a source another secret; the old one works until the overlap is over.

    Errors: NotFound; InputRefused if it must be given, and is not.
    """
    _check([*secret_faults(wanted.secret)])
    row = await get_source_row(session, client_id, source_id, lock=True)
    new, made = _secret(cast("Kind", row.kind), wanted.secret)
    if new is None:
        raise InputRefused("This service makes its secrets itself: say which.", field="/secret")
    has_past = row.secret_sealed is not None and wanted.overlap_s > 0
    row.past_secret_sealed = row.secret_sealed if has_past else None
    row.past_until = now + timedelta(seconds=wanted.overlap_s) if has_past else None
    row.secret_sealed, row.updated_at = vault.seal(new), now
    await _tell(session, actor, "source.rotate", row, overlap_s=wanted.overlap_s)
    return view_source(row, made)


async def delete_source(session: AsyncSession, client_id: str, source_id: uuid.UUID, actor: Actor) -> None:
    """Delete a source; its events stay.

    Errors: NotFound.
    """
    row = await get_source_row(session, client_id, source_id, lock=True)
    await session.delete(row)
    await _tell(session, actor, "source.delete", row)


async def list_sources(
    session: AsyncSession, client_id: str, *, limit: int, after: Place | None = None
) -> list[SourceView]:
    """Read a client's sources, oldest first, from the one after (created_at, id) on."""
    query = select(WebhookSource).where(WebhookSource.client_id == client_id)
    page = oldest_first(query, WebhookSource.created_at, WebhookSource.id, limit=limit, after=after)
    rows = await session.scalars(page)
    return [view_source(row) for row in rows]


async def get_source_row(
    session: AsyncSession, client_id: str, source_id: uuid.UUID, *, lock: bool = False
) -> WebhookSource:
    """Read a source of a client, and lock it for a change.

    Errors: NotFound, also for another client's.
    """
    query = select(WebhookSource).where(WebhookSource.id == source_id, WebhookSource.client_id == client_id)
    row = (await session.scalars(query.with_for_update() if lock else query)).one_or_none()
    if row is None:
        raise NotFound("No such webhook source.")
    return row


def view_source(row: WebhookSource, secret: str | None = None) -> SourceView:
    """Show a source; its secret only where it was just made."""
    return SourceView(
        id=row.id, kind=row.kind, name=row.name, accept_test=row.accept_test, signature=signature_of(row),
        mapping=mapping_of(row), has_secret=row.secret_sealed is not None, past_until=row.past_until,
        created_at=row.created_at, updated_at=row.updated_at, secret=secret,
    )  # fmt: skip


def signature_of(row: WebhookSource) -> Signature | None:
    """Read how a generic source signs."""
    return None if row.signature is None else msgspec.convert(row.signature, Signature)


def mapping_of(row: WebhookSource) -> Mapping | None:
    """Read where a generic source has our fields."""
    return None if row.mapping is None else msgspec.convert(row.mapping, Mapping)


def _columns(wanted: SourceChange) -> dict[str, Any]:
    return {
        "name": wanted.name, "accept_test": wanted.accept_test,
        "signature": None if wanted.signature is None else msgspec.to_builtins(wanted.signature),
        "mapping": None if wanted.mapping is None else msgspec.to_builtins(wanted.mapping),
    }  # fmt: skip


def _secret(kind: Kind, given: str | None) -> tuple[str | None, str | None]:
    """Take the secret that is given, or make one in the form of Standard Webhooks; also return what was made."""
    if given is not None or kind != "generic":
        return given, None
    made = "whsec_" + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()
    return made, made


def _check(faults: list[tuple[str, str]]) -> None:
    if faults:
        raise InputRefused("The webhook source cannot be like this.", errors=faults)


async def _tell(session: AsyncSession, actor: Actor, action: str, row: WebhookSource, **detail: object) -> None:
    revoke(session, "client", row.client_id)
    record(session, actor, action, row.client_id, source_id=str(row.id), name=row.name, **detail)
    await session.flush()
