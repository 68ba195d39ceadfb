"""`/api/v1/sources`: the services that tell of a client's events by webhooks, and whether they do.

A client's sources are read by its keys that read, and kept by its admin keys; the platform names the client.
"""

from typing import Any
from uuid import UUID

from litestar import Request, Response, Router, delete, get, post, put
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath, JSONBody

from app.api.idempotency import Idempotency
from app.api.owners import OWNER_DEPENDENCIES
from app.api.pages import DEFAULT_LIMIT, Cursor, Limit, Page
from app.api.source_desk import ShownSource, SourceDesk
from app.api.source_probe import SourceProbe, TriedDelivery, TryDelivery
from app.ingest.senders import Sending
from provisioning.hooks.requests import SecretChange, SourceChange, SourceRequest
from tenants.placement import TenantContext

PATH = "/api/v1/sources"
ONE = PATH + "/{source_id:uuid}"
_TAGS = ["Webhook sources"]


@post(
    PATH,
    tags=_TAGS,
    summary="Create a webhook source",
    description="Makes an address, `url`, to which Stripe, Shopify, Chatwoot or another service delivers. What it "
    "signs with is given here or, if the service makes it once it knows the address, by `rotate`; a generic source's "
    "secret is made here unless it is given, and is in this answer and nowhere else.",
)
async def create(
    data: JSONBody[SourceRequest],
    keeping: NamedDependency[TenantContext],
    idempotency: NamedDependency[Idempotency],
    desk: NamedDependency[SourceDesk],
) -> Response[ShownSource]:
    """Create a source."""
    return await desk.create(keeping.tenant_id, data, idempotency)


@get(PATH, tags=_TAGS, summary="List webhook sources", description="Oldest first; never their secrets.")
async def list_all(
    reading: NamedDependency[TenantContext],
    desk: NamedDependency[SourceDesk],
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Page[ShownSource]:
    """Answer with a page of sources."""
    return await desk.list(reading.tenant_id, limit, cursor)


@get(ONE, tags=_TAGS, summary="Read a webhook source", description="Never its secret.")
async def read(
    source_id: FromPath[UUID], reading: NamedDependency[TenantContext], desk: NamedDependency[SourceDesk]
) -> ShownSource:
    """Answer with a source."""
    return await desk.get(reading.tenant_id, source_id)


@put(
    ONE,
    tags=_TAGS,
    summary="Change a webhook source",
    description="Gives it these settings, and those that are left out their defaults; its kind, address and secret "
    "stay. Every process goes by it within a second.",
)
async def change(
    data: JSONBody[SourceChange],
    source_id: FromPath[UUID],
    keeping: NamedDependency[TenantContext],
    desk: NamedDependency[SourceDesk],
) -> ShownSource:
    """Change a source."""
    return await desk.change(keeping.tenant_id, source_id, data)


@delete(
    ONE,
    tags=_TAGS,
    summary="Delete a webhook source",
    description="Its deliveries are refused within a second; its events stay.",
)
async def remove(
    source_id: FromPath[UUID], keeping: NamedDependency[TenantContext], desk: NamedDependency[SourceDesk]
) -> None:
    """Delete a source."""
    await desk.delete(keeping.tenant_id, source_id)


@post(
    ONE + "/rotate",
    tags=_TAGS,
    summary="Replace a webhook source's secret",
    description="The old one works until the overlap is over.",
)
async def rotate(
    data: JSONBody[SecretChange],
    source_id: FromPath[UUID],
    keeping: NamedDependency[TenantContext],
    idempotency: NamedDependency[Idempotency],
    desk: NamedDependency[SourceDesk],
) -> Response[ShownSource]:
    """Rotate a source's secret."""
    return await desk.rotate(keeping.tenant_id, source_id, data, idempotency)


@get(
    ONE + "/check",
    tags=_TAGS,
    summary="Check a webhook source",
    description="Whether it is sending, since when, what came, and what of it was refused and why. Deliveries whose "
    "signature is wrong are not among them.",
)
async def check(
    source_id: FromPath[UUID], reading: NamedDependency[TenantContext], probe: NamedDependency[SourceProbe]
) -> Sending:
    """Answer with what the source sends."""
    return await probe.check(reading, source_id)


@post(
    ONE + "/try",
    tags=_TAGS,
    summary="Try a delivery",
    description="Tells which events a body would become, and what would become of these; nothing is stored, and no "
    "signature is needed. Shopify says in the header `X-Shopify-Topic` what a body is.",
    status_code=200,
)
async def try_delivery(
    request: Request[Any, Any, Any],
    data: JSONBody[TryDelivery],
    source_id: FromPath[UUID],
    reading: NamedDependency[TenantContext],
    probe: NamedDependency[SourceProbe],
) -> TriedDelivery:
    """Answer with what a delivery would become."""
    return await probe.rehearse(request.scope, reading, source_id, data)


handlers = [
    Router(
        "/",
        route_handlers=[create, list_all, read, change, remove, rotate, check, try_delivery],
        dependencies=OWNER_DEPENDENCIES
        | {
            "desk": Provide(SourceDesk, sync_to_thread=False),
            "probe": Provide(SourceProbe, sync_to_thread=False),
        },
    )
]
