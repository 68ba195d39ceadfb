"""Suspend, resume, delete and restore clients, and try their walls: each an operation, for the platform alone."""

from litestar import Response, delete, post
from litestar.di import NamedDependency

from app.api.dispatch import Dispatcher
from app.settings import Settings
from provisioning.audit import Actor
from provisioning.lifecycle import (
    delete_client,
    request_isolation_check,
    restore_client,
    resume_client,
    suspend_client,
)
from provisioning.operations import OperationView
from tenants.clock import Clock
from tenants.models import Client


@post(
    "/api/v1/clients/{client_id:str}/suspend",
    tags=["Clients"],
    summary="Suspend a client",
    description="Shuts the client's keys and pages within a second, until it is resumed. Its data stays.",
    status_code=200,
)
async def suspend(
    governed: NamedDependency[Client],
    actor: NamedDependency[Actor],
    clock: NamedDependency[Clock],
    dispatcher: NamedDependency[Dispatcher],
) -> Response[OperationView]:
    """Suspend a client."""
    async with dispatcher.control.session() as session:
        operation_id = await suspend_client(session, governed.id, actor, now=clock())
    return await dispatcher.answer(operation_id)


@post(
    "/api/v1/clients/{client_id:str}/resume",
    tags=["Clients"],
    summary="Resume a client",
    description="Opens a suspended client again.",
    status_code=200,
)
async def resume(
    governed: NamedDependency[Client],
    actor: NamedDependency[Actor],
    clock: NamedDependency[Clock],
    dispatcher: NamedDependency[Dispatcher],
) -> Response[OperationView]:
    """Resume a client."""
    async with dispatcher.control.session() as session:
        operation_id = await resume_client(session, governed.id, actor, now=clock())
    return await dispatcher.answer(operation_id)


@delete(
    "/api/v1/clients/{client_id:str}",
    tags=["Clients"],
    summary="Delete a client",
    description="Shuts the client at once and removes its data, roles and keys for good when the grace of "
    "`GROVE_DELETE_GRACE_DAYS` is over; until then it can be restored.",
    status_code=202,
)
async def remove(
    governed: NamedDependency[Client],
    actor: NamedDependency[Actor],
    clock: NamedDependency[Clock],
    settings: NamedDependency[Settings],
    dispatcher: NamedDependency[Dispatcher],
) -> Response[OperationView]:
    """Delete a client, with grace."""
    async with dispatcher.control.session() as session:
        operation_id = await delete_client(
            session, governed.id, actor, now=clock(), grace_days=settings.delete_grace_days
        )
    return await dispatcher.answer(operation_id)


@post(
    "/api/v1/clients/{client_id:str}/restore",
    tags=["Clients"],
    summary="Restore a deleted client",
    description="Takes a deletion back while its grace lasts.",
    status_code=200,
)
async def restore(
    governed: NamedDependency[Client],
    actor: NamedDependency[Actor],
    clock: NamedDependency[Clock],
    dispatcher: NamedDependency[Dispatcher],
) -> Response[OperationView]:
    """Restore a client."""
    async with dispatcher.control.session() as session:
        operation_id = await restore_client(session, governed.id, actor, now=clock())
    return await dispatcher.answer(operation_id)


@post(
    "/api/v1/clients/{client_id:str}/isolation-check",
    tags=["Clients"],
    summary="Try a client's walls",
    description="Tries to cross every wall with every role of the client. The operation's result lists each attempt "
    "and its outcome, and what could not be hardened.",
    status_code=202,
)
async def check_isolation(
    governed: NamedDependency[Client],
    actor: NamedDependency[Actor],
    dispatcher: NamedDependency[Dispatcher],
) -> Response[OperationView]:
    """Have a client's walls tried."""
    async with dispatcher.control.session() as session:
        operation_id = await request_isolation_check(session, governed.id, actor)
    return await dispatcher.answer(operation_id)


handlers = [suspend, resume, remove, restore, check_isolation]
