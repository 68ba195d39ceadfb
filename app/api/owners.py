"""Whose things are meant on paths that name no client: the key's own, or for the platform the one it names.

Used by the routers of schemas, adaptors and sources.
"""

from typing import Annotated, Any

from litestar import Request
from litestar.di import NamedDependency, Provide
from litestar.params import QueryParameter

from app.api.dependencies import provide_actor
from app.api.dispatch import provide_dispatcher
from app.api.idempotency import provide_idempotency
from app.auth.guards import require_active
from tenants.errors import Forbidden, InputRefused, NotFound
from tenants.ids import TenantId, is_client_id
from tenants.keyring import Principal
from tenants.keys import Scope
from tenants.placement import TenantContext
from tenants.registry import Registry

ClientName = Annotated[
    str | None,
    QueryParameter(
        name="client", description="Whose; needed with a key of the platform, and left out with a client's own."
    ),
]
_SAID = frozenset({"", "1", "true"})
_UNSAID = frozenset({"0", "false"})


async def provide_reading(
    request: Request[Any, Any, Any],
    principal: NamedDependency[Principal],
    registry: NamedDependency[Registry],
    named: ClientName = None,
) -> TenantContext:
    """Return the client whose things the caller may read: its own with a key that reads, any for the platform.

    Errors: NotFound for another client; Forbidden; ClientSuspended for its own keys; InputRefused if the platform names
    none.
    """
    if Scope.PLATFORM in principal.scopes:
        if named is None:
            raise InputRefused("Say which client is meant.", field="client", code="client_missing")
        if not is_client_id(named):
            raise NotFound("No such client.")
        request.scope["state"]["client_id"] = named
        return await registry.get_client(TenantId(named))
    if principal.client_id is None or named not in {None, principal.client_id}:
        raise NotFound("No such client.")
    if Scope.READ not in principal.scopes:
        raise Forbidden("This key may not read.")
    return require_active(await registry.get_client(principal.client_id))


async def provide_keeping(
    reading: NamedDependency[TenantContext], principal: NamedDependency[Principal]
) -> TenantContext:
    """Return the client whose things the caller may change: with its own admin key, or the platform's.

    Errors: as `provide_reading`; Forbidden.
    """
    if Scope.MANAGE not in principal.scopes:
        raise Forbidden("This needs an admin key.")
    return reading


def read_flag(name: str, given: str | None) -> bool:
    """Read a parameter that is said or not: `?force`, `?force=1`, `?force=true`.

    Errors: InputRefused.
    """
    if given is None or given.lower() in _UNSAID:
        return False
    if given.lower() in _SAID:
        return True
    raise InputRefused("Say true or false.", field=name, code="no_flag")


OWNER_DEPENDENCIES = {
    "actor": Provide(provide_actor),
    "reading": Provide(provide_reading),
    "keeping": Provide(provide_keeping),
    "idempotency": Provide(provide_idempotency),
    "dispatcher": Provide(provide_dispatcher),
}
