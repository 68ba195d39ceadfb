"""`/api/events/stats`: a client's events in a few figures."""

from litestar import Router, get
from litestar.di import NamedDependency

from app.api.times import EndTime, StartTime, read_times
from app.api.usage import resolve_range
from app.ingest.stats import EventStats, count_stats
from app.ingest.steps import FUTURE_ALLOWED
from tenants.clock import Clock
from tenants.databases import Databases
from tenants.placement import Purpose, TenantContext

PATH = "/api/events/stats"


@get(
    PATH,
    tags=["Collection"],
    summary="Count events",
    description="Totals of all time, and for a range of 31 days at most (the last 24 hours unless it is given) counts "
    "by event type and by schema, what was refused, and the last event. `from` is taken down to its hour.",
)
async def read_stats(
    own: NamedDependency[TenantContext],
    databases: NamedDependency[Databases],
    clock: NamedDependency[Clock],
    start: StartTime = None,
    end: EndTime = None,
) -> EventStats:
    """Answer with a client's figures."""
    now = clock()
    since, until = resolve_range(*read_times(start, end, own.timezone), now)
    until = until if end is not None else now + FUTURE_ALLOWED
    async with databases.unit(own.placement, Purpose.READ) as db:
        return await count_stats(db, since, until, now=now)


handlers = [Router("/", route_handlers=[read_stats])]
