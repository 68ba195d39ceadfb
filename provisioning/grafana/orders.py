"""Order the reconciliation of a client's Grafana.

Called by the routes, the CLI, the daily job, and whoever changes what a client's Grafana is made from.
"""

import uuid
from collections.abc import Collection

from sqlalchemy.ext.asyncio import AsyncSession

from provisioning.audit import Actor, record
from provisioning.grafana.reconcile import ROTATE
from provisioning.operations import NewOperation, add_operation, find_open_operation
from provisioning.plans import CREATE, PLANS, RECONCILE
from tenants.errors import NotFound, WrongState
from tenants.models import Client, Operation

# Clients whose Grafana is looked after: made, and not deleted.
OPEN = frozenset({"active", "suspended"})
# What a client's Grafana is made from, beside what never changes.
SHOWN = frozenset({"timezone", "branding", "staff", "dashboards", "placement.url"})


async def request_reconciliation(
    session: AsyncSession, client_id: str, actor: Actor, *, rotate: bool = False
) -> uuid.UUID:
    """Store the intent to bring a client's Grafana to what it should be (operation `grafana.reconcile`).

    Shape: one that still waits is returned instead. With `rotate` the datasource gets another password. The
    operation's result is `{changes: [{action, kind, name, detail}]}`.
    Errors: NotFound; WrongState unless the client has been made and is not deleted.
    """
    client = await session.get(Client, client_id, with_for_update=True, populate_existing=True)
    if client is None:
        raise NotFound("No such client.")
    if client.status not in OPEN:
        raise WrongState("Only a client that has been made and is not deleted has a Grafana to look after.")
    waiting = await _find_waiting(session, client_id)
    if waiting is not None and not rotate:
        return waiting
    order = NewOperation(
        kind=RECONCILE, client_id=client_id, steps=PLANS[RECONCILE].names, input={ROTATE: True} if rotate else {}
    )
    operation_id = add_operation(session, order, actor)
    record(session, actor, RECONCILE, client_id, operation_id=str(operation_id), rotate=rotate)
    await session.flush()
    return operation_id


async def follow_change(
    session: AsyncSession, client: Client, changed: Collection[str], actor: Actor
) -> uuid.UUID | None:
    """Order a reconciliation if what was changed about a client shows in its Grafana; None if not, or there is none."""
    if client.grafana_org_id is None or client.status not in OPEN or not SHOWN & set(changed):
        return None
    return await request_reconciliation(session, client.id, actor)


async def is_onboarding(session: AsyncSession, client_id: str) -> bool:
    """Tell whether a client's Grafana is still being made by its onboarding."""
    return await find_open_operation(session, client_id, CREATE) is not None


async def _find_waiting(session: AsyncSession, client_id: str) -> uuid.UUID | None:
    """Find a reconciliation that is not running, so that it will see what the caller has changed."""
    found = await find_open_operation(session, client_id, RECONCILE)
    if found is None:
        return None
    row = await session.get_one(Operation, found, with_for_update=True, populate_existing=True)
    return found if row.state == "pending" else None
