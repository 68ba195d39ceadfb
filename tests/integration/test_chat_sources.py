"""Attached databases as they are found in the wild, and the check that tells what is wrong with one."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import asyncpg
import msgspec
import pytest

from app.embedded.postgres import EmbeddedPostgres
from app.query.results import make_session
from app.query.run import Analyst
from app.query.spec import Period
from tenants.errors import SourceUnfit, StoreUnavailable
from tenants.placement import PlacementKind, SourceMap, TenantContext
from tenants.registry import with_database
from tests.support.desks import open_desk
from tests.support.placements import context_of, external_placement, remove_placement
from tests.support.pools import open_databases
from tests.support.recount import ChatSession

PERIOD = Period(
    from_at=datetime(2026, 7, 1, tzinfo=UTC), to_at=datetime(2026, 8, 1, tzinfo=UTC), zone=ZoneInfo("Asia/Tokyo")
)
TOKYO = SourceMap(timezone="Asia/Tokyo")
PLAIN = """
CREATE TABLE "UserEvents" (
    "sessionId" uuid, "pageLoaded" timestamp, "widgetOpened" timestamp, "requestedHuman" timestamp,
    "pressedAccept" timestamp, "pressedCallback" timestamp, "pressedContinue" timestamp,
    "createdAt" timestamp, "updatedAt" timestamp
);
INSERT INTO "UserEvents" ("sessionId", "pageLoaded") VALUES (gen_random_uuid(), '2026-07-01 08:59'),
    (gen_random_uuid(), '2026-07-01 09:00'), (NULL, '2026-08-01 08:59'), (gen_random_uuid(), '2026-08-01 09:00')
"""
TICKED = """
CREATE DOMAIN moment AS timestamptz;
CREATE TABLE "UserEvents" (
    "sessionId" integer, "pageLoaded" boolean, "widgetOpened" boolean, "pressedAccept" date, "createdAt" moment
);
INSERT INTO "UserEvents" VALUES (1, true, false, NULL, '2026-07-05 12:00Z'), (2, NULL, true, NULL, '2026-07-06 12:00Z'),
    (3, false, NULL, NULL, '2026-07-07 12:00Z'), (4, NULL, NULL, '2026-07-08', NULL)
"""

Attach = Callable[..., Awaitable[tuple[TenantContext, asyncpg.Connection]]]


@pytest.fixture
async def analyst() -> AsyncIterator[Analyst]:
    async with open_databases() as databases:
        yield Analyst(databases)


@pytest.fixture
async def attach(postgres: EmbeddedPostgres) -> AsyncIterator[Attach]:
    made = []

    async def make(tables: str, source: SourceMap = TOKYO) -> tuple[TenantContext, asyncpg.Connection]:
        placement, owner_url = await external_placement(postgres.url, tables, source)
        owner = await asyncpg.connect(owner_url)
        made.append((placement, owner))
        return context_of(placement), owner

    yield make
    for placement, owner in made:
        await owner.close()
        await remove_placement(postgres.url, placement)


async def test_times_without_a_zone_are_read_in_that_of_the_source(attach: Attach, analyst: Analyst) -> None:
    client, _ = await attach(PLAIN)
    assert (await analyst.funnel(client, PERIOD)).sessions == 2
    rows = [make_session(row) for row in await analyst.sessions(client, PERIOD, after=None, limit=9)]
    assert [row.started_at for row in rows] == [
        datetime(2026, 7, 31, 23, 59, tzinfo=UTC),
        datetime(2026, 7, 1, 0, 0, tzinfo=UTC),
    ]
    assert rows[0].session_id == ""


async def test_steps_that_are_only_ticked_happened_when_the_row_was_created(attach: Attach, analyst: Analyst) -> None:
    client, _ = await attach(TICKED)
    funnel = await analyst.funnel(client, PERIOD)
    assert (funnel.sessions, [step.count for step in funnel.steps]) == (3, [1, 1, 0, 1, 0, 0])
    rows = [make_session(row) for row in await analyst.sessions(client, PERIOD, after=None, limit=9)]
    assert [(row.session_id, row.outcome) for row in rows] == [("4", "accepted"), ("2", "opened"), ("1", "loaded")]
    assert rows[0].started_at == datetime(2026, 7, 7, 15, tzinfo=UTC)


async def test_absent_optional_tables_are_zero_and_said_to_be_absent(attach: Attach, analyst: Analyst) -> None:
    client, _ = await attach(PLAIN)
    answer = await analyst.leads(client, PERIOD)
    assert (answer.available, answer.leads, answer.sessions, answer.conversion_rate) == (False, 0, 2, 0.0)
    assert answer.remark == 'The table "Leads" was not found.'
    assert len(answer.days) == 32


async def test_a_column_that_the_login_may_not_read_is_as_good_as_none(attach: Attach, analyst: Analyst) -> None:
    client, owner = await attach(PLAIN)
    login = await owner.fetchval("SELECT grantee FROM information_schema.table_privileges WHERE grantee LIKE '%legacy'")
    await owner.execute(f'REVOKE ALL ON "UserEvents" FROM "{login}"')
    await owner.execute(f'GRANT SELECT ("sessionId", "widgetOpened", "pageLoaded") ON "UserEvents" TO "{login}"')
    assert (await analyst.funnel(client, PERIOD)).sessions == 2
    check = await analyst.check(client)
    assert 'has no "pressedAccept"' in check.tables[0].remarks


async def test_a_table_that_changed_since_it_was_looked_at_is_looked_at_again(attach: Attach, analyst: Analyst) -> None:
    client, owner = await attach(PLAIN)
    assert (await analyst.funnel(client, PERIOD)).sessions == 2
    await owner.execute('ALTER TABLE "UserEvents" DROP COLUMN "widgetOpened"')
    assert (await analyst.funnel(client, PERIOD)).sessions == 2


async def test_a_table_whose_types_changed_is_read_by_its_new_types(attach: Attach, analyst: Analyst) -> None:
    client, owner = await attach(PLAIN)
    await analyst.funnel(client, PERIOD)
    await owner.execute(
        """ALTER TABLE "UserEvents" ALTER "pageLoaded" TYPE boolean USING true,
        ALTER "createdAt" TYPE timestamptz USING '2026-07-05Z'"""
    )
    assert (await analyst.funnel(client, PERIOD)).sessions == 4


async def test_a_table_that_is_gone_is_said_to_be_gone(attach: Attach, analyst: Analyst) -> None:
    client, owner = await attach(PLAIN)
    await analyst.funnel(client, PERIOD)
    await owner.execute('DROP TABLE "UserEvents"')
    with pytest.raises(SourceUnfit) as problem:
        await analyst.funnel(client, PERIOD)
    assert problem.value.detail == 'The table "UserEvents" was not found.'


async def test_a_table_that_comes_back_is_read_at_once(attach: Attach, analyst: Analyst) -> None:
    client, owner = await attach(PLAIN)
    await owner.execute('ALTER TABLE "UserEvents" RENAME TO hidden')
    with pytest.raises(SourceUnfit):
        await analyst.funnel(client, PERIOD)
    await owner.execute('ALTER TABLE hidden RENAME TO "UserEvents"')
    assert (await analyst.funnel(client, PERIOD)).sessions == 2


async def test_a_database_that_is_away_is_unavailable(attach: Attach, analyst: Analyst) -> None:
    client, _ = await attach(PLAIN)
    away = with_database(client.placement.source_url or "", "nowhere")
    lost = msgspec.structs.replace(client, placement=msgspec.structs.replace(client.placement, source_url=away))
    with pytest.raises(StoreUnavailable):
        await analyst.funnel(lost, PERIOD)


async def test_the_check_tells_what_an_attached_database_has(attach: Attach, analyst: Analyst) -> None:
    client, _ = await attach(PLAIN)
    check = await analyst.check(client)
    assert (check.ok, check.reachable, check.problem, check.source_timezone) == (True, True, None, "Asia/Tokyo")
    assert [(table.name, table.found, table.rows) for table in check.tables] == [
        ("UserEvents", True, 4),
        ("Leads", False, None),
        ("ChatLog", False, None),
        ("AgentConnection", False, None),
    ]
    assert check.newest_event == datetime(2026, 8, 1, 0, 0, tzinfo=UTC)
    assert check.latency_ms is not None


async def test_the_check_says_why_sessions_cannot_be_read(attach: Attach, analyst: Analyst) -> None:
    client, _ = await attach('CREATE TABLE "UserEvents" ("sessionId" text, "pageLoaded" text)')
    check = await analyst.check(client)
    assert (check.ok, check.reachable, check.tables[0].rows) == (False, True, None)
    assert check.problem is not None
    assert 'has "pageLoaded" as text' in check.problem


async def test_the_check_answers_for_a_database_that_is_away(attach: Attach, analyst: Analyst) -> None:
    client, _ = await attach(PLAIN)
    away = with_database(client.placement.source_url or "", "nowhere")
    lost = msgspec.structs.replace(client, placement=msgspec.structs.replace(client.placement, source_url=away))
    check = await analyst.check(lost)
    assert (check.ok, check.reachable, check.latency_ms) == (False, False, None)
    assert check.problem == "The database cannot be reached."
    assert [table.found for table in check.tables] == [False] * 4


async def test_the_check_counts_own_tables(postgres: EmbeddedPostgres, analyst: Analyst) -> None:
    desk = await open_desk(postgres.url, PlacementKind.SCHEMA)
    at = datetime(2026, 7, 5, tzinfo=UTC)
    await desk.fill([ChatSession("a", (at, None, None, None, None, None), at)], [])
    check = await analyst.check(desk.client)
    assert (check.ok, check.placement, check.newest_event) == (True, "schema", at)
    assert [(table.name, table.found, table.rows) for table in check.tables] == [
        ("UserEvents", True, 1),
        ("Leads", True, 0),
        ("ChatLog", True, 0),
        ("AgentConnection", True, 0),
    ]
    await desk.close()


async def test_the_check_says_when_own_tables_cannot_be_read(postgres: EmbeddedPostgres, analyst: Analyst) -> None:
    desk = await open_desk(postgres.url, PlacementKind.SCHEMA)
    elsewhere = msgspec.structs.replace(desk.client.placement, schema="t_elsewhere")
    check = await analyst.check(msgspec.structs.replace(desk.client, placement=elsewhere))
    assert (check.ok, check.reachable, check.problem) == (False, True, "The chatbot tables cannot be read.")
    await desk.close()


async def test_the_check_says_when_counting_takes_too_long(attach: Attach, analyst: Analyst) -> None:
    client, _ = await attach(
        """
        CREATE FUNCTION cut_off() RETURNS timestamptz LANGUAGE plpgsql AS 'BEGIN RAISE query_canceled; END';
        CREATE VIEW "UserEvents" AS SELECT 'a'::text AS "sessionId", cut_off() AS "pageLoaded"
        """
    )
    check = await analyst.check(client)
    assert (check.ok, check.reachable) == (False, True)
    assert check.problem == "The tables are too large to be counted in time."
    assert (check.tables[0].found, check.tables[0].rows) == (True, None)
