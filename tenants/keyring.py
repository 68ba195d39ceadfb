"""Verify keys: a checksum before any I/O, then a cache of what the control plane knows.

Called by authentication. Positive and negative findings are cached; revocations empty the cache.
"""

import uuid
from collections import OrderedDict
from datetime import datetime

import msgspec
from sqlalchemy import select, update

from tenants.clock import Clock
from tenants.control import ControlPlane
from tenants.errors import Unauthenticated
from tenants.ids import TenantId
from tenants.keys import SCOPES, KeyKind, Scope, hash_key, kind_of
from tenants.models import ApiKey
from tenants.revocations import RevocationFeed

CACHED_KEYS = 20_000
_REFUSED = "The key is missing, malformed, unknown, expired or revoked."


class Principal(msgspec.Struct, frozen=True, kw_only=True):
    """Who is asking, as proven by a key. `client_id` is None for the platform's own keys."""

    key_id: uuid.UUID
    kind: KeyKind
    client_id: TenantId | None
    scopes: frozenset[Scope]
    origins: tuple[str, ...] = ()
    expires_at: datetime | None = None

    @property
    def actor(self) -> str:
        """Name the principal in audit entries and idempotency records."""
        return f"key:{self.key_id}"


class Keyring:
    """Keys by their hash. Remembers when each was last used until `save_last_used` writes it down."""

    def __init__(self, control: ControlPlane, feed: RevocationFeed, clock: Clock) -> None:
        self._control = control
        self._feed = feed
        self._clock = clock
        self._cache: OrderedDict[bytes, Principal | None] = OrderedDict()
        self._last_used: dict[uuid.UUID, datetime] = {}

    async def verify(self, key: str) -> Principal:
        """Turn a key into a principal.

        Errors: Unauthenticated, whatever the reason; StoreUnavailable if it must be looked up and cannot be.
        """
        digest = hash_key(key)
        # A cache that can hear of no revocations is no longer believed.
        if self._feed.fresh and digest in self._cache:
            principal = self._cache[digest]
        elif kind_of(key) is None:
            raise Unauthenticated(_REFUSED)
        else:
            principal = await self._look_up(digest)
        now = self._clock()
        if principal is None or (principal.expires_at is not None and principal.expires_at <= now):
            raise Unauthenticated(_REFUSED)
        self._last_used[principal.key_id] = now
        return principal

    def forget_all(self) -> None:
        """Empty the cache; the next use of each key looks it up."""
        self._cache.clear()

    async def save_last_used(self) -> None:
        """Write down when keys were last used; on failure they are kept for the next time."""
        used, self._last_used = self._last_used, {}
        if not used:
            return
        try:
            async with self._control.session() as session:
                for key_id in sorted(used):
                    await session.execute(update(ApiKey).where(ApiKey.id == key_id).values(last_used_at=used[key_id]))
        except BaseException:
            self._last_used = used | self._last_used
            raise

    async def _look_up(self, digest: bytes) -> Principal | None:
        generation = self._feed.generation
        async with self._control.session() as session:
            row = (await session.execute(select(ApiKey).where(ApiKey.hash == digest))).scalar_one_or_none()
        principal = None if row is None or row.revoked_at is not None else _principal(row)
        # What was read before a revocation arrived may be out of date: use it once, do not keep it.
        if generation == self._feed.generation:
            self._cache[digest] = principal
            if len(self._cache) > CACHED_KEYS:
                self._cache.popitem(last=False)
        return principal


def _principal(row: ApiKey) -> Principal:
    kind = KeyKind(row.kind)
    return Principal(
        key_id=row.id,
        kind=kind,
        client_id=None if row.client_id is None else TenantId(row.client_id),
        scopes=SCOPES[kind],
        origins=tuple(row.origins),
        expires_at=row.expires_at,
    )
