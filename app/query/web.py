"""Questions about a client's web events, answered from its rollups: exact, in one statement each.

Runs under the client's read role. Unlike questions about chatbots these always read Grove's own schema, also for a
client whose chatbot tables are in an attached database.
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import asyncpg

from app.query.funnel import count_reached
from app.query.plan import bind_values
from app.query.spec import Period, period_before
from app.query.web_results import GROUPS, RecentRows, SummaryRows
from tenants.databases import Databases, TenantConnection
from tenants.placement import Purpose, TenantContext
from tenants.statements import read_statement

ACTIVE, RECENT = timedelta(minutes=5), timedelta(minutes=30)
_question = partial(read_statement, "app.query")


class WebAnalyst:
    """Answers questions about web events. Ranges are half-open; days are those of the client's zone."""

    def __init__(self, databases: Databases) -> None:
        self._databases = databases

    async def summary(self, client: TenantContext, period: Period, *, most: int) -> SummaryRows:
        """Read what a summary is made of, all from the same state of the database.

        Shape: totals and orders of the period and of the one before it, days of its zone, pages and groups.
        """
        values = {"from_at": period.from_at, "to_at": period.to_at, "zone": period.zone.key, "most": most}
        before = period_before(period)
        both = {"from_at": [period.from_at, before.from_at], "to_at": [period.to_at, before.to_at]}
        async with self._databases.unit(client.placement, Purpose.READ, snapshot=True) as db:
            return SummaryRows(
                period=period,
                before=before,
                totals=await _fetch(db, _question("web_totals"), both),
                orders=await _fetch(db, _question("web_orders"), both),
                days=await _fetch(db, _question("web_daily"), values),
                pages=await _fetch(db, _question("web_pages"), values),
                groups=await _fetch(db, _question("web_groups"), {**values, "dimensions": list(GROUPS)}),
            )

    async def recent(self, client: TenantContext, now: datetime, *, most: int) -> RecentRows:
        """Read what happened within RECENT, all from the same state of the database."""
        since = now - RECENT
        values = {
            "from_at": since, "to_at": now, "active_from": now - ACTIVE, "most": most, "dimensions": list(GROUPS),
        }  # fmt: skip
        async with self._databases.unit(client.placement, Purpose.READ, snapshot=True) as db:
            parts = await _fetch(db, _question("web_realtime"), values)
            both = {"from_at": [since], "to_at": [now]}
            return RecentRows(at=now, parts=parts, orders=await _fetch(db, _question("web_orders"), both))

    async def totals(self, client: TenantContext, from_at: datetime, to_at: datetime) -> asyncpg.Record:
        """Count events, page views, visitors and sessions, and what became of these."""
        async with self._databases.unit(client.placement, Purpose.READ) as db:
            (row,) = await _fetch(db, _question("web_totals"), {"from_at": [from_at], "to_at": [to_at]})
            return row

    async def daily(self, client: TenantContext, from_at: datetime, to_at: datetime) -> list[asyncpg.Record]:
        """Count events, page views and visitors per day, days without any included."""
        return await self._ask(client, "web_daily", from_at, to_at, zone=client.timezone)

    async def pages(
        self, client: TenantContext, from_at: datetime, to_at: datetime, *, most: int
    ) -> list[asyncpg.Record]:
        """List the pages with the most views, and how many visitors each had."""
        return await self._ask(client, "web_pages", from_at, to_at, most=most)

    async def retention(self, client: TenantContext, from_at: datetime, to_at: datetime) -> list[asyncpg.Record]:
        """Count for each week's visitors how many of them came in each later week."""
        return await self._ask(client, "web_retention", from_at, to_at)

    async def funnel(
        self, client: TenantContext, from_at: datetime, to_at: datetime, *, steps: Sequence[str]
    ) -> list[int]:
        """Count the visitors who reached each step, each after the one before."""
        pieces = await self._ask(client, "web_funnel", from_at, to_at, names=list(steps))
        return await asyncio.to_thread(count_reached, steps, pieces)

    async def _ask(
        self, client: TenantContext, question: str, from_at: datetime, to_at: datetime, **values: Any
    ) -> list[asyncpg.Record]:
        async with self._databases.unit(client.placement, Purpose.READ) as db:
            return await _fetch(db, _question(question), {"from_at": from_at, "to_at": to_at, **values})


async def _fetch(db: TenantConnection, question: str, values: Mapping[str, Any]) -> list[asyncpg.Record]:
    statement = bind_values(db.placement.render(question), values)
    return await db.fetch(statement.sql, *statement.args)
