"""Issue, list and revoke service tokens below a client's path; change the key that signs them at `/api/v1/token-keys`.

A client's tokens are managed by whoever manages its keys. A token is taken wherever a key with its scopes is.
"""

from datetime import timedelta
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from litestar import Response, Router, delete, get, post
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath, JSONBody
from msgspec import Meta

from app.api.dependencies import DEPENDENCIES
from app.api.idempotency import Idempotency
from app.api.pages import DEFAULT_LIMIT, Cursor, Limit, Page
from app.api.token_desk import TokenDesk
from app.settings import Settings
from provisioning.tokens import NewToken, SigningKeyView, TokenView
from tenants.errors import InputRefused
from tenants.keyring import Principal
from tenants.models import Client


class TokenRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A token to issue."""

    key_id: Annotated[
        UUID | None,
        Meta(description="The admin or server key that it stands for; left out: the key that asks."),
    ] = None
    name: Annotated[str, Meta(description="Which service it is for.", examples=["billing"], max_length=200)] = ""
    scopes: Annotated[
        list[Literal["write", "read"]] | None,
        Meta(description="write: send events; read: ask; left out: both.", examples=[["write"]]),
    ] = None
    lifetime_s: (
        Annotated[
            int,
            Meta(ge=1, description="Seconds; left out: GROVE_TOKEN_LIFETIME_S. At most GROVE_TOKEN_MAX_LIFETIME_S."),
        ]
        | None
    ) = None


class KeyChangeRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the key that signs is replaced."""

    at_once: Annotated[
        bool, Meta(description="Whether all tokens that are out end now; if not, they work until they expire.")
    ] = False


@post(
    "/api/v1/clients/{client_id:str}/tokens",
    tags=["Keys"],
    summary="Issue a service token",
    description="A JWT that stands for one of the client's keys for a while: it may do what its scopes say, counts "
    "under that key with its limits, and ends with it. The token is in this answer and nowhere else.",
)
async def issue(
    data: JSONBody[TokenRequest],
    managed: NamedDependency[Client],
    manager: NamedDependency[Principal],
    settings: NamedDependency[Settings],
    idempotency: NamedDependency[Idempotency],
    desk: NamedDependency[TokenDesk],
) -> Response[TokenView]:
    """Issue a token."""
    key_id = data.key_id or (None if manager.client_id is None else manager.key_id)
    if key_id is None:
        raise InputRefused("Say which of the client's keys the token is for.", field="/key_id")
    lifetime_s = data.lifetime_s or settings.token_lifetime_s
    if lifetime_s > settings.token_max_lifetime_s:
        detail = f"A token lives {settings.token_max_lifetime_s} seconds at most."
        raise InputRefused(detail, field="/lifetime_s")
    new = NewToken(key_id=key_id, lifetime=timedelta(seconds=lifetime_s), name=data.name, scopes=data.scopes)
    return await desk.issue(managed.id, new, idempotency)


@get(
    "/api/v1/clients/{client_id:str}/tokens",
    tags=["Keys"],
    summary="List a client's service tokens",
    description="Oldest first, with those that are revoked, and those that expired within a day; never the tokens "
    "themselves.",
)
async def list_all(
    managed: NamedDependency[Client],
    desk: NamedDependency[TokenDesk],
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Page[TokenView]:
    """Answer with a page of tokens."""
    return await desk.list(managed.id, limit, cursor)


@delete(
    "/api/v1/clients/{client_id:str}/tokens/{token_id:uuid}",
    tags=["Keys"],
    summary="Revoke a service token",
    description="The token is out in every process within a second. Revoking twice is fine.",
)
async def revoke(managed: NamedDependency[Client], token_id: FromPath[UUID], desk: NamedDependency[TokenDesk]) -> None:
    """Revoke a token."""
    await desk.revoke(managed.id, token_id)


@post(
    "/api/v1/token-keys/rotate",
    tags=["Keys"],
    summary="Change the key that signs service tokens",
    description="Tokens are signed with another key from now on. Those that are out work until they expire, or with "
    "`at_once` not any more. Without being asked, the key changes every 90 days.",
)
async def rotate(
    data: JSONBody[KeyChangeRequest],
    platform: NamedDependency[Principal],  # noqa: ARG001 - asked for to be checked
    desk: NamedDependency[TokenDesk],
) -> SigningKeyView:
    """Rotate the signing key."""
    return await desk.rotate(at_once=data.at_once)


handlers = [
    Router(
        "/",
        route_handlers=[issue, list_all, revoke, rotate],
        dependencies=DEPENDENCIES | {"desk": Provide(TokenDesk, sync_to_thread=False)},
    )
]
