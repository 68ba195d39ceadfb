"""What several routers of this package ask for by name: who acts, and which client may be managed.

Used by the routers of clients, keys, operations, usage and audit.
"""

from typing import Any

from litestar import Request
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath

from app.api.dispatch import provide_dispatcher
from app.api.idempotency import provide_idempotency
from provisioning.audit import Actor
from tenants.control import ControlPlane
from tenants.errors import ClientSuspended, Forbidden, NotFound
from tenants.ids import is_client_id
from tenants.keyring import Principal
from tenants.keys import Scope
from tenants.models import Client

SHUT = frozenset({"suspended", "deleting"})


async def provide_actor(request: Request[Any, Any, Any], principal: NamedDependency[Principal]) -> Actor:
    """Name the caller for the audit log."""
    return Actor(principal.actor, request.scope["state"].get("request_id"))


async def provide_managed(
    request: Request[Any, Any, Any],
    manager: NamedDependency[Principal],
    client_id: FromPath[str],
    control: NamedDependency[ControlPlane],
) -> Client:
    """Read the client in the path for someone who may manage it: the platform, or its own admin key.

    Errors: NotFound, also for another client; Forbidden; ClientSuspended for its own keys while it is suspended.
    """
    if not is_client_id(client_id):
        raise NotFound("No such client.")
    async with control.session() as session:
        client = await session.get(Client, client_id)
    if client is None:
        raise NotFound("No such client.")
    request.scope["state"]["client_id"] = client.id
    if client.status in SHUT and Scope.PLATFORM not in manager.scopes:
        raise ClientSuspended("Access of this client is suspended.")
    return client


async def provide_governed(managed: NamedDependency[Client], manager: NamedDependency[Principal]) -> Client:
    """Read the client in the path for the platform alone: who pays, where it lives and whether it exists.

    Errors: as `provide_managed`; Forbidden for the client's own admin key.
    """
    if Scope.PLATFORM not in manager.scopes:
        raise Forbidden("This needs a key of the platform.")
    return managed


DEPENDENCIES = {
    "actor": Provide(provide_actor),
    "managed": Provide(provide_managed),
    "governed": Provide(provide_governed),
    "idempotency": Provide(provide_idempotency),
    "dispatcher": Provide(provide_dispatcher),
}
