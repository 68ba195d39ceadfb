"""The world outside, made of loopback: every name below `.example` is one small server, by http and https.

`async with open_world() as world: world.files["maple.example/logo.png"] = Answer(200, content=…)`
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import ip_address
from urllib.parse import urlsplit

from provisioning.domains import Witnesses
from provisioning.outside import Address, Outside
from tenants.errors import StoreUnavailable
from tests.support.certificates import make_certificate
from tests.support.loopback import Answer, Call, serve


class World:
    """What is out there. `files` are by host and path, `records` by name; `calls` is who asked for what."""

    def __init__(self) -> None:
        self.files: dict[str, Answer | None] = {}
        self.records: dict[str, list[str]] = {}
        self.calls: list[str] = []
        self.names_known = True
        self.reach: dict[int, int] = {}
        self.certificate = make_certificate("maple.example", "*.maple.example")

    @property
    def witnesses(self) -> Witnesses:
        """A way to ask."""
        return Witnesses(own_host="grove.test", resolve=self._texts, outside=self.outside)

    @property
    def outside(self) -> Outside:
        """A way to fetch, as if this server listened on port 80."""
        return Outside(
            resolve=self._addresses, is_open=lambda address: address.is_loopback, reach=self.reach,
            tls=self.certificate.client,
        )  # fmt: skip

    async def answer(self, call: Call) -> Answer | None:
        """Answer a request."""
        asked = call.headers["host"] + call.path
        self.calls.append(asked)
        return self.files.get(asked, Answer(404, page="Not here"))

    async def _texts(self, name: str) -> list[str]:
        if not self.names_known:
            raise StoreUnavailable("The DNS does not answer at the moment.")
        return self.records.get(name, [])

    async def _addresses(self, name: str, _port: int) -> list[Address]:
        return [ip_address("127.0.0.1")] if name.endswith(".example") else []


@asynccontextmanager
async def open_world() -> AsyncIterator[World]:
    """Serve a world."""
    world = World()
    async with serve(world.answer) as plain, serve(world.answer, tls=world.certificate.server) as secure:
        world.reach = {80: urlsplit(plain).port or 0, 443: urlsplit(secure).port or 0}
        yield world
