"""List, invite, change and remove the people who work at a client.

Managed by the platform or by the client's own admin keys. Whoever is demoted, disabled or removed has lost it in every
process within a second.
"""

from uuid import UUID

from litestar import Response, Router, delete, get, patch, post
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath, JSONBody

from app.api.dependencies import DEPENDENCIES
from app.api.idempotency import CREATED, Idempotency
from app.api.pages import DEFAULT_LIMIT, Cursor, Limit, Page
from app.api.staff_desk import InvitedStaff, StaffDesk
from provisioning.requests import NewStaff, StaffChange
from provisioning.staff import StaffView
from tenants.models import Client


@post(
    "/api/v1/clients/{client_id:str}/staff",
    tags=["Staff"],
    summary="Invite a person to a client",
    description="The person sets a password through a link, which is sent by e-mail; where no mail server is set up, "
    "the link is in this answer and nowhere else.",
)
async def invite(
    data: JSONBody[NewStaff],
    managed: NamedDependency[Client],
    idempotency: NamedDependency[Idempotency],
    staff_desk: NamedDependency[StaffDesk],
) -> Response[InvitedStaff]:
    """Invite a person."""
    return _shown_once(await staff_desk.invite(managed, data, idempotency))


@get(
    "/api/v1/clients/{client_id:str}/staff",
    tags=["Staff"],
    summary="List a client's people",
    description="Oldest first, with those who are invited or disabled.",
)
async def list_people(
    managed: NamedDependency[Client],
    staff_desk: NamedDependency[StaffDesk],
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Page[StaffView]:
    """Answer with a page of people."""
    return await staff_desk.list(managed.id, limit, cursor)


@patch(
    "/api/v1/clients/{client_id:str}/staff/{staff_id:uuid}",
    tags=["Staff"],
    summary="Change a person",
    description="What is left out stays. Status `disabled` ends every session at once, `active` lets the person in "
    "again.",
)
async def change(
    data: JSONBody[StaffChange],
    managed: NamedDependency[Client],
    staff_id: FromPath[UUID],
    staff_desk: NamedDependency[StaffDesk],
) -> StaffView:
    """Change a person."""
    return await staff_desk.change(managed, staff_id, data)


@delete(
    "/api/v1/clients/{client_id:str}/staff/{staff_id:uuid}",
    tags=["Staff"],
    summary="Remove a person from a client",
    description="Ends every session at once and removes the account, here and in the client's Grafana.",
)
async def remove(
    managed: NamedDependency[Client], staff_id: FromPath[UUID], staff_desk: NamedDependency[StaffDesk]
) -> None:
    """Remove a person."""
    await staff_desk.remove(managed, staff_id)


@post(
    "/api/v1/clients/{client_id:str}/staff/{staff_id:uuid}/invite",
    tags=["Staff"],
    summary="Send a person another link",
    description="An invitation for whoever has set no password yet, else a link to set a new one. Links that were sent "
    "before stop working. Sent by e-mail, or shown in this answer, as with the first.",
)
async def invite_again(
    managed: NamedDependency[Client],
    staff_id: FromPath[UUID],
    idempotency: NamedDependency[Idempotency],
    staff_desk: NamedDependency[StaffDesk],
) -> Response[InvitedStaff]:
    """Give a person another link."""
    return _shown_once(await staff_desk.invite_again(managed, staff_id, idempotency))


def _shown_once(made: InvitedStaff) -> Response[InvitedStaff]:
    return Response(made, status_code=CREATED, headers={"Cache-Control": "no-store"})


handlers = [
    Router(
        "/",
        route_handlers=[invite, list_people, change, remove, invite_again],
        dependencies=DEPENDENCIES | {"staff_desk": Provide(StaffDesk, sync_to_thread=False)},
    )
]
