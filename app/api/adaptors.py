"""`/api/adaptors`: the sites from which a client collects by a tag, and whether these send.

A client's adaptors are read by its keys that read, and kept by its admin keys; the platform names the client.
"""

from typing import Annotated
from uuid import UUID

import msgspec
from litestar import Response, Router, delete, get, post, put
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath, JSONBody
from msgspec import Meta

from app.api.adaptor_desk import AdaptorDesk, ShownAdaptor
from app.api.idempotency import Idempotency
from app.api.owners import OWNER_DEPENDENCIES
from app.api.pages import DEFAULT_LIMIT, Cursor, Limit, Page
from app.ingest.other_origins import OriginLog
from app.ingest.senders import Sending
from provisioning.adaptors.requests import AdaptorRequest
from tenants.placement import TenantContext

PATH = "/api/adaptors"
ONE = PATH + "/{adaptor_id:uuid}"


class AdaptorRotation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How an adaptor's key is replaced."""

    overlap_s: Annotated[
        int, Meta(ge=0, le=2_592_000, description="Seconds for which the old key still works: browsers have old tags.")
    ] = 86_400


@post(
    PATH,
    tags=["Adaptors"],
    summary="Create an adaptor",
    description="Makes a tag for the pages of a site, which records what `tracking_rules` say without further code, "
    "and a browser key of its own that works from the adaptor's origins alone. Put `snippet` into the site's pages.",
)
async def create(
    data: JSONBody[AdaptorRequest],
    keeping: NamedDependency[TenantContext],
    idempotency: NamedDependency[Idempotency],
    desk: NamedDependency[AdaptorDesk],
) -> Response[ShownAdaptor]:
    """Create an adaptor."""
    return await desk.create(keeping.tenant_id, data, idempotency)


@get(PATH, tags=["Adaptors"], summary="List adaptors", description="Oldest first.")
async def list_all(
    reading: NamedDependency[TenantContext],
    desk: NamedDependency[AdaptorDesk],
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Page[ShownAdaptor]:
    """Answer with a page of adaptors."""
    return await desk.list(reading.tenant_id, limit, cursor)


@get(ONE, tags=["Adaptors"], summary="Read an adaptor", description="With its tag; never with its key.")
async def read(
    adaptor_id: FromPath[UUID], reading: NamedDependency[TenantContext], desk: NamedDependency[AdaptorDesk]
) -> ShownAdaptor:
    """Answer with an adaptor."""
    return await desk.get(reading.tenant_id, adaptor_id)


@put(
    ONE,
    tags=["Adaptors"],
    summary="Change an adaptor",
    description="Gives it these settings, and those that are left out their defaults. Its key goes by the new origins "
    "within a second, browsers have the new tag within minutes.",
)
async def change(
    data: JSONBody[AdaptorRequest],
    adaptor_id: FromPath[UUID],
    keeping: NamedDependency[TenantContext],
    desk: NamedDependency[AdaptorDesk],
) -> ShownAdaptor:
    """Change an adaptor."""
    return await desk.change(keeping.tenant_id, adaptor_id, data)


@delete(
    ONE,
    tags=["Adaptors"],
    summary="Delete an adaptor",
    description="Its tag is gone and its key revoked within a second; its events stay.",
)
async def remove(
    adaptor_id: FromPath[UUID], keeping: NamedDependency[TenantContext], desk: NamedDependency[AdaptorDesk]
) -> None:
    """Delete an adaptor."""
    await desk.delete(keeping.tenant_id, adaptor_id)


@post(
    ONE + "/rotate",
    tags=["Adaptors"],
    summary="Replace an adaptor's key",
    description="The tag brings along a new key from now on; the old one works until the overlap is over.",
)
async def rotate(
    data: JSONBody[AdaptorRotation],
    adaptor_id: FromPath[UUID],
    keeping: NamedDependency[TenantContext],
    idempotency: NamedDependency[Idempotency],
    desk: NamedDependency[AdaptorDesk],
) -> Response[ShownAdaptor]:
    """Rotate an adaptor's key."""
    return await desk.rotate(keeping.tenant_id, adaptor_id, data.overlap_s, idempotency)


@get(
    ONE + "/check",
    tags=["Adaptors"],
    summary="Check an adaptor's tag",
    description="Whether it is sending, since when, what came, what of it was refused and why, and whether requests "
    "came from other origins than the adaptor's.",
)
async def check(
    adaptor_id: FromPath[UUID],
    reading: NamedDependency[TenantContext],
    desk: NamedDependency[AdaptorDesk],
    other_origins: NamedDependency[OriginLog],
) -> Sending:
    """Answer with what the tag sends."""
    return await desk.check(reading, adaptor_id, other_origins)


handlers = [
    Router(
        "/",
        route_handlers=[create, list_all, read, change, remove, rotate, check],
        dependencies=OWNER_DEPENDENCIES | {"desk": Provide(AdaptorDesk, sync_to_thread=False)},
    )
]
