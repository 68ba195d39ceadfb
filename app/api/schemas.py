"""`/api/schemas`: what a client's events look like, checked when they come in, and made into views and dashboards.

A client's schemas are read by its keys that read, and kept by its admin keys; the platform names the client.
"""

from typing import Annotated, Any
from uuid import UUID

from litestar import Response, Router, delete, get, post, put
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath, JSONBody, QueryParameter

from app.api.idempotency import Idempotency
from app.api.owners import OWNER_DEPENDENCIES, read_flag
from app.api.pages import DEFAULT_LIMIT, Cursor, Limit, Page
from app.api.schema_desk import KeptSchema, SchemaDesk, WholeSchema
from app.settings import Settings
from provisioning.operations import OperationView
from provisioning.schemas.documents import json_schema, typescript
from provisioning.schemas.store import NewSchema, SchemaView
from tenants.placement import TenantContext

PATH = "/api/schemas"
ONE = PATH + "/{schema_id:uuid}"

Version = Annotated[int | None, QueryParameter(ge=1, le=2**31 - 1, description="An earlier version; left out: now's.")]
Force = Annotated[
    str | None, QueryParameter(description="`1`, or nothing: take away what senders and readers may rely on.")
]

Cascade = Annotated[str | None, QueryParameter(description="`1`, or nothing: delete the adaptors that use it, too.")]


@post(
    PATH,
    tags=["Schemas"],
    summary="Create an event schema",
    description="From now on events that name it as their `schema` (`shop`, or `shop@1` for a version) are checked: "
    "their `name` must be one of its event types, their `properties` of its types. An operation makes a view "
    "`s_<schema>_<event type>` per event type and a dashboard; `Prefer: wait` waits for it.",
)
async def create(
    data: JSONBody[NewSchema],
    keeping: NamedDependency[TenantContext],
    idempotency: NamedDependency[Idempotency],
    desk: NamedDependency[SchemaDesk],
) -> Response[KeptSchema]:
    """Create a schema."""
    return await desk.create(keeping.tenant_id, data, idempotency)


@get(PATH, tags=["Schemas"], summary="List event schemas", description="Oldest first, each as it is now.")
async def list_all(
    reading: NamedDependency[TenantContext],
    desk: NamedDependency[SchemaDesk],
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Page[SchemaView]:
    """Answer with a page of schemas."""
    return await desk.list(reading.tenant_id, limit, cursor)


@get(ONE, tags=["Schemas"], summary="Read an event schema", description="As it is now, or was; with its versions.")
async def read(
    schema_id: FromPath[UUID],
    reading: NamedDependency[TenantContext],
    desk: NamedDependency[SchemaDesk],
    version: Version = None,
) -> WholeSchema:
    """Answer with a schema."""
    return await desk.get(reading.tenant_id, schema_id, version)


@put(
    ONE,
    tags=["Schemas"],
    summary="Change an event schema",
    description="Gives it another definition, as its next version. Event types and fields may be added; where one is "
    "removed or changes its type, the answer is 409 with a pointer for each, unless it is forced. Events may go on "
    "naming earlier versions. The name stays.",
)
async def change(
    data: JSONBody[NewSchema],
    schema_id: FromPath[UUID],
    keeping: NamedDependency[TenantContext],
    desk: NamedDependency[SchemaDesk],
    force: Force = None,
) -> KeptSchema:
    """Change a schema."""
    return await desk.change(keeping.tenant_id, schema_id, data, force=read_flag("force", force))


@delete(
    ONE,
    tags=["Schemas"],
    summary="Delete an event schema",
    description="With its versions, views and dashboard; stored events stay. While adaptors use it the answer is 409, "
    "unless they go, too. Answers with the operation that takes views and dashboard away.",
    status_code=202,
)
async def remove(
    schema_id: FromPath[UUID],
    keeping: NamedDependency[TenantContext],
    desk: NamedDependency[SchemaDesk],
    cascade: Cascade = None,
) -> Response[OperationView]:
    """Delete a schema."""
    return await desk.delete(keeping.tenant_id, schema_id, cascade=read_flag("cascade", cascade))


@get(
    ONE + "/json-schema",
    tags=["Schemas"],
    summary="Read an event schema as JSON Schema",
    description="Dialect 2020-12; describes events as they are sent.",
    media_type="application/schema+json",
)
async def read_json_schema(
    schema_id: FromPath[UUID],
    reading: NamedDependency[TenantContext],
    desk: NamedDependency[SchemaDesk],
    settings: NamedDependency[Settings],
    version: Version = None,
) -> Response[dict[str, Any]]:
    """Answer with JSON Schema."""
    found = await desk.get(reading.tenant_id, schema_id, version)
    url = f"{settings.base_url}{PATH}/{schema_id}/json-schema?version={found.version}"
    told = json_schema(url, found.name, found.description, found.version, found.properties)
    return Response(told, media_type="application/schema+json")


@get(
    ONE + "/types.ts",
    tags=["Schemas"],
    summary="Read an event schema as TypeScript",
    description="Types for whoever sends its events, with the SDK or without.",
    media_type="application/typescript",
)
async def read_types(
    schema_id: FromPath[UUID],
    reading: NamedDependency[TenantContext],
    desk: NamedDependency[SchemaDesk],
    version: Version = None,
) -> Response[str]:
    """Answer with TypeScript."""
    found = await desk.get(reading.tenant_id, schema_id, version)
    text = typescript(found.name, found.version, found.properties)
    return Response(text, media_type="application/typescript; charset=utf-8")


handlers = [
    Router(
        "/",
        route_handlers=[create, list_all, read, change, remove, read_json_schema, read_types],
        dependencies=OWNER_DEPENDENCIES | {"desk": Provide(SchemaDesk, sync_to_thread=False)},
    )
]
