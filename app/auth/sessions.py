"""Sessions of staff: an opaque token in a cookie, its hash in the control plane, a cache in between.

Called by `app.auth.staff` on every request and by the login. Revocations of kind "staff" and "client" empty the cache;
while none can be heard of, each request asks the control plane, and is refused if that is away.
"""

import hashlib
import secrets
from collections import OrderedDict
from datetime import datetime, timedelta
from uuid import UUID

import msgspec
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from tenants.clock import Clock
from tenants.control import ControlPlane
from tenants.errors import NotFound, Unauthenticated
from tenants.ids import TenantId
from tenants.models import Staff, StaffSession
from tenants.revocations import RevocationFeed, revoke

IDLE = timedelta(hours=12)
LIFETIME = timedelta(days=7)
# How exactly the time of the last use is known: a write per session and minute at most.
SEEN_EVERY = timedelta(minutes=1)
CACHED_SESSIONS = 20_000
TOKEN_BYTES = 32
_MAX_USER_AGENT = 300
_REFUSED = "There is no session, or it has ended."


class StaffMember(msgspec.Struct, frozen=True, kw_only=True):
    """Who is logged in at which client, as proven by a session. `csrf` goes into every form that this page posts."""

    staff_id: UUID
    client_id: TenantId
    email: str
    name: str
    role: str
    csrf: str
    session: bytes
    expires_at: datetime

    @property
    def actor(self) -> str:
        """Name the person in audit entries."""
        return f"staff:{self.staff_id}"


class SessionStore:
    """Sessions by the hash of their token. Remembers when each was last used until `save_seen` writes it down."""

    def __init__(self, control: ControlPlane, feed: RevocationFeed, clock: Clock) -> None:
        self._control = control
        self._feed = feed
        self._clock = clock
        self._cache: OrderedDict[bytes, tuple[StaffMember, datetime]] = OrderedDict()
        self._seen: dict[bytes, datetime] = {}

    async def verify(self, token: str, client_id: TenantId) -> StaffMember:
        """Turn a token into the member of staff, at this client alone.

        Errors: Unauthenticated if there is no such session or it ended; NotFound if it is one of another client;
        StoreUnavailable if it must be looked up and cannot be.
        """
        digest = hash_token(token)
        now = self._clock()
        found = self._cache.get(digest) if self._feed.fresh else None
        if found is None or self._ended(found, now):
            # One that ended may have been seen by another process since.
            found = await self._look_up(digest)
        else:
            self._cache.move_to_end(digest)
        if found is None or self._ended(found, now):
            raise Unauthenticated(_REFUSED)
        member, seen_at = found
        if member.client_id != client_id:
            raise NotFound("No such client.")
        if now - max(seen_at, self._seen.get(digest, seen_at)) >= SEEN_EVERY:
            self._seen[digest] = now
            if digest in self._cache:
                self._cache[digest] = (member, now)
        return member

    def forget_all(self) -> None:
        """Empty the cache; the next use of each session looks it up."""
        self._cache.clear()

    async def save_seen(self) -> None:
        """Write down when sessions were last used; on failure that is kept for the next time."""
        seen, self._seen = self._seen, {}
        if not seen:
            return
        try:
            async with self._control.session() as session:
                for digest in sorted(seen):
                    query = update(StaffSession).where(StaffSession.hash == digest)
                    await session.execute(query.values(seen_at=seen[digest]))
        except BaseException:
            self._seen = seen | self._seen
            raise

    def _ended(self, found: tuple[StaffMember, datetime], now: datetime) -> bool:
        member, seen_at = found
        return member.expires_at <= now or now - max(seen_at, self._seen.get(member.session, seen_at)) > IDLE

    async def _look_up(self, digest: bytes) -> tuple[StaffMember, datetime] | None:
        generation = self._feed.generation
        query = select(StaffSession, Staff).join(Staff).where(StaffSession.hash == digest, Staff.status == "active")
        async with self._control.session() as session:
            row = (await session.execute(query.where(StaffSession.revoked_at.is_(None)))).one_or_none()
        found = None if row is None else (_member(*row), row[0].seen_at)
        # What was read before a revocation arrived may be out of date: use it once, do not keep it.
        # What is none is not kept at all: made-up tokens would crowd out the real ones.
        if found is not None and generation == self._feed.generation:
            self._cache[digest] = found
            if len(self._cache) > CACHED_SESSIONS:
                self._cache.popitem(last=False)
        return found


def open_session(session: AsyncSession, staff_id: UUID, *, address: str, user_agent: str, now: datetime) -> str:
    """Begin a session and return its token, which is stored nowhere but in the browser."""
    token = secrets.token_urlsafe(TOKEN_BYTES)
    session.add(
        StaffSession(
            hash=hash_token(token), staff_id=staff_id, csrf=secrets.token_urlsafe(TOKEN_BYTES), created_at=now,
            seen_at=now, expires_at=now + LIFETIME, address=address, user_agent=user_agent[:_MAX_USER_AGENT],
        )
    )  # fmt: skip
    return token


async def end_session(session: AsyncSession, which: bytes | str | None, *, now: datetime) -> None:
    """End a session, by its hash or its token, in every process; one that is none, or has ended, is passed over."""
    if which is None:
        return
    digest = which if isinstance(which, bytes) else hash_token(which)
    query = update(StaffSession).where(StaffSession.hash == digest, StaffSession.revoked_at.is_(None))
    ended = await session.execute(query.values(revoked_at=now).returning(StaffSession.staff_id))
    staff_id = ended.scalar_one_or_none()
    if staff_id is not None:
        revoke(session, "staff", str(staff_id))


def hash_token(token: str) -> bytes:
    """Hash a token for storage; it is random, so that a plain hash will do."""
    return hashlib.sha256(token.encode()).digest()


def _member(row: StaffSession, staff: Staff) -> StaffMember:
    return StaffMember(
        staff_id=staff.id, client_id=TenantId(staff.client_id), email=staff.email, name=staff.name, role=staff.role,
        csrf=row.csrf, session=row.hash, expires_at=row.expires_at,
    )  # fmt: skip
