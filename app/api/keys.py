"""Create, list, rotate and revoke keys: a client's own below its path, the platform's at `/api/v1/keys`.

A client's keys are managed by the platform or by the client's admin keys. Whatever ends here is out in every process
within a second.
"""

from datetime import datetime
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from litestar import Response, Router, delete, get, patch, post
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath, JSONBody
from msgspec import Meta

from app.api.dependencies import DEPENDENCIES
from app.api.idempotency import Idempotency
from app.api.key_desk import KeyDesk, Rotation
from app.api.pages import DEFAULT_LIMIT, Cursor, Limit, Page
from provisioning.keys import KeyChange, KeyView, NewKey
from tenants.keyring import Principal
from tenants.keys import KeyKind
from tenants.models import Client

Name = Annotated[str, Meta(description="What the key is for.", examples=["web shop"], max_length=200)]
Expiry = Annotated[datetime, Meta(tz=True, description="When the key ends by itself; null: never.")] | None


class KeyRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A client's key to make."""

    kind: Annotated[
        Literal["admin", "server", "browser"],
        Meta(description="admin manages the client, server writes and reads, browser writes.", examples=["server"]),
    ]
    name: Name = ""
    origins: Annotated[
        list[str],
        Meta(description="Browser keys: pages of which origins may use it.", examples=[["https://www.maple.example"]]),
    ] = []
    expires_at: Expiry = None
    rate_limit: Annotated[int, Meta(description="Events per second in the long run.", examples=[50])] | None = None
    rate_burst: (
        Annotated[int, Meta(description="Events at once; null: ten seconds' worth. Needs `rate_limit`.")] | None
    ) = None
    monthly_quota: Annotated[int, Meta(description="Events per calendar month (UTC).")] | None = None


class PlatformKeyRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A platform key to make."""

    name: Name = ""
    expires_at: Expiry = None


@post(
    "/api/v1/clients/{client_id:str}/keys",
    tags=["Keys"],
    summary="Create a key of a client",
    description="The key itself is in this answer and nowhere else.",
)
async def create_client_key(
    data: JSONBody[KeyRequest],
    managed: NamedDependency[Client],
    idempotency: NamedDependency[Idempotency],
    desk: NamedDependency[KeyDesk],
) -> Response[KeyView]:
    """Create a key."""
    new = NewKey(
        kind=KeyKind[data.kind.upper()],
        client_id=managed.id,
        name=data.name,
        origins=data.origins,
        expires_at=data.expires_at,
        rate_limit=data.rate_limit,
        rate_burst=data.rate_burst,
        monthly_quota=data.monthly_quota,
    )
    return await desk.create(new, idempotency)


@get(
    "/api/v1/clients/{client_id:str}/keys",
    tags=["Keys"],
    summary="List a client's keys",
    description="Oldest first, with those that are revoked or expired; never the keys themselves.",
)
async def list_client_keys(
    managed: NamedDependency[Client],
    desk: NamedDependency[KeyDesk],
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Page[KeyView]:
    """Answer with a page of keys."""
    return await desk.list(managed.id, limit, cursor)


@post(
    "/api/v1/clients/{client_id:str}/keys/{key_id:uuid}/rotate",
    tags=["Keys"],
    summary="Replace a key of a client",
    description="Makes a successor with the same name, kind, origins and end; the old key works until the overlap "
    "is over.",
)
async def rotate_client_key(
    data: JSONBody[Rotation],
    managed: NamedDependency[Client],
    key_id: FromPath[UUID],
    idempotency: NamedDependency[Idempotency],
    desk: NamedDependency[KeyDesk],
) -> Response[KeyView]:
    """Rotate a key."""
    return await desk.rotate(managed.id, key_id, data, idempotency)


@patch(
    "/api/v1/clients/{client_id:str}/keys/{key_id:uuid}",
    tags=["Keys"],
    summary="Change a key of a client",
    description="Its name and how much it may send; what is left out stays, null takes a limit away. Every process "
    "goes by it within a second.",
)
async def change_client_key(
    data: JSONBody[KeyChange],
    managed: NamedDependency[Client],
    key_id: FromPath[UUID],
    desk: NamedDependency[KeyDesk],
) -> KeyView:
    """Change a key."""
    return await desk.change(managed.id, key_id, data)


@delete(
    "/api/v1/clients/{client_id:str}/keys/{key_id:uuid}",
    tags=["Keys"],
    summary="Revoke a key of a client",
    description="The key is out in every process within a second. Revoking twice is fine.",
)
async def revoke_client_key(
    managed: NamedDependency[Client], key_id: FromPath[UUID], desk: NamedDependency[KeyDesk]
) -> None:
    """Revoke a key."""
    await desk.revoke(managed.id, key_id)


@post(
    "/api/v1/keys",
    tags=["Keys"],
    summary="Create a platform key",
    description="The key itself is in this answer and nowhere else.",
)
async def create_platform_key(
    data: JSONBody[PlatformKeyRequest],
    platform: NamedDependency[Principal],  # noqa: ARG001 - asked for to be checked
    idempotency: NamedDependency[Idempotency],
    desk: NamedDependency[KeyDesk],
) -> Response[KeyView]:
    """Create a key."""
    new = NewKey(kind=KeyKind.PLATFORM, client_id=None, name=data.name, expires_at=data.expires_at)
    return await desk.create(new, idempotency)


@get(
    "/api/v1/keys",
    tags=["Keys"],
    summary="List the platform's keys",
    description="Oldest first, with those that are revoked or expired; never the keys themselves.",
)
async def list_platform_keys(
    platform: NamedDependency[Principal],  # noqa: ARG001 - asked for to be checked
    desk: NamedDependency[KeyDesk],
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Page[KeyView]:
    """Answer with a page of keys."""
    return await desk.list(None, limit, cursor)


@post(
    "/api/v1/keys/{key_id:uuid}/rotate",
    tags=["Keys"],
    summary="Replace a platform key",
    description="Makes a successor with the same name and end; the old key works until the overlap is over.",
)
async def rotate_platform_key(
    data: JSONBody[Rotation],
    platform: NamedDependency[Principal],  # noqa: ARG001 - asked for to be checked
    key_id: FromPath[UUID],
    idempotency: NamedDependency[Idempotency],
    desk: NamedDependency[KeyDesk],
) -> Response[KeyView]:
    """Rotate a key."""
    return await desk.rotate(None, key_id, data, idempotency)


@delete(
    "/api/v1/keys/{key_id:uuid}",
    tags=["Keys"],
    summary="Revoke a platform key",
    description="The key is out in every process within a second. Revoking twice is fine.",
)
async def revoke_platform_key(
    platform: NamedDependency[Principal],  # noqa: ARG001 - asked for to be checked
    key_id: FromPath[UUID],
    desk: NamedDependency[KeyDesk],
) -> None:
    """Revoke a key."""
    await desk.revoke(None, key_id)


handlers = [
    Router(
        "/",
        route_handlers=[
            create_client_key,
            list_client_keys,
            rotate_client_key,
            change_client_key,
            revoke_client_key,
            create_platform_key,
            list_platform_keys,
            rotate_platform_key,
            revoke_platform_key,
        ],
        dependencies=DEPENDENCIES | {"desk": Provide(KeyDesk, sync_to_thread=False)},
    )
]
