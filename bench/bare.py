"""The product's own application with two routes more that do nothing: what the server takes before any work of ours.

A third one tells how long submissions have waited for their flush. Loaded by the web process that the bench starts; no
other part of Grove knows of it.
"""

import os
import time
from collections import defaultdict, deque
from collections.abc import Mapping
from typing import Any

import msgspec
from litestar import post
from litestar.types import ASGIApp, Receive, Scope, Send

from app.asgi import collect, create_litestar, settle_memory, surround
from app.ingest.lanes import Lane
from app.ingest.routes import EVENTS_PATH
from app.observability import Metrics, configure_logging
from app.settings import load

ASGI_PATH = "/bench/asgi"
HANDLER_PATH = "/bench/handler"
WAITS_PATH = "/bench/waits"
_HEADERS = [(b"content-type", b"application/json"), (b"content-length", b"2")]


async def answer_bare(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001 - ASGI's three
    """Answer 202, reached and measured as the collection endpoint is, without reading the body."""
    scope["state"]["route"], scope["state"]["quiet"] = ASGI_PATH, True
    await send({"type": "http.response.start", "status": 202, "headers": _HEADERS})
    await send({"type": "http.response.body", "body": b"{}", "more_body": False})


@post(HANDLER_PATH, status_code=202, include_in_schema=False)
async def answer_by_handler() -> dict[str, str]:
    """Answer 202 the way that ordinary routes do."""
    return {}


class Waits:
    """How long each submission waited from its arrival in the group commit until its flush went off."""

    def __init__(self) -> None:
        self._arrived: dict[Lane, deque[float]] = defaultdict(deque)
        self._ms: list[float] = []
        put, take = Lane.put, Lane.take

        def noted_put(lane: Lane, *submitted: Any) -> Any:
            self._arrived[lane].append(time.perf_counter())
            return put(lane, *submitted)

        def noted_take(lane: Lane) -> Any:
            taken, now = take(lane), time.perf_counter()
            self._ms += [(now - self._arrived[lane].popleft()) * 1000 for _ in taken]
            return taken

        setattr(Lane, "put", noted_put)  # noqa: B010 - the type checker would have none of it
        setattr(Lane, "take", noted_take)  # noqa: B010

    async def tell(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI's three
        """Answer with what was noted since this was asked last."""
        content, self._ms = msgspec.json.encode(self._ms), []
        await send({"type": "http.response.start", "status": 200, "headers": _HEADERS[:1]})
        await send({"type": "http.response.body", "body": content, "more_body": False})


def create(ways: Mapping[str, ASGIApp] | None = None) -> ASGIApp:
    """Build the application of the bench's web process, with whatever ways are given besides."""
    settings = load(os.environ)  # noqa: TID251 - the web server gives its workers nothing but an environment
    configure_logging(settings.log_level, settings.log_format)
    metrics = Metrics(settings.metrics_dir)
    routes = create_litestar(settings, metrics)
    routes.register(answer_by_handler)
    ours: dict[str, ASGIApp] = {EVENTS_PATH: collect, ASGI_PATH: answer_bare, WAITS_PATH: Waits().tell}
    app = surround(routes, settings, metrics, ours | dict(ways or {}))
    settle_memory()
    return app
