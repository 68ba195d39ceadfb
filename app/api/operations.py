"""Tell how an operation stands, step by step."""

from typing import Annotated
from uuid import UUID

import msgspec
from litestar import Response, Router, get
from litestar.di import NamedDependency
from litestar.params import FromPath
from sqlalchemy.ext.asyncio import AsyncSession

from app.api.dependencies import DEPENDENCIES
from app.api.dispatch import RETRY_AFTER_S
from provisioning.audit import Actor
from provisioning.onboarding import reveal_keys
from provisioning.operations import OperationView, get_operation
from tenants.clock import Clock
from tenants.control import ControlPlane
from tenants.errors import Forbidden, NotFound
from tenants.keyring import Principal
from tenants.keys import Scope
from tenants.models import Client
from tenants.vault import Vault


class OperationAnswer(OperationView, frozen=True, kw_only=True):
    """An operation, with a new client's first keys if this is the first time that their creator sees it finished."""

    keys: Annotated[
        dict[str, str] | None,
        msgspec.Meta(description="First keys of a new client (admin, server, browser), shown once."),
    ] = None


async def get_visible_operation(session: AsyncSession, principal: Principal, operation_id: UUID) -> OperationView:
    """Read an operation that the caller may see: any for the platform, its own client's for an admin key.

    Errors: NotFound, also for another client's and for those of a former client of the same id; Forbidden.
    """
    view = await get_operation(session, operation_id)
    if Scope.PLATFORM in principal.scopes:
        return view
    client = None if view.client_id != principal.client_id else await session.get(Client, view.client_id)
    if client is None or view.created_at < client.created_at:
        raise NotFound("No such operation.")
    if Scope.MANAGE not in principal.scopes:
        raise Forbidden("This needs an admin key.")
    return view


@get(
    "/api/v1/operations/{operation_id:uuid}",
    tags=["Operations"],
    summary="Read an operation",
    description="Steps with state, attempts, last error and times. Ask again after `Retry-After` seconds while it is "
    "pending or running. Whoever created a client sees its first keys here, once.",
)
async def read_operation(
    operation_id: FromPath[UUID],
    principal: NamedDependency[Principal],
    actor: NamedDependency[Actor],
    control: NamedDependency[ControlPlane],
    vault: NamedDependency[Vault],
    clock: NamedDependency[Clock],
) -> Response[OperationAnswer]:
    """Answer with an operation."""
    async with control.session() as session:
        view = await get_visible_operation(session, principal, operation_id)
        # Not earlier, because whoever waits for the end may not look at what comes before.
        done = view.state == "succeeded"
        keys = await reveal_keys(session, operation_id, actor, vault=vault, clock=clock) if done else None
    answer = OperationAnswer(**msgspec.structs.asdict(view), keys=keys)
    headers = {"Cache-Control": "no-store"} | ({} if view.finished else {"Retry-After": str(RETRY_AFTER_S)})
    return Response(answer, headers=headers)


handlers = [Router("/", route_handlers=[read_operation], dependencies=DEPENDENCIES)]
