"""A site that carries the SDK, and a collector that notes what it sends, each on an origin of its own.

`async with open_tracked() as tracked: await page.goto(tracked.add("/", body="…"))`; `open_pages` serves the site alone.
The collector takes a body through the steps that Grove takes it through, so that what it would refuse fails a test.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from html import escape
from pathlib import Path
from typing import Any

import msgspec
from asyncpg.pgproto.pgproto import UUID

from app.ingest.event import Arrival
from app.ingest.routes import read_submission
from tenants.clock import utc_now
from tests.support.loopback import Answer, Call, serve
from tests.support.waiting import until

DIST = Path(__file__).parents[2] / "sdk" / "dist"
SCRIPTS = {"/sdk.js": "grove.js", "/analytics-sdk.js": "grove.js", "/sdk-more.js": "grove-more.js"}
KEY = "grv_w_0000000000000000000000000000000000000000000"
STRICT = "default-src 'none'; script-src 'self' {0}; connect-src {0}; img-src 'self'; form-action 'self'"
PAGE = '<!doctype html><html><head><meta charset="utf-8"><title>Shop</title>{0}</head><body>{1}</body></html>'
CORS = {"access-control-allow-origin": "*", "access-control-expose-headers": "retry-after"}
Event = dict[str, Any]


class Collector:
    """Notes events; answers while `answering` is set.

    Shape: while `answers` is not empty, its next entry is the status that is answered; None cuts off.
    """

    def __init__(self) -> None:
        self.url = ""
        self.scripts = {path: (DIST / name).read_bytes() for path, name in SCRIPTS.items()}
        self.posts: list[Call] = []
        self.answers: list[int | None] = []
        self.away = False
        self.answering = asyncio.Event()
        self.answering.set()
        self.faults: list[object] = []

    def events(self, name: str | None = None) -> list[Event]:
        """List what was sent, or what of one name was sent, in order, what was sent again too."""
        sent = [event for post in self.posts for event in msgspec.json.decode(post.content)]
        return [event for event in sent if name in {None, event["name"]}]

    async def expect(self, name: str, times: int = 1) -> Event:
        """Wait until an event was sent so many times, and return the last."""

        async def is_there() -> bool:
            return len(self.events(name)) >= times

        await until(is_there, within_s=15)
        assert len(self.events(name)) == times, self.events(name)
        return self.events(name)[-1]

    async def answer(self, call: Call) -> Answer | None:
        """Serve the SDK and take events in."""
        if call.method == "GET":
            content = self.scripts.get(call.path)
            if content is None:
                return Answer(404)
            return Answer(200, content=content, headers=CORS | {"content-type": "text/javascript"})
        if self.away:
            return None
        self.posts.append(call)
        self._judge(call)
        await self.answering.wait()
        status = self.answers.pop(0) if self.answers else 202
        return None if status is None else Answer(status, body={}, headers=CORS | {"retry-after": "1"})

    def _judge(self, call: Call) -> None:
        now = utc_now()
        key_id = UUID("00000000-0000-0000-0000-000000000001")
        arrival = Arrival(key_id=key_id, received_at=now, oldest=now - timedelta(days=1), accepts_chat=True)
        self.faults += [refused.answer for refused in read_submission(call.content, arrival).refused]
        if (call.method, call.path, call.query) != ("POST", "/api/v1/events", {"key": KEY}) or "cookie" in call.headers:
            self.faults.append(call)


class Pages:
    """The site. `server` is where it loads the script from and sends events to, with `key`."""

    def __init__(self, server: str, key: str) -> None:
        self.server = server
        self.key = key
        self.url = ""
        self.pages: dict[str, Answer] = {}

    def add(self, path: str, body: str = "", *, script: str = "/sdk.js", **data: str) -> str:
        """Put a page with the script on the site and return its address; `data` are the script's attributes."""
        attributes = {"api-key": self.key} | {name.replace("_", "-"): value for name, value in data.items()}
        written = " ".join(f'data-{name}="{escape(value)}"' for name, value in attributes.items())
        tag = f'<script src="{self.server}{script}" {written}></script>'
        policy = {"content-security-policy": STRICT.format(self.server)}
        self.pages[path] = Answer(200, page=PAGE.format(tag, body), headers=policy)
        return self.url + path

    async def answer(self, call: Call) -> Answer | None:
        """Serve a page."""
        return self.pages.get(call.path, Answer(404))


class Tracked(Pages):
    """A site whose events go to a collector."""

    def __init__(self, collector: Collector) -> None:
        super().__init__(collector.url, KEY)
        self.collector = collector


@asynccontextmanager
async def open_pages(server: str, key: str) -> AsyncIterator[Pages]:
    """Serve an empty site."""
    pages = Pages(server, key)
    async with serve(pages.answer) as pages.url:
        yield pages


@asynccontextmanager
async def open_tracked() -> AsyncIterator[Tracked]:
    """Serve an empty site and the collector."""
    collector = Collector()
    async with serve(collector.answer) as collector.url:
        tracked = Tracked(collector)
        async with serve(tracked.answer) as tracked.url:
            yield tracked
    assert collector.faults == []
