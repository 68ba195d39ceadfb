"""Run the demo: a whole server, three clients, a month of events through the API, and what comes out of it.

Called by `grove demo`. `stay` keeps it up on a data folder that lasts; `check` leaves nothing behind.
"""

import asyncio
import signal
import tempfile
import threading
import time
from pathlib import Path
from types import FrameType

import msgspec

from app.demo import report
from app.demo.api import GroveApi, open_api
from app.demo.arrival import ensure_client, ensure_platform_key
from app.demo.check import Walls, ask_funnel, check_answers, check_walls, count_stored
from app.demo.clients import CLIENTS, MAPLE, DemoClient
from app.demo.delivery import Delivered, deliver
from app.demo.keys import ClientKeys, DemoKeys, load_keys, save_keys
from app.demo.story import Story, tell_month
from app.embedded.ports import is_free
from app.settings import Settings
from app.supervisor import Supervisor
from tenants.clock import utc_now

CHECK_SCALE = 0.25


class Filled(msgspec.Struct, frozen=True):
    """A client with its keys, what was sent for it and what became of that."""

    keys: ClientKeys
    story: Story
    delivered: Delivered

    @property
    def client(self) -> DemoClient:
        """Whose it is."""
        return self.story.client


class Summary(msgspec.Struct, frozen=True):
    """The last line of a checked demo."""

    clients: int
    events_sent: int
    events_stored: int
    funnel: dict[str, dict[str, int]]
    isolation: Walls
    seconds: float


def stay(settings: Settings, *, port_given: bool) -> None:
    """Fill a demo on a lasting data folder and keep it up until Ctrl-C or SIGTERM.

    Errors: EngineError, SupervisorError, DemoFailed.
    """
    settings = msgspec.structs.replace(settings, data_dir=settings.data_dir / "demo", client_databases={})
    if not port_given and not is_free(settings.port, settings.host):
        settings = msgspec.structs.replace(settings, port=0)
    signal.signal(signal.SIGTERM, _leave)
    report.say("Starting Postgres, Valkey and Grove …")
    with Supervisor(settings, quiet=True) as running:
        asyncio.run(_show(running))
        threading.Event().wait()


def check(settings: Settings) -> Summary:
    """Fill a smaller demo in a folder that is thrown away, call everything, and compare it with what was sent.

    Errors: EngineError, SupervisorError, DemoFailed.
    """
    started = time.monotonic()
    signal.signal(signal.SIGTERM, _leave)
    if settings.database_url or settings.redis_url:
        report.say("DATABASE_URL and REDIS_URL are left alone: what is made here is removed again.")
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
        )
        with Supervisor(own, quiet=True) as running:
            summary = asyncio.run(_check(running))
    return msgspec.structs.replace(summary, seconds=round(time.monotonic() - started, 1))


def _leave(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


async def _show(running: Supervisor) -> None:
    async with open_api(running.url) as api:
        keys, filled = await _fill(running, api, scale=1.0)
        report.tell_where(running.url, str(keys.platform), [(each.client, each.keys) for each in filled])
        for each in filled:
            if each.client is MAPLE:
                report.draw_funnel(MAPLE, await ask_funnel(api.with_key(each.keys.server), each.story))
                report.tell_request(running.url, MAPLE, each.keys)
    report.say(f"\nPress Ctrl-C to stop; the data stays in {running.settings.data_dir} for the next start.")


async def _check(running: Supervisor) -> Summary:
    async with open_api(running.url) as api:
        keys, filled = await _fill(running, api, scale=CHECK_SCALE)
        platform = api.with_key(str(keys.platform))
        stored = [await count_stored(platform, each.story, each.delivered) for each in filled]
        await asyncio.gather(*(check_answers(api.with_key(each.keys.server), each.story) for each in filled))
        report.say("Trying every wall between the clients …")
        walls = await asyncio.gather(*(check_walls(platform, each.client.id) for each in filled))
        funnels = {each.client.id: await ask_funnel(api.with_key(each.keys.server), each.story) for each in filled}
        report.draw_funnel(MAPLE, funnels[MAPLE.id])
    return Summary(
        clients=len(filled),
        events_sent=sum(each.delivered.sent for each in filled),
        events_stored=sum(stored),
        funnel=funnels,
        isolation=Walls(sum(wall.attempts for wall in walls), sum(wall.leaks for wall in walls)),
        seconds=0,
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
        Filled(keys.clients[story.client.id], story, done) for story, done in zip(stories, delivered, strict=True)
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
    for client in CLIENTS:
        known = keys.clients.get(client.id)
        keys.clients[client.id] = await ensure_client(api.with_key(keys.platform), client, known)
        save_keys(folder, keys)
    return keys
