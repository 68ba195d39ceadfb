"""Ask one client's database a question and give the answer: one statement, under the client's read role.

Called by the routes with the client that a key proved; plans with `app.query.plan`, answers with
`app.query.results`. An attached database is read through its own login, after finding out what it looks like.
"""

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any

import asyncpg
import msgspec
import structlog

from app.query.answers import CheckAnswer, DailyAnswer, FunnelAnswer, HourlyAnswer, LeadsAnswer
from app.query.plan import Statement, plan_question
from app.query.results import make_daily, make_funnel, make_hourly, make_leads, make_tables
from app.query.spec import Period, Position
from app.query.zones import list_days, list_shifts
from tenants.databases import Databases, TenantConnection
from tenants.errors import QueryTimedOut, SourceUnfit, StoreUnavailable
from tenants.placement import Placement, Purpose, TenantContext
from tenants.relations import OWN_SHAPE, source_of
from tenants.sources import SESSIONS, SourceShape, read_shape
from tenants.statements import read_statement

SHAPE_TTL_S = 60.0
MAX_SOURCES = 100

log = structlog.get_logger()

Plan = Callable[[SourceShape], Statement]
_question = partial(read_statement, "app.query")

_UNREADABLE = "The chatbot tables cannot be read."

# What a database says when its tables are not, or no longer, as the plan believed, or when it does not know the
# zone in which its times are to be read.
_MISFITS = (asyncpg.SyntaxOrAccessError, asyncpg.FeatureNotSupportedError, asyncpg.InvalidParameterValueError)


class Analyst:
    """Answers questions about chatbots. Remembers for a minute what each attached database looks like."""

    def __init__(self, databases: Databases) -> None:
        self._databases = databases
        self._shapes: dict[bytes, tuple[float, SourceShape]] = {}

    async def funnel(self, client: TenantContext, period: Period) -> FunnelAnswer:
        """Count how many sessions reached each step."""
        rows, _ = await self._ask(client.placement, "funnel", _bounds(period))
        return make_funnel(client.tenant_id, period, rows[0])

    async def daily(self, client: TenantContext, period: Period) -> DailyAnswer:
        """Count the steps per day."""
        rows, _ = await self._ask(client.placement, "daily", _bounds(period) | _days(period))
        return make_daily(client.tenant_id, period, rows)

    async def hourly(self, client: TenantContext, period: Period) -> HourlyAnswer:
        """Count the steps per hour of day."""
        since, shifts = zip(*list_shifts(period.from_at, period.to_at, period.zone), strict=True)
        values = {"shifts_since": list(since), "shifts_s": [int(shift.total_seconds()) for shift in shifts]}
        rows, _ = await self._ask(client.placement, "hourly", _bounds(period) | values)
        return make_hourly(client.tenant_id, period, rows)

    async def leads(self, client: TenantContext, period: Period) -> LeadsAnswer:
        """Count leads per day and source, and the sessions that left one."""
        values = _bounds(period) | _days(period) | {"sources": MAX_SOURCES}
        rows, shape = await self._ask(client.placement, "leads", values)
        return make_leads(client.tenant_id, period, rows, shape)

    async def sessions(
        self, client: TenantContext, period: Period, *, after: Position | None, limit: int
    ) -> list[asyncpg.Record]:
        """Read sessions, the latest first: those that come after a position, and at most so many."""
        # No session is at the end of the period, which is exclusive: the first page starts behind it.
        position = after or Position(period.to_at, "")
        values = {"before_at": position.started_at, "before_id": position.session_id, "rows": limit}
        rows, _ = await self._ask(client.placement, "sessions", _bounds(period) | values)
        return rows

    async def check(self, client: TenantContext) -> CheckAnswer:
        """Find out whether the client's tables can be read; a database that is away is an answer, too."""
        shape, rows, problem, latency_ms = SourceShape(tables={}), [], None, None
        try:
            async with self._unit(client.placement) as connection:
                started = time.perf_counter()
                await connection.fetchval("SELECT 1")
                latency_ms = round((time.perf_counter() - started) * 1000, 2)
                shape = await self._shape(connection, fresh=True)
                if shape.fit:
                    statement = plan_question(_question("check"), {}, client.placement, shape)
                    rows = await connection.fetch(statement.sql, *statement.args)
                else:
                    problem = _describe_misfit(shape)
        except StoreUnavailable:
            problem = "The database cannot be reached."
        except QueryTimedOut:
            problem = "The tables are too large to be counted in time."
        except _MISFITS:
            problem = _UNREADABLE
        return _make_check(client, shape, rows, latency_ms=latency_ms, problem=problem)

    async def _ask(
        self, placement: Placement, question: str, values: Mapping[str, Any]
    ) -> tuple[list[asyncpg.Record], SourceShape]:
        return await self.ask(placement, lambda shape: plan_question(_question(question), values, placement, shape))

    async def ask(
        self, placement: Placement, plan: Plan, *, most: int | None = None
    ) -> tuple[list[asyncpg.Record], SourceShape]:
        """Run what a plan makes of the client's tables and return its rows, the first `most` of them if that is given.

        If an attached database has changed since it was looked at, look again, once.
        Errors: SourceUnfit, StoreUnavailable, QueryTimedOut.
        """
        if placement.source_url is None:
            return await self._ask_once(placement, plan, most, fresh=False)
        try:
            return await self._ask_once(placement, plan, most, fresh=False)
        except _MISFITS:
            log.info("source_changed", client=placement.tenant_id)
        try:
            return await self._ask_once(placement, plan, most, fresh=True)
        except _MISFITS as error:
            raise SourceUnfit(_UNREADABLE) from error

    async def _ask_once(
        self, placement: Placement, plan: Plan, most: int | None, *, fresh: bool
    ) -> tuple[list[asyncpg.Record], SourceShape]:
        async with self._unit(placement) as connection:
            shape = await self._shape(connection, fresh=fresh)
            if not shape.fit:
                raise SourceUnfit(_describe_misfit(shape))
            statement = plan(shape)
            if most is None:
                return await connection.fetch(statement.sql, *statement.args), shape
            return await connection.fetch_first(most, statement.sql, *statement.args), shape

    def _unit(self, placement: Placement) -> AbstractAsyncContextManager[TenantConnection]:
        return self._databases.unit(placement, Purpose.READ if placement.source_url is None else Purpose.SOURCE)

    async def _shape(self, connection: TenantConnection, *, fresh: bool) -> SourceShape:
        """Find out what the client's tables look like; only a finding that is good is kept, for a while."""
        placement = connection.placement
        if placement.source_url is None:
            return OWN_SHAPE
        source = source_of(placement)
        key = msgspec.json.encode((placement.source_url, source))
        known_until, shape = self._shapes.get(key, (0.0, None))
        if shape is None or fresh or time.monotonic() > known_until:
            shape = await read_shape(connection.fetch, source)
            self._shapes[key] = (time.monotonic() + SHAPE_TTL_S if shape.fit else 0.0, shape)
        return shape


def _bounds(period: Period) -> dict[str, Any]:
    return {"from_at": period.from_at, "to_at": period.to_at}


def _days(period: Period) -> dict[str, Any]:
    return {"day_starts": [start for _, start in list_days(period.from_at, period.to_at, period.zone)]}


def _describe_misfit(shape: SourceShape) -> str:
    return f'The table "{SESSIONS}" {", ".join(shape.remarks[SESSIONS])}.'


def _make_check(
    client: TenantContext,
    shape: SourceShape,
    rows: list[asyncpg.Record],
    *,
    latency_ms: float | None,
    problem: str | None,
) -> CheckAnswer:
    tables = make_tables(shape, rows)
    return CheckAnswer(
        client_id=client.tenant_id,
        placement=client.placement.kind.value,
        tz=client.timezone,
        source_timezone=source_of(client.placement).timezone,
        ok=problem is None,
        reachable=latency_ms is not None,
        latency_ms=latency_ms,
        tables=tables,
        newest_event=max((table.newest for table in tables if table.newest is not None), default=None),
        problem=problem,
    )
