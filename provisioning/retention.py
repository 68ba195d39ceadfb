"""Keep a client's events for as long as it was changed to: operation `client.retention`.

Ordered by whoever changes a client. What is over is removed by a daily job (`app.workers.retention`), after a grace
where the retention was lowered; what may come in now needs its partitions at once.
"""

import uuid
from collections.abc import Collection
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from migrations.partitions import ensure_partitions
from provisioning.audit import Actor
from provisioning.operations import NewOperation, add_operation
from provisioning.work import Step, Work, undo_nothing
from tenants.models import Client

RETAIN = "client.retention"


async def ensure_retained(work: Work) -> str:
    """Make the partitions for events as old as the client may now send."""
    place = await work.get_place()
    async with work.control.session() as session:
        retention_days = (await session.get_one(Client, work.client_id)).retention_days
    async with work.engine(place) as engine:
        made = await ensure_partitions(
            engine, work.placement(place), interval=place.row.partition_interval, retention_days=retention_days,
            now=work.clock(),
        )  # fmt: skip
    return f"{made} partitions made"


def grant_grace(client: Client, retention_days: int, *, now: datetime, grace_days: int) -> None:
    """Before a client's retention is changed: where it is lowered, nothing is removed for a while.

    Shape: raised again meanwhile, what is in its grace stays in it.
    """
    if retention_days < client.retention_days:
        client.prune_after = now + timedelta(days=grace_days)


def follow_retention(session: AsyncSession, client: Client, changed: Collection[str], actor: Actor) -> uuid.UUID | None:
    """Order what a changed retention takes; None if it was not changed."""
    if "retention_days" not in changed:
        return None
    return add_operation(session, NewOperation(kind=RETAIN, client_id=client.id, steps=[PARTITIONS.name]), actor)


PARTITIONS = Step("partitions", ensure_retained, undo_nothing)
