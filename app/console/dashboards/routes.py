"""`/{client_id}/` and below: the pages of the built-in dashboards, the panels' data, and the library that draws them.

Registered by `app.asgi`. A page needs a session of the client's staff; its data a session, or the client's read key.
"""

import gzip
import re
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, Router, get
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath, QueryParameter

from app.api.encodings import takes_gzip
from app.auth.credentials import header_key
from app.auth.guards import provide_client, provide_principal, require_active
from app.auth.sessions import SessionStore, StaffMember
from app.auth.staff import find_member
from app.console.brand import brand_of
from app.console.dashboards.desk import Desk, get_dashboard, list_dashboards, zone_of
from app.console.dashboards.macros import read_variables
from app.console.dashboards.ranges import PRESETS, read_range
from app.console.errors import answer_error
from app.console.layout import page_headers, show
from app.console.visit import prefix_of
from app.query.run import Analyst
from app.query.spec import Period
from app.settings import Settings
from provisioning.templates import Template, context_of, render
from tenants.clock import Clock
from tenants.databases import Databases
from tenants.errors import NotFound
from tenants.keyring import Keyring
from tenants.placement import TenantContext
from tenants.registry import Registry

_DISTRIBUTION = metadata.distribution("plotly")
_LIBRARY = Path(str(_DISTRIBUTION.locate_file("plotly/package_data/plotly.min.js")))
LIBRARY_NAME = f"plotly-{_DISTRIBUTION.version}.js"
_VARIABLE = "var-"
# The library sets empty style attributes: those alone, by their hash, are let through.
_EMPTY_STYLE = ("'unsafe-hashes'", "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='")
# It writes a style for maps, which there are none of, unless an element with this id is there.
_MAPS = re.compile(rb'getElementById\("([0-9a-f]{64})"\)')

From = Annotated[str | None, QueryParameter(name="from", max_length=40)]
To = Annotated[str | None, QueryParameter(name="to", max_length=40)]


async def provide_viewer(
    request: Request[Any, Any, Any],
    client_id: FromPath[str],
    settings: NamedDependency[Settings],
    sessions: NamedDependency[SessionStore],
    registry: NamedDependency[Registry],
    keyring: NamedDependency[Keyring],
) -> TenantContext:
    """Return the client whose staff, or whose read key, is asking.

    Errors: Unauthenticated; NotFound for another client's; Forbidden; ClientSuspended.
    """
    if header_key(request.scope) is not None:
        principal = await provide_principal(request, keyring)
        return await provide_client(request, client_id, principal, registry)
    member = await find_member(request.scope, client_id, settings, sessions)
    return require_active(await registry.get_client(member.client_id))


def provide_template(viewer: NamedDependency[TenantContext], uid: FromPath[str]) -> Template:
    """Find the dashboard in the path.

    Errors: NotFound.
    """
    return get_dashboard(viewer, uid)


def provide_period(
    viewer: NamedDependency[TenantContext],
    template: NamedDependency[Template],
    clock: NamedDependency[Clock],
    from_text: From = None,
    to_text: To = None,
) -> Period:
    """Resolve `from` and `to`; what is not given is the dashboard's own.

    Errors: InputRefused.
    """
    times = template.model["time"]
    return read_range(from_text or times["from"], to_text or times["to"], zone=zone_of(viewer), now=clock())


@get("/{client_id:str}", include_in_schema=False, sync_to_thread=False)
def show_first(
    request: Request[Any, Any, Any],
    staff: NamedDependency[StaffMember],
    staff_client: NamedDependency[TenantContext],
) -> Response[str]:
    """Show the first of the client's dashboards."""
    found = list_dashboards(staff_client)
    if not found:
        raise NotFound("This client has no dashboards.")
    return _page(request, staff, staff_client, found[0])


@get("/{client_id:str}/dashboards/{uid:str}", include_in_schema=False, sync_to_thread=False)
def show_dashboard(
    request: Request[Any, Any, Any],
    staff: NamedDependency[StaffMember],
    staff_client: NamedDependency[TenantContext],
    uid: FromPath[str],
) -> Response[str]:
    """Show a dashboard of the client."""
    return _page(request, staff, staff_client, get_dashboard(staff_client, uid))


@get("/{client_id:str}/dashboards/{uid:str}/panels/{panel_id:int}", include_in_schema=False)
async def show_panel(
    request: Request[Any, Any, Any],
    viewer: NamedDependency[TenantContext],
    template: NamedDependency[Template],
    period: NamedDependency[Period],
    desk: NamedDependency[Desk],
    panel_id: FromPath[int],
) -> Response[bytes]:
    """Answer with what a panel shows in a period."""
    view = await desk.view(viewer, template, panel_id, period=period, given=_given(request))
    headers = {"Cache-Control": "private, no-store", "X-Content-Type-Options": "nosniff"}
    return Response(msgspec.json.encode(view), media_type="application/json", headers=headers)


@get("/{client_id:str}/dashboards/library/{name:str}", include_in_schema=False, sync_to_thread=True)
def show_library(request: Request[Any, Any, Any], client_id: FromPath[str], name: FromPath[str]) -> Response[bytes]:
    """Answer with plotly.js, which changes its name with its version."""
    del client_id
    if name != LIBRARY_NAME:
        raise NotFound("No such file.")
    headers = {
        "Cache-Control": "public, max-age=31536000, immutable",
        "Vary": "Accept-Encoding",
        "X-Content-Type-Options": "nosniff",
    }
    if takes_gzip(request.headers.get("accept-encoding", "")):
        return Response(_compressed(), media_type="text/javascript", headers=headers | {"Content-Encoding": "gzip"})
    return Response(_LIBRARY.read_bytes(), media_type="text/javascript", headers=headers)


@cache
def _map_style() -> str:
    found = _MAPS.search(_LIBRARY.read_bytes())
    return "" if found is None else found[1].decode()


@cache
def _compressed() -> bytes:
    return gzip.compress(_LIBRARY.read_bytes(), mtime=0)


def _page(
    request: Request[Any, Any, Any], staff: StaffMember, client: TenantContext, template: Template
) -> Response[str]:
    model = render(template, context_of(client))
    _, variables = read_variables(model, {})
    brand = brand_of(client)
    return show(
        "dashboard.html",
        brand,
        prefix_of(request.scope, client.tenant_id),
        headers=page_headers(style=_EMPTY_STYLE),
        member=staff,
        dashboards=list_dashboards(client),
        template=template,
        model=model,
        variables=variables,
        presets=PRESETS,
        zone=client.timezone,
        library=LIBRARY_NAME,
        maps=_map_style(),
    )


def _given(request: Request[Any, Any, Any]) -> dict[str, str]:
    return {
        name.removeprefix(_VARIABLE): text for name, text in request.query_params.items() if name.startswith(_VARIABLE)
    }


def provide_desk(databases: NamedDependency[Databases], analyst: NamedDependency[Analyst]) -> Desk:
    """Make what runs panels."""
    return Desk(databases, analyst)


pages = Router(
    path="",
    route_handlers=[show_first, show_dashboard, show_panel, show_library],
    dependencies={
        "viewer": Provide(provide_viewer),
        "template": Provide(provide_template, sync_to_thread=False),
        "period": Provide(provide_period, sync_to_thread=False),
        "desk": Provide(provide_desk, sync_to_thread=False),
    },
    exception_handlers={Exception: answer_error},
)
handlers = [pages]
