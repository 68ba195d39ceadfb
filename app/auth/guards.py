"""Turn a request's key into what a handler may touch; a handler only ever gets a client from here.

Registered by `app.asgi` as dependencies by name. Anything of another client is NotFound, exactly as if it
did not exist.
"""

from typing import Any

from litestar import Request
from litestar.di import NamedDependency
from litestar.params import FromPath

from app.auth.credentials import header_key
from tenants.errors import ClientSuspended, Forbidden, NotFound, Unauthenticated
from tenants.ids import TenantId, is_client_id
from tenants.keyring import Keyring, Principal
from tenants.keys import Scope
from tenants.placement import TenantContext
from tenants.registry import Registry

# A client may send and read while its Grafana is still being made.
SERVED = frozenset({"active", "provisioning"})


async def provide_principal(request: Request[Any, Any, Any], keyring: NamedDependency[Keyring]) -> Principal:
    """Verify the key in the headers.

    Errors: Unauthenticated.
    """
    key = header_key(request.scope)
    if key is None:
        raise Unauthenticated("Send a key as `Authorization: Bearer …` or `X-API-Key`.")
    principal = await keyring.verify(key)
    request.scope["state"]["client_id"] = principal.client_id
    return principal


async def provide_platform(principal: NamedDependency[Principal]) -> Principal:
    """Require a key of the platform.

    Errors: Forbidden.
    """
    if Scope.PLATFORM not in principal.scopes:
        raise Forbidden("This needs a key of the platform.")
    return principal


async def provide_manager(principal: NamedDependency[Principal], client_id: FromPath[str]) -> Principal:
    """Require the right to manage the client in the path: the platform, or that client's own admin key.

    Errors: NotFound for another client; Forbidden for the client's other keys.
    """
    if Scope.PLATFORM in principal.scopes:
        return principal
    if principal.client_id != client_id:
        raise NotFound("No such client.")
    if Scope.MANAGE not in principal.scopes:
        raise Forbidden("This needs an admin key.")
    return principal


async def provide_client(
    request: Request[Any, Any, Any],
    client_id: FromPath[str],
    principal: NamedDependency[Principal],
    registry: NamedDependency[Registry],
) -> TenantContext:
    """Return the client in the path, if the key is its own and may read.

    Errors: NotFound for another client; Forbidden; ClientSuspended.
    """
    if principal.client_id != client_id or not is_client_id(client_id):
        raise NotFound("No such client.")
    if Scope.READ not in principal.scopes:
        raise Forbidden("This key may not read.")
    client = await registry.get_client(TenantId(client_id))
    request.scope["state"]["client_id"] = client_id
    return require_active(client)


async def provide_own(
    request: Request[Any, Any, Any], principal: NamedDependency[Principal], registry: NamedDependency[Registry]
) -> TenantContext:
    """Return the client whose key this is, if it may read; for paths that name no client.

    Errors: Forbidden, also for the platform's keys; ClientSuspended.
    """
    if principal.client_id is None:
        raise Forbidden("This needs a key of a client.")
    if Scope.READ not in principal.scopes:
        raise Forbidden("This key may not read.")
    request.scope["state"]["client_id"] = principal.client_id
    return require_active(await registry.get_client(principal.client_id))


async def provide_own_writer(
    own: NamedDependency[TenantContext], principal: NamedDependency[Principal]
) -> TenantContext:
    """Return the client whose key this is, if it may read and write.

    Errors: as `provide_own`.
    """
    if Scope.WRITE not in principal.scopes:
        raise Forbidden("This key may not send events.")
    return own


def require_active(client: TenantContext) -> TenantContext:
    """Refuse a client that is suspended or being deleted.

    Errors: ClientSuspended.
    """
    if client.status not in SERVED:
        raise ClientSuspended("Access of this client is suspended.")
    return client
