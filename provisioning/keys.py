"""Keep API keys: create, list, rotate with overlap, revoke, and the platform's first.

Called by the routes, the CLI, bootstrap and onboarding. What changes is told to every process by a revocation: call
`RevocationFeed.announce()` after the transaction.
"""

import re
import uuid
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.audit import Actor, record
from provisioning.listing import Place, oldest_first
from provisioning.validation import allowance_faults
from tenants.errors import InputRefused, NotFound, WrongState
from tenants.keys import SCOPES, KeyKind, hash_key, mint_key
from tenants.models import AdaptorRow, ApiKey, Client
from tenants.revocations import revoke

MAX_OVERLAP_S = 30 * 86_400
MAX_ORIGINS = 50
MAX_NAME = 200
_HINT = 4
_ORIGIN = re.compile(
    r"(?P<scheme>https?)://(?:[a-z0-9](?:[a-z0-9_.-]{0,251}[a-z0-9])?|\[[0-9a-f:.]{2,45}\])(?::(?P<port>[0-9]{1,5}))?",
    re.ASCII,
)
_DEFAULT_PORTS = {"http": 80, "https": 443}


class KeyView(msgspec.Struct, frozen=True, kw_only=True):
    """A key as it may be shown. `hint` is its beginning and its last characters; `key` is set only when just made."""

    id: uuid.UUID
    client_id: str | None
    kind: str
    name: str
    hint: str
    scopes: list[str]
    origins: list[str]
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None
    replaced_by: uuid.UUID | None = None
    rate_limit: int | None = None
    rate_burst: int | None = None
    monthly_quota: int | None = None
    key: str | None = None


class NewKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key to make. `client_id` None makes a platform key; `origins` are for browser keys only."""

    kind: KeyKind
    client_id: str | None
    name: str = ""
    origins: Sequence[str] = ()
    expires_at: datetime | None = None
    rate_limit: int | None = None
    rate_burst: int | None = None
    monthly_quota: int | None = None


class KeyChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to change about a key; what is left out stays, null takes a limit away."""

    name: Annotated[str, Meta(description="What the key is for.", max_length=MAX_NAME)] | UnsetType = UNSET
    rate_limit: Annotated[int, Meta(description="Events per second in the long run.")] | UnsetType | None = UNSET
    rate_burst: Annotated[int, Meta(description="Events at once.")] | UnsetType | None = UNSET
    monthly_quota: Annotated[int, Meta(description="Events per month (UTC).")] | UnsetType | None = UNSET


async def create_key(session: AsyncSession, new: NewKey, actor: Actor, *, now: datetime) -> KeyView:
    """Make a key; `key` of the answer is the only place where it can ever be read.

    Errors: InputRefused (`/kind`, `/name`, `/origins/<i>`, `/expires_at`); NotFound without the client; WrongState
    while it is being deleted.
    """
    _check(new, now)
    await _require_kept(session, new.client_id)
    row, key = new_key_row(new, now=now)
    session.add(row)
    record(session, actor, "key.create", new.client_id, key_id=str(row.id), kind=new.kind.name.lower(), name=new.name)
    await session.flush()
    return _view(row, key)


async def list_keys(
    session: AsyncSession, client_id: str | None, *, limit: int, after: Place | None = None
) -> list[KeyView]:
    """Read a client's keys (None: the platform's), oldest first, revoked ones too.

    Shape: `after` is (created_at, id) of the last one already seen.
    """
    query = select(ApiKey).where(ApiKey.client_id.is_(None) if client_id is None else ApiKey.client_id == client_id)
    page = oldest_first(query, ApiKey.created_at, ApiKey.id, limit=limit, after=after)
    rows = await session.execute(page)
    return [_view(row) for row in rows.scalars()]


async def rotate_key(
    session: AsyncSession,
    client_id: str | None,
    key_id: uuid.UUID,
    actor: Actor,
    *,
    now: datetime,
    overlap_s: int,
    expires_at: datetime | UnsetType | None = UNSET,
) -> KeyView:
    """Make a successor of a key; the old one ends after `overlap_s` (0: at once).

    Shape: without `expires_at` the successor ends when the old one would have; with None never.
    Errors: NotFound; WrongState if it is revoked, expired or replaced already, or its client is being deleted;
    InputRefused (`/overlap_s`, `/expires_at`).
    """
    if not 0 <= overlap_s <= MAX_OVERLAP_S:
        raise InputRefused(f"The overlap must be from 0 to {MAX_OVERLAP_S} seconds.", field="/overlap_s")
    await _require_kept(session, client_id)
    old = await _get_row(session, client_id, key_id)
    adaptor = await session.scalar(select(AdaptorRow.id).where(AdaptorRow.key_id == key_id))
    if adaptor is not None:
        raise WrongState(f"The key is that of adaptor {adaptor}, whose tag brings it along: rotate the adaptor.")
    if old.revoked_at is not None or old.replaced_by is not None or (old.expires_at or now) < now:
        raise WrongState("Only a key that is in use can be rotated.")
    ends_at = old.expires_at if expires_at is UNSET else expires_at
    new = NewKey(
        kind=KeyKind(old.kind), client_id=client_id, name=old.name, origins=old.origins, expires_at=ends_at,
        rate_limit=old.rate_limit, rate_burst=old.rate_burst, monthly_quota=old.monthly_quota,
    )  # fmt: skip
    if expires_at is not UNSET:
        _check(new, now)
    row, key = new_key_row(new, now=now)
    session.add(row)
    overlap_ends_at = now + timedelta(seconds=overlap_s)
    old.replaced_by = row.id
    old.expires_at = overlap_ends_at if old.expires_at is None else min(old.expires_at, overlap_ends_at)
    revoke(session, "key", str(key_id))
    record(session, actor, "key.rotate", client_id, key_id=str(key_id), new_key_id=str(row.id), overlap_s=overlap_s)
    await session.flush()
    return _view(row, key)


async def change_key(
    session: AsyncSession, client_id: str, key_id: uuid.UUID, change: KeyChange, actor: Actor
) -> KeyView:
    """Change what is given of a client's key, in every process.

    Errors: NotFound; InputRefused with a pointer per fault.
    """
    row = await _get_row(session, client_id, key_id)
    given = {name: value for name, value in msgspec.structs.asdict(change).items() if value is not UNSET}
    limits = {"rate_limit": row.rate_limit} | {name: value for name, value in given.items() if name != "name"}
    errors = [*_name_faults(given.get("name", "")), *allowance_faults(limits)]
    if errors:
        raise InputRefused(errors[0][1], errors=errors)
    if limits["rate_limit"] is None:
        given["rate_burst"] = None  # goes with its rate
    changed = [name for name, value in given.items() if getattr(row, name) != value]
    for name in changed:
        setattr(row, name, given[name])
    if changed:
        revoke(session, "key", str(key_id))
        record(session, actor, "key.change", client_id, key_id=str(key_id), changed=changed)
        await session.flush()
    return _view(row)


async def revoke_key(
    session: AsyncSession, client_id: str | None, key_id: uuid.UUID, actor: Actor, *, now: datetime
) -> KeyView:
    """End a key now, in every process; revoking twice is fine.

    Errors: NotFound.
    """
    row = await _get_row(session, client_id, key_id)
    if row.revoked_at is None:
        row.revoked_at = now
        revoke(session, "key", str(key_id))
        record(session, actor, "key.revoke", client_id, key_id=str(key_id))
        await session.flush()
    return _view(row)


async def ensure_first_platform_key(session: AsyncSession, *, now: datetime) -> str | None:
    """Make the platform's first key and return it; None if there has ever been one.

    Two callers at once must be kept apart by the caller's lock (bootstrap holds one).
    """
    found = await session.execute(select(ApiKey.id).where(ApiKey.client_id.is_(None)).limit(1))
    if found.first() is not None:
        return None
    row, key = new_key_row(NewKey(kind=KeyKind.PLATFORM, client_id=None, name="first platform key"), now=now)
    session.add(row)
    record(session, Actor("grove"), "key.create", None, key_id=str(row.id), kind="platform", name=row.name)
    return key


def new_key_row(new: NewKey, *, now: datetime, key_id: uuid.UUID | None = None) -> tuple[ApiKey, str]:
    """Mint a key: the row to store, which holds its hash, and the key itself."""
    key = mint_key(new.kind)
    row = ApiKey(
        id=key_id or uuid.uuid4(), client_id=new.client_id, kind=new.kind.value, name=new.name, hash=hash_key(key),
        hint=f"grv_{new.kind.value}_…{key[-_HINT:]}", origins=list(new.origins), created_at=now,
        expires_at=new.expires_at, rate_limit=new.rate_limit, rate_burst=new.rate_burst,
        monthly_quota=new.monthly_quota,
    )  # fmt: skip
    return row, key


def check_origin(origin: str) -> bool:
    """Tell whether a text is an origin exactly as browsers send it: scheme, host, and any port but the default."""
    match = _ORIGIN.fullmatch(origin)
    if match is None:
        return False
    scheme, port = match["scheme"], match["port"]
    return port is None or (int(port) < 2**16 and int(port) != _DEFAULT_PORTS[scheme] and not port.startswith("0"))


def _check(new: NewKey, now: datetime) -> None:
    if (new.kind is KeyKind.PLATFORM) != (new.client_id is None):
        raise InputRefused("A client has admin, server and browser keys.", field="/kind")
    for field, detail in _name_faults(new.name):
        raise InputRefused(detail, field=field)
    if new.origins and new.kind is not KeyKind.BROWSER:
        raise InputRefused("Only browser keys have allowed origins.", field="/origins")
    if len(new.origins) > MAX_ORIGINS:
        raise InputRefused(f"A key has at most {MAX_ORIGINS} allowed origins.", field="/origins")
    errors = [
        (f"/origins/{index}", "An origin looks like https://www.example.com, in lower case.")
        for index, origin in enumerate(new.origins)
        if not check_origin(origin)
    ]
    if new.expires_at is not None and not _is_later(new.expires_at, now):
        errors.append(("/expires_at", "A new key must expire in the future."))
    limits = {"rate_limit": new.rate_limit, "rate_burst": new.rate_burst, "monthly_quota": new.monthly_quota}
    errors += allowance_faults(limits)
    if errors:
        raise InputRefused("The key cannot be made like this.", errors=errors)


def _name_faults(name: str) -> Iterator[tuple[str, str]]:
    if len(name) > MAX_NAME or not name.isprintable():
        yield "/name", f"A name has at most {MAX_NAME} printable characters."


def _is_later(at: datetime, now: datetime) -> bool:
    """Tell whether a time is in the future, and before time ends everywhere."""
    try:
        return at.astimezone(UTC) > now
    except OverflowError:
        return False


async def _require_kept(session: AsyncSession, client_id: str | None) -> None:
    """Refuse new keys to a client that is being deleted, and keep it from being deleted meanwhile."""
    if client_id is None:
        return
    client = await session.get(Client, client_id, with_for_update={"read": True}, populate_existing=True)
    if client is None:
        raise NotFound("No such client.")
    if client.status == "deleting":
        raise WrongState("The client is being deleted; restore it first.")


async def _get_row(session: AsyncSession, client_id: str | None, key_id: uuid.UUID) -> ApiKey:
    row = await session.get(ApiKey, key_id, with_for_update=True)
    if row is None or row.client_id != client_id:
        raise NotFound("No such key.")
    return row


def _view(row: ApiKey, key: str | None = None) -> KeyView:
    return KeyView(
        id=row.id, client_id=row.client_id, kind=KeyKind(row.kind).name.lower(), name=row.name, hint=row.hint,
        scopes=sorted(scope.value for scope in SCOPES[KeyKind(row.kind)]), origins=row.origins,
        created_at=row.created_at, expires_at=row.expires_at, revoked_at=row.revoked_at,
        last_used_at=row.last_used_at, replaced_by=row.replaced_by, rate_limit=row.rate_limit,
        rate_burst=row.rate_burst, monthly_quota=row.monthly_quota, key=key,
    )  # fmt: skip
