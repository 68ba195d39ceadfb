"""A Grove as people reach it: a web server on a port, a Grafana behind it, clients with staff and figures.

`async with open_site(postgres.url, grafana) as site: await site.log_in(site.maple)`
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import msgspec

from app.embedded.ports import free_port
from app.settings import to_environ
from tests.support.browser import HTML, PASSWORD, add_person, fields_of
from tests.support.grafana import ALLOWED, Target
from tests.support.grove import Grove, MadeClient, open_grove

READY_TIMEOUT_S = 30
CLIENTS = ("maple", "oak")


class Tenant(msgspec.Struct, frozen=True):
    """A client with two people. `sessions` is how many sessions of its chatbot there are."""

    client: MadeClient
    name: str
    sessions: int

    @property
    def id(self) -> str:
        """The client's id."""
        return self.client.id

    @property
    def viewer(self) -> str:
        """Who looks."""
        return f"ana@{self.id}.example"

    @property
    def editor(self) -> str:
        """Who changes dashboards."""
        return f"ed@{self.id}.example"


class Site:
    """A running server. `url` is its address."""

    def __init__(self, grove: Grove, url: str, maple: Tenant, oak: Tenant) -> None:
        self.grove = grove
        self.url = url
        self.maple = maple
        self.oak = oak

    @property
    def port(self) -> int:
        """Where it listens."""
        return httpx.URL(self.url).port or 80

    def open(self) -> httpx.AsyncClient:
        """Open a browser without a session."""
        return httpx.AsyncClient(base_url=self.url, headers=HTML, timeout=60, trust_env=False)

    async def log_in(self, tenant: Tenant, email: str | None = None) -> httpx.AsyncClient:
        """Log in through the form; what comes back asks for data, as the page's scripts do."""
        http = self.open()
        page = await http.get(f"/{tenant.id}/login")
        fields = fields_of(page) | {"email": email or tenant.viewer, "password": PASSWORD}
        entered = await http.post(f"/{tenant.id}/login", data=fields)
        assert entered.status_code == 303, entered.text
        http.headers = httpx.Headers({"Accept": "application/json", "Origin": self.url})
        return http

    async def cookie(self, tenant: Tenant, email: str | None = None) -> str:
        """Log in and return the header that a browser would send."""
        http = await self.log_in(tenant, email)
        await http.aclose()
        return "; ".join(f"{cookie.name}={cookie.value}" for cookie in http.cookies.jar)


@asynccontextmanager
async def open_site(admin_url: str, grafana: Target, **changes: Any) -> AsyncIterator[Site]:
    """Start everything, onboard two clients with different figures, and serve; all is gone afterwards."""
    port = free_port("127.0.0.1")
    url = f"http://127.0.0.1:{port}"
    given: dict[str, Any] = {
        "public_url": url, "host": "127.0.0.1", "port": port, "grafana_url": grafana.url,
        "grafana_admin_password": grafana.password, "grafana_allow_version": ALLOWED,
    }  # fmt: skip
    async with own_names(grafana), open_grove(admin_url, **(given | changes)) as grove, grove.worker():
        maple = await _make_tenant(grove, "maple", "Maple Dental", "#c2410c", sessions=7)
        oak = await _make_tenant(grove, "oak", "Oak Cycles", "#1d4ed8", sessions=3)
        async with _served(grove, url):
            yield Site(grove, url, maple, oak)


@asynccontextmanager
async def own_names(grafana: Target) -> AsyncIterator[None]:
    """Free the clients' names in a Grafana that other tests use, too, before and after."""
    login = ("admin", grafana.password)
    async with httpx.AsyncClient(base_url=grafana.url, auth=login, timeout=60, trust_env=False) as http:
        await _free_names(http)
        yield
        await _free_names(http)


async def _free_names(http: httpx.AsyncClient) -> None:
    for client_id in CLIENTS:
        for user in (await http.get("/api/users/search", params={"query": f"{client_id}:"})).json()["users"]:
            if user["login"].startswith(f"{client_id}:"):
                (await http.delete(f"/api/admin/users/{user['id']}")).raise_for_status()
        org = await http.get(f"/api/orgs/name/{client_id}")
        if org.is_success:
            (await http.delete(f"/api/orgs/{org.json()['id']}")).raise_for_status()


async def _make_tenant(grove: Grove, client_id: str, name: str, colour: str, *, sessions: int) -> Tenant:
    client = await grove.make_client(client_id, name=name, branding={"primaryColor": colour})
    tenant = Tenant(client, name, sessions)
    await add_person(grove, client, tenant.viewer, name="Ana Silva", role="viewer")
    await add_person(grove, client, tenant.editor, name="Ed Jones", role="editor")
    events = [
        {"name": event, "session_id": f"{client_id}-{number}"}
        for number in range(sessions)
        for event in ("page_loaded", "widget_opened")
    ]
    answer = await grove.http.post("/api/v1/events", json=events, headers=client.server)
    assert answer.status_code == 202, answer.text
    repaired = await grove.http.post(f"{client.path}/grafana/reconcile", headers=grove.platform | {"Prefer": "wait=30"})
    assert repaired.is_success, repaired.text
    return tenant


@asynccontextmanager
async def _served(grove: Grove, url: str) -> AsyncIterator[None]:
    """Run the web server as `grove serve` does, on the same database."""
    settings = grove.settings
    words = f"--interface asgi --factory --loop uvloop --host {settings.host} --port {settings.port} --log-level error"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "granian", *words.split(), "app.asgi:create_app_from_environment",
        env=to_environ(settings),
    )  # fmt: skip
    try:
        await _await_ready(url, process)
        yield
    finally:
        process.terminate()
        await process.wait()


async def _await_ready(url: str, process: asyncio.subprocess.Process) -> None:
    async with httpx.AsyncClient(trust_env=False) as http, asyncio.timeout(READY_TIMEOUT_S):
        while process.returncode is None:
            try:
                if (await http.get(f"{url}/health/live")).is_success:
                    return
            except httpx.TransportError:
                await asyncio.sleep(0.05)
    message = "the web server ended"
    raise AssertionError(message)
