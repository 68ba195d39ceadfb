"""Decide what is Grafana's, by host and by the raw path, before the router sees a request.

Made by `app.asgi` around the routes. On a client's own host every path is that client's, and below `/grafana` is its
Grafana; elsewhere the client's id stands in front.
"""

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

from litestar import Litestar
from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPScope, Receive, Scope, Send, WebSocketScope

from app.api.raw_paths import raw_path
from app.auth.cookies import HOST_MODE
from app.gateway.failures import answer_failure, refuse_socket
from app.gateway.gateway import Gateway, Visit
from app.gateway.origins import host_of, origin_of
from app.problems import WatchedSend
from app.settings import Settings
from tenants.errors import StoreUnavailable

if TYPE_CHECKING:
    from app.gateway.hosts import Hosts

ROUTE = "/{client_id}/grafana/{path}"
_BELOW = re.compile(rb"/([a-z][a-z0-9-]{1,38})/grafana(/.*)?", re.DOTALL)
_REQUESTS = frozenset({"http", "websocket"})  # and no lifespan
_HEALTH = b"/health"
_LEAVING = {b"/login": "/login", b"/logout": "/logout"}


class Front:
    """ASGI middleware between what measures requests and the routes; `onward` is the way to these."""

    def __init__(self, routes: Litestar, settings: Settings, onward: ASGIApp | None = None) -> None:
        self._routes = routes
        self._onward = onward or routes
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send a request on its way."""
        if scope["type"] not in _REQUESTS:
            await self._onward(scope, receive, send)
            return
        request: HTTPScope | WebSocketScope = scope
        request.setdefault("state", {})
        try:
            own = await self._own_host(request)
        except StoreUnavailable as error:
            await _fail(request, send, error)
            return
        if own is not None:
            _move(request, own)
        found = _BELOW.fullmatch(raw_path(request))
        gateway: Gateway | None = None if found is None else self._routes.state.get("gateway")
        if found is None or gateway is None:
            await self._onward(scope, receive, send)
            return
        client_id = found[1].decode()
        home = "" if own is not None else f"/{client_id}"
        visit = Visit(
            client_id=client_id, raw_path=found[2] or b"", prefix=f"{home}/grafana", home=home,
            origin=origin_of(request, self._settings),
        )  # fmt: skip
        request["state"]["route"] = ROUTE
        request["litestar_app"] = self._routes
        await _serve(gateway, request, receive, send, visit)

    async def _own_host(self, scope: HTTPScope | WebSocketScope) -> str | None:
        # Documents can be asked for before the lifespan has opened anything; and a platform asks for health by a name
        # of its own, also while there is nothing to look a name up in.
        if raw_path(scope).startswith(_HEALTH):
            return None
        hosts: Hosts | None = self._routes.state.get("hosts")
        host = host_of(scope)
        return None if host is None or hosts is None else await hosts.find_client(host)


async def _serve(
    gateway: Gateway, scope: HTTPScope | WebSocketScope, receive: Receive, send: Send, visit: Visit
) -> None:
    watched = WatchedSend(send)
    try:
        if scope["type"] == ScopeType.WEBSOCKET:
            await gateway.connect(scope, receive, watched, visit)
            return
        leads_to = _LEAVING.get(visit.raw_path, f"{visit.prefix}/" if visit.raw_path == b"" else None)
        if leads_to is not None:
            await _redirect(send, leads_to if visit.raw_path == b"" else visit.home + leads_to)
            return
        await gateway.answer(scope, receive, watched, visit)
    except Exception as error:
        if watched.started:
            raise
        await _fail(scope, send, error, visit)


async def _fail(scope: HTTPScope | WebSocketScope, send: Send, error: Exception, visit: Visit | None = None) -> None:
    if scope["type"] == ScopeType.WEBSOCKET:
        await refuse_socket(scope, send, error)
    else:
        await answer_failure(scope, send, visit, error)


def _move(scope: HTTPScope | WebSocketScope, client_id: str) -> None:
    """Make a request on a client's own host one below that client's id."""
    raw = f"/{client_id}".encode() + raw_path(scope)
    scope["state"][HOST_MODE] = True
    scope["raw_path"] = raw
    scope["path"] = unquote_to_bytes(raw).decode("utf-8", "replace")


async def _redirect(send: Send, location: str) -> None:
    headers = [(b"location", location.encode()), (b"cache-control", b"no-store"), (b"content-length", b"0")]
    start: Any = {"type": "http.response.start", "status": 303, "headers": headers}
    await send(start)
    end: Any = {"type": "http.response.body", "body": b"", "more_body": False}
    await send(end)
