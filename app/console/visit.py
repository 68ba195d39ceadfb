"""What every page needs to know of a request: which client, if any, under which brand, with which cookies.

A dependency of the routes of this package. A visit to no client is as complete as any other.
"""

from typing import Any

import msgspec
from litestar import Request
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.types import Scope

from app.auth.addresses import client_address
from app.auth.cookies import HOST_MODE, CookieJar, cookie_jar
from app.auth.guards import SERVED
from app.console.brand import NEUTRAL, Brand, brand_of
from app.settings import Settings
from tenants.errors import NotFound
from tenants.ids import TenantId, is_client_id
from tenants.placement import TenantContext
from tenants.registry import Registry


class Visit(msgspec.Struct, frozen=True, kw_only=True):
    """A request for a page.

    Shape: `client` is None where there is none, or where it is not served; `jar` is None where a login would be sent
    in the clear; `prefix` is what the client's paths begin with.
    """

    client_id: str
    client: TenantContext | None
    brand: Brand
    prefix: str
    jar: CookieJar | None
    address: str


async def provide_visit(
    request: Request[Any, Any, Any],
    client_id: FromPath[str],
    settings: NamedDependency[Settings],
    registry: NamedDependency[Registry],
) -> Visit:
    """Find out what a page needs to know.

    Errors: NotFound for what can be no client's id, which is then written into no cookie and asked of no database.
    """
    if not is_client_id(client_id):
        raise NotFound("There is no such page.")
    client = await find_served(registry, client_id)
    return Visit(
        client_id=client_id,
        client=client,
        brand=NEUTRAL if client is None else brand_of(client),
        prefix=prefix_of(request.scope, client_id),
        jar=cookie_jar(settings, request.scope, client_id),
        address=client_address(request.scope, settings.trusted_proxies),
    )


async def find_served(registry: Registry, client_id: str) -> TenantContext | None:
    """Return a client that is served; a page never tells whether another is suspended or is not there."""
    if not is_client_id(client_id):
        return None
    try:
        client = await registry.get_client(TenantId(client_id))
    except NotFound:
        return None
    return client if client.status in SERVED else None


def prefix_of(scope: Scope, client_id: str) -> str:
    """Return what the paths of a client begin with: its id, or nothing on its own host."""
    return "" if scope.get("state", {}).get(HOST_MODE) else f"/{client_id}"
