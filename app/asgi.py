"""The composition root: settings → resources → routes. Nothing else builds objects.

`create_app_from_environment` is what the web server loads; `create_app` is what tests load.
"""

import gc
import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, cast

from litestar import Litestar, asgi
from litestar.datastructures import State
from litestar.di import Provide
from litestar.exceptions import NotFoundException
from litestar.types import ASGIApp, Receive, Scope, Send

from app.api import (
    adaptors,
    analytics,
    audit,
    clients,
    docs,
    event_fate,
    event_stats,
    health,
    hooks,
    keys,
    operations,
    problem_pages,
    quarantine,
    schemas,
    sdk,
    sources,
    staff,
    tag,
    tokens,
    usage,
    web_analytics,
)
from app.api.media_types import require_json
from app.api.methods import MethodsTold
from app.api.reserved import reserved_ids
from app.auth import guards
from app.auth.staff import provide_staff, provide_staff_client
from app.console import routes as console
from app.console.dashboards import routes as dashboards
from app.console.errors import answer_lost, recognise_lost_staff
from app.gateway.front import Front
from app.ingest.dialects.spoken import ALIASES, DIALECTS
from app.ingest.routes import EVENTS_PATH
from app.ingest.shortcut import Shortcut
from app.observability import Metrics, Observability, configure_logging
from app.problems import handle_exception
from app.resources import Resources, open_resources
from app.settings import Settings, load

if TYPE_CHECKING:
    from litestar.types import HTTPScope

    from app.ingest.routes import Collection

_COLLECT_AFTER = 10_000
COLLECTING = [EVENTS_PATH, *DIALECTS, *ALIASES]
MODULES = (
    adaptors, analytics, audit, clients, console, dashboards, docs, event_fate, event_stats, health, hooks, keys,
    operations, problem_pages, quarantine, schemas, sdk, sources, staff, tag, tokens, usage, web_analytics,
)  # fmt: skip


def create_app_from_environment() -> ASGIApp:
    """Build the application of a web process."""
    settings = load(os.environ)  # noqa: TID251 - the web server gives its workers nothing but an environment
    configure_logging(settings.log_level, settings.log_format)
    app = create_app(settings)
    settle_memory()
    return app


def settle_memory() -> None:
    """Take what is here for good out of the collector's sight, and have it look for cycles less often.

    Looking for them took 7 % of the CPU of a post, and requests leave none behind.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_COLLECT_AFTER, 20, 20)


def create_app(settings: Settings, **options: Any) -> ASGIApp:
    """Build the application: the routes, behind what is Grafana's, within what names and measures every request.

    Shape: the options are those of `open_resources`.
    """
    metrics = Metrics(settings.metrics_dir)
    ways = dict.fromkeys((*COLLECTING, *(f"{path}/" for path in COLLECTING)), collect)
    return surround(create_litestar(settings, metrics, **options), settings, metrics, ways)


def surround(routes: Litestar, settings: Settings, metrics: Metrics, ways: Mapping[str, ASGIApp]) -> ASGIApp:
    """Put around the routes what stands before them; `ways` are paths that need no router."""
    return Observability(Front(routes, settings, Shortcut(routes, ways)), metrics)


def create_litestar(settings: Settings, metrics: Metrics, **options: Any) -> Litestar:
    """Build the routes and what they depend on; connections are opened in the lifespan."""

    @asynccontextmanager
    async def lifespan(app: Litestar) -> AsyncIterator[None]:
        reserved = reserved_ids(app.routes)
        async with open_resources(settings, metrics, reserved, **options) as resources:
            app.state.update({name: getattr(resources, name) for name in Resources.__struct_fields__})
            yield

    return Litestar(
        route_handlers=[
            asgi(COLLECTING, copy_scope=False)(collect),
            *(handler for module in MODULES for handler in module.handlers),
        ],
        lifespan=[lifespan],
        dependencies={name: Provide(_from_state(name), sync_to_thread=False) for name in Resources.__struct_fields__}
        | {
            "principal": Provide(guards.provide_principal),
            "platform": Provide(guards.provide_platform),
            "manager": Provide(guards.provide_manager),
            "client": Provide(guards.provide_client),
            "own": Provide(guards.provide_own),
            "own_writer": Provide(guards.provide_own_writer),
            "staff": Provide(provide_staff),
            "staff_client": Provide(provide_staff_client),
        },
        plugins=[MethodsTold()],
        before_request=require_json,
        after_exception=[recognise_lost_staff],
        exception_handlers={Exception: handle_exception, NotFoundException: answer_lost},
        openapi_config=docs.OPENAPI,
        logging_config=None,
        request_max_body_size=1024 * 1024,
    )


async def collect(scope: Scope, receive: Receive, send: Send) -> None:
    """Hand collection over to the process's `Collection`."""
    await cast("Collection", scope["litestar_app"].state.collection)(cast("HTTPScope", scope), receive, send)


def _from_state(name: str) -> Callable[[State], Any]:
    def provide(state: State) -> Any:
        return state[name]

    return provide
