"""The product's own application with two routes more that do nothing: what the server takes before any work of ours.

Loaded by the web process that the bench starts; no other part of Grove knows of it.
"""

import os
from collections.abc import Mapping

from litestar import post
from litestar.types import ASGIApp, Receive, Scope, Send

from app.asgi import collect, create_litestar, settle_memory, surround
from app.ingest.routes import EVENTS_PATH
from app.observability import Metrics, configure_logging
from app.settings import load

ASGI_PATH = "/bench/asgi"
HANDLER_PATH = "/bench/handler"
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


def create(ways: Mapping[str, ASGIApp] | None = None) -> ASGIApp:
    """Build the application of the bench's web process, with whatever ways are given besides."""
    settings = load(os.environ)  # noqa: TID251 - the web server gives its workers nothing but an environment
    configure_logging(settings.log_level, settings.log_format)
    metrics = Metrics(settings.metrics_dir)
    routes = create_litestar(settings, metrics)
    routes.register(answer_by_handler)
    app = surround(routes, settings, metrics, {EVENTS_PATH: collect, ASGI_PATH: answer_bare} | dict(ways or {}))
    settle_memory()
    return app
