"""Check who wants in, begin the session, and end it.

Called by `app.console.login`. For an address that nobody has, and at a client that there is not, the same is done as
for all others: the same queries, one password compared, the same answer.
"""

import asyncio
import math
from datetime import datetime

import msgspec
import structlog
from litestar.datastructures import Cookie
from litestar.di import NamedDependency
from litestar.types import Scope
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.auth.cookies import DEVICE, SESSION, CookieJar
from app.auth.credentials import header
from app.auth.devices import LIFETIME_S, known_device, make_device
from app.auth.passwords import Passwords
from app.auth.sessions import LIFETIME, StaffMember, end_session, open_session
from app.auth.throttle import Count, Throttle, Verdict, admit, forgive
from app.console.visit import Visit
from provisioning.audit import Actor, record
from tenants.clock import Clock
from tenants.control import ControlPlane
from tenants.models import Staff
from tenants.revocations import RevocationFeed
from tenants.vault import Vault

WRONG = "The e-mail address or the password is not right."
_UNPROCESSABLE, _TOO_MANY = 422, 429
log = structlog.get_logger()


class Entered(msgspec.Struct, frozen=True):
    """Somebody is logged in; `cookies` are for the browser."""

    cookies: list[Cookie]


class Refused(msgspec.Struct, frozen=True):
    """Nobody is logged in, and this is all that is said about it."""

    status: int
    text: str
    headers: dict[str, str] = {}


class Entrance:
    """Lets staff in and out."""

    def __init__(
        self,
        control: NamedDependency[ControlPlane],
        vault: NamedDependency[Vault],
        passwords: NamedDependency[Passwords],
        feed: NamedDependency[RevocationFeed],
        clock: NamedDependency[Clock],
    ) -> None:
        self._control = control
        self._vault = vault
        self._passwords = passwords
        self._feed = feed
        self._clock = clock
        self._throttle = Throttle(vault)

    async def enter(self, scope: Scope, visit: Visit, jar: CookieJar, email: str, password: str) -> Entered | Refused:
        """Log somebody in, or say that it cannot be.

        Errors: StoreUnavailable.
        """
        staff, counts, verdict = await self._ask(scope, visit, jar, email)
        if verdict.wait_s > 0:
            return _come_back(verdict.wait_s)
        await asyncio.sleep(verdict.slow_s)
        open_to = staff if staff is not None and staff.status == "active" and visit.client is not None else None
        stored = None if open_to is None else open_to.password_hash
        right = await self._passwords.check(stored, password)
        if open_to is None or stored is None or not right:
            log.info("login_refused", client=visit.client_id[:40], address=visit.address)
            return Refused(_UNPROCESSABLE, WRONG)
        fresh = await self._passwords.hash(password) if self._passwords.outdated(stored) else stored
        return await self._begin(scope, visit, jar, open_to, stored, fresh, counts)

    async def leave(self, member: StaffMember) -> None:
        """End a session, in every process."""
        async with self._control.session() as session:
            await end_session(session, member.session, now=self._clock())
            record(session, Actor(member.actor), "staff.logout", member.client_id)
        await self._feed.announce()

    async def _ask(
        self, scope: Scope, visit: Visit, jar: CookieJar, email: str
    ) -> tuple[Staff | None, list[Count], Verdict]:
        """Find the account, if there is one, and whether this attempt may be made."""
        query = select(Staff).where(Staff.client_id == visit.client_id, Staff.email == email)
        async with self._control.session() as session:
            staff = (await session.execute(query)).scalar_one_or_none()
            stored = None if staff is None else staff.password_hash
            device = known_device(self._vault, visit.client_id, email, stored, jar.read(scope, DEVICE))
            counts = self._throttle.login_counts(visit.client_id, email, visit.address, device)
            return staff, counts, await admit(session, counts, now=self._clock())

    async def _begin(
        self, scope: Scope, visit: Visit, jar: CookieJar, staff: Staff, stored: str, fresh: str, counts: list[Count]
    ) -> Entered | Refused:
        """Begin a session in place of the one that the browser may have had."""
        now, request_id = self._clock(), scope["state"].get("request_id")
        agent = (header(scope, b"user-agent") or b"").decode("latin-1")
        async with self._control.session() as session:
            if not await _still_open(session, staff, stored, fresh, now):
                return Refused(_UNPROCESSABLE, WRONG)
            await forgive(session, counts)
            await end_session(session, jar.read(scope, SESSION), now=now)
            token = open_session(session, staff.id, address=visit.address, user_agent=agent, now=now)
            record(session, Actor(f"staff:{staff.id}", request_id), "staff.login", staff.client_id)
        await self._feed.announce()
        device = make_device(self._vault, staff.client_id, staff.email, fresh)
        lifetime = int(LIFETIME.total_seconds())
        return Entered([jar.make(SESSION, token, max_age=lifetime), jar.make(DEVICE, device, max_age=LIFETIME_S)])


async def _still_open(session: AsyncSession, staff: Staff, stored: str, fresh: str, now: datetime) -> bool:
    """Lock the account that was compared, unless it has changed since; keep its password under today's parameters."""
    unchanged = (Staff.id == staff.id, Staff.password_hash == stored, Staff.status == "active")
    if fresh == stored:
        query = select(Staff.id).where(*unchanged).with_for_update()
        return (await session.execute(query)).first() is not None
    kept = update(Staff).where(*unchanged).values(password_hash=fresh, updated_at=now)
    return (await session.execute(kept.returning(Staff.id))).first() is not None


def _come_back(wait_s: float) -> Refused:
    seconds = math.ceil(wait_s)
    minutes = math.ceil(seconds / 60)
    when = f"{seconds} seconds" if seconds <= 60 else f"{minutes} minutes"  # noqa: PLR2004 - seconds in a minute
    return Refused(_TOO_MANY, f"Too many attempts. Please try again in {when}.", {"Retry-After": str(seconds)})
