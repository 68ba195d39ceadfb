"""Is Grove alive, ready, and what of its dependencies is down; and what Prometheus wants to know."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Annotated, Literal

import httpx
import msgspec
from litestar import Response, get, head
from litestar.di import NamedDependency
from prometheus_client import CONTENT_TYPE_LATEST
from redis.asyncio import Redis
from redis.exceptions import RedisError
from sqlalchemy import text

from app.auth.limiter import Limiter
from app.observability import Metrics
from app.settings import Settings
from tenants.control import ControlPlane
from tenants.errors import StoreUnavailable

CHECK_TIMEOUT_S = 2.0
# Litestar adds the charset to every text.
METRICS_TYPE = CONTENT_TYPE_LATEST.removesuffix("; charset=utf-8")


class Dependency(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that Grove needs."""

    status: Literal["up", "down", "not configured"]
    latency_ms: float | None = None


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """`ok`; `degraded` if something that can be missed is down; `down` without the database."""

    status: Literal["ok", "degraded", "down"]
    dependencies: Annotated[
        dict[str, Dependency],
        msgspec.Meta(examples=[{"database": {"status": "up", "latency_ms": 0.6}}]),
    ]
    rate_limits: Annotated[
        Literal["shared", "local"],
        msgspec.Meta(description="shared: kept by all processes together; local: by this one alone, without Redis."),
    ] = "local"


# Checks that did not answer in time and are being cleaned up; a task that nothing refers to may vanish.
_late: set[asyncio.Future[object]] = set()


async def _measure(check: Callable[[], Awaitable[object]]) -> Dependency:
    """Time a check, and answer within the limit however long giving up its connection takes."""
    started = time.perf_counter()
    task = asyncio.ensure_future(check())
    try:
        await asyncio.wait([task], timeout=CHECK_TIMEOUT_S)
        if not task.done():
            return Dependency(status="down")
        await task
    except (StoreUnavailable, RedisError, OSError, TimeoutError, httpx.HTTPError):
        return Dependency(status="down")
    finally:
        _let_end(task)
    return Dependency(status="up", latency_ms=round((time.perf_counter() - started) * 1000, 2))


def _let_end(task: asyncio.Future[object]) -> None:
    """Cancel a check that is still under way, without waiting for it."""
    if task.done():
        return
    _late.add(task)
    task.add_done_callback(_forget)
    task.cancel()


def _forget(task: asyncio.Future[object]) -> None:
    _late.discard(task)
    if not task.cancelled():
        task.exception()  # how it failed in the end is of no interest, but must have been asked for


async def _check_database(control: ControlPlane) -> None:
    async with control.session() as session:
        await session.execute(text("SELECT 1"))


async def _check_grafana(url: str) -> None:
    async with httpx.AsyncClient(timeout=CHECK_TIMEOUT_S) as client:
        (await client.get(f"{url.rstrip('/')}/api/health")).raise_for_status()


async def _examine(settings: Settings, control: ControlPlane, redis: Redis | None, limiter: Limiter) -> Health:
    absent = Dependency(status="not configured")
    grafana = settings.grafana_url
    database, cache, dashboards = await asyncio.gather(
        _measure(lambda: _check_database(control)),
        _measure(redis.ping) if redis is not None else _ready(absent),
        _measure(lambda: _check_grafana(grafana)) if grafana is not None else _ready(absent),
    )
    found = {"database": database, "redis": cache, "grafana": dashboards}
    # A Redis that is up may still refuse to write.
    limits: Literal["shared", "local"] = "local" if limiter.local or cache.status == "down" else "shared"
    if database.status == "down":
        return Health(status="down", dependencies=found, rate_limits=limits)
    worst = any(dependency.status == "down" for dependency in found.values())
    return Health(status="degraded" if worst else "ok", dependencies=found, rate_limits=limits)


async def _ready(dependency: Dependency) -> Dependency:
    return dependency


@get("/health", tags=["Operation"], summary="Health of Grove and its dependencies")
async def health(
    settings: NamedDependency[Settings],
    control: NamedDependency[ControlPlane],
    redis: NamedDependency[Redis | None],
    limiter: NamedDependency[Limiter],
) -> Response[Health]:
    """Name each dependency with its latency; 503 without the database, 200 and `degraded` without the others."""
    found = await _examine(settings, control, redis, limiter)
    return Response(found, status_code=503 if found.status == "down" else 200)


# Many a monitor asks for the head alone; what it is told is described with the whole answer.
@head("/health", include_in_schema=False)
async def health_head(
    settings: NamedDependency[Settings],
    control: NamedDependency[ControlPlane],
    redis: NamedDependency[Redis | None],
    limiter: NamedDependency[Limiter],
) -> Response[None]:
    """Answer with the status alone."""
    found = await _examine(settings, control, redis, limiter)
    return Response(None, status_code=503 if found.status == "down" else 200)


@get("/health/live", tags=["Operation"], summary="Is the process alive")
async def live() -> dict[str, str]:
    """Answer at once; restart the process if this does not answer."""
    return {"status": "ok"}


@head("/health/live", include_in_schema=False)
async def live_head() -> None:
    """Answer at once."""


@get("/health/ready", tags=["Operation"], summary="Can requests be served")
async def ready(control: NamedDependency[ControlPlane]) -> Response[dict[str, str]]:
    """Answer 503 while the control plane's database is away; send no traffic then."""
    found = await _measure(lambda: _check_database(control))
    return Response({"status": found.status}, status_code=200 if found.status == "up" else 503)


@head("/health/ready", include_in_schema=False)
async def ready_head(control: NamedDependency[ControlPlane]) -> Response[None]:
    """Answer with the status alone."""
    found = await _measure(lambda: _check_database(control))
    return Response(None, status_code=200 if found.status == "up" else 503)


@get("/metrics", tags=["Operation"], summary="Metrics for Prometheus", media_type=METRICS_TYPE)
async def metrics(metrics_store: NamedDependency[Metrics]) -> bytes:
    """Render the metrics in Prometheus' text format; they name no client."""
    return metrics_store.render()


handlers = [health, health_head, live, live_head, ready, ready_head, metrics]
