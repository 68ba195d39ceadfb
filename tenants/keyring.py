"""Verify keys and service tokens: checksum or signature before any I/O, then a cache of what the control plane knows.

Called by authentication. Positive and negative findings are cached, apart, so that made-up keys push no real one out;
revocations empty both caches.
"""

import uuid
from collections import OrderedDict
from datetime import datetime
from functools import partial
from typing import TypeVar

import msgspec
from sqlalchemy import Executable, null, select, text

from tenants.allowances import UNLIMITED, Allowance, allowance_of
from tenants.clock import Clock
from tenants.control import ControlPlane
from tenants.errors import Unauthenticated
from tenants.ids import TenantId
from tenants.keys import SCOPES, KeyKind, Scope, hash_key, kind_of
from tenants.models import ApiKey, ServiceToken, SigningKey
from tenants.revocations import RevocationFeed
from tenants.shared_lookups import SharedLookups
from tenants.tokens import LEEWAY, ServiceTokens

CACHED_KEYS = 20_000
CACHED_REFUSALS = 2_000
_Found = TypeVar("_Found")
# Rows are locked in order, so that no two processes wait for each other.
_SAVE = text("""
WITH held AS (
    SELECT id FROM grove.api_keys WHERE id = ANY(CAST(:ids AS uuid[])) ORDER BY id FOR NO KEY UPDATE
)
UPDATE grove.api_keys AS k SET last_used_at = used.at
FROM held JOIN unnest(CAST(:ids AS uuid[]), CAST(:times AS timestamptz[])) AS used (id, at) USING (id)
WHERE k.id = held.id
""")
_REFUSED = "The key is missing, malformed, unknown, expired or revoked."


class Principal(msgspec.Struct, frozen=True, kw_only=True):
    """Who is asking, as proven by a key, or by a token that stands for one.

    Shape: `client_id` is None for the platform's own keys; `token_id` is set where it was a token.
    """

    key_id: uuid.UUID
    kind: KeyKind
    client_id: TenantId | None
    scopes: frozenset[Scope]
    origins: tuple[str, ...] = ()
    expires_at: datetime | None = None
    allowance: Allowance = UNLIMITED
    token_id: uuid.UUID | None = None

    @property
    def actor(self) -> str:
        """Name the principal in audit entries and idempotency records."""
        return f"key:{self.key_id}" if self.token_id is None else f"token:{self.token_id}"


class Keyring:
    """Keys and tokens by their hash. Remembers when each key was last used until `save_last_used` writes it down."""

    def __init__(self, control: ControlPlane, feed: RevocationFeed, clock: Clock, tokens: ServiceTokens) -> None:
        self._control = control
        self._tokens = tokens
        self._feed = feed
        self._clock = clock
        self._known: OrderedDict[bytes, Principal] = OrderedDict()  # the least recently used first
        self._refused: OrderedDict[bytes, None] = OrderedDict()  # the oldest first
        self._last_used: dict[uuid.UUID, datetime] = {}
        self._lookups: SharedLookups[Principal | None] = SharedLookups()

    async def verify(self, key: str) -> Principal:
        """Turn a key or a token into a principal.

        Errors: Unauthenticated, whatever the reason; StoreUnavailable if it must be looked up and cannot be.
        """
        digest = hash_key(key)
        # A cache that can hear of no revocations is no longer believed.
        if self._feed.fresh and digest in self._known:
            self._known.move_to_end(digest)
            principal: Principal | None = self._known[digest]
        elif self._feed.fresh and digest in self._refused:
            raise Unauthenticated(_REFUSED)
        else:
            find = partial(self._look_up, digest, self._query(key, digest))
            principal = await self._lookups.find((digest, self._feed.generation), find)
        now = self._clock()
        if principal is None or (principal.expires_at is not None and principal.expires_at <= now):
            raise Unauthenticated(_REFUSED)
        self._last_used[principal.key_id] = now
        return principal

    def forget_all(self) -> None:
        """Empty the caches; the next use of each key looks it up."""
        self._known.clear()
        self._refused.clear()

    async def save_last_used(self) -> None:
        """Write down when keys were last used; on failure they are kept for the next time."""
        used, self._last_used = self._last_used, {}
        if not used:
            return
        try:
            async with self._control.session() as session:
                await session.execute(_SAVE, {"ids": list(used), "times": list(used.values())})
        except BaseException:
            self._last_used = used | self._last_used
            raise

    def _query(self, key: str, digest: bytes) -> Executable:
        """Say how to look up what is well-formed as a key, or rightly signed as a token.

        Errors: Unauthenticated for anything else.
        """
        if kind_of(key) is not None:
            return select(ApiKey, null(), null()).where(ApiKey.hash == digest)
        proof = self._tokens.read(key, now=self._clock())
        if proof is None:
            raise Unauthenticated(_REFUSED)
        return (
            select(ApiKey, ServiceToken, SigningKey)
            .join(ServiceToken, ServiceToken.key_id == ApiKey.id)
            .join(SigningKey, SigningKey.id == ServiceToken.signing_key)
            .where(ServiceToken.id == proof.token_id, ServiceToken.client_id == proof.client_id)
            .where(SigningKey.id == proof.signing_key)
        )

    async def _look_up(self, digest: bytes, query: Executable) -> Principal | None:
        generation = self._feed.generation
        async with self._control.session() as session:
            row = (await session.execute(query)).one_or_none()
        principal = None if row is None else _principal(*row)
        # What was read before a revocation arrived may be out of date: use it once, do not keep it.
        if generation == self._feed.generation:
            self._keep(digest, principal)
        return principal

    def _keep(self, digest: bytes, principal: Principal | None) -> None:
        if principal is None:
            self._known.pop(digest, None)
            _put(self._refused, digest, None, most=CACHED_REFUSALS)
        else:
            _put(self._known, digest, principal, most=CACHED_KEYS)


def _put(cache: OrderedDict[bytes, _Found], digest: bytes, found: _Found, *, most: int) -> None:
    cache[digest] = found
    cache.move_to_end(digest)
    if len(cache) > most:
        cache.popitem(last=False)


def _principal(key: ApiKey, token: ServiceToken | None, signed_by: SigningKey | None) -> Principal | None:
    """Say what a key, or a token that stands for it, may do; None if it was revoked."""
    if key.revoked_at is not None or (token is not None and token.revoked_at is not None):
        return None
    kind, scopes, ends = KeyKind(key.kind), SCOPES[KeyKind(key.kind)], [key.expires_at]
    if token is not None and signed_by is not None:
        scopes &= {Scope(scope) for scope in token.scopes}
        ends += [token.expires_at + LEEWAY, signed_by.ends_at]
    return Principal(
        key_id=key.id,
        kind=kind,
        client_id=None if key.client_id is None else TenantId(key.client_id),
        scopes=scopes,
        origins=tuple(key.origins),
        expires_at=min((end for end in ends if end is not None), default=None),
        allowance=allowance_of(key),
        token_id=None if token is None else token.id,
    )
