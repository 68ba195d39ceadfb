"""Lead collection past the router: on its path the framework's own work would cost more than ours.

Made by `app.asgi` between what is Grafana's and the routes. Other spellings of the path, and everything else, take the
router; whatever goes wrong is answered as the router would.
"""

from collections.abc import Mapping

from litestar import Litestar, Request
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Receive, Scope, Send

from app.problems import WatchedSend, problem_response


class Shortcut:
    """ASGI middleware around the routes. `ways` maps exact paths to the applications that answer there."""

    def __init__(self, routes: Litestar, ways: Mapping[str, ASGIApp]) -> None:
        self._routes = routes
        self._ways = ways

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send a request on its way."""
        way = self._ways.get(scope["path"]) if scope["type"] == ScopeType.HTTP else None
        if way is None:
            await self._routes(scope, receive, send)
            return
        scope["litestar_app"] = self._routes
        watched = WatchedSend(send)
        try:
            await way(scope, receive, watched)
        except Exception as error:
            if watched.started:
                raise
            answer = problem_response(error, scope).to_asgi_response(None, Request(scope))
            await answer(scope, receive, send)
