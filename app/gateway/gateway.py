"""One request for Grafana: who asks → is it let through → on to the client's organisation → back under its brand.

Called by `app.gateway.front`, which found the client in the path or by the host. Answers go back while they come; only
pages and the few answers that name addresses are held to be rewritten.
"""

import asyncio
import secrets
import zlib
from collections.abc import Coroutine
from contextlib import suppress
from functools import partial
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import aiohttp
import msgspec
from litestar.enums import ScopeType
from litestar.types import HTTPScope, Receive, Send, WebSocketScope

from app.auth.guards import require_active
from app.auth.sessions import SessionStore, StaffMember
from app.auth.staff import find_member
from app.console.brand import Brand, brand_of
from app.gateway.assets import LASTING, Asset, AssetCache, is_lasting
from app.gateway.branding import LOGOS, OWN_FILES, find_own
from app.gateway.headers import Headers, accepts, first, replace, to_browser, to_grafana
from app.gateway.live import Bridge, LiveSockets
from app.gateway.origins import require_own_origin
from app.gateway.pages import Page, policy, rewrite
from app.gateway.paths import read_path, read_query
from app.gateway.questions import read_questions
from app.gateway.rules import QUESTIONS, Kind, Rule, find_rule
from app.gateway.turns import Turns
from app.gateway.upstream import Upstream
from app.ingest.body import MAX_BODY_S, read_body
from app.ingest.patience import Patience
from app.settings import Settings
from provisioning.grafana.connections import SOURCE
from provisioning.templates import DATASOURCE
from tenants.clock import Clock
from tenants.errors import GrafanaUnavailable, GrafanaUnreachable, NotFound
from tenants.registry import Registry
from tenants.revocations import RevocationFeed

MAX_BODY_BYTES = 2 * 1024 * 1024
MAX_PAGE_BYTES = 8 * 1024 * 1024
MAX_DATA_BYTES = 32 * 1024 * 1024
DATASOURCES = frozenset({DATASOURCE, SOURCE})
_NO_USER = 407
_READING = frozenset({"GET", "HEAD"})
_UNKEPT = b"no-store"


class Visit(msgspec.Struct, frozen=True, kw_only=True):
    """A request for Grafana.

    Shape: `raw_path` is what follows `prefix`, such as `/d/sales` after `/maple/grafana`; `home` is what the client's
    own pages begin with; `origin` is scheme and host as the browser sees them.
    """

    client_id: str
    raw_path: bytes
    prefix: str
    home: str
    origin: str


class _Asked(msgspec.Struct, frozen=True, kw_only=True):
    """A request that is let through, by whom."""

    visit: Visit
    method: str
    path: str
    query: str
    rule: Rule
    member: StaffMember
    brand: Brand
    org: int
    gzip: bool
    zone: ZoneInfo

    @property
    def target(self) -> str:
        return f"{self.path}?{self.query}" if self.query else self.path


class Gateway:
    """The way to one Grafana. One per process."""

    def __init__(
        self, settings: Settings, upstream: Upstream, sessions: SessionStore, registry: Registry, feed: RevocationFeed,
        clock: Clock,
    ) -> None:  # fmt: skip
        self._settings = settings
        self._upstream = upstream
        self._sessions = sessions
        self._registry = registry
        self._clock = clock
        self._assets = AssetCache()
        self._live = LiveSockets(upstream, feed, clock)
        self._turns = Turns()
        self._patience = Patience(MAX_BODY_S)

    async def answer(self, scope: HTTPScope, receive: Receive, send: Send, visit: Visit) -> None:
        """Answer a request.

        Errors: Unauthenticated without a session; NotFound for what is not let through; ClientSuspended;
        OriginRefused; BodyTooLarge; BodyTooSlow; InputRefused; QueueFull; GrafanaUnavailable.
        """
        member = await find_member(scope, visit.client_id, self._settings, self._sessions)
        path = read_path(visit.raw_path)
        if scope["method"] not in _READING:
            require_own_origin(scope, visit.origin)
        own = await self._find_own(path, visit, member, scope["method"])
        if own is not None:
            scope["state"]["quiet"] = True
            await _send(send, *own)
            return
        asked = await self._ask(scope, visit, member, path)
        if asked.rule.kind is Kind.LIVE:
            raise NotFound("This is a websocket.")
        # A page view is a line in the log; the dozens of requests that follow from it are counted.
        scope["state"]["quiet"] = asked.rule.kind is not Kind.PAGE
        if is_lasting(path):
            kept = self._assets.find(path, gzip=asked.gzip)
            if kept is not None:
                await _send(send, 200, kept.headers, b"" if asked.method == "HEAD" else kept.body)
                return
        body = None
        if asked.method not in _READING:
            body = await read_body(scope, receive, self._patience, limit_bytes=MAX_BODY_BYTES)
            # The body took its time, in which the session or the role may have ended.
            member = await find_member(scope, visit.client_id, self._settings, self._sessions)
            asked = await self._ask(scope, visit, member, path)
            if path == QUESTIONS:
                body = read_questions(body, DATASOURCES, zone=asked.zone, now=self._clock())
        await _unless_gone(receive, self._take_turn(scope, send, asked, body))

    async def connect(self, scope: WebSocketScope, receive: Receive, send: Send, visit: Visit) -> None:
        """Answer a websocket.

        Errors: as `answer`.
        """
        member = await find_member(scope, visit.client_id, self._settings, self._sessions)
        require_own_origin(scope, visit.origin)
        asked = await self._ask(scope, visit, member, read_path(visit.raw_path))
        if asked.rule.kind is not Kind.LIVE:
            raise NotFound("This is no websocket.")
        headers = to_grafana([], self._settings.grafana_header, member, asked.org, gzip=False)
        again = partial(find_member, scope, visit.client_id, self._settings, self._sessions)
        bridge = Bridge(member=member, target=asked.target, headers=headers, verify=again)
        await self._live.bridge(scope, receive, send, bridge)

    async def _find_own(
        self, path: str, visit: Visit, member: StaffMember, method: str
    ) -> tuple[int, Headers, bytes] | None:
        if (path not in LOGOS and path not in OWN_FILES) or method not in _READING:
            return None
        return find_own(path, brand_of(await self._registry.get_client(member.client_id)), visit.home)

    async def _ask(self, scope: HTTPScope | WebSocketScope, visit: Visit, member: StaffMember, path: str) -> _Asked:
        method = scope["method"] if scope["type"] == ScopeType.HTTP else "GET"
        rule = find_rule(method, path, member.role)
        if rule is None:
            raise NotFound("There is no such page.")
        query = read_query(scope.get("query_string", b""))
        client = require_active(await self._registry.get_client(member.client_id))
        if client.grafana_org_id is None:
            raise GrafanaUnavailable("The dashboards are still being prepared.")
        gzip = rule.kind is not Kind.PAGE and not rule.links and accepts(scope["headers"], b"accept-encoding", b"gzip")
        return _Asked(
            visit=visit, method=method, path=path, query=query, rule=rule, member=member, brand=brand_of(client),
            org=client.grafana_org_id, gzip=gzip, zone=ZoneInfo(client.timezone),
        )  # fmt: skip

    async def _take_turn(self, scope: HTTPScope, send: Send, asked: _Asked, body: bytes | None) -> None:
        async with self._turns.take(asked.member):
            await self._exchange(scope, send, asked, body)

    async def _exchange(self, scope: HTTPScope, send: Send, asked: _Asked, body: bytes | None) -> None:
        identity = self._settings.grafana_header
        sent = to_grafana(scope["headers"], identity, asked.member, asked.org, gzip=asked.gzip)
        async with self._upstream.request(asked.method, asked.target, sent, body) as answer:
            if answer.status == _NO_USER:
                raise GrafanaUnavailable("The dashboards are still being prepared.")
            received = to_browser(answer.raw_headers)
            location = answer.headers.get("Location")
            if location is not None:
                received.append((b"location", _below(location, asked.visit).encode()))
            is_html = answer.content_type == "text/html"
            if (is_html or asked.rule.links) and asked.method != "HEAD":
                await _send(send, answer.status, *_rewritten(asked, received, await _whole(answer), is_html=is_html))
            elif is_lasting(asked.path) and answer.status == 200 and asked.method == "GET":  # noqa: PLR2004
                headers = replace(received, cache_control=LASTING, expires=None, pragma=None, content_length=None)
                await self._pass_kept(send, asked, headers, answer)
            else:
                if asked.rule.kind is not Kind.ASSET:
                    received = replace(received, cache_control=_UNKEPT, expires=None, pragma=None)
                await _stream(send, answer, received)

    async def _pass_kept(self, send: Send, asked: _Asked, headers: Headers, answer: aiohttp.ClientResponse) -> None:
        body = await _whole(answer)
        headers = replace(headers, content_length=b"%d" % len(body))
        self._assets.keep(asked.path, Asset(headers, body), gzip=asked.gzip)
        await _send(send, answer.status, headers, body)


def _rewritten(asked: _Asked, headers: Headers, body: bytes, *, is_html: bool) -> tuple[Headers, bytes]:
    """Write a page, or an answer that names addresses, anew."""
    if first(headers, b"content-encoding") is not None:
        body = _inflate(body)
    headers = replace(headers, content_encoding=None, cache_control=_UNKEPT, expires=None, pragma=None, etag=None)
    if is_html:
        visit = asked.visit
        page = Page(
            brand=asked.brand, member=asked.member, prefix=visit.prefix, home=visit.home, origin=visit.origin,
            nonce=secrets.token_urlsafe(16),
        )  # fmt: skip
        body = rewrite(body.decode(), page).encode()
        headers = replace(headers, content_security_policy=policy(page).encode())
    else:
        body = body.replace(b'"url":"/', b'"url":"%s/' % asked.visit.prefix.encode()).replace(
            b'"folderUrl":"/', b'"folderUrl":"%s/' % asked.visit.prefix.encode()
        )
    return replace(headers, content_length=b"%d" % len(body)), body


def _below(location: str, visit: Visit) -> str:
    """Bring a redirection below the prefix; whatever leads elsewhere leads home."""
    parts = urlsplit(location)
    if parts.netloc or parts.scheme or not location.startswith("/") or location.startswith(("//", "/\\")):
        return f"{visit.prefix}/"
    return visit.prefix + location


def _inflate(body: bytes) -> bytes:
    """Inflate what was compressed although it was asked for as it is."""
    inflater = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
    try:
        text = inflater.decompress(body, MAX_PAGE_BYTES)
    except zlib.error as error:
        raise GrafanaUnreachable("The dashboards answered in a way that cannot be read.") from error
    if inflater.unconsumed_tail:
        raise GrafanaUnreachable("The dashboards answered with too much.")
    return text


async def _whole(answer: aiohttp.ClientResponse) -> bytes:
    parts, size = [], 0
    async for part in answer.content.iter_any():
        size += len(part)
        if size > MAX_PAGE_BYTES:
            raise GrafanaUnreachable("The dashboards answered with too much.")
        parts.append(part)
    return b"".join(parts)


async def _stream(send: Send, answer: aiohttp.ClientResponse, headers: Headers) -> None:
    """Pass an answer on as it comes: the next part is read when the one before has been taken."""
    start: Any = {"type": "http.response.start", "status": answer.status, "headers": headers}
    await send(start)
    size = 0
    async for part in answer.content.iter_any():
        size += len(part)
        if size > MAX_DATA_BYTES:
            raise GrafanaUnreachable("The dashboards answered with too much.")
        chunk: Any = {"type": "http.response.body", "body": part, "more_body": True}
        await send(chunk)
    end: Any = {"type": "http.response.body", "body": b"", "more_body": False}
    await send(end)


async def _send(send: Send, status: int, headers: Headers, body: bytes) -> None:
    start: Any = {"type": "http.response.start", "status": status, "headers": headers}
    await send(start)
    end: Any = {"type": "http.response.body", "body": body, "more_body": False}
    await send(end)


async def _unless_gone(receive: Receive, work: Coroutine[Any, Any, None]) -> None:
    """Do the work, and drop it when the browser leaves; Grafana then cancels its query."""
    task = asyncio.create_task(work)
    leaving = asyncio.create_task(_until_gone(receive))
    try:
        await asyncio.wait({task, leaving}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.result()
    finally:
        for other in (task, leaving):
            other.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await other


async def _until_gone(receive: Receive) -> None:
    message: Any = await receive()
    while message["type"] != "http.disconnect":
        message = await receive()
