"""Keep service tokens: issue, list, revoke; and change the key that signs them without a break.

Called by the routes and the CLI. What ends is told to every process by a revocation: call `RevocationFeed.announce()`
after the transaction.
"""

import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Annotated

import msgspec
from msgspec import Meta
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.audit import GROVE, Actor, record
from provisioning.clients import lock_kept_client
from provisioning.keys import MAX_NAME
from provisioning.listing import Place, oldest_first
from tenants.errors import InputRefused, NotFound
from tenants.ids import TenantId
from tenants.keys import SCOPES, KeyKind, Scope
from tenants.models import ApiKey, ServiceToken, SigningKey
from tenants.revocations import revoke
from tenants.tokens import LEEWAY, MAX_LIFETIME, ServiceTokens, TokenProof

# What managing leads to would outlive the token.
GRANTED = (Scope.WRITE, Scope.READ)
SIGNING_KEY_LASTS = timedelta(days=90)


class TokenView(msgspec.Struct, frozen=True, kw_only=True):
    """A token as it may be shown; `token` is set only when just issued."""

    id: uuid.UUID
    client_id: str
    key_id: Annotated[uuid.UUID, Meta(description="The key that it stands for, and under which it counts.")]
    name: str
    scopes: list[str]
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None = None
    token: str | None = None


class NewToken(msgspec.Struct, frozen=True, kw_only=True):
    """A token to issue. Without `scopes` it gets what its key has of those that tokens may have."""

    key_id: uuid.UUID
    lifetime: timedelta
    name: str = ""
    scopes: Sequence[str] | None = None


class SigningKeyView(msgspec.Struct, frozen=True, kw_only=True):
    """The key that signs from now on, and when tokens of those before it are out at the latest."""

    id: uuid.UUID
    created_at: datetime
    previous_end_at: datetime | None


async def issue_token(
    session: AsyncSession, client_id: str, new: NewToken, actor: Actor, *, tokens: ServiceTokens, now: datetime
) -> TokenView:
    """Issue a token for one of a client's keys; `token` of the answer is the only place where it can ever be read.

    Shape: it ends no later than its key.
    Errors: InputRefused with a pointer per fault; NotFound without the client; WrongState while it is being deleted.
    """
    await lock_kept_client(session, client_id)
    key, scopes = await _check(session, client_id, new, now)
    row = ServiceToken(
        id=uuid.uuid4(), client_id=client_id, key_id=key.id, signing_key=await _signing_key(session, now),
        name=new.name, scopes=[scope.value for scope in scopes], created_at=now,
        expires_at=min(end for end in (now + new.lifetime, key.expires_at) if end is not None),
    )  # fmt: skip
    session.add(row)
    record(session, actor, "token.issue", client_id, token_id=str(row.id), key_id=str(key.id), scopes=row.scopes)
    await session.flush()
    proof = TokenProof(token_id=row.id, client_id=TenantId(client_id), signing_key=row.signing_key)
    return _view(row, tokens.sign(proof, scopes, now=now, expires_at=row.expires_at))


async def list_tokens(
    session: AsyncSession, client_id: str, *, limit: int, after: Place | None = None
) -> list[TokenView]:
    """Read a client's tokens, oldest first, from the one after (created_at, id) on; those long over are gone."""
    query = select(ServiceToken).where(ServiceToken.client_id == client_id)
    page = oldest_first(query, ServiceToken.created_at, ServiceToken.id, limit=limit, after=after)
    rows = await session.scalars(page)
    return [_view(row) for row in rows]


async def revoke_token(
    session: AsyncSession, client_id: str, token_id: uuid.UUID, actor: Actor, *, now: datetime
) -> None:
    """End a token now, in every process; revoking twice is fine.

    Errors: NotFound.
    """
    row = await session.get(ServiceToken, token_id, with_for_update=True)
    if row is None or row.client_id != client_id:
        raise NotFound("No such token.")
    if row.revoked_at is None:
        row.revoked_at = now
        revoke(session, "key", str(token_id))
        record(session, actor, "token.revoke", client_id, token_id=str(token_id))
        await session.flush()


async def rotate_signing_key(session: AsyncSession, actor: Actor, *, now: datetime, at_once: bool) -> SigningKeyView:
    """Sign with another key from now on.

    Shape: what the old ones signed is good until it expires, or `at_once` not any more, in every process.
    """
    ends_at = now if at_once else now + MAX_LIFETIME + LEEWAY
    old = (await session.scalars(select(SigningKey).where(func.coalesce(SigningKey.ends_at, ends_at) >= ends_at))).all()
    for row in old:
        row.ends_at = ends_at
    if at_once:
        out = update(ServiceToken).where(ServiceToken.revoked_at.is_(None), ServiceToken.expires_at > now)
        await session.execute(out.values(revoked_at=now))
    new = SigningKey(id=uuid.uuid4(), created_at=now)
    session.add(new)
    revoke(session, "key", str(new.id))
    record(session, actor, "token.rotate", None, signing_key=str(new.id), at_once=at_once)
    await session.flush()
    return SigningKeyView(id=new.id, created_at=now, previous_end_at=ends_at if old else None)


async def _signing_key(session: AsyncSession, now: datetime) -> uuid.UUID:
    """Find the key that signs, or take another one if there is none or it has served its time."""
    query = select(SigningKey).where(SigningKey.ends_at.is_(None), SigningKey.created_at > now - SIGNING_KEY_LASTS)
    row = await session.scalar(query.order_by(SigningKey.created_at.desc(), SigningKey.id).limit(1))
    if row is not None:
        return row.id
    return (await rotate_signing_key(session, GROVE, now=now, at_once=False)).id


async def _check(session: AsyncSession, client_id: str, new: NewToken, now: datetime) -> tuple[ApiKey, list[Scope]]:
    """Judge what is wanted, and return the key with the scopes to be granted."""
    key = await session.get(ApiKey, new.key_id)
    usable = key is not None and key.client_id == client_id and key.revoked_at is None
    if key is None or not usable or KeyKind(key.kind) is KeyKind.BROWSER or (key.expires_at or now) < now:
        raise InputRefused("There is no such admin or server key of this client in use.", field="/key_id")
    own = [scope for scope in GRANTED if scope in SCOPES[KeyKind(key.kind)]]
    errors = [
        (f"/scopes/{index}", f"A token may have {' and '.join(own)}.")
        for index, scope in enumerate(new.scopes or ())
        if scope not in own
    ]
    if new.scopes is not None and not new.scopes:
        errors.append(("/scopes", "A token needs a scope."))
    if len(new.name) > MAX_NAME or not new.name.isprintable():
        errors.append(("/name", f"A name has at most {MAX_NAME} printable characters."))
    if errors:
        raise InputRefused("The token cannot be issued like this.", errors=errors)
    return key, [scope for scope in own if new.scopes is None or scope in new.scopes]


def _view(row: ServiceToken, token: str | None = None) -> TokenView:
    return TokenView(
        id=row.id, client_id=row.client_id, key_id=row.key_id, name=row.name, scopes=row.scopes,
        created_at=row.created_at, expires_at=row.expires_at, revoked_at=row.revoked_at, token=token,
    )  # fmt: skip
