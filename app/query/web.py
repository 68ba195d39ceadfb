"""Questions about a client's web events, answered from its rollups: exact, in one statement each.

Runs under the client's read role. Unlike questions about chatbots these always read Grove's own schema, also for a
client whose chatbot tables are in an attached database.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import asyncpg

from app.query.plan import bind_values
from app.query.spec import Period
from tenants.databases import Databases, TenantConnection
from tenants.placement import Purpose, TenantContext
from tenants.statements import read_statement

ACTIVE = timedelta(minutes=5)
_question = partial(read_statement, "app.query")
LETTERS = "abcdefghij"

_STEP = """{letter} AS MATERIALIZED (
    SELECT d.visitor, min(d.at) AS at
    FROM (
        SELECT unnest(t.visitors) AS visitor, unnest(t.times) AS at
        FROM {{{{schema}}}}.rollup_steps AS t
        WHERE t.series = (
                SELECT s.id FROM {{{{schema}}}}.rollup_series AS s
                WHERE s.name = :step_{letter} AND md5(s.detail) IS NULL
            )
            AND t.day >= (SELECT w.first_day FROM span AS w) AND t.day < (SELECT w.end_day FROM span AS w)
        UNION ALL
        SELECT r.visitor, r.at FROM raw AS r WHERE r.name = :step_{letter}
    ) AS d{after}
    GROUP BY d.visitor
)"""
_AFTER = " JOIN {before} AS b ON b.visitor = d.visitor AND d.at > b.at"
# What the visitors of a month at a busy client take.
_FUNNEL_MEMORY = "SET LOCAL work_mem = '32MB'"
_COUNT = "(SELECT count(*) FROM {letter}) AS {letter}"


class WebAnalyst:
    """Answers questions about web events. Ranges are half-open; days are those of the client's zone."""

    def __init__(self, databases: Databases) -> None:
        self._databases = databases

    async def summary(
        self, client: TenantContext, period: Period, *, most: int
    ) -> tuple[asyncpg.Record, list[asyncpg.Record], list[asyncpg.Record]]:
        """Read totals, days of the period's zone, and pages, all from the same state of the database."""
        values = {"from_at": period.from_at, "to_at": period.to_at, "zone": period.zone.key, "most": most}
        async with self._databases.unit(client.placement, Purpose.READ, snapshot=True) as db:
            (totals,) = await _fetch(db, _question("web_totals"), values)
            days = await _fetch(db, _question("web_daily"), values)
            return totals, days, await _fetch(db, _question("web_pages"), values)

    async def totals(self, client: TenantContext, from_at: datetime, to_at: datetime) -> asyncpg.Record:
        """Count events, page views, visitors and sessions."""
        (row,) = await self._ask(client, "web_totals", from_at, to_at)
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

    async def active(self, client: TenantContext, now: datetime) -> int:
        """Count the visitors of the last five minutes."""
        (row,) = await self._ask(client, "web_active", now - ACTIVE, now)
        return int(row["visitors"])

    async def funnel(
        self, client: TenantContext, from_at: datetime, to_at: datetime, *, steps: Sequence[str]
    ) -> list[int]:
        """Count the visitors who reached each step, each after the one before."""
        values = {"from_at": from_at, "to_at": to_at, "names": list(steps)}
        values |= {f"step_{letter}": name for letter, name in zip(LETTERS, steps, strict=False)}
        (row,) = await self._run(client, write_funnel(len(steps)), values, _FUNNEL_MEMORY)
        return list(row.values())

    async def _ask(
        self, client: TenantContext, question: str, from_at: datetime, to_at: datetime, **values: Any
    ) -> list[asyncpg.Record]:
        return await self._run(client, _question(question), {"from_at": from_at, "to_at": to_at, **values})

    async def _run(
        self, client: TenantContext, sql: str, values: Mapping[str, Any], settings: str | None = None
    ) -> list[asyncpg.Record]:
        async with self._databases.unit(client.placement, Purpose.READ) as db:
            if settings is not None:
                await db.execute(settings)
            return await _fetch(db, sql, values)


async def _fetch(db: TenantConnection, sql: str, values: Mapping[str, Any]) -> list[asyncpg.Record]:
    statement = bind_values(db.placement.render(sql), values)
    return await db.fetch(statement.sql, *statement.args)


def write_funnel(steps: int) -> str:
    """Write a funnel of up to ten steps: each visitor does the next one as early as possible after the one before."""
    letters = LETTERS[:steps]
    afters = ["", *(_AFTER.format(before=before) for before in letters[:-1])]
    parts = [_question("web_funnel")]
    parts += [_STEP.format(letter=letter, after=after) for letter, after in zip(letters, afters, strict=True)]
    return ",\n".join(parts) + "\nSELECT " + ", ".join(_COUNT.format(letter=letter) for letter in letters)
