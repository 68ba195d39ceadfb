"""Run the demo: a whole server, three clients, a month of events through the API, and what comes out of it.

Called by `grove demo`. `stay` keeps it up on a data folder that lasts; `check` leaves nothing behind.
"""

import asyncio
import signal
import tempfile
import threading
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from types import FrameType

import msgspec

from app.demo import report
from app.demo.api import GroveApi, open_api
from app.demo.arrival import ensure_client, ensure_platform_key
from app.demo.check import Walls, ask_funnel, check_answers, check_built_in, check_walls, count_stored
from app.demo.clients import CLIENTS, MAPLE, WILLOW, DemoClient
from app.demo.delivery import Delivered, deliver
from app.demo.errors import DemoFailed
from app.demo.grafana import (
    GrafanaFigures,
    LocalGrafana,
    check_dashboards,
    check_neighbours,
    find_local,
    find_version,
    read_health,
)
from app.demo.keys import ClientKeys, DemoKeys, Login, load_keys, save_keys
from app.demo.people import Visitor, ensure_login, open_visitor
from app.demo.sites.check import check_site
from app.demo.sites.opening import OpenSite, open_sites, serve_sites
from app.demo.sites.server import SiteServer
from app.demo.stopwatch import time_onboarding
from app.demo.story import Story, tell_month
from app.embedded.ports import is_free
from app.settings import Settings
from app.supervisor import Supervisor
from tenants.clock import utc_now

CHECK_SCALE = 0.25


class Filled(msgspec.Struct, frozen=True):
    """A client with its keys, what was sent for it and what became of that."""

    keys: ClientKeys
    login: Login
    story: Story
    delivered: Delivered

    @property
    def client(self) -> DemoClient:
        """Whose it is."""
        return self.story.client


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """The last line of a checked demo.

    Shape: `sites` is how many addresses each site has; where `grafana` is null, `without_grafana` is the reason.
    """

    clients: int
    events_sent: int
    events_stored: int
    funnel: dict[str, dict[str, int]]
    sites: dict[str, int]
    isolation: Walls
    grafana: GrafanaFigures | None
    without_grafana: str | None
    seconds: float


def stay(settings: Settings, *, port_given: bool) -> None:
    """Fill a demo on a lasting data folder and keep it up until Ctrl-C or SIGTERM.

    Errors: EngineError, SupervisorError, DemoFailed.
    """
    settings = msgspec.structs.replace(
        settings, data_dir=settings.data_dir / "demo", client_databases={}, smtp_url=None, mail_from=None
    )
    if not port_given and not is_free(settings.port, settings.host):
        settings = msgspec.structs.replace(settings, port=0)
    signal.signal(signal.SIGTERM, _leave)
    local = find_local(settings)
    report.tell_start(local)
    with Supervisor(settings, quiet=True, grafana=local.installation) as running:
        port = running.settings.port
        with serve_sites((port + 1, port + 2)) as servers:
            asyncio.run(_show(running, local, servers))
            threading.Event().wait()


def check(settings: Settings) -> Summary:
    """Fill a smaller demo in a folder that is thrown away, call everything, and compare it with what was sent.

    Errors: EngineError, SupervisorError, DemoFailed.
    """
    started = time.monotonic()
    signal.signal(signal.SIGTERM, _leave)
    if settings.database_url or settings.redis_url or settings.grafana_url:
        report.say("DATABASE_URL, REDIS_URL and GRAFANA_URL are left alone: what is made here is removed again.")
    with tempfile.TemporaryDirectory(prefix="grove-demo-") as folder:
        own = msgspec.structs.replace(
            settings,
            database_url=None,
            redis_url=None,
            secret_key=None,
            public_url=None,
            grafana_url=None,
            host="127.0.0.1",
            port=0,
            data_dir=Path(folder) / "grove",
            client_databases={},
            smtp_url=None,
            mail_from=None,
        )
        local = find_local(own)
        report.tell_start(local)
        with Supervisor(own, quiet=True, grafana=local.installation) as running, serve_sites() as servers:
            summary = asyncio.run(_check(running, local, servers))
    return msgspec.structs.replace(summary, seconds=round(time.monotonic() - started, 1))


def _leave(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


async def _show(running: Supervisor, local: LocalGrafana, servers: tuple[SiteServer, SiteServer]) -> None:
    async with open_api(running.url) as api:
        keys, filled = await _fill(running, api, scale=1.0)
        told = [(each.client, each.keys, each.login) for each in filled]
        report.tell_where(running.url, str(keys.platform), told, grafana=running.settings.grafana_url is not None)
        report.tell_grafana(local, await find_version(running.settings))
        for each in filled:
            if each.client is MAPLE:
                report.draw_funnel(MAPLE, await ask_funnel(api.with_key(each.keys.server), each.story))
                report.tell_request(running.url, MAPLE, each.keys)
        report.tell_sites(running.url, await _open_sites(api, keys, servers))
    report.say(f"\nPress Ctrl-C to stop; the data stays in {running.settings.data_dir} for the next start.")


async def _check(running: Supervisor, local: LocalGrafana, servers: tuple[SiteServer, SiteServer]) -> Summary:
    async with open_api(running.url) as api:
        keys, filled = await _fill(running, api, scale=CHECK_SCALE)
        platform = api.with_key(str(keys.platform))
        stored = [await count_stored(platform, each.story, each.delivered) for each in filled]
        await asyncio.gather(*(check_answers(api.with_key(each.keys.server), each.story) for each in filled))
        report.say("Visiting the shop and the portfolio …")
        sites = {
            each.site.client.id: await check_site(api.with_key(keys.clients[each.site.client.id].server), each)
            for each in await _open_sites(api, keys, servers)
        }
        report.say("Trying every wall between the clients …")
        walls = await asyncio.gather(*(check_walls(platform, each.client.id) for each in filled))
        funnels = {each.client.id: await ask_funnel(api.with_key(each.keys.server), each.story) for each in filled}
        report.draw_funnel(MAPLE, funnels[MAPLE.id])
        report.say("Looking at every dashboard through each client's own staff …")
        async with _logged_in(running, filled) as visitors:
            for visitor in visitors:
                await check_built_in(visitor)
            grafana = None
            if local.installation is not None:
                walls.append(await check_neighbours(running.url, visitors))
                grafana = await _look_at_grafana(running, platform, visitors)
    return Summary(
        clients=len(filled),
        events_sent=sum(each.delivered.sent for each in filled),
        events_stored=sum(stored),
        funnel=funnels,
        sites=sites,
        isolation=Walls(sum(wall.attempts for wall in walls), sum(wall.leaks for wall in walls)),
        grafana=grafana,
        without_grafana=local.missing,
        seconds=0,
    )


async def _open_sites(api: GroveApi, keys: DemoKeys, servers: tuple[SiteServer, SiteServer]) -> list[OpenSite]:
    return await open_sites(api, {client_id: made.admin for client_id, made in keys.clients.items()}, servers)


@asynccontextmanager
async def _logged_in(running: Supervisor, filled: list[Filled]) -> AsyncIterator[list[Visitor]]:
    """Log every client's person in."""
    async with AsyncExitStack() as stack:
        visitors = [await stack.enter_async_context(open_visitor(running.url, each.client.id)) for each in filled]
        for visitor, each in zip(visitors, filled, strict=True):
            if not await visitor.log_in(each.login):
                raise DemoFailed(f"{each.login.email} cannot log in.")
        yield visitors


async def _look_at_grafana(running: Supervisor, platform: GroveApi, visitors: list[Visitor]) -> GrafanaFigures:
    """Look at every dashboard, and onboard one more client by the watch."""
    dashboards = [await check_dashboards(visitor) for visitor in visitors]
    version, health = await read_health(running.settings, [visitor.client_id for visitor in visitors])
    laps = await time_onboarding(platform, running.url, WILLOW)
    report.tell_laps(WILLOW, laps)
    return GrafanaFigures(
        version=version,
        orgs=len(health),
        dashboards=sum(dashboards),
        datasource_health=health,
        onboarding_seconds=laps.total_s,
    )


async def _fill(running: Supervisor, api: GroveApi, *, scale: float) -> tuple[DemoKeys, list[Filled]]:
    """Onboard the clients and send their stories."""
    keys = await _onboard(running, api)
    report.say("Sending a month of events, each client with its own key …")
    now = utc_now()
    stories = [tell_month(client, now, scale=scale) for client in CLIENTS]
    with report.progress_bars(stories) as bars:
        delivered = await asyncio.gather(
            *(
                deliver(api.with_key(keys.clients[story.client.id].server), story, bars[story.client.id])
                for story in stories
            )
        )
    filled = [
        Filled(keys.clients[story.client.id], keys.logins[story.client.id], story, done)
        for story, done in zip(stories, delivered, strict=True)
    ]
    for each in filled:
        report.tell_delivery(each.client, each.delivered)
    return keys, filled


async def _onboard(running: Supervisor, api: GroveApi) -> DemoKeys:
    """Make or find the clients; every key is kept as soon as it is known."""
    folder = running.settings.data_dir
    keys = load_keys(folder)
    keys.platform = await ensure_platform_key(api, running.settings, running.platform_key or keys.platform)
    save_keys(folder, keys)
    report.say("Onboarding the clients …")
    platform = api.with_key(keys.platform)
    for client in CLIENTS:
        keys.clients[client.id] = await ensure_client(platform, client, keys.clients.get(client.id))
        save_keys(folder, keys)
        keys.logins[client.id] = await ensure_login(platform, running.url, client, keys.logins.get(client.id))
        save_keys(folder, keys)
        if running.settings.grafana_url is not None:
            await platform.run(f"/api/v1/clients/{client.id}/grafana/reconcile")
    return keys
