"""Turn a request's cookie into the member of staff who sends it, at the client in the path and no other.

`staff` and `staff_client` are registered by `app.asgi` as dependencies by name; the gateway calls `find_member`.
"""

from typing import Any

from litestar import Request
from litestar.di import NamedDependency
from litestar.params import FromPath
from litestar.types import Scope

from app.auth.cookies import SESSION, cookie_jar
from app.auth.guards import require_active
from app.auth.sessions import SessionStore, StaffMember
from app.settings import Settings
from tenants.errors import NotFound, Unauthenticated
from tenants.ids import TenantId, is_client_id
from tenants.placement import TenantContext
from tenants.registry import Registry


async def find_member(scope: Scope, client_id: str, settings: Settings, sessions: SessionStore) -> StaffMember:
    """Find out who sends a request.

    Errors: Unauthenticated without a session; NotFound with one of another client; StoreUnavailable.
    """
    jar = cookie_jar(settings, scope, client_id)
    token = None if jar is None else jar.read(scope, SESSION)
    if token is None:
        raise Unauthenticated("Log in first.")
    if not is_client_id(client_id):
        raise NotFound("No such client.")
    member = await sessions.verify(token, TenantId(client_id))
    scope["state"].update(client_id=client_id, staff_id=str(member.staff_id))
    return member


async def provide_staff(
    request: Request[Any, Any, Any],
    client_id: FromPath[str],
    settings: NamedDependency[Settings],
    sessions: NamedDependency[SessionStore],
    registry: NamedDependency[Registry],
) -> StaffMember:
    """Require a member of staff of the client in the path, which must not be suspended.

    Errors: as `find_member`; ClientSuspended.
    """
    member = await find_member(request.scope, client_id, settings, sessions)
    require_active(await registry.get_client(member.client_id))
    return member


async def provide_staff_client(
    staff: NamedDependency[StaffMember], registry: NamedDependency[Registry]
) -> TenantContext:
    """Return the client whose staff is asking."""
    return await registry.get_client(staff.client_id)
