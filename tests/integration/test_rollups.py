"""Whatever is rolled up, pending or half done: dashboards show what a recount of the raw rows shows."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from asyncpg.pgproto.pgproto import UUID
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import app.workers.rollups
from app.console.dashboards.macros import expand, read_variables
from app.embedded.postgres import EmbeddedPostgres
from app.ingest.event import Arrival
from app.ingest.flush import Flush
from app.ingest.flush_ids import FlushIds
from app.ingest.routes import read_submission
from app.ingest.sink import PostgresSink
from app.rollups.round import Done, catch_up, count_visits, forget, roll_up
from app.workers.resources import open_worker_resources
from app.workers.rollups import Rollups, mark_clients
from provisioning.templates import context_of, load_templates, render
from tenants.clock import utc_now
from tenants.databases import Databases
from tenants.errors import StoreUnavailable
from tenants.placement import Placement, Purpose, TenantContext
from tests.support.grove import Grove, MadeClient, open_grove
from tests.support.rollups import Counted, counted
from tests.support.waiting import until

ZONE = "America/New_York"
# What the panels asked the raw rows before there were rollups, by dashboard and title.
RAW = json.loads((Path(__file__).parent.parent / "support" / "raw_panels.json").read_text(encoding="utf-8"))
NAMES = (
    "page_view", "section_view", "project_click", "external_link_click", "form_submit", "product_view", "add_to_cart",
    "checkout_start", "purchase", "other",
)  # fmt: skip
NOW = utc_now().replace(microsecond=0)


@pytest.fixture(scope="module")
async def grove(postgres: EmbeddedPostgres) -> AsyncIterator[Grove]:
    async with open_grove(postgres.url) as opened:
        yield opened


async def new_client(grove: Grove, **wanted: Any) -> MadeClient:
    async with grove.worker():
        return await grove.make_client(f"c-{uuid.uuid4().hex[:8]}", **{"timezone": ZONE, **wanted})


async def send(grove: Grove, client: MadeClient, events: Sequence[dict[str, Any]], *, duplicates: int = 0) -> None:
    answer = await grove.http.post("/api/v1/events", json=list(events), headers=client.server)
    assert answer.status_code == 202, answer.text
    assert (answer.json()["rejected"], answer.json()["duplicates"]) == ([], duplicates)


def event(name: str, ago: timedelta, *, who: int = 1, visit: int | None = None, **more: Any) -> dict[str, Any]:
    """Make an event of a visitor, by default in a session per visitor and day."""
    at = NOW - ago
    session = f"s{who}-{at:%j}" if visit is None else f"s{visit}"
    return {"event_id": str(uuid.uuid4()), "name": name, "occurred_at": at.isoformat(), "visitor_id": f"v{who}",
            "session_id": session, **more}  # fmt: skip


def assert_same(shown: Any, recounted: Any, what: object) -> None:
    """Compare rows; averages may differ in digits that nobody sees."""
    assert len(shown) == len(recounted), (what, shown, recounted)
    for one, other in zip(shown, recounted, strict=True):
        assert list(one.keys()) == list(other.keys()), what
        for name in one.keys():  # noqa: SIM118 - a record goes through its values
            same = one[name] == other[name]
            if not same and isinstance(one[name], Decimal) and isinstance(other[name], Decimal):
                same = abs(one[name] - other[name]) < Decimal("1e-9")
            assert same, (what, name, one[name], other[name])


async def assert_dashboards_recount(client: Counted, ranges: Sequence[tuple[datetime, datetime]]) -> None:
    """Ask every panel both ways, in each range and for each width of its buckets."""
    for template in load_templates().dashboards:
        if template.uid not in RAW:
            continue
        model = render(template, context_of(client.client))
        for panel in model["panels"]:
            raw = client.client.placement.render(RAW[template.uid][panel["title"]])
            sql = panel["targets"][0]["rawSql"]
            for since, until_at in ranges:
                for bucket in ("hour", "day", "week", "month") if "${bucket}" in sql else ("day",):
                    values, _ = read_variables(model, {"bucket": bucket})
                    shown = await client.fetch(expand(sql, since, until_at, values))
                    recounted = await client.fetch(expand(raw, since, until_at, values))
                    assert_same(shown, recounted, (panel["title"], bucket, since, until_at))


def some_ranges() -> list[tuple[datetime, datetime]]:
    return [
        (NOW - timedelta(days=40), NOW + timedelta(minutes=30)),
        (NOW - timedelta(days=3, hours=5), NOW - timedelta(hours=30)),
    ]


def a_shop_visit(who: int, ago: timedelta) -> list[dict[str, Any]]:
    """Tell one visit in which somebody looked around, clicked and bought."""
    step = timedelta(minutes=1)
    device: dict[str, Any] = {
        "context": {"device": "mobile", "browser": "Safari", "country": "DE" if who % 2 else "FR"}
    }
    item = {"product_id": f"p{who % 3}", "price": 10 + who}
    order = {
        "order_id": f"o{who // 2}",
        "payment_method": "card",
        "items": [{"product_id": f"p{who % 3}", "quantity": 2}],
    }
    page = {"url": f"https://x.example/{who % 4}?utm_source=mail&utm_campaign=c{who % 2}"}
    return [
        event("page_view", ago, who=who, page=page, **device),
        event("section_view", ago - step, who=who, properties={"section": f"n{who % 2}"}),
        event("project_click", ago - step, who=who, properties={"project": "one"}),
        event("external_link_click", ago - 2 * step, who=who, properties={"href": "https://l.example/" + "x" * 3000}),
        event("product_view", ago - 3 * step, who=who, properties=item),
        event("add_to_cart", ago - 4 * step, who=who, properties=item),
        event("checkout_start", ago - 5 * step, who=who),
        event("purchase", ago - 6 * step, who=who, properties=order, amount=20 + who, currency="EUR"),
    ]


async def test_an_event_is_seen_at_once_and_rolling_it_up_changes_no_answer(grove: Grove) -> None:
    client = await new_client(grove)
    async with counted(grove, client.id) as store:
        await assert_dashboards_recount(store, some_ranges())
        for days in (0, 1, 2, 35):
            for who in range(4):
                await send(grove, client, a_shop_visit(who, timedelta(days=days, hours=who * 3)))
        (row,) = await store.fetch("SELECT sum(n) AS n FROM {{fn}}event_counts($1, $2)", *some_ranges()[0])
        assert row["n"] == 128
        await assert_dashboards_recount(store, some_ranges())
        done = await store.catch_up(NOW)
        assert done.events == 128
        assert done.visit_days > 30
        assert await store.fetch("SELECT FROM {{schema}}.rollup_pending WHERE flush > 0") == []
        await assert_dashboards_recount(store, some_ranges())
        assert await store.differences() == []


@pytest.mark.fault(23)
async def test_late_events_and_duplicates_are_no_special_case(grove: Grove) -> None:
    client = await new_client(grove)
    async with counted(grove, client.id) as store:
        early = a_shop_visit(1, timedelta(days=30, hours=2))
        await send(grove, client, [*a_shop_visit(2, timedelta(days=30)), *a_shop_visit(1, timedelta(days=2))])
        await store.catch_up(NOW)
        await send(grove, client, early)
        await send(grove, client, early, duplicates=len(early))
        await assert_dashboards_recount(store, some_ranges())
        assert await store.differences() == []
        assert (await store.catch_up(NOW)).events == len(early)
        await assert_dashboards_recount(store, some_ranges())
        assert await store.differences() == []


async def test_a_session_whose_start_moves_to_another_day_leaves_the_day_it_was_counted_in(grove: Grove) -> None:
    client = await new_client(grove)
    async with counted(grove, client.id) as store:
        await send(grove, client, [event("page_view", timedelta(days=5), visit=1)])
        await store.catch_up(NOW)
        for earlier in (7, 9):
            await send(grove, client, [event("page_view", timedelta(days=earlier), who=2, visit=1)])
            await assert_dashboards_recount(store, some_ranges())
        await store.catch_up(NOW)
        await assert_dashboards_recount(store, some_ranges())
        assert await store.differences() == []


async def test_a_session_that_began_long_ago_costs_its_later_events_nothing(grove: Grove) -> None:
    client = await new_client(grove)
    async with counted(grove, client.id) as store:
        for ago in (timedelta(days=1), timedelta(days=700), timedelta(hours=20), timedelta(hours=18)):
            await send(grove, client, [event("page_view", ago, visit=1)])
        rows = await store.fetch("SELECT visits FROM {{schema}}.rollup_pending WHERE flush > 0 ORDER BY flush")
        assert [len(row["visits"]) for row in rows] == [1, 2, 1, 1]


# What a process of the release before knows of events, and does to the session of one.
_STORE_AS_BEFORE = """
INSERT INTO {{schema}}.events
    (event_id, name, category, occurred_at, received_at, session_id, visitor_id, properties, key_id)
VALUES ($1, 'page_view', NULL, $2, $2, $3, 'v-old', '{}', $1)
"""
_FOLD_AS_BEFORE = """
INSERT INTO {{schema}}.sessions AS known (
    session_id, visitor_id, started_at, ended_at, events, page_views, entry_event, exit_event
) VALUES ($3, 'v-old', $2, $2, 1, 1, $1, $1)
ON CONFLICT (session_id) DO UPDATE SET
    started_at = excluded.started_at, entry_event = excluded.entry_event, events = known.events + 1,
    page_views = known.page_views + 1
"""


async def store_as_before(store: Counted, at: datetime) -> None:
    """Store an event, earlier than those before, as a process of the release before does, which knows of no flushes."""
    event_id = uuid.uuid4()
    async with store.writing() as db:
        for sql in (_FOLD_AS_BEFORE, _STORE_AS_BEFORE):
            await db.execute(db.placement.render(sql), event_id, at, "s-old")


async def test_what_an_older_process_stores_meanwhile_is_seen_at_once_and_rolled_up(grove: Grove) -> None:
    client = await new_client(grove)
    async with counted(grove, client.id) as store:
        await send(grove, client, a_shop_visit(1, timedelta(days=1)))
        counted_events = []
        for number, days in enumerate((2, 3, 40)):
            await store_as_before(store, NOW - timedelta(days=days))
            (row,) = await store.fetch("SELECT sum(n) AS n FROM {{fn}}event_counts($1, $2)", *some_ranges()[0])
            assert row["n"] == 9 + number
            counted_events.append((await store.catch_up(NOW)).events)
            await assert_dashboards_recount(store, some_ranges())
            assert await store.differences() == []
        assert counted_events == [9, 1, 1]


@pytest.mark.fault(24)
async def test_a_worker_killed_in_the_middle_has_done_nothing(grove: Grove) -> None:
    client = await new_client(grove)
    async with counted(grove, client.id) as store:
        await send(grove, client, a_shop_visit(1, timedelta(days=1)))

        def kill(_placement: Placement, _purpose: Purpose, sql: str, _args: Sequence[Any]) -> None:
            if "DELETE FROM" in sql and "rollup_pending" in sql:
                with psycopg.connect(grove.settings.main_url, autocommit=True) as admin:
                    admin.execute(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                        "WHERE query LIKE '%cardinality(l.members)%' AND pid <> pg_backend_pid()"
                    )

        doomed = Databases(grove.settings, observe=kill)
        with pytest.raises(StoreUnavailable):
            await roll_up(doomed, store.client)
        await doomed.close()
        assert await store.fetch("SELECT FROM {{schema}}.rollup_quarters") == []
        assert await store.fetch("SELECT FROM {{schema}}.rollup_people") == []
        await assert_dashboards_recount(store, some_ranges())
        assert (await store.catch_up(NOW)).events == 8
        assert await store.differences() == []


async def test_a_flush_that_commits_in_the_middle_of_a_count_is_pending(grove: Grove) -> None:
    client = await new_client(grove)
    async with counted(grove, client.id) as store:
        await send(grove, client, a_shop_visit(1, timedelta(days=1)))
        await roll_up(store.databases, store.client)

        async def store_late() -> None:
            databases = Databases(grove.settings)
            body = json.dumps(a_shop_visit(2, timedelta(days=1))).encode()
            arrival = Arrival(key_id=UUID(bytes(16)), received_at=NOW, oldest=NOW - timedelta(9), accepts_chat=True)
            late = Flush(id=FlushIds(0).next(), submissions=[read_submission(body, arrival)])
            await PostgresSink(databases).store(store.client.placement, late)
            await databases.close()

        with ThreadPoolExecutor(1) as thread:

            def interfere(_placement: Placement, _purpose: Purpose, sql: str, _args: Sequence[Any]) -> None:
                if "who >= 2" in sql and "DELETE" in sql:
                    thread.submit(lambda: asyncio.run(store_late())).result()

            interrupted = Databases(grove.settings, observe=interfere)
            await count_visits(interrupted, store.client, now=NOW)
            await interrupted.close()
        assert len(await store.fetch("SELECT FROM {{schema}}.rollup_pending WHERE flush > 0")) == 1
        await assert_dashboards_recount(store, some_ranges())
        assert await store.differences() == []
        await store.catch_up(NOW)
        await assert_dashboards_recount(store, some_ranges())
        assert await store.differences() == []


@pytest.mark.fault(24)
async def test_two_workers_at_once_count_nothing_twice(grove: Grove) -> None:
    client = await new_client(grove)
    async with counted(grove, client.id) as store, counted(grove, client.id) as other:
        for who in range(12):
            await send(grove, client, a_shop_visit(who, timedelta(hours=who * 7)))

        async def work(worker: Counted) -> int:
            events = 0
            while await worker.fetch("SELECT FROM {{schema}}.rollup_pending WHERE flush > 0 LIMIT 1"):
                events += (await worker.roll_up(16)).events
            return events

        async def keep_sending() -> None:
            for who in range(12, 16):
                await send(grove, client, a_shop_visit(who, timedelta(hours=who * 7)))

        done = await asyncio.gather(work(store), work(other), keep_sending())
        await store.catch_up(NOW)
        (row,) = await store.fetch("SELECT sum(n) AS n FROM {{schema}}.rollup_quarters")
        assert row["n"] == 16 * 8
        assert sum(done[:2]) <= 16 * 8
        assert await store.differences() == []
        await assert_dashboards_recount(store, some_ranges())


async def test_many_visitors_are_kept_as_bits(grove: Grove) -> None:
    client = await new_client(grove)
    async with counted(grove, client.id) as store:
        for day in (1, 2):
            await send(grove, client, [event("page_view", timedelta(days=day), who=who * day) for who in range(300)])
            await store.catch_up(NOW)
        assert await store.fetch("SELECT FROM {{schema}}.rollup_bits WHERE who = 0 LIMIT 1")
        await send(grove, client, [event("page_view", timedelta(days=2), who=who) for who in range(500, 1000)])
        await assert_dashboards_recount(store, some_ranges())
        await store.catch_up(NOW)
        await assert_dashboards_recount(store, some_ranges())
        assert await store.differences() == []


async def test_sets_of_several_days_stand_for_those_of_their_days(grove: Grove) -> None:
    client = await new_client(grove)
    page = {"url": "https://x.example/one?utm_source=mail", "path": "/one"}

    def visits(days: int, people: range) -> list[dict[str, Any]]:
        return [event("page_view", timedelta(days=days, minutes=who % 60), who=who, page=page) for who in people]

    async with counted(grove, client.id) as store:
        for days in range(3, 17):
            await send(grove, client, visits(days, range(days * 10, days * 10 + 60)))
        await store.catch_up(NOW)
        made = await store.fetch("SELECT DISTINCT who, block FROM {{schema}}.rollup_blocks WHERE series <> 0")
        assert {row["who"] for row in made} == {0, 4}
        assert len({row["block"] for row in made}) >= 2
        ranges = [*some_ranges(), (NOW - timedelta(days=14), NOW - timedelta(days=4))]
        await assert_dashboards_recount(store, ranges)
        await send(grove, client, visits(9, range(1000, 1030)))
        await send(grove, client, [event("page_view", timedelta(days=10), who=95, visit=9, page=page)])
        await assert_dashboards_recount(store, ranges)
        await roll_up(store.databases, store.client)
        await assert_dashboards_recount(store, ranges)
        assert await store.differences() == []
        await store.catch_up(NOW)
        await assert_dashboards_recount(store, ranges)
        assert await store.differences() == []


async def test_an_order_told_on_both_sides_of_a_range_counts_as_the_range_tells_it(grove: Grove) -> None:
    client = await new_client(grove)

    def told(order: str, ago: timedelta, amount: int | None, visit: int) -> dict[str, Any]:
        more: dict[str, Any] = {} if amount is None else {"amount": amount, "currency": "EUR"}
        properties = {"order_id": order, "payment_method": "card" if amount else "invoice"}
        return event("purchase", ago, visit=visit, properties=properties, **more)

    since, until_at = NOW - timedelta(days=3, hours=5), NOW - timedelta(hours=30)
    hour = timedelta(hours=1)
    tellings = [
        told("early", NOW - since + hour, 10, 1), told("early", NOW - since - hour, 20, 2),
        told("late", NOW - until_at + hour, None, 3), told("late", NOW - until_at - hour, 30, 4),
        told("wide", NOW - since + 2 * hour, 40, 5), told("wide", NOW - until_at - 2 * hour, 50, 6),
        told("inside", NOW - since - 3 * hour, None, 7), told("inside", NOW - since - 4 * hour, 60, 8),
    ]  # fmt: skip
    async with counted(grove, client.id) as store:
        for telling in tellings:
            await send(grove, client, [telling])
            await assert_dashboards_recount(store, some_ranges())
            await store.catch_up(NOW)
            await assert_dashboards_recount(store, some_ranges())
            assert await store.differences() == []
        sql = "SELECT sum(n) AS n, sum(amount) AS amount FROM {{fn}}order_counts($1, $2)"
        (row,) = await store.fetch(sql, since, until_at)
        assert (row["n"], row["amount"]) == (3, 20 + 60)


async def test_visitors_per_step_and_those_who_come_again_are_exact(grove: Grove) -> None:
    client = await new_client(grove)
    async with counted(grove, client.id) as store:
        met = [(who, timedelta(days=7 * week, hours=who)) for who in range(1, 9) for week in range(0, 5, 1 + who % 3)]
        await send(grove, client, [event("page_view", ago, who=who) for who, ago in met])
        since, until_at = NOW - timedelta(days=60), NOW
        for _ in range(2):
            ((zone,),) = await store.fetch("SELECT {{fn}}rollup_zone()")
            for step in ("all", "day", "week", "month"):
                rows = await store.fetch("SELECT * FROM {{fn}}visitors_over($1, $2, $3)", since, until_at, step)
                recounted = await store.fetch(
                    "SELECT CASE $3 WHEN 'all' THEN ($1 AT TIME ZONE $4)::date "
                    "ELSE date_trunc($3, occurred_at AT TIME ZONE $4)::date END AS first_day, "
                    "count(DISTINCT visitor_id) AS visitors FROM {{schema}}.events "
                    "WHERE occurred_at >= $1 AND occurred_at < $2 GROUP BY 1 ORDER BY 1",
                    since, until_at, step, zone,
                )  # fmt: skip
                assert [tuple(row) for row in rows if row["visitors"]] == [tuple(row) for row in recounted]
            kept = await store.fetch("SELECT * FROM {{fn}}visitors_retained($1, $2)", since, until_at)
            recounted = await store.fetch(
                "WITH met AS (SELECT DISTINCT date_trunc('week', occurred_at AT TIME ZONE $3)::date AS week, "
                "visitor_id FROM {{schema}}.events WHERE occurred_at >= $1 AND occurred_at < $2) "
                "SELECT a.week, (b.week - a.week) / 7, count(*) FROM met AS a JOIN met AS b USING (visitor_id) "
                "WHERE b.week >= a.week GROUP BY 1, 2 ORDER BY 1, 2",
                since, until_at, zone,
            )  # fmt: skip
            assert [tuple(row) for row in kept] == [tuple(row) for row in recounted]
            await store.catch_up(NOW)


async def test_a_client_that_moves_to_another_zone_is_counted_anew(grove: Grove) -> None:
    client = await new_client(grove)
    async with counted(grove, client.id) as store:
        for who in range(4):
            await send(grove, client, a_shop_visit(who, timedelta(days=1, hours=who * 6)))
        await store.catch_up(NOW)
    changed = await grove.http.patch(client.path, json={"timezone": "Asia/Kolkata"}, headers=grove.platform)
    assert changed.status_code == 200, changed.text
    async with counted(grove, client.id) as store:
        await assert_dashboards_recount(store, some_ranges())
        await store.catch_up(NOW)
        (row,) = await store.fetch("SELECT zone FROM {{schema}}.rollup_state")
        assert row["zone"] == "Asia/Kolkata"
        await assert_dashboards_recount(store, some_ranges())
        assert await store.differences() == []


async def test_a_wrong_figure_is_named_and_counting_anew_mends_it(grove: Grove) -> None:
    client = await new_client(grove)
    async with counted(grove, client.id) as store:
        for who in range(3):
            await send(grove, client, a_shop_visit(who, timedelta(days=2)))
        await store.catch_up(NOW)
        async with store.writing() as db:
            for change in (
                "UPDATE {{schema}}.rollup_quarters SET n = n + 1 WHERE name = 'page_view'",
                "UPDATE {{schema}}.rollup_days SET n = n - 1",
                "UPDATE {{schema}}.rollup_lists SET members = members[2:] WHERE who = 0 AND series = 0",
                "UPDATE {{schema}}.rollup_purchases SET counts = NOT counts",
                "UPDATE {{schema}}.rollup_visits SET sessions = sessions + 1 WHERE dimension = 1",
            ):
                await db.execute(db.placement.render(change))
        found = await store.differences()
        assert {each.kind for each in found} == {"events", "details", "people", "purchases", "visits"}
        assert any(each.kind == "events" and "page_view" in each.what for each in found)
        assert await forget(store.databases, store.client)
        assert (await store.catch_up(NOW)).events == 24
        assert await store.differences() == []


async def test_workers_hear_of_new_events_and_roll_them_up_when_they_are_due(grove: Grove) -> None:
    client = await new_client(grove)
    await send(grove, client, a_shop_visit(1, timedelta(days=1)))

    def later() -> datetime:
        return utc_now() + timedelta(minutes=6)

    async with open_worker_resources(grove.settings, clock=later, observe=grove.recorder.observe) as resources:
        rollups, events = Rollups(resources), 0

        async def rolled_up() -> bool:
            nonlocal events
            events += await rollups.look()
            return events >= 8

        await until(rolled_up, within_s=10)
    async with open_worker_resources(grove.settings, observe=grove.recorder.observe) as resources:
        assert await mark_clients(resources) >= 1
        assert await Rollups(resources).look() == 0  # a mark of now is not due yet
    async with counted(grove, client.id) as store:
        assert await store.fetch("SELECT FROM {{schema}}.rollup_pending WHERE flush > 0") == []
        assert await store.differences() == []


async def test_one_clients_long_round_does_not_keep_the_others_waiting(
    grove: Grove, monkeypatch: pytest.MonkeyPatch
) -> None:
    clients = [await new_client(grove), await new_client(grove)]
    for client in clients:
        await send(grove, client, a_shop_visit(1, timedelta(days=1)))
    both = asyncio.Barrier(len(clients))

    async def take_as_long_as_the_other(databases: Databases, client: TenantContext, *, now: datetime) -> Done:
        if client.tenant_id in {each.id for each in clients}:
            await both.wait()
        return await catch_up(databases, client, now=now)

    monkeypatch.setattr(app.workers.rollups, "catch_up", take_as_long_as_the_other)

    def later() -> datetime:
        return utc_now() + timedelta(minutes=6)

    async with open_worker_resources(grove.settings, clock=later, observe=grove.recorder.observe) as resources:
        working = asyncio.create_task(Rollups(resources).run())
        for client in clients:
            async with counted(grove, client.id) as store:

                async def rolled_up(store: Counted = store) -> bool:
                    return not await store.fetch("SELECT FROM {{schema}}.rollup_pending WHERE flush > 0")

                await until(rolled_up, within_s=20)
        working.cancel()
        await asyncio.wait([working])


async def test_a_client_with_a_database_of_its_own_is_rolled_up_there(grove: Grove) -> None:
    client = await new_client(grove, placement={"kind": "database"})
    async with counted(grove, client.id) as store:
        await send(grove, client, a_shop_visit(1, timedelta(days=1)))
        await store.catch_up(NOW)
        await assert_dashboards_recount(store, some_ranges())
        assert await store.differences() == []


happenings = st.lists(
    st.tuples(
        st.sampled_from(NAMES), st.integers(0, 40 * 24 * 60), st.integers(0, 5), st.integers(0, 4),
        st.sampled_from(["a", "b", None]),
    ),
    min_size=1,
    max_size=25,
)  # fmt: skip


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches=st.lists(st.tuples(happenings, st.booleans(), st.booleans()), min_size=1, max_size=4))
async def test_any_events_in_any_order_are_counted_as_a_recount_counts_them(
    grove: Grove, batches: list[tuple[list[tuple[str, int, int, int, str | None]], bool, bool]]
) -> None:
    client = await new_client(grove)
    async with counted(grove, client.id) as store:
        for batch, rolls, counts in batches:
            events = [
                event(
                    name, timedelta(minutes=ago, seconds=place), who=who, visit=visit,
                    page={"path": f"/{word}"} if word else None, amount=who, currency="EUR" if visit else None,
                    properties={key: word for key in ("section", "href", "product_id", "order_id", "project") if word},
                )
                for place, (name, ago, who, visit, word) in enumerate(batch)
            ]  # fmt: skip
            for lone in events[::7]:
                del lone["session_id"]
            for nobody in events[::11]:
                nobody.pop("session_id", None)
                del nobody["visitor_id"]
            await send(grove, client, events)
            if rolls:
                await roll_up(store.databases, store.client)
            if counts:
                await count_visits(store.databases, store.client, now=NOW)
            await assert_dashboards_recount(
                store, [(NOW - timedelta(days=20), NOW - timedelta(days=3)), some_ranges()[0]]
            )
            assert await store.differences() == []
        await catch_up(store.databases, store.client, now=NOW)
        await assert_dashboards_recount(store, some_ranges())
        assert await store.differences() == []
