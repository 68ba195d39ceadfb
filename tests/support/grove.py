"""A whole Grove inside the test's process: a database of its own, the application, and a worker where asked for.

`async with open_grove(postgres.url) as grove, grove.worker(): await grove.http.get("/clients", headers=grove.platform)`
"""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import asyncpg
import httpx
import msgspec
from litestar.types import ASGIApp

from app.asgi import create_app
from app.bootstrap import bootstrap
from app.settings import Settings
from app.workers.worker import run_worker
from tenants.control import ControlPlane
from tenants.ids import TenantId
from tenants.placement import Placement
from tenants.registry import Registry, with_database
from tenants.vault import Vault
from tests.support.statements import Recorder, prove

# One for all databases of a cluster, because the serving login's password is derived from it.
SECRET_KEY = "a secret key that all tests of one cluster share"


class MadeClient(msgspec.Struct, frozen=True):
    """A client and its first keys, as headers."""

    id: str
    body: dict[str, Any]
    admin: dict[str, str]
    server: dict[str, str]
    browser: dict[str, str]

    @property
    def path(self) -> str:
        """Where it is managed."""
        return f"/api/v1/clients/{self.id}"


class Grove:
    """A running application. `platform` is the header of the platform's key."""

    def __init__(
        self,
        settings: Settings,
        app: Any,
        http: httpx.AsyncClient,
        platform_key: str,
        recorder: Recorder | None = None,
    ) -> None:
        self.settings = settings
        self.app = app
        self.http = http
        self.recorder = recorder or Recorder()
        self.platform = bearer(platform_key)

    @asynccontextmanager
    async def worker(self) -> AsyncIterator[None]:
        """Run a worker beside the application."""
        stop = asyncio.Event()
        task = asyncio.create_task(run_worker(self.settings, stop, observe=self.recorder.observe))
        try:
            yield
        finally:
            stop.set()
            await task

    @asynccontextmanager
    async def twin(self, **options: Any) -> AsyncIterator["Grove"]:
        """Run the application a second time on the same database, as another process would."""
        async with _serve(self.settings, self.recorder, **options) as (app, http):
            yield Grove(self.settings, app, http, "", self.recorder)

    async def placement_of(self, client_id: str) -> Placement:
        """Look up where a client's data is."""
        control = ControlPlane(self.settings.main_url)
        try:
            registry = Registry(control, vault=Vault(self.settings.key_material), main_url=self.settings.main_url)
            return (await registry.get_client(TenantId(client_id))).placement
        finally:
            await control.close()

    async def prove_walls(self) -> None:
        """Replay every new kind of statement of this run as a stranger, who must be refused."""
        if self.recorder.unproven:
            stranger = f"stranger-{secrets.token_hex(4)}"
            async with self.worker():
                await self.make_client(stranger)
            await prove(self.settings.main_url, self.recorder, [await self.placement_of(stranger)])

    async def make_client(self, client_id: str, **wanted: Any) -> MadeClient:
        """Onboard a client and wait for it; needs a worker."""
        body = {"id": client_id, "name": client_id.title(), **wanted}
        answer = await self.http.post("/api/v1/clients", json=body, headers=self.platform | {"Prefer": "wait=30"})
        assert answer.status_code == 201, answer.text
        made = answer.json()
        keys = {kind: bearer(key) for kind, key in made["keys"].items()}
        return MadeClient(client_id, made, **keys)


@asynccontextmanager
async def open_grove(admin_url: str, *, redis_url: str | None = None, **changes: Any) -> AsyncIterator[Grove]:
    """Make a database, prepare it and run the application on it; all is gone afterwards.

    Shape: `changes` are settings, and options of `open_resources`.
    """
    options = {name: changes.pop(name) for name in ("clock", "witnesses", "grafana_timeout_s") if name in changes}
    async with own_database(admin_url) as database_url:
        settings = grove_settings(database_url, redis_url=redis_url, **changes)
        prepared = await bootstrap(settings)
        assert prepared.platform_key is not None
        recorder = Recorder()
        async with _serve(settings, recorder, **options) as (app, http):
            grove = Grove(settings, app, http, prepared.platform_key, recorder)
            yield grove
            await grove.prove_walls()


@asynccontextmanager
async def _serve(
    settings: Settings, recorder: Recorder, **options: Any
) -> AsyncIterator[tuple[Any, httpx.AsyncClient]]:
    app = create_app(settings, observe=recorder.observe, **options)
    transport = httpx.ASGITransport(cast("Any", app), raise_app_exceptions=False)
    async with _lifespan(app), httpx.AsyncClient(transport=transport, base_url="http://grove.test") as http:
        yield app, http


def grove_settings(database_url: str, **changes: Any) -> Settings:
    """Settings of a server on a given database."""
    given: dict[str, Any] = {"secret_key": SECRET_KEY, "public_url": "http://grove.test", "drain_timeout_s": 5}
    return Settings(database_url=database_url, **(given | changes))


@asynccontextmanager
async def own_database(admin_url: str) -> AsyncIterator[str]:
    """Make an empty database and drop it afterwards."""
    name = f"grove_{secrets.token_hex(4)}"
    await execute(admin_url, f"CREATE DATABASE {name}")
    try:
        yield with_database(admin_url, name)
    finally:
        await execute(admin_url, f"DROP DATABASE {name} WITH (FORCE)")


def bearer(key: str) -> dict[str, str]:
    """Write a key as a header."""
    return {"Authorization": f"Bearer {key}"}


async def execute(url: str, sql: str) -> None:
    """Run a statement on a database."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(sql)
    finally:
        await connection.close()


@asynccontextmanager
async def _lifespan(app: ASGIApp) -> AsyncIterator[None]:
    """Start and stop an application as a web server does."""
    incoming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    outgoing: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    scope: Any = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}
    task = asyncio.ensure_future(cast("Any", app)(scope, incoming.get, outgoing.put))
    for stage in ("startup", "shutdown"):
        await incoming.put({"type": f"lifespan.{stage}"})
        message = await outgoing.get()
        assert message["type"] == f"lifespan.{stage}.complete", message
        if stage == "startup":
            try:
                yield
            except BaseException:
                task.cancel()
                raise
    await task
