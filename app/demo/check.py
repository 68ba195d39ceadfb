"""Ask the running server what it knows, and compare that with what was sent.

Called by `run` after the events were delivered; `make demo ONCE=1` fails on the first thing that does not fit.
"""

import re
from typing import Any

import msgspec

from app.demo.api import GroveApi, require
from app.demo.delivery import Delivered
from app.demo.errors import DemoFailed
from app.demo.people import Visitor
from app.demo.story import Story

_BOARD = re.compile(r'/dashboards/([a-z-]+)"')
_PANEL = re.compile(r'data-panel="(\d+)"')
CHATBOT_PATHS = ("funnel", "daily", "hourly", "leads", "sessions", "test")


class Walls(msgspec.Struct, frozen=True):
    """How often it was tried to cross the clients' walls, and how often that succeeded."""

    attempts: int
    leaks: int


async def ask_funnel(api: GroveApi, story: Story) -> dict[str, int]:
    """Read a client's funnel over its whole story.

    Errors: DemoFailed.
    """
    period = {"from": story.since.isoformat(), "to": story.until.isoformat()}
    answer = await api.get(f"/api/{story.client.id}/funnel", **period)
    return {step["name"]: step["count"] for step in answer["steps"]}


async def check_answers(api: GroveApi, story: Story) -> None:
    """Call every chatbot path of a client; compare the funnel with the story.

    Errors: DemoFailed.
    """
    for path in CHATBOT_PATHS:
        answer: dict[str, Any] = await api.get(f"/api/{story.client.id}/{path}")
        if path == "test" and not answer["ok"]:
            raise DemoFailed(f"The data source of {story.client.id} is not well: {answer['problem']}")
    funnel = await ask_funnel(api, story)
    if funnel != story.funnel:
        raise DemoFailed(f"The funnel of {story.client.id} is {funnel}, and should be {story.funnel}.")


async def count_stored(platform: GroveApi, story: Story, delivered: Delivered) -> int:
    """Read from the usage of a new client how many events were stored; each that was sent must be, exactly once.

    A request that had to be repeated shows as duplicates on top, which is no fault.
    Errors: DemoFailed.
    """
    usage = await platform.get(f"/api/v1/clients/{story.client.id}/usage")
    stored: int = usage["outcomes"].get("stored", 0)
    if delivered.rejected:
        raise DemoFailed(f"{delivered.rejected} events of {story.client.id} were rejected.")
    if stored != delivered.sent or delivered.accepted + delivered.duplicates != delivered.sent:
        raise DemoFailed(f"Of {story.client.id}, {delivered} was answered, and usage knows {usage['outcomes']}.")
    return stored


async def check_built_in(visitor: Visitor) -> int:
    """Draw every panel of the built-in dashboards of somebody's client; return how many dashboards there are.

    Errors: DemoFailed.
    """
    uids = list(dict.fromkeys(_BOARD.findall((await visitor.open("/")).text)))
    for uid in uids:
        page = await visitor.open(f"/dashboards/{uid}")
        for panel in _PANEL.findall(page.text):
            require(await visitor.open(f"/dashboards/{uid}/panels/{panel}"), 200)
    if not uids:
        raise DemoFailed(f"The staff of {visitor.client_id} see no built-in dashboard.")
    return len(uids)


async def check_walls(platform: GroveApi, client_id: str) -> Walls:
    """Have the server try to cross every wall of a client.

    Errors: DemoFailed if it did not try, or got through somewhere.
    """
    operation = await platform.run(f"/api/v1/clients/{client_id}/isolation-check")
    summary = operation["result"]["summary"]
    walls = Walls(summary["attempts"], summary["leaks"])
    if walls.leaks or not walls.attempts:
        leaks = [each for each in operation["result"]["attempts"] if each["outcome"] != each["expected"]]
        raise DemoFailed(
            f"Of {walls.attempts} attempts to cross the walls of {client_id}, {walls.leaks} succeeded: {leaks}"
        )
    return walls
