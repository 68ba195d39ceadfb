"""Give every request an id, a log line and a measurement; the outermost layer of the application.

Logs name the method, path, status, time and client, never a query string, header or body: keys and personal
data travel there.
"""

import logging
import random
import re
import sys
import time
from pathlib import Path
from typing import Any

import structlog
from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

# What follows these segments is a secret: a link with which a password is set.
_LINK = re.compile(r"(/(?:invitation|reset)/).+", re.DOTALL)
_SAFE_ID = re.compile(rb"[A-Za-z0-9._-]{8,64}")
QUIET = frozenset({"/health", "/health/", "/health/live", "/health/ready", "/metrics"})
# Senders may invent methods; each would be a series of its own.
METHODS = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})
log = structlog.get_logger()


class Metrics:
    """What Prometheus is told; names follow its conventions.

    Shape: with several web processes they share their numbers through files in `shared_dir`, which the
    library finds by `PROMETHEUS_MULTIPROC_DIR`, so that a scrape of any process tells of all.
    """

    def __init__(self, shared_dir: Path | None = None) -> None:
        self._shared_dir = shared_dir
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "grove_http_requests", "Requests answered.", ("method", "route", "status"), registry=self.registry
        )
        self.seconds = Histogram(
            "grove_http_request_seconds", "Time to answer.", ("route",), registry=self.registry,
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
        )  # fmt: skip
        self.events = Counter("grove_events", "Events received, by outcome.", ("outcome",), registry=self.registry)
        self.enriched = Counter(
            "grove_events_enriched", "What the enrichment filled in, changed or took out, by step and reason.",
            ("step", "reason"), registry=self.registry,
        )  # fmt: skip
        self.hooks_refused = Counter(
            "grove_hooks_refused", "Webhooks that were not believed, by kind of source and reason.", ("kind", "reason"),
            registry=self.registry,
        )  # fmt: skip
        self.limited = Counter(
            "grove_rate_limited", "Requests refused because too much was sent.", ("limit",), registry=self.registry
        )
        self.limits_local = Gauge(
            "grove_rate_limits_local", "Processes that keep rate limits alone, without Redis.", registry=self.registry,
            multiprocess_mode="livesum",
        )  # fmt: skip
        self._children: dict[tuple[str, str, int], tuple[Any, Any]] = {}

    def render(self) -> bytes:
        """Write all metrics in Prometheus' text format."""
        registry = self.registry
        if self._shared_dir is not None:
            registry = CollectorRegistry()
            MultiProcessCollector(registry, path=str(self._shared_dir))  # type: ignore[no-untyped-call]
        return generate_latest(registry)

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one answered request; label look-ups are kept, since there are few and they cost."""
        children = self._children.get((method, route, status))
        if children is None:
            children = self.requests.labels(method, route, str(status)), self.seconds.labels(route)
            self._children[method, route, status] = children
        children[0].inc()
        children[1].observe(seconds)


class Observability:
    """ASGI middleware around the whole application."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass everything on; answer HTTP requests under an id of their own."""
        if scope["type"] == ScopeType.HTTP:
            await self._answer(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _answer(self, scope: HTTPScope, receive: Receive, send: Send) -> None:
        request_id = _request_id(scope)
        state = scope.setdefault("state", {})
        state["request_id"] = request_id
        header = (b"x-request-id", request_id.encode())
        started, status = time.perf_counter(), 500

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], header, *state.get("cors", ())]
            await send(message)

        try:
            await self._app(scope, receive, send_with_id)
        finally:
            seconds = time.perf_counter() - started
            method = scope["method"] if scope["method"] in METHODS else "other"
            self._metrics.observe(method, _route(scope, state), status, seconds)
            _log_request(scope, state, status, seconds)


def _route(scope: HTTPScope, state: dict[str, Any]) -> str:
    """Name the matched route by its template, so that no client's id becomes a label."""
    return str(state.get("route") or scope.get("path_template") or "unmatched")


def _request_id(scope: HTTPScope) -> str:
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _SAFE_ID.fullmatch(value):
            return value.decode()
    return f"{random.getrandbits(128):032x}"


def _log_request(scope: HTTPScope, state: dict[str, Any], status: int, seconds: float) -> None:
    # Successful collection is counted, not logged: a line per event would cost more than the event.
    if status < 400 and (state.get("quiet") or scope["path"] in QUIET):  # noqa: PLR2004
        return
    log.info(
        "request",
        request_id=state["request_id"],
        method=scope["method"],
        path=_LINK.sub(r"\1…", scope["path"]),
        status=status,
        ms=round(seconds * 1000, 1),
        client=state.get("client_id"),
    )


def configure_logging(level: str, log_format: str) -> None:
    """Send structured lines to standard error: JSON, or text for a terminal."""
    renderer: Any = (
        structlog.processors.JSONRenderer() if log_format == "json" else structlog.dev.ConsoleRenderer(colors=False)
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper())),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s %(message)s")
