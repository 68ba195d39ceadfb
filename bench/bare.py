"""The product's own application with two routes more that do nothing: what the server takes before any work of ours.

Loaded by the web process that the bench starts; no other part of Grove knows of it.
"""

import os

from litestar import asgi, post
from litestar.types import ASGIApp, Receive, Scope, Send

from app.asgi import create_litestar
from app.observability import Metrics, Observability, configure_logging
from app.settings import load

ASGI_PATH = "/bench/asgi"
HANDLER_PATH = "/bench/handler"
_HEADERS = [(b"content-type", b"application/json"), (b"content-length", b"2")]


@asgi(ASGI_PATH, copy_scope=False)
async def answer_bare(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001 - ASGI's three
    """Answer 202, mounted and measured as the collection endpoint is, without reading the body."""
    scope["state"]["route"], scope["state"]["quiet"] = ASGI_PATH, True
    await send({"type": "http.response.start", "status": 202, "headers": _HEADERS})
    await send({"type": "http.response.body", "body": b"{}", "more_body": False})


@post(HANDLER_PATH, status_code=202, include_in_schema=False)
async def answer_by_handler() -> dict[str, str]:
    """Answer 202 the way that ordinary routes do."""
    return {}


def create() -> ASGIApp:
    """Build the application of the bench's web process."""
    settings = load(os.environ)  # noqa: TID251 - the web server gives its workers nothing but an environment
    configure_logging(settings.log_level, settings.log_format)
    metrics = Metrics(settings.metrics_dir)
    application = create_litestar(settings, metrics)
    application.register(answer_bare)
    application.register(answer_by_handler)
    return Observability(application, metrics)
