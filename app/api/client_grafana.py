"""Bring a client's Grafana to what it should be: an operation, for the platform alone."""

from typing import Annotated

from litestar import Response, post
from litestar.di import NamedDependency
from litestar.params import QueryParameter

from app.api.dispatch import Dispatcher
from provisioning.audit import Actor
from provisioning.grafana.orders import request_reconciliation
from provisioning.operations import OperationView
from tenants.models import Client

Rotate = Annotated[
    bool, QueryParameter(name="rotatePassword", description="Also give the datasource's login another password.")
]


@post(
    "/api/v1/clients/{client_id:str}/grafana/reconcile",
    tags=["Clients"],
    summary="Repair a client's Grafana",
    description="Compares the client's organisation in Grafana with what it should be and repairs what differs; "
    "dashboards that its staff made themselves are kept. The operation's result lists each difference.",
    status_code=202,
)
async def reconcile(
    governed: NamedDependency[Client],
    actor: NamedDependency[Actor],
    dispatcher: NamedDependency[Dispatcher],
    rotate: Rotate = False,  # noqa: FBT002 - a parameter of the query
) -> Response[OperationView]:
    """Have a client's Grafana repaired."""
    async with dispatcher.control.session() as session:
        operation_id = await request_reconciliation(session, governed.id, actor, rotate=rotate)
    return await dispatcher.answer(operation_id)


handlers = [reconcile]
