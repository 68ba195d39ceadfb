"""Make the partitions that each client's events will need soon, shorter where many come. Scheduled daily."""

from datetime import timedelta

from sqlalchemy import func, select, update

from app.workers.engines import engine_of
from app.workers.resources import WorkerResources
from app.workers.rounds import visit_clients
from migrations.partitions import INTERVALS, ensure_partitions
from tenants.models import OutcomeHour, PlacementRow
from tenants.placement import TenantContext

# A partition is to hold about so many events at most: what is over goes by the piece.
PARTITION_EVENTS = 10_000_000
MEASURED_DAYS = 7
_DAYS = {"year": 365, "month": 30, "week": 7}


async def extend_partitions(resources: WorkerResources) -> int:
    """Make what is missing, for every client; return how many partitions were made."""
    await refine_intervals(resources)

    async def visit(client: TenantContext) -> int:
        query = select(PlacementRow.partition_interval).where(PlacementRow.client_id == client.tenant_id)
        async with resources.control.session() as session:
            interval = (await session.execute(query)).scalar_one()
        async with engine_of(resources, client) as engine:
            return await ensure_partitions(
                engine,
                client.placement,
                interval=interval,
                retention_days=client.retention_days,
                now=resources.clock(),
            )

    return await visit_clients(resources, "extend_partitions", visit)


async def refine_intervals(resources: WorkerResources) -> int:
    """Give clients that send much a smaller interval from the next partition on; return how many.

    Shape: an interval never grows again, and one that was given is kept until it is too long.
    """
    since = resources.clock() - timedelta(days=MEASURED_DAYS)
    stored = (
        select(OutcomeHour.client_id, func.sum(OutcomeHour.n).label("n"))
        .where(OutcomeHour.hour >= since, OutcomeHour.outcome == "stored")
        .group_by(OutcomeHour.client_id)
        .subquery()
    )
    query = select(PlacementRow, stored.c.n).join(stored, stored.c.client_id == PlacementRow.client_id)
    refined = 0
    async with resources.control.session() as session:
        for place, events in (await session.execute(query)).all():
            interval = fitting_interval(place.partition_interval, int(events) / MEASURED_DAYS)
            if interval != place.partition_interval:
                change = update(PlacementRow).where(PlacementRow.client_id == place.client_id)
                await session.execute(change.values(partition_interval=interval))
                refined += 1
    return refined


def fitting_interval(interval: str, events_per_day: float) -> str:
    """Choose the longest interval, not longer than the given one, whose partitions hold PARTITION_EVENTS at most."""
    for fitting in INTERVALS[INTERVALS.index(interval) :]:
        if events_per_day * _DAYS[fitting] <= PARTITION_EVENTS:
            return fitting
    return INTERVALS[-1]
