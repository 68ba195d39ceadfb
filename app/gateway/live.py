"""Websockets of Grafana Live: bridged for as long as the session behind them stands.

Called by `app.gateway.gateway`. A revocation of the person or the client closes the socket within the feed's interval;
one that was closed for another session's sake comes back by itself, as it would after any cut.
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import aiohttp
import msgspec
from litestar.types import Receive, Send, WebSocketScope

from app.auth.sessions import StaffMember
from app.gateway.upstream import Upstream
from tenants.clock import Clock
from tenants.errors import GrafanaUnavailable, GroveError, QueueFull
from tenants.revocations import RevocationFeed

if TYPE_CHECKING:
    from uuid import UUID

SOCKETS_PER_PERSON = 20
# From the browser come subscriptions, nothing large.
CLIENT_FRAME_BYTES = 64 * 1024
CHECK_S = 0.5
VERIFY_EVERY = timedelta(minutes=1)
GOING_AWAY, TOO_BIG, ENDED = 1001, 1009, 4401
_PROTOCOL_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.")


class Bridge(msgspec.Struct, frozen=True, kw_only=True):
    """A socket that is asked for. `verify` asks again for the session behind it."""

    member: StaffMember
    target: str
    headers: list[tuple[str, str]]
    verify: Callable[[], Awaitable[StaffMember]]


class LiveSockets:
    """The open sockets of a process."""

    def __init__(self, upstream: Upstream, feed: RevocationFeed, clock: Clock) -> None:
        self._upstream = upstream
        self._feed = feed
        self._clock = clock
        self._counts: Counter[UUID] = Counter()
        self._endings: dict[str, set[asyncio.Event]] = defaultdict(set)
        feed.listen(self._end)

    async def bridge(self, scope: WebSocketScope, receive: Receive, send: Send, asked: Bridge) -> None:
        """Connect the browser to Grafana until one of them leaves or the session ends.

        Errors: QueueFull for one socket too many; Unauthenticated; GrafanaUnavailable; all before the socket is
        accepted.
        """
        member = asked.member
        if self._counts[member.staff_id] >= SOCKETS_PER_PERSON:
            raise QueueFull(5, "Too many pages are open.")
        protocols = [name for name in scope.get("subprotocols", []) if set(name) <= _PROTOCOL_CHARACTERS][:4]
        async with (
            self._counted(member) as ended,
            self._upstream.live(asked.target, asked.headers, protocols) as grafana,
        ):
            # From here on a revocation is heard; one that came a moment ago is seen now.
            await asked.verify()
            await receive()  # websocket.connect
            accept: Any = {"type": "websocket.accept", "subprotocol": grafana.protocol, "headers": []}
            await send(accept)
            await self._carry(receive, send, grafana, asked, ended)

    async def _carry(
        self, receive: Receive, send: Send, grafana: aiohttp.ClientWebSocketResponse, asked: Bridge,
        ended: asyncio.Event,
    ) -> None:  # fmt: skip
        tasks = {
            asyncio.create_task(_to_grafana(receive, grafana)),
            asyncio.create_task(_to_browser(grafana, send)),
            asyncio.create_task(self._until_ended(asked, ended)),
        }
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        codes = [task.result() for task in done if task.exception() is None]
        if None not in codes:
            close: Any = {"type": "websocket.close", "code": codes[0] if codes else GOING_AWAY, "reason": ""}
            await send(close)

    async def _until_ended(self, asked: Bridge, ended: asyncio.Event) -> int:
        """Wait until the session may not go on: revoked, over, not there, or nothing can be heard of revocations."""
        verified = self._clock()
        while self._feed.fresh and self._clock() < asked.member.expires_at:
            with suppress(TimeoutError):
                await asyncio.wait_for(ended.wait(), CHECK_S)
                break
            if self._clock() - verified >= VERIFY_EVERY:
                try:
                    await asked.verify()
                except GroveError:
                    break
                verified = self._clock()
        return ENDED

    @asynccontextmanager
    async def _counted(self, member: StaffMember) -> AsyncIterator[asyncio.Event]:
        ended = asyncio.Event()
        subjects = (f"staff:{member.staff_id}", f"client:{member.client_id}")
        self._counts[member.staff_id] += 1
        for subject in subjects:
            self._endings[subject].add(ended)
        try:
            yield ended
        finally:
            self._counts -= Counter({member.staff_id: 1})
            for subject in subjects:
                self._endings[subject].discard(ended)
                if not self._endings[subject]:
                    del self._endings[subject]

    def _end(self, kind: str, subject: str) -> None:
        for ended in self._endings.get(f"{kind}:{subject}", ()):
            ended.set()


async def _to_grafana(receive: Receive, grafana: aiohttp.ClientWebSocketResponse) -> int | None:
    """Carry what the browser sends; None where it left."""
    while True:
        message: Any = await receive()
        if message["type"] == "websocket.disconnect":
            return None
        text, content = message.get("text"), message.get("bytes")
        if len(text if text is not None else content or b"") > CLIENT_FRAME_BYTES:
            return TOO_BIG
        if text is not None:
            await grafana.send_str(text)
        elif content is not None:
            await grafana.send_bytes(content)


async def _to_browser(grafana: aiohttp.ClientWebSocketResponse, send: Send) -> int:
    """Carry what Grafana sends until it closes."""
    async for message in grafana:
        frame: Any = {"type": "websocket.send"}
        if message.type is aiohttp.WSMsgType.TEXT:
            await send(frame | {"text": message.data})
        elif message.type is aiohttp.WSMsgType.BINARY:
            await send(frame | {"bytes": message.data})
        elif message.type is aiohttp.WSMsgType.ERROR:
            raise GrafanaUnavailable("Grafana Live broke off.")
    code = grafana.close_code
    return code if code is not None and (code == 1000 or 3000 <= code < 5000) else GOING_AWAY  # noqa: PLR2004 - RFC 6455, 7.4
