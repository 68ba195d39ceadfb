"""The people of the demo's clients: each is invited as staff are, chooses a password, and looks through a browser.

Called by `run`, `check` and `stopwatch`. A `Visitor` keeps cookies and reads forms, and uses nothing but pages and what
the pages themselves ask for.
"""

import re
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx
import msgspec

from app.demo.api import TIMEOUT_S, GroveApi, require
from app.demo.clients import DemoClient
from app.demo.errors import DemoFailed
from app.demo.keys import Login

_PAGE = {"Accept": "text/html"}
_SEE_OTHER = 303
_PROOF = re.compile(r'name="csrf" value="([^"]+)"')
# Without what is mistaken for something else when it is copied by hand.
_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"
_GROUPS, _GROUP = 4, 4


class Visitor:
    """A browser at one client's pages."""

    def __init__(self, http: httpx.AsyncClient, client_id: str) -> None:
        self.client_id = client_id
        self._http = http

    @property
    def cookies(self) -> str:
        """All cookies as a browser would send them to this client."""
        return "; ".join(f"{cookie.name}={cookie.value}" for cookie in self._http.cookies.jar)

    async def set_password(self, link: str, password: str) -> None:
        """Follow a link and choose a password.

        Errors: DemoFailed.
        """
        sent = await self._send(httpx.URL(link).path, password=password, again=password)
        if sent.status_code != _SEE_OTHER:
            raise DemoFailed(f"The invitation to {self.client_id} was answered with {sent.status_code}.")

    async def log_in(self, login: Login) -> bool:
        """Log in and tell whether that worked."""
        sent = await self._send(f"/{self.client_id}/login", email=login.email, password=login.password)
        return sent.status_code == _SEE_OTHER

    async def open(self, path: str) -> httpx.Response:
        """Open one of the client's pages, and go where it leads."""
        return await self._http.get(f"/{self.client_id}{path}", headers=_PAGE, follow_redirects=True)

    async def ask(
        self, method: str, path: str, *, headers: Mapping[str, str] | None = None, **options: Any
    ) -> httpx.Response:
        """Ask the client's Grafana as its pages do."""
        sent = {"Accept": "application/json", "Origin": str(self._http.base_url).rstrip("/"), **(headers or {})}
        return await self._http.request(method, f"/{self.client_id}/grafana{path}", headers=sent, **options)

    async def _send(self, path: str, **fields: str) -> httpx.Response:
        page = await self._http.get(path, headers=_PAGE)
        proof = _PROOF.search(page.text)
        if proof is None:
            raise DemoFailed(f"GET {path.partition('/invitation/')[0]} → {page.status_code}, and it has no form.")
        return await self._http.post(path, data={"csrf": proof[1], **fields}, headers=_PAGE)


@asynccontextmanager
async def open_visitor(url: str, client_id: str) -> AsyncIterator[Visitor]:
    """Open a browser."""
    async with httpx.AsyncClient(base_url=url, timeout=TIMEOUT_S, trust_env=False) as http:
        yield Visitor(http, client_id)


async def ensure_login(api: GroveApi, url: str, client: DemoClient, known: Login | None) -> Login:
    """Return a login of the client's person that works: the known one, else one with another password.

    Errors: DemoFailed.
    """
    async with open_visitor(url, client.id) as visitor:
        if known is not None and await visitor.log_in(known):
            return known
        login = Login(client.person.email, make_password())
        await visitor.set_password(await invite(api, client), login.password)
    return login


async def invite(api: GroveApi, client: DemoClient) -> str:
    """Return a link with which the client's person sets a password.

    Errors: DemoFailed.
    """
    path = f"/api/v1/clients/{client.id}/staff"
    people = (await api.get(path))["data"]
    known = next((one["id"] for one in people if one["email"] == client.person.email), None)
    if known is None:
        answer = await api.call("POST", path, json=msgspec.to_builtins(client.person))
    else:
        answer = await api.call("POST", f"{path}/{known}/invite")
    link: str = require(answer, 201)["link"]["url"]
    return link


def make_password() -> str:
    """Make a password that nobody can guess, and that can be typed."""
    return "-".join("".join(secrets.choice(_LETTERS) for _ in range(_GROUP)) for _ in range(_GROUPS))
