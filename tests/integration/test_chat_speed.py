"""Questions about a month of a large table read that month only."""

import json
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from app.embedded.postgres import EmbeddedPostgres
from app.query.run import Analyst
from app.query.spec import Period, Position
from tenants.ids import quote
from tenants.placement import Placement, PlacementKind, Purpose, TenantContext
from tests.support.desks import OwnDesk, open_desk
from tests.support.pools import open_databases

NOW = datetime(2026, 11, 1, tzinfo=UTC)
MONTH = Period(from_at=NOW - timedelta(days=30), to_at=NOW, zone=ZoneInfo("Europe/Berlin"))
ROWS = 200_000
# Two years of sessions in random order; every fifth has no page load.
FILL = """
INSERT INTO {table} ("sessionId", "pageLoaded", "widgetOpened", "createdAt", "updatedAt")
SELECT gen_random_uuid()::text, CASE WHEN n % 5 > 0 THEN at END, at + interval '1 minute', at, at
FROM (SELECT n, $1::timestamptz - interval '730 days' * random() AS at FROM generate_series(1, $2::int) n) AS s
"""


class Plans:
    """Remembers what is run, so that it can be explained."""

    def __init__(self) -> None:
        self.statements: list[tuple[str, tuple[object, ...]]] = []

    def observe(self, _placement: Placement, _purpose: Purpose, sql: str, args: Sequence[object]) -> None:
        """Note a statement."""
        self.statements.append((sql, tuple(args)))


@pytest.fixture(scope="module")
async def desk(postgres: EmbeddedPostgres) -> AsyncIterator[OwnDesk]:
    opened = await open_desk(postgres.url, PlacementKind.SCHEMA)
    assert isinstance(opened, OwnDesk)
    table = f'{quote(opened.client.placement.schema)}."UserEvents"'
    await opened.connection.execute(FILL.format(table=table), NOW, ROWS)
    await opened.connection.execute(f"ANALYZE {table}")
    yield opened
    await opened.close()


def scans_of(node: dict[str, Any]) -> list[tuple[str, float]]:
    """List the scans of a plan: their kind, and how many rows of the table they touched."""
    found = []
    if "Relation Name" in node:
        found.append((node["Node Type"], node["Actual Rows"] + node.get("Rows Removed by Filter", 0)))
    return found + [scan for child in node.get("Plans", []) for scan in scans_of(child)]


async def ask(analyst: Analyst, client: TenantContext, question: str) -> None:
    if question == "sessions":
        after = Position(NOW - timedelta(days=10), "m")
        await analyst.sessions(client, MONTH, after=after, limit=50)
    else:
        await getattr(analyst, question)(client, MONTH)


@pytest.mark.parametrize("question", ["funnel", "daily", "hourly", "leads", "sessions"])
async def test_a_month_is_read_in_one_statement_through_the_index(desk: OwnDesk, question: str) -> None:
    plans = Plans()
    async with open_databases(observe=plans.observe) as databases:
        await ask(Analyst(databases), desk.client, question)
    [(sql, args)] = plans.statements
    plan = json.loads(await desk.connection.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) {sql}", *args))[0]["Plan"]
    scans = [(kind, rows) for kind, rows in scans_of(plan) if rows]
    assert scans
    assert not [kind for kind, _ in scans if kind == "Seq Scan"]
    limit = 100 if question == "sessions" else ROWS / 730 * 31 * 1.2
    assert max(rows for _, rows in scans) < limit
