"""Old events go with all that was counted of them; what is left is still what a recount shows."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import text

from app.embedded.postgres import EmbeddedPostgres
from app.query.zones import day_start, local_day
from app.rollups.prune import prune_rollups
from migrations.engines import administrator_engine
from tenants.ids import quote
from tests.integration.test_rollups import (
    NOW,
    ZONE,
    a_shop_visit,
    assert_dashboards_recount,
    event,
    new_client,
    send,
    some_ranges,
)
from tests.support.grove import Grove, execute, open_grove
from tests.support.rollups import Counted, counted


@pytest.fixture(scope="module")
async def grove(postgres: EmbeddedPostgres) -> AsyncIterator[Grove]:
    async with open_grove(postgres.url) as opened:
        yield opened


async def prune(grove: Grove, store: Counted, before: datetime) -> None:
    """Drop what happened before a time, as the retention of a client does."""
    placement = store.client.placement
    engine = administrator_engine(grove.settings.main_url)
    async with engine.begin() as connection:
        await connection.execute(text(f"SET LOCAL ROLE {quote(placement.owner_role)}"))
        await prune_rollups(connection, placement, before)
        old = placement.render("DELETE FROM {{schema}}.events WHERE occurred_at < $1")
        await connection.exec_driver_sql(old, (before,))
    await engine.dispose()


async def as_an_older_release(grove: Grove, store: Counted) -> None:
    """Turn events that wait into what a release stored that knew of no pending flushes."""
    placement = store.client.placement
    for sql in (
        "UPDATE {{schema}}.events SET flush = -1 WHERE flush IN (SELECT flush FROM {{schema}}.rollup_pending)",
        "DELETE FROM {{schema}}.rollup_pending WHERE flush > 0",
    ):
        await execute(grove.settings.main_url, placement.render(sql))


def midnight(days: int) -> datetime:
    """Return when a day began, so many days ago."""
    zone = ZoneInfo(ZONE)
    return day_start(local_day(NOW, zone) - timedelta(days=days), zone)


@pytest.mark.parametrize("before", [midnight(20), midnight(20) + timedelta(hours=5), midnight(3) + timedelta(hours=7)])
async def test_what_is_left_is_what_a_recount_shows(grove: Grove, before: datetime) -> None:
    client = await new_client(grove)
    async with counted(grove, client.id) as store:
        for who, days in enumerate((35, 30, 21, 20, 20, 3, 1)):
            await send(grove, client, a_shop_visit(who, timedelta(days=days, hours=3 * who)))
        at_the_cut = NOW - before
        around = [event("page_view", at_the_cut + timedelta(hours=n), who=9, visit=900 + n) for n in (-3, -1, 1, 3)]
        long_visit = [event("page_view", at_the_cut + timedelta(hours=n), who=8, visit=800) for n in (-2, 2)]
        await send(grove, client, [*around, *long_visit])
        await store.catch_up(NOW)
        for who, days in ((20, 32), (21, 20), (22, 2)):
            await send(grove, client, a_shop_visit(who, timedelta(days=days)))

        await prune(grove, store, before)

        await assert_dashboards_recount(store, some_ranges())
        assert await store.differences() == []
        await store.catch_up(NOW)
        await assert_dashboards_recount(store, some_ranges())
        assert await store.differences() == []
        await send(grove, client, a_shop_visit(0, timedelta(days=29)))
        await store.catch_up(NOW)
        await assert_dashboards_recount(store, some_ranges())
        assert await store.differences() == []


async def test_the_rest_of_a_day_is_not_taken_for_what_an_older_release_stored(grove: Grove) -> None:
    client = await new_client(grove)
    async with counted(grove, client.id) as store:
        await send(grove, client, a_shop_visit(1, timedelta(days=2)))
        await as_an_older_release(grove, store)
        await store.catch_up(NOW)
        before = midnight(20) + timedelta(hours=5)
        await send(grove, client, [event("page_view", NOW - before - timedelta(hours=1), who=9, visit=901)])
        await store.catch_up(NOW)

        await prune(grove, store, before)
        await store.catch_up(NOW)

        assert await store.differences() == []


async def test_what_an_older_release_stored_is_not_taken_for_the_rest_of_a_day(grove: Grove) -> None:
    client = await new_client(grove)
    async with counted(grove, client.id) as store:
        before = midnight(20) + timedelta(hours=5)
        await send(grove, client, [event("page_view", NOW - before - timedelta(hours=1), who=9, visit=901)])
        await store.catch_up(NOW)
        await send(grove, client, [event("page_view", NOW - before - timedelta(hours=2), who=9, visit=901)])

        await prune(grove, store, before)
        await prune(grove, store, midnight(3))
        await send(grove, client, a_shop_visit(1, timedelta(days=2)))
        await as_an_older_release(grove, store)
        await store.catch_up(NOW)

        assert await store.differences() == []


async def test_nothing_is_left_of_people_who_are_gone(grove: Grove) -> None:
    client = await new_client(grove)
    async with counted(grove, client.id) as store:
        await send(grove, client, [event("page_view", timedelta(days=30), who=who) for who in range(300)])
        await send(grove, client, a_shop_visit(1000, timedelta(days=30)))
        await send(grove, client, [event("page_view", timedelta(days=2), who=who) for who in range(290, 295)])
        await store.catch_up(NOW)
        await prune(grove, store, midnight(20))
        people = await store.fetch("SELECT id FROM {{schema}}.rollup_people WHERE who = 0 ORDER BY id")
        assert [row["id"] for row in people] == [f"v{who}" for who in range(290, 295)]
        (sessions,) = await store.fetch("SELECT count(*) AS n FROM {{schema}}.rollup_people WHERE who = 1")
        (left,) = await store.fetch("SELECT count(*) AS n FROM {{schema}}.sessions")
        assert sessions["n"] == left["n"] == 5
        names = await store.fetch("SELECT DISTINCT name FROM {{schema}}.rollup_series")
        assert [row["name"] for row in names] == ["page_view"]
        await prune(grove, store, NOW)
        assert await store.fetch("SELECT FROM {{schema}}.rollup_people") == []


async def test_a_client_without_rollups_only_loses_its_sessions(grove: Grove) -> None:
    client = await new_client(grove)
    async with counted(grove, client.id) as store:
        await send(grove, client, [event("page_view", timedelta(days=days), who=days) for days in (30, 1)])
        await prune(grove, store, midnight(20))
        await assert_dashboards_recount(store, some_ranges())
        assert len(await store.fetch("SELECT FROM {{schema}}.sessions")) == 1
        await store.catch_up(NOW)
        assert await store.differences() == []
