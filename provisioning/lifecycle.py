"""Change, suspend, resume, delete and restore clients, and see to their removal when their grace is over.

Called by the routes, the CLI and a daily job. What changes is told to every process by a revocation: call
`RevocationFeed.announce()` after the transaction.
"""

import uuid
from datetime import datetime, timedelta

from msgspec import UNSET
from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.audit import GROVE, Actor, record
from provisioning.onboarding import check_domain_free
from provisioning.operations import (
    OPEN_STATES,
    NewOperation,
    add_finished_operation,
    add_operation,
    find_last_operation,
    find_open_operation,
)
from provisioning.plans import CHECK, CREATE, PLANS, REMOVE
from provisioning.requests import ClientChange
from provisioning.retention import grant_grace
from provisioning.staff import replace_staff
from provisioning.validation import check_client_change
from tenants.errors import NotFound, WrongState
from tenants.models import Client, Operation
from tenants.revocations import revoke

DELETE = "client.delete"


async def change_client(
    session: AsyncSession, client_id: str, change: ClientChange, actor: Actor, *, now: datetime, grace_days: int
) -> list[str]:
    """Change what is given and return the names of what then differs.

    Shape: what a shorter retention takes away stays for the grace.
    Errors: NotFound; InputRefused with a pointer per fault; AlreadyTaken (`/domain`); WrongState while it is being
    deleted.
    """
    client = await _lock_client(session, client_id)
    check_client_change(change, rate=client.rate_limit)
    if client.status == "deleting":
        raise WrongState("The client is being deleted; restore it first.")
    wanted = {
        "name": change.name, "timezone": change.timezone, "domain": change.domain,
        "branding": UNSET if change.branding is UNSET else change.branding.stored(client.branding),
        "dashboards": change.dashboards, "rate_limit": change.rate_limit,
        "rate_burst": None if change.rate_limit is None else change.rate_burst,  # goes with its rate
        "monthly_quota": change.monthly_quota, "retention_days": change.retention_days,
        "share": change.share,
        "visitors": UNSET if change.visitors is UNSET else change.visitors.stored(client.visitors),
    }  # fmt: skip
    changed = [name for name, value in wanted.items() if value is not UNSET and getattr(client, name) != value]
    if "domain" in changed and change.domain is not UNSET:
        await check_domain_free(session, change.domain, client_id)
    if change.retention_days is not UNSET:
        grant_grace(client, change.retention_days, now=now, grace_days=grace_days)
    for name in changed:
        setattr(client, name, wanted[name])
    if change.staff is not UNSET and await replace_staff(session, client_id, change.staff, actor, now=now):
        changed.append("staff")
    if changed:
        client.updated_at = now
        revoke(session, "client", client_id)
        record(session, actor, "client.change", client_id, changed=changed)
        await session.flush()
    return changed


async def suspend_client(session: AsyncSession, client_id: str, actor: Actor, *, now: datetime) -> uuid.UUID:
    """Shut a client's keys and pages until it is resumed; suspending twice is fine. Returns the (done) operation.

    Errors: NotFound; WrongState while it is being made or deleted.
    """
    client = await _lock_client(session, client_id)
    if client.status not in {"active", "suspended"}:
        raise WrongState("Only an active client can be suspended.")
    client.suspended_at = client.suspended_at or now
    return await _set_status(session, client, "suspended", "client.suspend", actor, now)


async def resume_client(session: AsyncSession, client_id: str, actor: Actor, *, now: datetime) -> uuid.UUID:
    """Open a suspended client again; resuming twice is fine.

    Errors: NotFound; WrongState while it is being made or deleted.
    """
    client = await _lock_client(session, client_id)
    if client.status not in {"active", "suspended"}:
        raise WrongState("Only a suspended client can be resumed.")
    client.suspended_at = None
    return await _set_status(session, client, "active", "client.resume", actor, now)


async def delete_client(
    session: AsyncSession, client_id: str, actor: Actor, *, now: datetime, grace_days: int
) -> uuid.UUID:
    """Shut a client and remove it for good after the grace; until then it can be restored.

    Shape: returns the operation `client.delete` (done), or `client.remove` (to be run) where there is no grace. A
    client that is still being made is not deleted but its onboarding cancelled, and that operation returned. Asked
    twice, the same operation is returned; without grace, what waited for its grace is removed.
    Errors: NotFound.
    """
    client = await _lock_client(session, client_id)
    if client.status == "provisioning":
        return await _cancel_onboarding(session, client, actor)
    removal = await find_open_operation(session, client_id, REMOVE)
    if removal is not None:
        return removal
    operation_id = await find_last_operation(session, client_id, DELETE) if client.status == "deleting" else None
    if operation_id is None:
        client.delete_after = now + timedelta(days=grace_days)
        operation_id = await _set_status(session, client, "deleting", DELETE, actor, now)
    return operation_id if grace_days > 0 else await request_removal(session, client_id, actor)


async def restore_client(session: AsyncSession, client_id: str, actor: Actor, *, now: datetime) -> uuid.UUID:
    """Take a deletion back; a client that was suspended before stays suspended.

    Errors: NotFound; WrongState if it is not being deleted or its removal has begun.
    """
    client = await _lock_client(session, client_id)
    if client.status != "deleting" or await find_open_operation(session, client_id, REMOVE) is not None:
        raise WrongState("Only a client that waits for its removal can be restored.")
    client.delete_after = None
    # What refused a client that is being deleted goes on.
    waiting = update(Operation).where(Operation.client_id == client_id, Operation.state.in_(OPEN_STATES))
    await session.execute(waiting.values(not_before=None))
    status = "active" if client.suspended_at is None else "suspended"
    return await _set_status(session, client, status, "client.restore", actor, now)


async def request_removal(session: AsyncSession, client_id: str, actor: Actor) -> uuid.UUID:
    """Store the intent to remove a client for good now (operation `client.remove`).

    Shape: asked twice, the same operation is returned.
    Errors: NotFound; WrongState unless it was deleted before.
    """
    client = await _lock_client(session, client_id)
    if client.status != "deleting":
        raise WrongState("Only a deleted client can be removed for good.")
    found = await find_open_operation(session, client_id, REMOVE)
    if found is not None:
        return found
    operation_id = add_operation(
        session, NewOperation(kind=REMOVE, client_id=client_id, steps=PLANS[REMOVE].names), actor
    )
    record(session, actor, REMOVE, client_id, operation_id=str(operation_id))
    await session.flush()
    return operation_id


async def unscoped_request_due_removals(session: AsyncSession, *, now: datetime) -> list[uuid.UUID]:
    """Store removals for all clients whose grace is over; return the operations, to be run."""
    query = select(Client.id).where(Client.status == "deleting", Client.delete_after <= now).order_by(Client.id)
    due = (await session.execute(query)).scalars().all()
    return [await request_removal(session, client_id, GROVE) for client_id in due]


async def request_isolation_check(session: AsyncSession, client_id: str, actor: Actor) -> uuid.UUID:
    """Store the intent to try every wall of a client (operation `client.isolation_check`).

    Shape: the operation's result is `{attempts: [{role, wall, attempt, expected, outcome, detail}], summary:
    {attempts, leaks, unhardened[]}}`. Errors: NotFound; WrongState before the client is active.
    """
    client = await _lock_client(session, client_id)
    if client.status not in {"active", "suspended"}:
        raise WrongState("Only a client that has been made and is not deleted has walls to try.")
    found = await find_open_operation(session, client_id, CHECK)
    if found is not None:
        return found
    operation_id = add_operation(
        session, NewOperation(kind=CHECK, client_id=client_id, steps=PLANS[CHECK].names), actor
    )
    record(session, actor, CHECK, client_id, operation_id=str(operation_id))
    await session.flush()
    return operation_id


async def _lock_client(session: AsyncSession, client_id: str) -> Client:
    client = await session.get(Client, client_id, with_for_update=True, populate_existing=True)
    if client is None:
        raise NotFound("No such client.")
    return client


async def _set_status(
    session: AsyncSession, client: Client, status: str, action: str, actor: Actor, now: datetime
) -> uuid.UUID:
    client.status, client.updated_at = status, now
    revoke(session, "client", client.id)
    operation_id = add_finished_operation(session, action, client.id, actor, now)
    record(session, actor, action, client.id, operation_id=str(operation_id))
    await session.flush()
    return operation_id


async def _cancel_onboarding(session: AsyncSession, client: Client, actor: Actor) -> uuid.UUID:
    """Have the onboarding undone: a runner sees the error before its next step."""
    operation_id = await find_open_operation(session, client.id, CREATE)
    if operation_id is None:
        raise WrongState("The client is being made, but by no operation.")
    operation = await session.get_one(Operation, operation_id, with_for_update=True, populate_existing=True)
    if operation.error is None:
        operation.error = {"code": "cancelled", "detail": "The onboarding was cancelled."}
        operation.not_before = None
        record(session, actor, "client.create.cancelled", client.id, operation_id=str(operation_id))
        await session.flush()
    return operation_id
