"""Which client is served on which host: domains that were proven, and are still the client's.

Called by `app.gateway.front` with every request; read whole, since there is one row per client at most, and anew when
a client changed.
"""

import asyncio
from urllib.parse import urlsplit

from sqlalchemy import select

from app.settings import Settings
from tenants.control import ControlPlane
from tenants.errors import StoreUnavailable
from tenants.models import Client
from tenants.revocations import RevocationFeed


class Hosts:
    """Clients by host. The public address's own host is nobody's, whatever was proven."""

    def __init__(self, settings: Settings, control: ControlPlane, feed: RevocationFeed) -> None:
        self._own = urlsplit(settings.base_url).hostname
        self._control = control
        self._feed = feed
        self._clients: dict[str, str] | None = None
        self._reading: asyncio.Task[dict[str, str]] | None = None
        self._generation = 0
        feed.listen(self._forget)

    async def find_client(self, host: str) -> str | None:
        """Return whose host this is.

        Errors: StoreUnavailable if that is not known and cannot be read, so that no host is served by guesswork.
        """
        name = host.partition(":")[0] if not host.startswith("[") else host
        if name == self._own or "." not in name or name.replace(".", "").isdigit():
            return None
        clients = self._clients
        if clients is None or not self._feed.fresh:
            clients = await self._load()
        return clients.get(name)

    async def _load(self) -> dict[str, str]:
        """Read the domains, once for all who ask meanwhile."""
        if self._reading is None:
            self._reading = asyncio.create_task(self._read())
            self._reading.add_done_callback(self._read_done)
        return await asyncio.shield(self._reading)

    def _read_done(self, _reading: asyncio.Task[dict[str, str]]) -> None:
        self._reading = None

    async def _read(self) -> dict[str, str]:
        generation = self._generation
        query = select(Client.domain, Client.id).where(Client.domain == Client.domain_proven)
        try:
            async with self._control.session() as session:
                clients = {str(domain): client_id for domain, client_id in await session.execute(query)}
        except StoreUnavailable:
            if self._clients is None:
                raise
            # A client's domain hardly ever changes, and without a control plane nobody's session is believed.
            return self._clients
        if generation == self._generation:
            self._clients = clients
        return clients

    def _forget(self, kind: str, subject: str) -> None:
        del subject
        if kind == "client":
            self._generation += 1
            self._clients = None
