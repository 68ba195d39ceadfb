"""A Grove as people reach it: a web server on a port, a Grafana behind it, clients with staff and figures.

`async with open_site(postgres.url, grafana) as site: await site.log_in(site.maple)`
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from typing import Any

import httpx
import msgspec

from app.embedded.ports import free_port
from tests.support.browser import HTML, PASSWORD, add_person, fields_of
from tests.support.grafana import ALLOWED, Target
from tests.support.grove import Grove, MadeClient, execute, open_grove
from tests.support.placements import make_database
from tests.support.waiting import until
from tests.support.web import is_ready, web_process

READY_TIMEOUT_S = 30
CLIENTS = ("maple", "oak")
TIMES = (
    "pageLoaded", "widgetOpened", "requestedHuman", "pressedAccept", "pressedCallback", "pressedContinue", "createdAt",
    "updatedAt",
)  # fmt: skip


class Tenant(msgspec.Struct, frozen=True):
    """A client with two people. `sessions` is how many sessions of its chatbot there are.

    `attached_url` is its own database as that one's owner, where its data lives in one.
    """

    client: MadeClient
    name: str
    sessions: int
    attached_url: str | None = None

    @property
    def datasource(self) -> str:
        """Where its sessions are read from."""
        return "analytics" if self.attached_url is None else "source"

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
async def open_site(
    admin_url: str, grafana: Target | None, *, kind: str = "schema", attached_url: str | None = None, **changes: Any
) -> AsyncIterator[Site]:
    """Start everything, onboard two clients with different figures, and serve; all is gone afterwards.

    Shape: without `grafana` there are the built-in dashboards alone; `kind` is where their data lives; for `external`
    their databases are made on the server of `attached_url`.
    """
    port = free_port("127.0.0.1")
    url = f"http://127.0.0.1:{port}"
    given: dict[str, Any] = {"public_url": url, "host": "127.0.0.1", "port": port}
    if grafana is not None:
        given |= {
            "grafana_url": grafana.url, "grafana_admin_password": grafana.password, "grafana_allow_version": ALLOWED,
        }  # fmt: skip
    names = nullcontext() if grafana is None else own_names(grafana)
    async with names, open_grove(admin_url, **(given | changes)) as grove, grove.worker():
        places = [await _placement(kind, attached_url, sessions) for sessions in (7, 3)]
        maple = await _make_tenant(grove, "maple", "Maple Dental", "#c2410c", places[0], sessions=7)
        oak = await _make_tenant(grove, "oak", "Oak Cycles", "#1d4ed8", places[1], sessions=3)
        with web_process(grove.settings, port=port):
            async with httpx.AsyncClient(base_url=url, trust_env=False) as http:
                await until(lambda: is_ready(http), within_s=READY_TIMEOUT_S)
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


async def _placement(kind: str, attached_url: str | None, sessions: int) -> dict[str, str]:
    """Ask for a place; an attached database is made with its sessions in it."""
    if attached_url is None:
        return {"kind": kind}
    url = await make_database(attached_url)
    columns = ", ".join(f'"{name}" timestamp' for name in TIMES)
    await execute(url, f'CREATE TABLE "UserEvents" ("sessionId" text PRIMARY KEY, {columns})')
    await execute(url, "CREATE TABLE invoices AS SELECT 1 AS amount")
    for number in range(sessions):
        row = f"('s{number}', now() AT TIME ZONE 'UTC', now() AT TIME ZONE 'UTC')"
        await execute(url, 'INSERT INTO "UserEvents" ("sessionId", "pageLoaded", "widgetOpened") VALUES ' + row)  # noqa: S608 - numbers of our own
    return {"kind": kind, "url": url}


async def _make_tenant(
    grove: Grove, client_id: str, name: str, colour: str, placement: dict[str, str], *, sessions: int
) -> Tenant:
    client = await grove.make_client(client_id, name=name, branding={"primaryColor": colour}, placement=placement)
    tenant = Tenant(client, name, sessions, placement.get("url"))
    await add_person(grove, client, tenant.viewer, name="Ana Silva", role="viewer")
    await add_person(grove, client, tenant.editor, name="Ed Jones", role="editor")
    if tenant.attached_url is None:
        await _send_sessions(grove, tenant)
    if grove.settings.grafana_url is None:
        return tenant
    repaired = await grove.http.post(f"{client.path}/grafana/reconcile", headers=grove.platform | {"Prefer": "wait=30"})
    assert repaired.is_success, repaired.text
    return tenant


async def _send_sessions(grove: Grove, tenant: Tenant) -> None:
    events = [
        {"name": event, "session_id": f"{tenant.id}-{number}"}
        for number in range(tenant.sessions)
        for event in ("page_loaded", "widget_opened")
    ]
    answer = await grove.http.post("/api/v1/events", json=events, headers=tenant.client.server)
    assert answer.status_code == 202, answer.text
