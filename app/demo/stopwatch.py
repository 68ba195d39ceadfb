"""How long it takes from the order to onboard a client to the first figure on its own dashboard in Grafana.

Called by `run`. The client's way is walked as its agency and its staff walk it: nothing is prepared, and nothing is
counted that a member of staff could not see.
"""

import asyncio
import time
from itertools import pairwise

import msgspec

from app.demo.api import WAIT_S, GroveApi, require
from app.demo.clients import DemoClient
from app.demo.errors import DemoFailed
from app.demo.grafana import read_dashboard, read_panel
from app.demo.keys import Login
from app.demo.people import Visitor, invite, make_password, open_visitor

_EVENT = {"name": "page_loaded", "session_id": "the-first"}
_DASHBOARD = "user-events"


class Laps(msgspec.Struct, frozen=True):
    """Seconds: until the client was there, until its person was logged in and its event stored, until the figure."""

    onboarded_s: float
    entered_s: float
    seen_s: float

    @property
    def total_s(self) -> float:
        """From the order to the figure."""
        return round(self.onboarded_s + self.entered_s + self.seen_s, 2)


async def time_onboarding(platform: GroveApi, url: str, client: DemoClient) -> Laps:
    """Onboard a client, send one event with its key, log in as its person, and read the event off the dashboard.

    Errors: DemoFailed.
    """
    marks = [time.monotonic()]
    order = platform.call("POST", "/api/v1/clients", json=client.request(), headers={"Prefer": f"wait={WAIT_S}"})
    server = platform.with_key(require(await order, 201)["keys"]["server"])
    marks.append(time.monotonic())
    async with open_visitor(url, client.id) as visitor:
        stored, _ = await asyncio.gather(
            server.call("POST", "/api/v1/events", json=_EVENT), _enter(platform, visitor, client)
        )
        require(stored, 202)
        marks.append(time.monotonic())
        await _read_figure(visitor)
        marks.append(time.monotonic())
    return Laps(*(after - before for before, after in pairwise(marks)))


async def _enter(platform: GroveApi, visitor: Visitor, client: DemoClient) -> None:
    login = Login(client.person.email, make_password())
    await visitor.set_password(await invite(platform, client), login.password)
    if not await visitor.log_in(login):
        raise DemoFailed(f"{login.email} cannot log in with the password that was just set.")


async def _read_figure(visitor: Visitor) -> None:
    """Read the first figure of the dashboard, which counts sessions: there is one."""
    dashboard = await read_dashboard(visitor, _DASHBOARD)
    columns = await read_panel(visitor, dashboard, dashboard.panels[0])
    if not columns or columns[0] != [1]:
        raise DemoFailed(f"The first dashboard of {visitor.client_id} shows {columns}, and should count one session.")
