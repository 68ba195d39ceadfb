"""Onboard, list, read and change clients.

The platform's key may do all of it; a client's own admin key reads its client and changes its branding,
its staff and what is collected of its visitors.
"""

from litestar import Response, Router, get, patch, post
from litestar.di import NamedDependency, Provide
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import JSONBody
from msgspec import UNSET
from sqlalchemy import select

from app.api import client_domain, client_grafana, client_states
from app.api.client_views import ListedClient, OnboardedClient, Presenter, ShownClient, list_client
from app.api.dependencies import DEPENDENCIES
from app.api.dispatch import Dispatcher
from app.api.given_databases import with_given_database
from app.api.idempotency import Idempotency, claim, remember
from app.api.pages import DEFAULT_LIMIT, Cursor, Limit, Page, decode_cursor, page_of
from app.settings import Settings
from provisioning.audit import Actor
from provisioning.grafana.orders import follow_change
from provisioning.lifecycle import change_client
from provisioning.onboarding import Onboarding
from provisioning.operations import OperationView
from provisioning.requests import ClientChange, NewClient
from provisioning.retention import follow_retention
from tenants.clock import Clock
from tenants.control import ControlPlane
from tenants.errors import Forbidden
from tenants.keyring import Principal
from tenants.keys import Scope
from tenants.models import Client
from tenants.vault import Vault

# What a client's own admin key may change; the rest is between the agency and the client.
OWN_FIELDS = frozenset({"branding", "staff", "visitors"})


def provide_onboarding(
    platform: NamedDependency[Principal],  # noqa: ARG001 - only the platform takes on clients
    vault: NamedDependency[Vault],
    settings: NamedDependency[Settings],
    reserved: NamedDependency[frozenset[str]],
) -> Onboarding:
    """Make what takes orders for new clients."""
    return Onboarding(vault=vault, reserved=reserved, retention_days=settings.retention_days)


CREATED = ResponseSpec(OnboardedClient, description="The client is there.", generate_examples=False)


@post(
    "/api/v1/clients",
    tags=["Clients"],
    summary="Onboard a client",
    description="Answers 202 with an operation, or, with `Prefer: wait=N`, 201 with the client and its first keys once "
    "it is there. The keys are shown once: here, or when the operation is first read after its end.",
    status_code=202,
    responses={201: CREATED},
)
async def create_client(
    data: JSONBody[NewClient],
    actor: NamedDependency[Actor],
    idempotency: NamedDependency[Idempotency],
    onboarding: NamedDependency[Onboarding],
    dispatcher: NamedDependency[Dispatcher],
    present: NamedDependency[Presenter],
    settings: NamedDependency[Settings],
) -> Response[OperationView | OnboardedClient]:
    """Store the intent, have it carried out, and answer as far as it got."""
    new = with_given_database(data, settings.client_databases)
    examined = await onboarding.examine(dispatcher.control, new)
    async with dispatcher.control.session() as session:
        record = await claim(session, idempotency)
        operation_id = None if record is None else record.operation_id
        if operation_id is None:
            operation_id = await onboarding.request(session, examined, actor)
            await remember(session, idempotency, operation_id=operation_id)
    view = await dispatcher.dispatch(operation_id)
    headers = dispatcher.headers(view)
    if dispatcher.wait_s is None or not view.finished:
        return Response(view, status_code=202, headers=headers)
    client = await present.onboarded(view, None if record is not None else actor)
    return Response(client, status_code=201, headers=headers | {"Location": f"/api/v1/clients/{client.id}"})


@get(
    "/clients",
    tags=["Clients"],
    summary="List all clients in short",
    description="Id, name, domain and dashboard URL of every client, by id.",
)
async def list_short(
    platform: NamedDependency[Principal],  # noqa: ARG001 - asked for to be checked
    control: NamedDependency[ControlPlane],
    settings: NamedDependency[Settings],
) -> list[ListedClient]:
    """Answer with every client."""
    async with control.session() as session:
        clients = (await session.execute(select(Client).order_by(Client.id))).scalars().all()
    return [list_client(client, settings) for client in clients]


@get(
    "/api/v1/clients",
    tags=["Clients"],
    summary="List clients",
    description="By id, in pages.",
)
async def list_clients(
    platform: NamedDependency[Principal],  # noqa: ARG001 - asked for to be checked
    control: NamedDependency[ControlPlane],
    present: NamedDependency[Presenter],
    limit: Limit = DEFAULT_LIMIT,
    cursor: Cursor = None,
) -> Page[ShownClient]:
    """Answer with a page of clients."""
    async with control.session() as session:
        rows = await present.read(session, after=decode_cursor(cursor, str), limit=limit + 1)
    return page_of(rows, limit, show=lambda shown: shown, key=lambda shown: shown.id)


@get(
    "/api/v1/clients/{client_id:str}",
    tags=["Clients"],
    summary="Read a client",
    description="For the platform, and for the client's own admin key.",
)
async def read_client(
    managed: NamedDependency[Client], control: NamedDependency[ControlPlane], present: NamedDependency[Presenter]
) -> ShownClient:
    """Answer with a client."""
    async with control.session() as session:
        return await present.get(session, managed.id)


@patch(
    "/api/v1/clients/{client_id:str}",
    tags=["Clients"],
    summary="Change a client",
    description="What is left out stays, also within `branding` and `visitors`; null takes away. A client's own admin "
    "key may change these and `staff`. Where a client's data lives is not changed here. A shorter `retentionDays` "
    "holds at once for what comes in; what it takes away is removed for good, but not before `pruneAfter`, and stays "
    "if the retention is raised again until then.",
)
async def update_client(
    data: JSONBody[ClientChange],
    managed: NamedDependency[Client],
    manager: NamedDependency[Principal],
    actor: NamedDependency[Actor],
    clock: NamedDependency[Clock],
    present: NamedDependency[Presenter],
    dispatcher: NamedDependency[Dispatcher],
) -> ShownClient:
    """Change what is given and answer with the client as it is then; its Grafana follows."""
    require_own_fields(manager, data)
    async with present.control.session() as session:
        changed = await change_client(
            session, managed.id, data, actor, now=clock(), grace_days=present.settings.delete_grace_days
        )
        reconciliation = await follow_change(session, managed, changed, actor)
        retention = follow_retention(session, managed, changed, actor)
        shown = await present.get(session, managed.id)
    await dispatcher.ring(reconciliation, retention)
    return shown


def require_own_fields(manager: Principal, change: ClientChange) -> None:
    """Keep a client's own key to what is the client's to change.

    Errors: Forbidden.
    """
    if Scope.PLATFORM in manager.scopes:
        return
    given = {name for name in change.__struct_fields__ if getattr(change, name) is not UNSET}
    if given - OWN_FIELDS:
        detail = "An admin key may change branding, staff and visitors; the rest needs a key of the platform."
        raise Forbidden(detail)


handlers = [
    Router(
        "/",
        route_handlers=[
            create_client,
            list_short,
            list_clients,
            read_client,
            update_client,
            *client_states.handlers,
            *client_domain.handlers,
            *client_grafana.handlers,
        ],
        dependencies=DEPENDENCIES
        | {
            "onboarding": Provide(provide_onboarding, sync_to_thread=False),
            "present": Provide(Presenter, sync_to_thread=False),
        },
    )
]
