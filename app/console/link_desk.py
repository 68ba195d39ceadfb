"""Set passwords through one-time links, and order such links.

Called by `app.console.links`. What ends a link, its person's other links and sessions, and sets the password is one
transaction.
"""

from litestar.di import NamedDependency

from app.auth.passwords import Passwords, find_fault
from app.auth.throttle import Throttle, admit
from app.console.visit import Visit
from app.settings import Settings
from provisioning.audit import Actor, record
from provisioning.staff import end_access
from provisioning.staff_links import RESET, order_mail, read_link
from tenants.clock import Clock
from tenants.control import ControlPlane
from tenants.errors import NotFound
from tenants.models import Staff
from tenants.revocations import RevocationFeed
from tenants.vault import Vault


class LinkDesk:
    """Does what one visitor with a link, or in want of one, asks."""

    def __init__(
        self,
        control: NamedDependency[ControlPlane],
        settings: NamedDependency[Settings],
        vault: NamedDependency[Vault],
        passwords: NamedDependency[Passwords],
        feed: NamedDependency[RevocationFeed],
        clock: NamedDependency[Clock],
    ) -> None:
        self._control = control
        self._mails = settings.smtp_url is not None
        self._passwords = passwords
        self._feed = feed
        self._clock = clock
        self._throttle = Throttle(vault)

    async def read(self, visit: Visit, purpose: str, token: str) -> Staff:
        """Find whose link it is.

        Errors: NotFound.
        """
        if visit.client is None:
            raise NotFound("This link does not work, or not any more.")
        async with self._control.session() as session:
            return await read_link(session, visit.client_id, purpose, token, now=self._clock())

    async def set_password(self, visit: Visit, purpose: str, token: str, password: str) -> str | None:
        """Use a link up, or say what is wrong with the password.

        Errors: NotFound; StoreUnavailable.
        """
        person = await self.read(visit, purpose, token)
        fault = find_fault(password, (person.email, person.name, visit.client_id, visit.brand.name))
        if fault is not None:
            return fault
        hashed, now = await self._passwords.hash(password), self._clock()
        async with self._control.session() as session:
            row = await read_link(session, visit.client_id, purpose, token, now=now)
            row.password_hash, row.status, row.updated_at = hashed, "active", now
            await end_access(session, row.id, now=now)
            record(session, Actor(f"staff:{row.id}"), "staff.password", visit.client_id, purpose=purpose)
        await self._feed.announce()
        return None

    async def order_reset(self, visit: Visit, email: str) -> float:
        """Have a reset sent to an address if it is known, which the worker finds out; or say how long to wait."""
        async with self._control.session() as session:
            verdict = await admit(session, self._throttle.link_counts(visit.address), now=self._clock())
            if verdict.wait_s <= 0 and self._mails:
                await order_mail(session, visit.client_id, email, RESET, now=self._clock())
        return verdict.wait_s
